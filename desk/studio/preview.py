"""What a video is going to look like, while it is still being denoised: one small picture a shot."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from holocine.pipeline import HoloCinePipeline
    from holocine.timeline import ShotLayout

PICTURE_WIDTH = 224


def middle_frames(layout: ShotLayout) -> list[int]:
    """The latent frame in the middle of each shot."""
    return [start + length // 2 for start, length in zip(layout.shot_starts, layout.shot_lengths, strict=True)]


def decode_frames(pipeline: HoloCinePipeline, latents: torch.Tensor, frames: list[int]) -> list[np.ndarray]:
    """Decode single latent frames of (1, channels, frames, height, width), each as if it began a video of its own.

    Returns uint8 pictures (H, W, 3). One frame costs a small part of what the whole video does, and no history.
    """
    return [pipeline.decode(latents[:, :, frame : frame + 1])[0][0] for frame in frames]


def picture_url(picture: np.ndarray, width: int = PICTURE_WIDTH) -> str:
    """A picture (H, W, 3) uint8 as a small JPEG in a data URL, never enlarged."""
    from PIL import Image

    image = Image.fromarray(picture)
    if image.width > width:
        image = image.resize((width, max(1, round(width * image.height / image.width))), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
