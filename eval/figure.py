"""How much of the picture its main figure fills, from colour alone: what the borders of a picture show is background.

The boundary prior of salient object detection (Wei et al., ECCV 2012): colours that are rare at the sides and the top
of the picture belong to a figure. It works where figures stand apart from where they are, as in the puppet theatre; it
is no judge of filmed pictures.
"""

from __future__ import annotations

import cv2
import numpy as np

_BINS = 16  # of each Lab channel
_RARE = 0.002  # share of the border (smoothed over neighbouring colours) below which a colour is a figure's
_SIDES, _TOP = 0.12, 0.10  # of the picture's width and height
_GAP = 2  # pixels across which parts of a figure are joined, at 112 pixels of width
_CENTRE = 0.35  # of the width: how quickly a region counts less, away from the middle


def figure_share(pictures: np.ndarray) -> float:
    """The share of the picture that its main figure fills, in [0, 1], for uint8 (n, h, w, 3) of one shot.

    The largest region near the middle, holes filled, in the middling one of the pictures; 0 when nothing stands out.
    """
    lab = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2LAB) for picture in pictures])
    codes = lab.astype(np.int32) * _BINS // 256
    share = _border_colours(codes)
    unlike = share[codes[..., 0], codes[..., 1], codes[..., 2]] < _RARE
    return float(np.quantile([_main_region(mask) for mask in unlike], 0.6))


def _border_colours(codes: np.ndarray) -> np.ndarray:
    """How often each colour occurs at the sides and top of the pictures, (_BINS,) * 3, smoothed, adding up to 1."""
    height, width = codes.shape[1:3]
    side, top = max(2, int(width * _SIDES)), max(1, int(height * _TOP))
    border = np.zeros((height, width), bool)
    border[:, :side] = border[:, -side:] = border[:top] = True
    counts = np.zeros((_BINS,) * 3)
    np.add.at(counts, tuple(np.moveaxis(codes[:, border], -1, 0)), 1)
    kernel = np.exp(-((np.arange(-3, 4) / 0.8) ** 2) / 2)
    kernel /= kernel.sum()
    for axis in range(3):
        counts = np.apply_along_axis(np.convolve, axis, counts, kernel, "same")
    return counts / counts.sum()


def _main_region(mask: np.ndarray) -> float:
    """The share of a mask (h, w) that its main region fills, once gaps and holes are closed."""
    height, width = mask.shape
    gap = max(1, round(_GAP * width / 112))
    filled = mask.astype(np.uint8)
    filled[:, :gap] = filled[:, -gap:] = 0
    square = np.ones((3, 3), np.uint8)
    filled = cv2.morphologyEx(np.pad(filled, gap + 1), cv2.MORPH_CLOSE, square, iterations=gap)
    filled = filled[gap + 1 : -gap - 1, gap + 1 : -gap - 1]
    filled = cv2.morphologyEx(_without_holes(filled), cv2.MORPH_OPEN, square)
    count, _, stats, centres = cv2.connectedComponentsWithStats(filled, connectivity=4)
    if count < 2:
        return 0.0
    areas = stats[1:, cv2.CC_STAT_AREA] / mask.size
    off_centre = (centres[1:, 0] - width / 2) / (width * _CENTRE)
    return float(areas[np.argmax(areas * np.exp(-(off_centre**2)))])


def _without_holes(mask: np.ndarray) -> np.ndarray:
    """A mask uint8 (h, w) whose holes are filled; a figure that stands on the lower edge is closed by it."""
    walled = np.pad(mask, ((1, 1), (1, 1)))
    walled[-1] = 1
    outside = np.zeros((walled.shape[0] + 2, walled.shape[1] + 2), np.uint8)
    cv2.floodFill(walled, outside, (0, 0), 2)
    return (walled[1:-1, 1:-1] != 2).astype(np.uint8)
