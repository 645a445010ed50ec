"""Palettes of backgrounds, and how far two are apart under the same light and after taking the light away.

A background is what lies outside of all figures. Its palette is a handful of colours in CIE L*a*b* with the share of
the background that each covers (k-means). The difference of two palettes is the mean CIEDE2000 (Sharma et al. 2005)
from each colour to the nearest of the other, by share and both ways. Another light on the same place multiplies its
colours by one gain a channel (von Kries); a gain is fitted between two palettes, and what is left after it says whether
they can be of one place at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COLOURS = 12
_PIXELS = 3000  # of a background that are looked at
_MARGIN_X, _MARGIN_Y = 0.3, 0.15  # of a figure's box, left out around it: what it holds, its shadow
_SOFTNESS = 56  # widths of the blur that a background is looked at through in a picture
_LEAST = 0.1  # of the picture that has to be background
_ROUNDS = 6
_OUTLIER = 6.0  # CIEDE2000 from which a pair of colours hardly pulls at the gain

Palette = tuple[np.ndarray, np.ndarray]  # L*a*b* (COLOURS, 3), shares (COLOURS,) that add up to 1


def background(frame: np.ndarray, boxes: Sequence[tuple[float, float, float, float]]) -> np.ndarray | None:
    """The pixels (n, 3) of a frame uint8 (H, W, 3) outside of boxes in its pixels; None if hardly any is.

    They are softened, so that noise or a lens a little out of focus is no other palette.
    """
    import cv2

    height, width = frame.shape[:2]
    frame = cv2.GaussianBlur(frame, (0, 0), width / _SOFTNESS)
    outside = np.ones((height, width), bool)
    for x0, y0, x1, y1 in boxes:
        dx, dy = _MARGIN_X * (x1 - x0), _MARGIN_Y * (y1 - y0)
        left, top = max(0, int(x0 - dx)), max(0, int(y0 - dy))
        outside[top : max(0, int(np.ceil(y1 + dy))), left : max(0, int(np.ceil(x1 + dx)))] = False
    return frame[outside] if outside.mean() >= _LEAST else None


def palette(pixels: np.ndarray) -> Palette:
    """The palette of pixels uint8 (n, 3); the same for the same pixels."""
    from scipy.cluster.vq import kmeans2
    from skimage.color import rgb2lab

    chosen = pixels[np.linspace(0, len(pixels) - 1, min(_PIXELS, len(pixels))).round().astype(int)]
    different, counts = np.unique(chosen, axis=0, return_counts=True)
    if len(different) <= COLOURS:
        padded = np.concatenate([different, np.repeat(different[:1], COLOURS - len(different), axis=0)])
        return rgb2lab(padded[None])[0], np.pad(counts, (0, COLOURS - len(counts))) / len(chosen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a colour that no pixel is nearest to has a share of 0
        colours, nearest = kmeans2(rgb2lab(chosen[None])[0], COLOURS, iter=10, minit="++", rng=0, missing="warn")
    return colours, np.bincount(nearest, minlength=COLOURS) / len(nearest)


@dataclass(frozen=True, eq=False)
class Differences:
    """Between every two of N palettes, (N, N) each.

    plain: CIEDE2000 as they are. left: after the gain that brings them closest. gain: the greatest of that gain's
    channels, as the absolute value of its logarithm.
    """

    plain: np.ndarray
    left: np.ndarray
    gain: np.ndarray


def differences(palettes: Sequence[Palette]) -> Differences:
    """How far palettes are apart, with and without the light."""
    from skimage.color import lab2rgb

    count = len(palettes)
    colours = np.stack([lab for lab, _ in palettes])
    shares = np.stack([share for _, share in palettes])
    light = np.clip(lab2rgb(colours), 1 / 255, 1)
    means = (light * shares[..., None]).sum(1)
    plain, left, gains = np.zeros((3, count, count))
    for one in range(count):
        others = np.array([other for other in range(count) if other != one], int)
        if not len(others):
            continue
        theirs = (colours[others], light[others], shares[others])
        plain[one, others] = _apart(colours[one][None], shares[one][None], theirs[0], theirs[2])
        fits = [
            _fitted(light[one], shares[one], *theirs, start)
            for start in (np.zeros((len(others), 3)), np.log(means[others] / means[one]))
        ]
        better = fits[1][0] < fits[0][0]
        left[one, others] = np.where(better, fits[1][0], fits[0][0])
        gains[one, others] = np.abs(np.where(better[:, None], fits[1][1], fits[0][1])).max(-1)
    return Differences((plain + plain.T) / 2, (left + left.T) / 2, np.maximum(gains, gains.T))


def _fitted(
    own: np.ndarray,
    own_shares: np.ndarray,
    colours: np.ndarray,
    light: np.ndarray,
    shares: np.ndarray,
    gain: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit, from a first `gain` (n, 3) as a logarithm, what brings one palette closest to each of n others.

    Colours are paired with the nearest one and the gain is their mean ratio, again and again; pairs that are far apart
    hardly count. own: RGB (COLOURS, 3); colours, light: L*a*b* and RGB of the others (n, COLOURS, 3). Returns what is
    left in CIEDE2000 (n,), and the gain.
    """
    from skimage.color import rgb2lab

    for _ in range(_ROUNDS):
        moved = rgb2lab(np.clip(own * np.exp(gain)[:, None], 0, 1))
        far = np.linalg.norm(moved[:, :, None] - colours[:, None], axis=-1)
        pull = own_shares * np.exp(-far.min(-1) / _OUTLIER) + 1e-9
        ratio = np.log(np.take_along_axis(light, far.argmin(-1)[..., None], 1)) - np.log(own)
        gain = (ratio * pull[..., None]).sum(1) / pull.sum(1)[:, None]
    moved = rgb2lab(np.clip(own * np.exp(gain)[:, None], 0, 1))
    return _apart(moved, own_shares[None], colours, shares), gain


def _apart(a: np.ndarray, a_shares: np.ndarray, b: np.ndarray, b_shares: np.ndarray) -> np.ndarray:
    """Mean CIEDE2000 to the nearest colour, both ways, of palettes (n or 1, COLOURS, 3)."""
    from skimage.color import deltaE_ciede2000

    far = deltaE_ciede2000(a[:, :, None], b[:, None])
    return ((far.min(2) * a_shares).sum(1) + (far.min(1) * b_shares).sum(1)) / 2
