"""StoryMem's memory: which frames of a finished part are kept, and which of all that were the next part sees.

Frames are told apart by the cosine of two CLIP embeddings of a picture. The published code asks HPSv3, a model of human
preference, whether a frame is good enough to be kept; that model is not here, and every frame counts as good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F

T = TypeVar("T")
Similarity = Callable[[T, T], float]

MOST_MEMORY = 10  # frames that a part sees
FIRST_MEMORY = 3  # of them those that came first
MOST_KEYFRAMES = 3  # of a part
SIMILAR = 0.9
STEP = 0.01  # by which the threshold falls while there are too many
_TOKEN, _LEAST, _MOST = 28, 48, 256  # pixels of a side, and how many of such squares a frame is compared at
_CLIP_SIZE = 224
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def remembered(kept: Sequence[T], most: int = MOST_MEMORY, first: int = FIRST_MEMORY) -> list[T]:
    """The frames that the next part sees of all that were kept, in order: the first three and the latest ones."""
    return list(kept) if len(kept) <= most else [*kept[:first], *kept[first - most :]]


def keyframes(frames: Sequence[T], similarity: Similarity) -> list[int]:
    """The frames of a part that stand for it, at most three: the first, then each one unlike the one before it.

    The second frame never is. Where there are more, frames have to be less alike, by a hundredth each time.
    """
    threshold = SIMILAR
    while True:
        chosen = [0]
        for number in range(2, len(frames)):
            if similarity(frames[chosen[-1]], frames[number]) < threshold:
                chosen.append(number)
        if len(chosen) <= MOST_KEYFRAMES:
            return chosen
        threshold -= STEP


def unlike(frames: Sequence[T], kept: Sequence[T], similarity: Similarity) -> list[int]:
    """Which of `frames` are like none that was kept before."""
    return [n for n, frame in enumerate(frames) if all(similarity(frame, other) <= SIMILAR for other in kept)]


def compared_size(height: int, width: int) -> tuple[int, int]:
    """Height and width that the frames of a part are scaled to before they are compared, multiples of 28 pixels."""
    rounded = [max(_TOKEN, round(side / _TOKEN) * _TOKEN) for side in (height, width)]
    area, square = rounded[0] * rounded[1], _TOKEN * _TOKEN
    if _LEAST * square <= area <= _MOST * square:
        return rounded[0], rounded[1]
    bound, whole = (_MOST, math.floor) if area > _MOST * square else (_LEAST, math.ceil)
    scale = math.sqrt(bound * square / (height * width))
    return max(whole(height * scale / _TOKEN) * _TOKEN, _TOKEN), max(whole(width * scale / _TOKEN) * _TOKEN, _TOKEN)


def scaled(pictures: torch.Tensor) -> torch.Tensor:
    """Pictures (frames, 3, height, width), uint8, at the size that those of a part are compared at."""
    return F.interpolate(pictures, compared_size(*pictures.shape[-2:]), mode="bilinear", antialias=True)


@torch.no_grad()
def embedded(pictures: torch.Tensor, image_encoder: torch.nn.Module) -> list[torch.Tensor]:
    """CLIP's embedding of each picture (frames, 3, height, width), uint8: unit vectors on the CPU, float32."""
    device = next(image_encoder.parameters()).device
    mean, std = (torch.tensor(values)[:, None, None] for values in (_CLIP_MEAN, _CLIP_STD))
    vectors = []
    for picture in pictures.cpu():
        seen = F.interpolate(picture[None].float() / 255, (_CLIP_SIZE, _CLIP_SIZE), mode="bilinear")
        seen = ((seen - mean) / std).to(device, image_encoder.dtype)
        vectors.append(F.normalize(image_encoder(pixel_values=seen).image_embeds.float(), dim=-1)[0].cpu())
    return vectors


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    """The similarity of two unit vectors."""
    return float(one @ other)
