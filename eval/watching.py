"""Watchers of a video's pass: what looks at some of its frames while all of them go by."""

from __future__ import annotations

import logging
import time
from typing import ClassVar

import numpy as np

logger = logging.getLogger(__name__)


class Watcher:
    """Looks at the wanted frames. One that fails stops looking; `problem` says why, and the pass goes on.

    wanted: frame numbers (n,). seconds: how long looking took. FAILED: how a problem begins, such as "the encoder
    failed".
    """

    FAILED: ClassVar[str]

    def __init__(self, wanted: np.ndarray) -> None:
        self.wanted = wanted
        self.seconds = 0.0
        self.problem: str | None = None

    def __call__(self, first: int, frames: np.ndarray) -> None:
        """See frames (n, H, W, 3) uint8, of which `first` is the number of the first."""
        numbers = self.wanted[(self.wanted >= first) & (self.wanted < first + len(frames))]
        if self.problem or not len(numbers):
            return
        start = time.perf_counter()
        try:
            self.look_at(numbers.tolist(), frames[numbers - first])
        except Exception as error:
            logger.warning("%s at frame %d", self.FAILED, numbers[0], exc_info=True)
            self.problem = f"{self.FAILED} at frame {numbers[0]}: {error or type(error).__name__}"
        self.seconds += time.perf_counter() - start

    def look_at(self, numbers: list[int], pictures: np.ndarray) -> None:
        """Look at wanted frames, (n, H, W, 3) uint8, by their numbers; whatever it raises becomes the problem."""
        raise NotImplementedError
