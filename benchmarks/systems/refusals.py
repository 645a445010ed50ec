"""What a system cannot make, as far as its storyboard, its options and its folder tell: known before a model is loaded.

Each check raises ValueError with the sentence that the item's record will have.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.systems.generation import first_frames, shot_alone
from benchmarks.systems.locked import check_shots
from benchmarks.systems.models import ModelSettings
from holocine.families import NAMES as FAMILIES
from holocine.from_pictures import files_named
from holocine.storyboard import Storyboard
from holocine.timeline import check_positions
from holocine.wan import as_one_shot

if TYPE_CHECKING:
    from holocine.checkpoints import ModelFacts

ONE_BY_ONE = ("keyframe", "independent-shots")  # make every shot by itself
LOCKED = ("retake", "continue")
FROM_PICTURES = ("holocine", "holocine-full", "isolated", "no-window")  # begin shots from a storyboard's pictures
# Make all shots in one video, whose cuts are moved to where the video autoencoder can cut.
ON_GRID = (*FROM_PICTURES, *LOCKED, "phases", "block-mask", "causal")


def check_makeable(
    kind: str, settings: ModelSettings, storyboard: Storyboard, image_to_video: str | None = None
) -> None:
    """Raise ValueError for a storyboard of which a system that runs a model makes no video.

    image_to_video: another model that sets the first frames of `keyframe` in motion.
    """
    if kind in LOCKED:
        check_shots(storyboard, kind)
    if kind in FAMILIES:
        from holocine.families.plan import make_family_plan

        check_weights(settings.model)
        make_family_plan(storyboard, facts_of(settings.model), tokenizer=_tokenizer(settings.model))
    elif kind in ("single-prompt", "wan"):
        check_weights(settings.model)
        _check_text(as_one_shot(storyboard), settings.model)
    elif kind in ONE_BY_ONE:
        check_weights(settings.model)
        parts = [first_frames(storyboard)] if kind == "keyframe" else []
        if image_to_video is None:
            parts += [shot_alone(storyboard, index) for index in range(storyboard.num_shots)]
        for part in parts:
            _check_text(part, settings.model)
            check_positions(part.num_frames, facts_of(settings.model).max_positions)
    elif kind in ON_GRID:
        check_weights(settings.model)
        run = storyboard.as_run()
        if kind != "continue":  # which makes it in two parts, that are shorter
            _check_text(run, settings.model)
        if kind not in ("continue", "causal"):
            check_positions(run.num_frames, facts_of(settings.model).max_positions)
        if kind in FROM_PICTURES:
            _check_pictures(run, settings)


def _check_text(storyboard: Storyboard, model: str | None) -> None:
    """Raise `PromptTooLong` for more text than a model reads."""
    from holocine.prompt import clean, text_windows

    text_windows(clean(storyboard.prompt), _tokenizer(model), max_length=facts_of(model).max_sequence_length)


def _check_pictures(run: Storyboard, settings: ModelSettings) -> None:
    """Raise `PictureError` for a picture that is not there."""
    from holocine.from_pictures import open_pictures

    if not all(Path(path).is_file() for path in files_named(run)):
        facts = facts_of(settings.model)
        open_pictures(run, (settings.height or facts.height, settings.width or facts.width))


@cache
def check_weights(model: str | None) -> None:
    """Raise `CheckpointError` for a model whose folder lacks weights, or has some that were cut short."""
    from holocine.checkpoints import find_model, folder_shapes, read_config

    folder = find_model(model)
    for name, named in read_config(folder / "model_index.json").items():
        component = folder / name
        is_model = isinstance(named, list) and named[-1] and (component / "config.json").is_file()
        if is_model and not any(component.glob("*.bin")):
            folder_shapes(component)


@cache
def facts_of(model: str | None) -> ModelFacts:
    """What is known of a model without its weights, found once in a process."""
    from holocine.checkpoints import describe

    return describe(model)


@cache
def _tokenizer(model: str | None):
    from holocine.checkpoints import load_tokenizer

    return load_tokenizer(facts_of(model))
