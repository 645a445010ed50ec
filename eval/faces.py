"""Faces in pictures of real people, by the frontal face cascade that scikit-image brings along.

Local binary patterns in a boosted cascade (Liao et al., ICB 2007). It finds upright faces that look towards the camera,
from FACE_HEIGHT of the picture's height on; it misses profiles, and now and then calls something a face that is none,
so what is found counts over several frames only.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import cv2
import numpy as np

from eval.boxes import Box

logger = logging.getLogger(__name__)

_HEIGHT = 270  # pixels, of the picture that is searched
_LEAST = 24  # pixels, the side of the cascade's own window
FACE_HEIGHT = _LEAST / _HEIGHT
_STEP = 1.2  # from one size that is searched for to the next


@cache
def _cascade() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def find_faces(picture: np.ndarray) -> list[Box]:
    """The faces in a picture uint8 (H, W, 3), the largest first, as boxes from brow to chin, in its pixels."""
    height, width = picture.shape[:2]
    scale = _HEIGHT / height
    size = (max(_LEAST, round(width * scale)), _HEIGHT)
    searched = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    most = min(size)
    found = _cascade().detect_multi_scale(
        img=searched, scale_factor=_STEP, step_ratio=1, min_size=(_LEAST, _LEAST), max_size=(most, most)
    )
    boxes = [
        tuple(float(edge) / scale for edge in (f["c"], f["r"], f["c"] + f["width"], f["r"] + f["height"]))
        for f in found
    ]
    return sorted(boxes, key=lambda box: box[1] - box[3])


class FaceSearch:
    """A watcher that looks for faces in the wanted frames. One that fails stops looking; `problem` says why."""

    def __init__(self, wanted: np.ndarray) -> None:
        self.wanted = wanted
        self.seconds = 0.0
        self.problem: str | None = None
        self._faces: dict[int, list[Box]] = {}

    def __call__(self, first: int, frames: np.ndarray) -> None:
        numbers = self.wanted[(self.wanted >= first) & (self.wanted < first + len(frames))]
        if self.problem or not len(numbers):
            return
        start = time.perf_counter()
        try:
            for number in numbers.tolist():
                self._faces[number] = find_faces(frames[number - first])
        except Exception as error:
            logger.warning("looking for faces failed at frame %d", numbers[0], exc_info=True)
            self.problem = f"looking for faces failed at frame {numbers[0]}: {error or type(error).__name__}"
        self.seconds += time.perf_counter() - start

    def faces(self) -> Mapping[int, list[Box]] | None:
        """The faces of each frame that was looked at; None if looking failed."""
        return None if self.problem else self._faces
