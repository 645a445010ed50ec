"""Videos that begin from pictures: what a storyboard names by path, opened, kept in the video, and remembered in it.

A shot's `image` is its first latent frame, its `last_image` the last, its `clip` all of it. A reference is a hidden
shot of one latent frame after the last, whose caption says who it shows: all shots see it through its summary, and it
is not in the video. Pictures, but no clips, may also be in the storyboard itself, as data URLs.
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
from holocine.pictures import (
    PictureError,
    decode_picture,
    enclosed,
    enclosed_bytes,
    read_clip,
)
from holocine.storyboard import Shot, Storyboard
from holocine.storyboard_input import is_enclosed
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
        for picture, part in ((shot.image, "first"), (shot.last_image, "last")):
            if picture is not None:
                name = f"the {part} picture of shot {number}"
                opened.kept.append(Kept(number, part, frames=_open(picture, name, size, stored, opened)[None]))
        if shot.clip is not None:
            frames, notes = read_clip(shot.clip, shot.num_frames, storyboard.fps, size)
            opened.kept.append(Kept(number, frames=frames, fps=storyboard.fps))
            opened.notes += notes
            opened.stored[shot.clip] = {"sha256": hashlib.sha256(Path(shot.clip).read_bytes()).hexdigest()}
    for character, picture in (storyboard.references or {}).items():
        name = f"the picture of [{character}]"
        opened.references.append((character, _open(picture, name, size, stored, opened)))
    return opened


def run_with_pictures(
    pipeline, storyboard: Storyboard, opened: Opened, keep: Sequence[Kept] | None = None, **options: Any
) -> HoloCineOutput:
    """Call a pipeline with a storyboard and its opened pictures; options: those of the call.

    keep: what is kept beside the pictures. The output has no trace of the hidden shots of references. A pipeline that
    begins from no picture is called without, and says so itself.
    """
    if not pipeline.takes_pictures:
        return pipeline(storyboard, keep=keep, **options)
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


def without_pictures(storyboard: Storyboard) -> Storyboard:
    """The storyboard for a model that begins from no picture: its texts and times alone."""
    nothing = {"image": None, "last_image": None, "clip": None}
    shots = [shot.model_copy(update=nothing) for shot in storyboard.shots]
    return storyboard.model_copy(update={"shots": shots, "references": None})


def with_copies(storyboard: Storyboard, stored: Mapping[str, Mapping[str, str]] | None) -> Storyboard:
    """The storyboard with the copies that its MP4 remembers in place of the files that it names.

    For those who may not open files that a storyboard names; what there is no copy of, such as a clip, stays a path.
    """

    def copy_of(picture: str | None) -> str | None:
        text = ((stored or {}).get(picture) or {}).get("copy")
        if text is None:
            return picture
        return enclosed(base64.b64decode(text), "image/png" if text.startswith(_PNG) else "image/jpeg")

    shots = [
        shot.model_copy(update={"image": copy_of(shot.image), "last_image": copy_of(shot.last_image)})
        for shot in storyboard.shots
    ]
    references = {name: copy_of(picture) for name, picture in (storyboard.references or {}).items()}
    return storyboard.model_copy(update={"shots": shots, "references": references or None})


def pictures_of(storyboard: Storyboard) -> list[str]:
    """The pictures and clips of a storyboard, once each: files that it names, and data URLs."""
    found = [x for shot in storyboard.shots for x in (shot.image, shot.last_image, shot.clip)]
    found += (storyboard.references or {}).values()
    return [picture for picture in dict.fromkeys(found) if picture is not None]


def files_named(storyboard: Storyboard) -> list[str]:
    """The files that a storyboard names, once each; pictures that are in it are none."""
    return [picture for picture in pictures_of(storyboard) if not is_enclosed(picture)]


_PNG = base64.b64encode(b"\x89PNG\r\n").decode()


def _open(
    picture: str, name: str, size: tuple[int, int], stored: Mapping[str, Mapping[str, str]], opened: Opened
) -> np.ndarray:
    """A picture that a storyboard has in it, or names; `name` is what the first kind is called."""
    if is_enclosed(picture):
        found, done = decode_picture(enclosed_bytes(picture, name), name, size)
        opened.notes += [note for note in done if note not in opened.notes]
        return found
    path, remembered, notes = picture, stored.get(picture), []
    data = Path(path).read_bytes() if Path(path).is_file() else None
    if remembered is not None and (data is None or hashlib.sha256(data).hexdigest() != remembered["sha256"]):
        why = "is gone" if data is None else "is not the picture that the video was made with"
        data = base64.b64decode(remembered["copy"])
        notes.append(f"{path} {why}: its copy in the video was taken")
    if data is None:
        wrong = "is no file" if Path(path).exists() else "does not exist"
        raise PictureError(
            f"{path}, from which a shot begins or a character is known, {wrong}: put the picture there, or name another"
        )
    found, done = decode_picture(data, path, size)
    opened.notes += [note for note in (*notes, *done) if note not in opened.notes]
    opened.stored[path] = remembered or {"sha256": hashlib.sha256(data).hexdigest(), "copy": _copy(found)}
    return found


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
