"""Videos of ours to go on from: what a retake or a continuation keeps of an MP4 that this program wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from holocine.decoding import VideoError, VideoReader
from holocine.keeping import Kept, keep_of_video
from holocine.latents_file import LatentsError, digest, latents_path, read_latents
from holocine.making import Making
from holocine.storyboard import Storyboard
from holocine.video import embedded_in

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Source:
    """A finished video and what it remembers.

    storyboard: as run. settings: as `video.write_video` embedded them. size: (width, height) of the file's pictures;
    frames: in the size that the model made them, (T, H, W, 3) uint8, None where they were not read. latents: (channels,
    latent frames, height, width), None where there are none to use; notes: why, a sentence each. pictures:
    as `video.Embedded` has them.
    """

    path: Path
    storyboard: Storyboard
    settings: dict[str, Any]
    making: Making
    size: tuple[int, int]
    frames: np.ndarray | None = None
    latents: torch.Tensor | None = None
    notes: tuple[str, ...] = ()
    pictures: dict[str, dict[str, str]] | None = None

    def keep(self, shots: Sequence[int] | Mapping[int, int]) -> list[Kept]:
        """Keep shots of it, see `holocine.keeping.keep_of_video`."""
        return keep_of_video(self.storyboard, shots, self.latents, self.frames, self.making.vae)

    @property
    def size_made(self) -> tuple[int, int]:
        """(width, height) that the model made the pictures in, before they were enlarged."""
        height, width = self.settings.get("height"), self.settings.get("width")
        return (width, height) if isinstance(height, int) and isinstance(width, int) else self.size

    def as_made(self, picture: np.ndarray) -> np.ndarray:
        """A picture of the file in the size that the model made it in."""
        return _in_size(picture, self.size_made, self.settings.get("resample") or "lanczos")

    def frames_of_shot(self, shot: int) -> np.ndarray:
        """The frames of one shot (from 1), as `frames` holds those of all; only they are decoded."""
        with VideoReader(self.path) as reader:
            return np.stack(
                [self.as_made(f) for f in reader.some_frames(self.storyboard.shot_ranges[shot - 1], self.size)]
            )


def open_source(path: str | os.PathLike) -> Source:
    """What a video that this program wrote remembers; its frames and latents are not read.

    Raises `VideoError` for a file that is no such video or is not as long as its storyboard.
    """
    with VideoReader(path) as reader:
        found, count, fps = embedded_in(reader), reader.num_frames, reader.fps
    if found.storyboard is None:
        raise VideoError(f"{path} has no storyboard in it: only videos written by holocine can be gone on from")
    storyboard, settings = found.storyboard, found.settings or {}
    if storyboard != storyboard.as_run():
        raise VideoError(f"{path} was cut where no model can cut: only videos made by a model can be gone on from")
    if count != storyboard.num_frames:
        raise VideoError(
            f"{path} has {count} frames, but its storyboard {storyboard.num_frames}: it was cut or joined since"
        )
    if abs(fps - storyboard.fps) > 0.01 * storyboard.fps:
        raise VideoError(
            f"{path} plays {fps:g} frames a second, but its storyboard has {storyboard.fps:g}: "
            "it was changed since it was made"
        )
    making = found.making or Making.in_one_go(storyboard.num_shots, storyboard.seed)
    return Source(Path(path), storyboard, settings, making, found.size, pictures=found.pictures)


def read_source(path: str | os.PathLike, fingerprint: str | None = None) -> Source:
    """Read a video that this program wrote, its frames and its latents where they lie beside it.

    fingerprint: of the VAE of the model that is to go on (`encoding.vae_fingerprint`): latents of another are left.
    Raises `VideoError` as `open_source` does.
    """
    source = open_source(path)
    with VideoReader(path) as reader:
        frames = np.stack([source.as_made(frame) for frame in reader.frames(source.size)])
    latents, notes = latents_beside(source, fingerprint)
    return replace(source, frames=frames, latents=latents, notes=notes)


def latents_beside(source: Source, fingerprint: str | None) -> tuple[torch.Tensor | None, tuple[str, ...]]:
    """The latents of a video, or None and why."""
    beside, making = latents_path(source.path), source.making
    if making.latents is None:
        return None, ()
    why = "the frames of the video are encoded instead, which is less exact than with the file that belongs to it"
    if not beside.is_file():
        return None, (f"{beside}, the latents of the video, is not there: {why}",)
    try:
        latents, made_by = read_latents(beside)
    except LatentsError as error:
        return None, (f"{error}: {why}",)
    if digest(latents) != making.latents:
        shape = "x".join(map(str, latents.shape))
        return None, (f"{beside} holds the latents of another video ({shape}): {why}",)
    if fingerprint is not None and made_by != fingerprint:
        return None, (f"{beside} holds latents of another model's VAE: {why}",)
    return latents, ()


def _in_size(picture: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """A picture in the (width, height) that the model made it in, before it was enlarged."""
    if picture.shape[1::-1] == tuple(size):
        return picture
    from PIL import Image

    resampling = Image.Resampling.BOX if method == "nearest" else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize(tuple(size), resampling))
