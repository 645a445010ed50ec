"""Damage to the pictures alone, for any video: frames uint8 (T, H, W, 3) and the ranges of frames of its shots."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from eval.calibration.damage.scenes import Apply, Damaged, shot_ranges
from holocine.puppet.captions import to_storyboard
from holocine.puppet.world import Scene

Change = Callable[[np.ndarray, Sequence[range], float, np.random.Generator], np.ndarray]


def of_a_scene(change: Change) -> Apply:
    """The same damage to the frames of a scene."""

    def apply(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged:
        return change(frames, shot_ranges(scene), strength, rng), to_storyboard(scene)

    return apply


def add_noise(frames: np.ndarray, shots: Sequence[range], strength: float, rng: np.random.Generator) -> np.ndarray:
    """Independent noise on every pixel, with a standard deviation of `strength` grey levels."""
    noise = rng.standard_normal(frames.shape, np.float32)
    return (frames + strength * noise).round().clip(0, 255).astype(np.uint8)


def blur(frames: np.ndarray, shots: Sequence[range], strength: float, rng: np.random.Generator) -> np.ndarray:
    """Every frame out of focus: Gaussian blur of `strength` pixels."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), strength) for frame in frames])


def overexpose(frames: np.ndarray, shots: Sequence[range], strength: float, rng: np.random.Generator) -> np.ndarray:
    """Every pixel `strength` per cent brighter."""
    return (frames * (1 + strength / 100)).round().clip(0, 255).astype(np.uint8)


def flicker(frames: np.ndarray, shots: Sequence[range], strength: float, rng: np.random.Generator) -> np.ndarray:
    """Every frame brighter or darker by chance, with a standard deviation of `strength` per cent."""
    gain = 1 + strength / 100 * rng.standard_normal(len(frames))[:, None, None, None]
    return (frames * gain).round().clip(0, 255).astype(np.uint8)


def repeat_frames(frames: np.ndarray, shots: Sequence[range], strength: float, rng: np.random.Generator) -> np.ndarray:
    """`strength` per cent of the frames show the one before again, so that motion stutters."""
    repeated, chance = frames.copy(), rng.random(len(frames))
    for shot in shots:
        for i in shot[1:]:
            if chance[i] < strength / 100:
                repeated[i] = repeated[i - 1]
    return repeated


def freeze(frames: np.ndarray, shots: Sequence[range], strength: float, rng: np.random.Generator) -> np.ndarray:
    """The last `strength` per cent of every shot stand still."""
    frozen = frames.copy()
    for shot in shots:
        last = shot.start + round((len(shot) - 1) * (1 - strength / 100))
        frozen[last : shot.stop] = frames[last]
    return frozen
