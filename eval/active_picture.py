"""The part of the frames that is picture: letterbox and pillarbox bars are found once, from all frames of a video.

A bar is a strip along an edge that is black in every frame, all along, and ends in a straight line behind which there
is picture. So a dark scene is no bar: other scenes light its strip, or its darkness fades where a bar ends at once.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

BLACK = 8  # luma of 255: compression moves the black of a bar by a few levels
_SPECKS = 0.01  # share of a strip that may be lit all the same, by what compression spills over
_EDGE = 0.02  # of the picture's side: within so much behind a bar's end the picture is there,
_LIT = 0.5  # which is, lit in so much of its breadth
_LEAST = 0.2  # of each side is picture: a bright thing that moves over black is no picture between bars
_SPILL = 0.005  # of the side that is cut off behind a bar, where its black and the picture are mixed


class Region(NamedTuple):
    """Rows top to bottom and columns left to right of a frame, half-open."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, picture: np.ndarray) -> np.ndarray:
        """This part of a picture (H, W, …), as a view."""
        return picture[self.top : self.bottom, self.left : self.right]


class ActivePicture:
    """Looks at the luma of frames as they go by; `region` is the picture of all that it has seen so far.

    is_settled: whether no further frame can change it, since the frames reach every edge.
    """

    def __init__(self, height: int, width: int) -> None:
        self._lit = np.zeros((height, width), np.uint8)
        self.region = Region(0, height, 0, width)
        self.is_settled = False

    def look(self, luma: np.ndarray) -> None:
        """See a frame's luma, uint8 (H, W)."""
        if not self.is_settled:
            cv2.max(self._lit, luma, self._lit)

    def update(self) -> bool:
        """Work out the region anew; tells whether it has changed."""
        if self.is_settled:
            return False
        before, lit = self.region, self._lit > BLACK
        self.region = picture_region(lit)
        ends = (lit[0], lit[-1], lit[:, 0], lit[:, -1])
        self.is_settled = self.region == Region(0, lit.shape[0], 0, lit.shape[1]) and all(
            end.mean() > _SPECKS for end in ends
        )
        return self.region != before


def picture_region(lit: np.ndarray) -> Region:
    """The picture within its bars, from which pixels any frame lit: bool (H, W); all of it where there are no bars."""
    height, width = lit.shape
    top, bottom = _inside(lit.mean(1))
    left, right = _inside(lit[top:bottom].mean(0))
    if bottom - top < _LEAST * height or right - left < _LEAST * width:
        return Region(0, height, 0, width)
    return Region(top, bottom, left, right)


def _inside(lit: np.ndarray) -> tuple[int, int]:
    """Where the picture begins and ends along one side, from the share (n,) that is lit of every row or column."""
    n, most = len(lit), lit.max(initial=0.0)
    dark = lit <= _SPECKS * most
    if most == 0:
        return 0, n
    bars = []
    for strip, share in ((dark, lit), (dark[::-1], lit[::-1])):
        bar = int(np.argmin(strip))
        behind = share[bar : bar + max(2, round(_EDGE * n))]
        is_bar = bar > 0 and behind.max() >= _LIT * most
        bars.append(bar + max(1, round(_SPILL * n)) if is_bar else 0)
    return bars[0], n - bars[1]
