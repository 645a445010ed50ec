"""Faces in pictures of real people, by the frontal face cascade that scikit-image brings along.

Local binary patterns in a boosted cascade (Liao et al., ICB 2007). It finds upright faces that look towards the camera,
from FACE_HEIGHT of the picture's height on; it misses profiles, and now and then calls something a face that is none,
so what is found counts over several frames only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import cv2
import numpy as np

from eval.boxes import Box
from eval.watching import Watcher

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


class FaceSearch(Watcher):
    """A watcher that looks for faces in the wanted frames."""

    FAILED = "looking for faces failed"

    def __init__(self, wanted: np.ndarray) -> None:
        super().__init__(wanted)
        self._faces: dict[int, list[Box]] = {}

    def look_at(self, numbers: list[int], pictures: np.ndarray) -> None:
        for number, picture in zip(numbers, pictures, strict=True):
            self._faces[number] = find_faces(picture)

    def faces(self) -> Mapping[int, list[Box]] | None:
        """The faces of each frame that was looked at; None if looking failed."""
        return None if self.problem else self._faces
