"""New takes of shots of a finished video, the others kept as they are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holocine.files import replacing
from holocine.frame_stream import FrameStream, InOrder, watched
from holocine.from_pictures import Opened, open_pictures, run_with_pictures
from holocine.keeping import KeepError, check_shot
from holocine.latents_file import latents_path, remove_stale, write_latents
from holocine.making import Making
from holocine.settings import of_its_own
from holocine.source import Source
from holocine.splicing import New, SpliceError, Stored, splice
from holocine.storyboard import Storyboard
from holocine.video import Thumbnails, contact_sheet, to_comment, write_video

if TYPE_CHECKING:
    from holocine.pipeline import HoloCineOutput


def shots_to_retake(storyboard: Storyboard, shots: Sequence[int]) -> list[int]:
    """The shots in order, each once. Raises `KeepError` for one that is not there, for none and for all of them."""
    for shot in shots:
        check_shot(shot, storyboard)
    found = sorted(set(shots))
    if not found:
        raise KeepError("no shot is to be retaken: say which")
    if len(found) == storyboard.num_shots:
        which = "the only shot" if storyboard.num_shots == 1 else f"all {storyboard.num_shots} shots"
        raise KeepError(f"{which} would be retaken, so nothing is kept: generate the video anew with another seed")
    return found


def with_captions(storyboard: Storyboard, captions: Mapping[int, str]) -> Storyboard:
    """The storyboard with other captions for some shots (from 1), cut where it was."""
    return with_changes(storyboard, {shot: {"caption": caption} for shot, caption in captions.items()})


def with_changes(storyboard: Storyboard, changes: Mapping[int, Mapping[str, Any]]) -> Storyboard:
    """The storyboard with other fields of some shots (from 1), cut where it was."""
    for shot in changes:
        check_shot(shot, storyboard)
    asked = storyboard.asked
    shots = [shot.model_dump(exclude={"num_frames"} if shot.seconds else {"seconds"}) for shot in asked.shots]
    for shot, fields in changes.items():
        shots[shot - 1] |= fields
    return asked.model_copy(update={"shots": shots}).as_run()


def retake(
    pipeline,
    source: Source,
    shots: Sequence[int],
    captions: Mapping[int, str] | None = None,
    opened: Opened | None = None,
    **options: Any,
) -> HoloCineOutput:
    """Make new takes of `shots` (from 1) of a video, the others kept; options: those of a call of the pipeline.

    captions: new ones, by shot; a new caption for a shot that is kept is an error. opened: the pictures that those
    shots begin from and the references, as `open_pictures` returned them; None opens them.
    """
    shots = shots_to_retake(source.storyboard, shots)
    for shot in captions or {}:
        if shot not in shots:
            raise KeepError(f"shot {shot} has a new caption but is kept: retake it too, or leave its caption")
    kept = [shot for shot in range(1, source.storyboard.num_shots + 1) if shot not in shots]
    storyboard = with_captions(source.storyboard, captions or {}).model_copy(update={"seed": None})
    opened = opened or open_pictures_of(source, shots)
    return run_with_pictures(pipeline, storyboard, opened, source.keep(kept), **options)


def open_pictures_of(source: Source, shots: Sequence[int]) -> Opened:
    """The pictures that shots (from 1) of a video begin from, and its references, in its size."""
    return open_pictures(source.storyboard, source.size_made[::-1], source.pictures, shots)


def write_retake(
    out: str | os.PathLike,
    source: Source,
    shots: Sequence[int],
    output: HoloCineOutput,
    settings: dict[str, Any],
    take: int = 1,
    keep_latents: bool = False,
) -> list[str]:
    """Write a take as `retake` returned it, with its contact sheet, and latents beside it where they are kept.

    Kept shots are copied from the source's file. settings: those of this take; the video's stay what they were, and
    which are others is remembered with the take. take: how many takes later than the source's this one is. All files
    are there in the end, or none. Returns a sentence for each thing worth telling.
    """
    out, shots = Path(out), shots_to_retake(source.storyboard, shots)
    seed = output.storyboards[0].seed
    storyboard = output.storyboards[0].model_copy(update={"seed": source.storyboard.seed})
    own = of_its_own(settings, source.settings)
    making = replace(source.making.retaken(shots, seed, take, own), vae=output.made_by)
    thumbnails = Thumbnails(storyboard, output.frames[0].shape)
    with ExitStack() as files:
        sheet, unseen = (files.enter_context(replacing(path)) for path in (out.with_suffix(".png"), out))
        if keep_latents:
            beside = files.enter_context(replacing(latents_path(out)))
            making = replace(making, latents=write_latents(beside, output.latents[0], output.made_by))
        kept = {shot: shot for shot in range(1, storyboard.num_shots + 1) if shot not in shots}
        frames = watched(output.frames[0], thumbnails.see)
        notes = write_around(unseen, source, kept, frames, storyboard, source.settings, making, source.pictures)
        contact_sheet(thumbnails, storyboard, sheet)
    return [*notes, *([] if keep_latents else remove_stale(out))]


def write_around(
    out: Path,
    source: Source,
    kept: Mapping[int, int],
    frames: np.ndarray | FrameStream,
    storyboard: Storyboard,
    settings: dict[str, Any],
    making: Making,
    pictures: dict[str, dict[str, str]] | None = None,
) -> list[str]:
    """Write a video whose kept shots are copied from the source's file; returns a sentence for what is worth telling.

    kept: {shot of the storyboard: shot of the source}, from 1. frames: of the whole video, (T, H, W, 3) uint8, read
    once and to the end; the kept ones are encoded anew where the file's cannot be copied.
    """
    before, in_order = source.storyboard.shot_ranges, InOrder(frames)
    resample = source.settings.get("resample") or "lanczos"
    parts = [
        Stored(source.path, before[kept[shot] - 1]) if shot in kept else New(in_order.part(span))
        for shot, span in enumerate(storyboard.shot_ranges, start=1)
    ]
    comment = to_comment(storyboard, settings, source.size, making, pictures)
    try:
        splice(out, parts, storyboard.fps, source.size, comment, resample)
        in_order.rest()
    except SpliceError as error:
        write_video(out, frames, storyboard.fps, storyboard, settings, source.size, resample, making, pictures)
        return [f"{error}, so kept shots lose a little"]
    return []
