"""Videos of ours to go on from: what a retake or a continuation keeps of an MP4 that this program wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    latent frames, height, width), None where there are none to use; notes: why, a sentence each.
    """

    path: Path
    storyboard: Storyboard
    settings: dict[str, Any]
    making: Making
    size: tuple[int, int]
    frames: np.ndarray | None
    latents: torch.Tensor | None = None
    notes: tuple[str, ...] = ()

    def keep(self, shots: Sequence[int] | Mapping[int, int]) -> list[Kept]:
        """Keep shots of it, see `holocine.keeping.keep_of_video`."""
        return keep_of_video(self.storyboard, shots, self.latents, self.frames, self.making.vae)


def read_source(path: str | os.PathLike, fingerprint: str | None = None) -> Source:
    """Read a video that this program wrote, its frames and its latents where they lie beside it.

    fingerprint: of the VAE of the model that is to go on (`encoding.vae_fingerprint`): latents of another are left.
    Raises `VideoError` for a file that is no such video or is not as long as its storyboard.
    """
    with VideoReader(path) as reader:
        found = embedded_in(reader)
        if found.storyboard is None:
            raise VideoError(f"{path} has no storyboard in it: only videos written by holocine can be gone on from")
        storyboard, settings = found.storyboard, found.settings or {}
        height, width = settings.get("height"), settings.get("width")
        native = (width, height) if isinstance(height, int) and isinstance(width, int) else found.size
        if storyboard != storyboard.as_run():
            raise VideoError(f"{path} was cut where no model can cut: only videos made by a model can be gone on from")
        method = "nearest" if settings.get("resample") == "nearest" else "lanczos"
        frames = np.stack([_in_size(frame, native, method) for frame in reader.frames(found.size)])
    if len(frames) != storyboard.num_frames:
        raise VideoError(
            f"{path} has {len(frames)} frames, but its storyboard {storyboard.num_frames}: it was cut or joined since"
        )
    if reader.fps and abs(reader.fps - storyboard.fps) > 0.01 * storyboard.fps:
        raise VideoError(
            f"{path} plays {reader.fps:g} frames a second, but its storyboard has {storyboard.fps:g}: "
            "it was changed since it was made"
        )
    making = found.making or Making.in_one_go(storyboard.num_shots, storyboard.seed)
    latents, notes = _latents_beside(path, making, fingerprint)
    return Source(Path(path), storyboard, settings, making, tuple(found.size or native), frames, latents, notes)


def _latents_beside(
    path: str | os.PathLike, making: Making, fingerprint: str | None
) -> tuple[torch.Tensor | None, tuple[str, ...]]:
    """The latents of the video, or None and why."""
    beside = latents_path(path)
    if making.latents is None:
        return None, ()
    why = "the frames of the video are encoded instead"
    if not beside.is_file():
        return None, (f"{beside}, the latents of the video, is not there: {why}",)
    try:
        latents, made_by = read_latents(beside)
    except LatentsError as error:
        return None, (f"{error}; {why}",)
    if digest(latents) != making.latents:
        return None, (f"{beside} holds the latents of another video: {why}",)
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
