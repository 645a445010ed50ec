"""What a system cannot make, as far as its storyboard, its options and its folder tell: known before a model is loaded.

Each check raises ValueError with the sentence that the item's record will have.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.systems.locked import check_shots
from benchmarks.systems.models import ModelSettings
from holocine.families import NAMES as FAMILIES
from holocine.from_pictures import files_named
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    from holocine.checkpoints import ModelFacts

LOCKED = ("retake", "continue")
FROM_PICTURES = ("holocine", "holocine-full", "isolated", "no-window")  # begin shots from a storyboard's pictures
# Make all shots in one video, whose cuts are moved to where the video autoencoder can cut.
ON_GRID = (*FROM_PICTURES, *LOCKED, "phases", "block-mask", "causal")


def check_makeable(kind: str, settings: ModelSettings, storyboard: Storyboard) -> None:
    """Raise ValueError for a storyboard of which a system that runs a model makes no video."""
    if kind in LOCKED:
        check_shots(storyboard, kind)
    if kind in FAMILIES:
        from holocine.families.plan import make_family_plan

        check_weights(settings.model)
        make_family_plan(storyboard, _facts(settings.model), tokenizer=_tokenizer(settings.model))
    elif kind in ON_GRID:
        check_weights(settings.model)
        _check_scene(storyboard, settings, kind in FROM_PICTURES)


def _check_scene(storyboard: Storyboard, settings: ModelSettings, takes_pictures: bool) -> None:
    """Raise ValueError for a scene of one video that is too long, too wordy or lacks a picture."""
    from holocine.from_pictures import open_pictures
    from holocine.prompt import clean, text_windows
    from holocine.timeline import check_positions

    facts, run = _facts(settings.model), storyboard.as_run()
    check_positions(run.num_frames, facts.max_latent_frames)
    text_windows(clean(run.prompt), _tokenizer(settings.model), max_length=facts.max_sequence_length)
    if takes_pictures and not all(Path(path).is_file() for path in files_named(run)):
        open_pictures(run, (settings.height or facts.height, settings.width or facts.width))


@cache
def check_weights(model: str | None) -> None:
    """Raise `CheckpointError` for a model whose folder lacks weights, or has some that were cut short."""
    from holocine.checkpoints import find_model, folder_shapes, read_config

    folder = find_model(model)
    for name, named in read_config(folder / "model_index.json").items():
        if isinstance(named, list) and named[-1] and (folder / name / "config.json").is_file():
            folder_shapes(folder / name)


@cache
def _facts(model: str | None) -> ModelFacts:
    from holocine.checkpoints import describe

    return describe(model)


@cache
def _tokenizer(model: str | None):
    from holocine.checkpoints import load_tokenizer

    return load_tokenizer(_facts(model))
