"""Noise schedules of flow matching as pure functions of the number of steps."""

from __future__ import annotations

import numpy as np


def shifted(sigmas: np.ndarray, shift: float) -> np.ndarray:
    """Move noise levels towards 1 for large pictures: shift s / (1 + (shift - 1) s)."""
    return shift * sigmas / (1 + (shift - 1) * sigmas)


def spaced(steps: int, shift: float, first: float = 1.0) -> np.ndarray:
    """The noise levels of `steps` steps, float64: evenly from `first` to 0, the 0 left out, then shifted."""
    return shifted(np.linspace(first, 0, steps + 1)[:-1], shift)


def truncated(sigmas: np.ndarray, num_train_timesteps: int = 1000) -> np.ndarray:
    """The timesteps that a model is told, cut off to whole numbers (int64); the noise levels are not."""
    return (np.float32(num_train_timesteps) * sigmas.astype(np.float32)).astype(np.int64)
