"""More shots after the last of a finished video, made to fit some of those that are there.

The model sees the context, a few shots of the film that are kept, and the new shots; never the whole film. So time and
memory of a continuation do not grow with the film, and its memory is the shots that are named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holocine.files import replacing
from holocine.frame_stream import InOrder, watched
from holocine.from_pictures import Opened, run_with_pictures
from holocine.keeping import KeepError, Kept, check_shot
from holocine.latents_file import latents_path, write_latents
from holocine.plurals import counted
from holocine.prompt import PromptTooLong, ascii_tags
from holocine.settings import of_its_own
from holocine.source import Source
from holocine.splicing import New, Stored, splice
from holocine.storyboard import Shot, Storyboard, StoryboardError
from holocine.storyboard_files import parse_yaml
from holocine.storyboard_input import with_defaults
from holocine.timeline import FRAMES_PER_LATENT, TooManyFrames
from holocine.video import Thumbnails, contact_sheet, to_comment

if TYPE_CHECKING:
    import numpy as np
    import torch

    from holocine.pipeline import HoloCineOutput

DEFAULT_CONTEXT = 2


@dataclass(frozen=True)
class Continuation:
    """What is made of a film and more shots.

    film: the storyboard of all shots, as run. context: the shots of the film, from 1, that the new ones see. scene: the
    storyboard that the model is given, context first.
    """

    film: Storyboard
    context: tuple[int, ...]
    scene: Storyboard

    @property
    def num_new(self) -> int:
        return self.scene.num_shots - len(self.context)

    @property
    def new(self) -> Storyboard:
        """The new shots alone."""
        return self.film.model_copy(update={"shots": self.film.shots[-self.num_new :]})


def parse_context(text: str | None, num_shots: int) -> tuple[int, ...]:
    """The shots that `text` names, in order: "2" is the last two, "1,4,5" these three, "4," this one; None the default.

    Raises `KeepError` for anything else and for more shots than there are.
    """
    if text is None:
        return tuple(range(max(1, num_shots - DEFAULT_CONTEXT + 1), num_shots + 1))
    if not re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*,?\s*", text):
        raise KeepError(f"context {text!r} names no shots: write 2 for the last two, or 1,4,5 for these")
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if "," in text:
        return tuple(sorted(set(numbers)))
    if not 1 <= numbers[0] <= num_shots:
        raise KeepError(f"context {numbers[0]}: the video has {num_shots} shots; give 1 to {num_shots}")
    return tuple(range(num_shots - numbers[0] + 1, num_shots + 1))


def load_more(path: str | os.PathLike, storyboard: Storyboard) -> Storyboard:
    """The storyboard of more shots in a file, which may leave out what it has in common with the film's.

    Raises StoryboardError if the file is none, or has another frame rate.
    """
    return _at_its_rate(Storyboard.load(path, _common(storyboard)), storyboard, path)


def parse_more(text: str, storyboard: Storyboard) -> Storyboard:
    """As `load_more`, of text: YAML, JSON, or HoloCine's prompt string."""
    is_prompt = ascii_tags(text).lstrip().lower().startswith("[global caption]")
    data = {"prompt": text} if is_prompt else parse_yaml(text)
    more = Storyboard.model_validate(with_defaults(data, _common(storyboard)))
    return _at_its_rate(more, storyboard, "the storyboard")


def _common(storyboard: Storyboard) -> dict[str, Any]:
    """What the storyboard of more shots may leave out."""
    return {name: getattr(storyboard, name) for name in ("global_caption", "fps", "negative_prompt", "references")}


def _at_its_rate(more: Storyboard, storyboard: Storyboard, name: str | os.PathLike) -> Storyboard:
    if more.fps != storyboard.fps:
        raise StoryboardError(
            f"{name} has {more.fps:g} frames a second and the video {storyboard.fps:g}: "
            "a film has one rate, leave fps out"
        )
    return more


def plan_continuation(storyboard: Storyboard, more: Storyboard, context: Sequence[int]) -> Continuation:
    """Join two storyboards, and make the scene of the context and the new shots.

    storyboard: of the film so far, as run. The first shot of a scene has one frame in its first latent frame, not four,
    so the first shot of the context is seen without its last three. Raises `KeepError` for shots that are not there,
    StoryboardError for new shots too short to be cut.
    """
    context = tuple(sorted(set(context)))
    if not context:
        raise KeepError("no shot is named as context, so nothing would be continued: name at least one")
    for shot in context:
        check_shot(shot, storyboard)
    shots = (*storyboard.asked.shots, *more.asked.shots)
    shared = ("global_caption", "negative_prompt", "references")
    update = {"shots": shots, **{name: getattr(more, name) for name in shared}}
    film = storyboard.model_copy(update=update).with_stated_shots().as_run()
    kept = film.shots[: storyboard.num_shots]
    if [shot.num_frames for shot in kept] != [shot.num_frames for shot in storyboard.shots]:
        raise StoryboardError("the video was cut otherwise than its storyboard says: it cannot be continued")
    scene = [kept[shot - 1] for shot in context]
    first = scene[0].num_frames
    opens = FRAMES_PER_LATENT * ((first - 1) // FRAMES_PER_LATENT) + 1
    scene[0] = Shot(caption=scene[0].caption, num_frames=opens)
    scene = [Shot(caption=shot.caption, num_frames=shot.num_frames) for shot in scene]
    new = [shot.model_copy(update={"seconds": None}) for shot in film.shots[len(kept) :]]
    board = film.model_copy(update={"shots": [*scene, *new], "seed": more.seed}).with_stated_shots()
    return Continuation(film, context, board)


def keep_context(context: Iterable[int], scene: Storyboard, frames_of: Callable[[int], np.ndarray]) -> list[Kept]:
    """Keep the frames of the context, which the scene begins with, as many of each shot as the scene has.

    context: shots of the film, from 1; frames_of: the frames of one of them, (T, H, W, 3) uint8.
    """
    return [
        Kept(number, frames=frames_of(shot)[: given.num_frames], fps=scene.fps)
        for number, (shot, given) in enumerate(zip(context, scene.shots, strict=False), start=1)
    ]


def continue_video(
    pipeline, source: Source, continuation: Continuation, opened: Opened | None = None, **options: Any
) -> HoloCineOutput:
    """Make the new shots of a continuation; options: those of a call of the pipeline.

    opened: the pictures of its scene, None where there are none. Raises `KeepError` where context and new shots are
    together more than the model takes.
    """
    kept = keep_context(continuation.context, continuation.scene, source.frames_of_shot)
    try:
        return run_with_pictures(pipeline, continuation.scene, opened or Opened(), kept, **options)
    except TooManyFrames as error:
        found = f"{counted(continuation.scene.num_frames, 'frame')}, and the model has positions for {error.most:,}"
        raise KeepError(too_much(continuation, found, continuation.new.num_frames < error.most)) from None
    except PromptTooLong as error:
        if error.tokens is None:
            raise
        found = f"captions of {error.tokens:,} text tokens, and the model reads {error.most:,}"
        raise KeepError(too_much(continuation, found)) from None


def too_much(continuation: Continuation, found: str, can_see_fewer: bool = True) -> str:
    """What to say of a scene that is too long; found: what context and new shots have together, and the limit.

    can_see_fewer: whether a smaller context may help.
    """
    seen = len(continuation.context)
    fewer = "take a smaller context, or " if seen > 1 and can_see_fewer else ""
    return (
        f"{counted(continuation.num_new, 'new shot')} and the {seen} of the context have {found}: {fewer}go on with "
        "fewer or shorter shots at a time"
    )


def write_continuation(
    out: str | os.PathLike,
    source: Source,
    continuation: Continuation,
    output: HoloCineOutput,
    settings: dict[str, Any],
    latents: torch.Tensor | None = None,
    pictures: dict[str, dict[str, str]] | None = None,
) -> None:
    """Write the film: the source's file copied, then the new shots; with a contact sheet of the new shots beside it.

    settings: those of the new shots; which are others than the source's is remembered with them. latents: those of the
    source, with which the film's are written; None for none. pictures: of the new shots, as `Opened.stored`. All files
    are there in the end, or none. Raises `SpliceError` if the source was encoded otherwise than new shots are.
    """
    out, film, new = Path(out), continuation.film, continuation.new
    frames = output.frames[0][-new.num_frames :]
    own = of_its_own(settings, source.settings)
    making = replace(source.making.continued(new.num_shots, output.storyboards[0].seed, own), vae=output.made_by)
    thumbnails = Thumbnails(new, frames.shape)
    in_order = InOrder(watched(frames, thumbnails.see))
    parts = [New(in_order.part(span)) for span in new.shot_ranges]
    stored = Stored(source.path, range(source.storyboard.num_frames))
    with ExitStack() as files:
        sheet, unseen = (files.enter_context(replacing(path)) for path in (out.with_suffix(".png"), out))
        if latents is not None:
            beside = files.enter_context(replacing(latents_path(out)))
            made = output.latents[0][:, -(new.num_frames // FRAMES_PER_LATENT) :]
            making = replace(making, latents=write_latents(beside, latents_joined(latents, made), output.made_by))
        pictures = {**(source.pictures or {}), **(pictures or {})}
        comment = to_comment(film, source.settings, source.size, making, pictures)
        splice(unseen, [stored, *parts], film.fps, source.size, comment, source.settings.get("resample") or "lanczos")
        contact_sheet(thumbnails, new, sheet, after=source.storyboard)


def latents_joined(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """The latents of a film and of the shots after it."""
    import torch

    return torch.cat([before, after.to(before)], dim=1)
