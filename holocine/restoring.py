"""Latents -> frames where some pictures are kept: those are put back, and what only they need is not decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from .keeping import Placed, frames_of

# Latent frames that are decoded before those that are needed: what was on screen earlier changes what a causal decoder
# makes of them by one level of 255 at most (measured with the embedded model).
LEAD = 6


def decode_with_kept(
    decode: Callable[[torch.Tensor, str], Any],
    latents: torch.Tensor,
    placed: Sequence[Sequence[Placed]],
    output_type: str,
    lead: int | None = None,
) -> Any:
    """The frames of `latents` (batch, channels, latent frames, …) with kept pictures in their place, bit for bit.

    decode: `HoloCinePipeline.decode`. placed: what is kept of each item. lead: how many latent frames are decoded
    before the first one that is needed; None is all, and exact.
    """
    if output_type == "latent":
        return decode(latents, output_type)
    needed = latents_to_decode(placed, latents.shape[2], lead) if output_type == "np" else range(latents.shape[2])
    frames = decode(latents[:, :, needed.start : needed.stop], output_type)
    if len(needed) < latents.shape[2]:
        frames = [_in_whole(part, needed, latents.shape[2]) for part in frames]
    for item, places in enumerate(placed):
        for place in places:
            _put_back(frames, item, place, output_type)
    return frames


def stream_with_kept(
    decode: Callable[[torch.Tensor], Iterator[np.ndarray]],
    latents: torch.Tensor,
    places: Sequence[Placed],
    lead: int | None = None,
) -> Iterator[np.ndarray]:
    """Yield the frames, uint8 (height, width, 3), that `decode_with_kept` returns for the latents of one video.

    decode: yields the frames of latents (1, channels, latent frames, …) one after the other.
    """
    needed = latents_to_decode([places], latents.shape[2], lead)
    decoded = decode(latents[:, :, needed.start : needed.stop])
    count, begins = len(frames_of(range(latents.shape[2]))), _first_decoded(needed)
    kept = {index: picture for place in places for index, picture in _shown(place)}
    for index in range(count):
        # In step with the decoder, also where its picture is not the one that is shown.
        frame = next(decoded) if begins <= index < frames_of(needed).stop else None
        yield kept.get(index, frame)


def latents_to_decode(placed: Sequence[Sequence[Placed]], count: int, lead: int | None = None) -> range:
    """The latent frames, of `count`, that are to be decoded for the frames that are not kept as pictures."""
    needed = set()
    for places in placed:
        shown = {frame for place in places for frame in place.shown}
        needed |= {i for i in range(count) if not shown.issuperset(frames_of(range(i, i + 1)))}
    return range(0 if lead is None else max(0, min(needed) - lead), max(needed) + 1)


def _in_whole(part: np.ndarray, latent_frames: range, count: int) -> np.ndarray:
    """Decoded frames at their place in a video of `count` latent frames; the rest is black.

    The first latent frame of what is decoded makes one frame, wherever it stands.
    """
    whole = np.zeros((len(frames_of(range(count))), *part.shape[1:]), part.dtype)
    begins = _first_decoded(latent_frames)
    whole[begins : begins + len(part)] = part
    return whole


def _first_decoded(latent_frames: range) -> int:
    """The first frame that is decoded of these latent frames, see `_in_whole`."""
    return frames_of(latent_frames[:1]).stop - 1


def _shown(place: Placed) -> Iterator[tuple[int, np.ndarray]]:
    """The frames that kept pictures are shown in, each with its picture."""
    return zip(place.shown, place.kept.frames if place.shown else (), strict=True)


def _put_back(frames: Any, item: int, place: Placed, output_type: str) -> None:
    for index, picture in _shown(place):
        if output_type == "pt":
            frames[item, index] = torch.from_numpy(picture.copy()).permute(2, 0, 1).to(frames) / 255
        else:
            frames[item][index] = Image.fromarray(picture) if output_type == "pil" else picture
