"""Videos that begin from pictures: what a storyboard names by path, opened, kept in the video, and remembered in it.

A shot's `image` is its first latent frame, its `last_image` the last, its `clip` all of it. A reference is a hidden
shot of one latent frame after the last, whose caption says who it shows: all shots see it through its summary, and it
is not in the video.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holocine.keeping import Kept
from holocine.pictures import PictureError, decode_picture, read_clip
from holocine.storyboard import Shot, Storyboard
from holocine.timeline import FRAMES_PER_LATENT

if TYPE_CHECKING:
    from holocine.pipeline import HoloCineOutput

REFERENCE_CAPTION = "Medium shot of [{}] standing still. The camera is static."
COPY_SIDE = 512  # pixels: larger pictures are remembered smaller


@dataclass(eq=False)
class Opened:
    """The pictures of a storyboard (as run), in the size of the video.

    kept: of its shots. references: (character, picture (height, width, 3) uint8) in order. stored: what an MP4 is to
    remember, by path. notes: what was done to them, a sentence each.
    """

    kept: list[Kept] = field(default_factory=list)
    references: list[tuple[str, np.ndarray]] = field(default_factory=list)
    stored: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def open_pictures(
    storyboard: Storyboard,
    size: tuple[int, int],
    stored: Mapping[str, Mapping[str, str]] | None = None,
    shots: Sequence[int] | None = None,
) -> Opened:
    """Open what a storyboard (as run) names; the files are read here and nowhere else.

    size: (height, width) of the video. stored: what the MP4 that the storyboard is of remembers: a file that is not
    there any more, or is another one now, is replaced by its copy. shots: from 1, those whose pictures are opened; None
    is all. Raises `PictureError` for what cannot be used.
    """
    opened, stored = Opened(), stored or {}
    for number, shot in enumerate(storyboard.shots, start=1):
        if shots is not None and number not in shots:
            continue
        for path, part in ((shot.image, "first"), (shot.last_image, "last")):
            if path is not None:
                opened.kept.append(Kept(number, part, frames=_open(path, size, stored, opened)[None]))
        if shot.clip is not None:
            frames, notes = read_clip(shot.clip, shot.num_frames, storyboard.fps, size)
            opened.kept.append(Kept(number, frames=frames, fps=storyboard.fps))
            opened.notes += notes
            opened.stored[shot.clip] = {"sha256": hashlib.sha256(Path(shot.clip).read_bytes()).hexdigest()}
    for character, path in (storyboard.references or {}).items():
        opened.references.append((character, _open(path, size, stored, opened)))
    return opened


def run_with_pictures(
    pipeline, storyboard: Storyboard, opened: Opened, keep: Sequence[Kept] | None = None, **options: Any
) -> HoloCineOutput:
    """Call a pipeline with a storyboard and its opened pictures; options: those of the call.

    keep: what is kept beside the pictures. The output has no trace of the hidden shots of references.
    """
    board = storyboard.as_run()
    if not (board.has_pictures or opened.kept or opened.references):
        return pipeline(storyboard, keep=keep, **options)
    scene, hidden = scene_of(board, [character for character, _ in opened.references])
    kept = [*(keep or ()), *opened.kept]
    for number, (_, picture) in enumerate(opened.references, start=board.num_shots + 1):
        kept.append(Kept(number, frames=np.repeat(picture[None], FRAMES_PER_LATENT, axis=0)))
    output = pipeline(scene, keep=kept or None, **options)
    output.storyboards = [board.model_copy(update={"seed": output.storyboards[0].seed})]
    if hidden:
        count, latent = board.num_frames, output.latents.shape[2] - hidden
        output.latents = output.latents[:, :, :latent]
        is_latent = not isinstance(output.frames, list) and output.frames.shape[2] == latent + hidden
        if isinstance(output.frames, list):
            output.frames = [frames[:count] for frames in output.frames]
        else:
            output.frames = output.frames[:, :, :latent] if is_latent else output.frames[:, :count]
    return output


def scene_of(board: Storyboard, characters: Sequence[str]) -> tuple[Storyboard, int]:
    """The storyboard that the model is given, without paths and with hidden shots for references; and their number."""
    shots = [Shot(caption=shot.caption, num_frames=shot.num_frames) for shot in board.shots]
    shots += [Shot(caption=REFERENCE_CAPTION.format(who), num_frames=FRAMES_PER_LATENT) for who in characters]
    scene = board.model_copy(update={"shots": shots, "references": None})
    return scene.with_stated_shots() if characters else scene, len(characters)


def _open(path: str, size: tuple[int, int], stored: Mapping[str, Mapping[str, str]], opened: Opened) -> np.ndarray:
    remembered, notes = stored.get(path), []
    data = Path(path).read_bytes() if Path(path).is_file() else None
    if remembered is not None and (data is None or hashlib.sha256(data).hexdigest() != remembered["sha256"]):
        data = base64.b64decode(remembered["copy"])
        notes.append(f"{path} is not the picture that the video was made with: its copy in the video was taken")
    if data is None:
        raise PictureError(f"{path} does not exist: the storyboard begins a shot, or knows a character, from it")
    picture, done = decode_picture(data, path, size)
    opened.notes += [note for note in (*notes, *done) if note not in opened.notes]
    opened.stored[path] = remembered or {"sha256": hashlib.sha256(data).hexdigest(), "copy": _copy(picture)}
    return picture


def _copy(picture: np.ndarray) -> str:
    """A small copy of a picture: lossless up to `COPY_SIDE`, smaller and lossy above."""
    from PIL import Image

    image, file = Image.fromarray(picture), io.BytesIO()
    if max(image.size) > COPY_SIDE:
        image.thumbnail((COPY_SIDE, COPY_SIDE), Image.Resampling.LANCZOS)
        image.save(file, "JPEG", quality=90)
    else:
        image.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
