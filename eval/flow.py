"""How pictures move: optical flow between the neighbours of a frame, the camera's share of it, and what it leaves over.

Every frame that has a neighbour on both sides within its shot is looked at once. The flow from the frame before to the
frame after says how fast things move, where the camera goes, and how the frame in the middle should look; the
difference from how it does look is what motion leaves unexplained. Dense inverse search (Kroeger et al., ECCV 2016,
OpenCV's) is used because it costs a millisecond a picture and does not take a change of brightness for motion.

Units: lengths are shares of the picture's width, x to the right and y down, so that a video's size does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from weakref import WeakKeyDictionary

import cv2
import numpy as np

from eval.evidence import Evidence

_NOISE = 1.0  # pixels of blur that keep noise and block edges out of a comparison of pictures
_NEIGHBOURHOOD = 1 / 7  # of the width: details finer than this are compared, broader ones are light
_TEXTURE = 100.0  # squared gradient (8-bit luma) above which a flow vector can be trusted
_OUTLIER = 0.3 / 112  # of the width: a flow vector this far from the camera's belongs to something that moves
_FIT_ROUNDS = 8
_FIT_WIDTH = 56  # pixels; the camera needs no finer flow
_BURNT, _DARK = 250 / 255, 4 / 255  # brightness beyond which a pixel says nothing of how light changes
_LEAST_SAYING = 0.02  # share of pixels that have to say something of it
_ROUNDING = 0.5 / 255  # the jump of a whole picture that values rounded to 8 bits can make
_FASTER = 1.3  # times the asked rate, from which frames may have been repeated to get there
_REPEATED = 0.5  # mean difference, of 255, below which a compressed frame repeats the one before
_BESIDE = 0.4  # or below which share of the greater difference beside: an encoder refines what it repeats
_NEARLY_ALL = 0.95


@dataclass(frozen=True, eq=False)
class Motion:
    """The frames of a video that have both neighbours within one shot, and what moves in them; all arrays (n, …).

    frames: frame numbers. speed: mean length of the flow to the next frame, in widths. camera: how the background moves
    to the next frame, (n, 3): to the right and down in widths, and log of its growth. unexplained: mean absolute
    detail by which the frame differs from what its neighbours predict; change: the same, against the neighbours as they
    are. jump: by how much the whole frame is brighter or darker than both its neighbours. The last three
    in [0, 1], the range of a pixel. step: frames of the video from one that was looked at to the next.
    """

    frames: np.ndarray
    speed: np.ndarray
    camera: np.ndarray
    unexplained: np.ndarray
    change: np.ndarray
    jump: np.ndarray
    step: float = 1.0

    def within(self, shot: range) -> np.ndarray:
        """Mask (n,) of the frames in a range of frames."""
        return (self.frames >= shot.start) & (self.frames < shot.stop)


_MEASURED: WeakKeyDictionary[Evidence, Motion] = WeakKeyDictionary()


def motion(evidence: Evidence) -> Motion:
    """The motion in the detected shots of a video, without the frames of gradual changes; measured once.

    Of a video that was brought to a higher rate, or to a greater length, by repeating frames, only those that are new
    are looked at. Repetition in a video of the asked rate is a stutter, and stays.
    """
    if evidence not in _MEASURED:
        pictures, shots = evidence.footage.pictures, evidence.detection.clear_ranges
        new = new_frames(pictures, _rate_ratio(evidence))
        among = tuple(range(*np.searchsorted(new, (shot.start, shot.stop)).tolist()) for shot in shots)
        found = measure_motion(pictures if len(new) == len(pictures) else pictures[new], among)
        _MEASURED[evidence] = replace(found, frames=new[found.frames], step=len(pictures) / max(1, len(new)))
    return _MEASURED[evidence]


def new_frames(pictures: np.ndarray, ratio: float) -> np.ndarray:
    """The numbers of the frames of uint8 (T, h, w, 3) to look at: all, or those that do not repeat the one before.

    ratio: frames of the video for one that was asked for. Frames are left out where those between about every `ratio`
    frames repeat the one before.
    """
    every = np.arange(len(pictures))
    if ratio < _FASTER or len(pictures) < 3:
        return every
    change = np.array([0.0, *(cv2.norm(a, b, cv2.NORM_L1) / a.size for a, b in pairwise(pictures))])
    for first in range(int(np.ceil(ratio))):
        new = _most_different(change, first, ratio)
        others = np.setdiff1d(every[first:], new)
        after = np.searchsorted(new, others)
        beside = np.maximum(change[new[after - 1]], change[new[np.minimum(after, len(new) - 1)]])
        if (change[others] < np.maximum(_REPEATED, _BESIDE * beside)).mean() > _NEARLY_ALL:
            return new
    return every


def _most_different(change: np.ndarray, first: int, ratio: float) -> np.ndarray:
    """Frames from `first` on, about every `ratio`-th, of those in question the one that differs most from that before.

    A step of 1.5 frames is one of 1 or 2; the frames never get more than one away from even steps.
    """
    found, exact = [first], first + ratio
    while exact < len(change):
        nearest = [n for n in (int(exact), int(np.ceil(exact))) if found[-1] < n < len(change)]
        if not nearest:
            break
        found.append(max(nearest, key=change.__getitem__))
        exact += ratio
    return np.array(found)


def _rate_ratio(evidence: Evidence) -> float:
    """Frames of the video for one that was asked for."""
    asked = evidence.asked
    if asked is not None and asked.policy == "share":
        return asked.num_frames / asked.storyboard.num_frames
    if asked is None or asked.policy != "seconds" or not asked.request.fps:
        return 1.0
    return evidence.footage.fps / asked.request.fps


def measure_motion(pictures: np.ndarray, shots: tuple[range, ...]) -> Motion:
    """The motion within shots, ranges of frames of `pictures` uint8 (T, h, w, 3)."""
    rows = []
    for shot in shots:
        before, middle = (pictures[i] if i in shot else None for i in (shot.start, shot.start + 1))
        for frame in range(shot.start + 1, shot.stop - 1):
            after = pictures[frame + 1]
            rows.append((frame, *_compare(before, middle, after)))
            before, middle = middle, after
    if not rows:
        empty = np.zeros(0)
        return Motion(empty.astype(int), empty, np.zeros((0, 3)), empty, empty, empty)
    frames, speed, camera, unexplained, change, jump = (np.array(column) for column in zip(*rows, strict=True))
    return Motion(frames, speed, camera, unexplained, change, jump)


def optical_flow(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where every pixel of `before` goes: float32 (h, w, 2), x and y in pixels, for uint8 luma (h, w)."""
    if min(before.shape) < 16:  # the search needs patches
        return np.zeros((*before.shape, 2), np.float32)
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return search.calc(before, after, None)


def camera_motion(flow: np.ndarray, luma: np.ndarray) -> tuple[float, float, float]:
    """The shift (x, y in widths) and log growth of the background between two pictures.

    A similarity without rotation is fitted to the flow (h, w, 2) by reweighted least squares (Geman-McClure), from the
    sides and the top of the picture inwards: figures stand in the middle and at the bottom. Only where there is texture
    in `luma` uint8 (h, w); all zero without any.
    """
    height, width = luma.shape
    step = max(1, width // _FIT_WIDTH)
    x, y, prior = _grid(height, width, step)
    u, v = flow[::step, ::step, 0].ravel() / width, flow[::step, ::step, 1].ravel() / width
    trust = _texture(luma)[::step, ::step].ravel() * prior
    if trust.sum() < 1e-3:
        return 0.0, 0.0, 0.0
    weight = trust
    for _ in range(_FIT_ROUNDS):
        total = weight.sum()
        mean_x, mean_y, mean_u, mean_v = (float(weight @ values) / total for values in (x, y, u, v))
        dx, dy = x - mean_x, y - mean_y
        spread = float(weight @ (dx * dx + dy * dy)) + 1e-9
        growth = float(weight @ (dx * (u - mean_u) + dy * (v - mean_v))) / spread
        right, down = mean_u - growth * mean_x, mean_v - growth * mean_y
        squared = (u - right - growth * x) ** 2 + (v - down - growth * y) ** 2
        weight = trust / (1 + squared / _OUTLIER**2) ** 2
    return right, down, float(np.log1p(max(growth, -0.9)))


@cache
def _grid(height: int, width: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions from the picture's middle in widths, and how likely each belongs to the background; flat arrays."""
    y, x = np.mgrid[:height:step, :width:step].astype(np.float64)
    from_middle = np.abs(x - (width - 1) / 2) / (width / 2)
    from_bottom = 1 - y / max(1, height - 1)
    prior = np.clip(np.maximum((from_middle - 0.35) / 0.4, (from_bottom - 0.55) / 0.4), 0.1, 1)
    return ((x - (width - 1) / 2) / width).ravel(), ((y - (height - 1) / 2) / width).ravel(), prior.ravel()


def _texture(luma: np.ndarray) -> np.ndarray:
    """In [0, 1), how far a flow vector can be trusted: there is none on a plain wall."""
    across, down = cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)
    energy = cv2.GaussianBlur(across * across + down * down, (0, 0), 1.5)
    return energy / (energy + _TEXTURE)


def _compare(before: np.ndarray, middle: np.ndarray, after: np.ndarray) -> tuple:
    """Speed, camera, unexplained detail, change and jump of a frame between its neighbours, (h, w, 3) each."""
    luma = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, middle, after)]
    flow = optical_flow(luma[0], luma[2])
    right, down, growth = camera_motion(flow, luma[1])
    first, seen, last = (cv2.GaussianBlur(p.astype(np.float32) / 255, (0, 0), _NOISE) for p in (before, middle, after))
    moved = _shifted(first, flow, -0.5), _shifted(last, flow, 0.5)
    predicted = (moved[0] + moved[1]) / 2
    jump = _jump(seen, *moved)
    unexplained = _difference(seen, predicted)
    change = (_difference(seen, first) + _difference(seen, last)) / 2
    speed = np.linalg.norm(flow, axis=-1).mean() / 2 / luma[0].shape[1]
    return float(speed), (right / 2, down / 2, growth / 2), unexplained, change, jump


def _jump(seen: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    """By how much all of a picture (h, w, 3) is brighter or darker than both its neighbours, mean over its colours.

    `before` and `after`: the neighbours, moved to where things are in the middle. Light that comes on, a fade and a
    change of shot leave a frame like one of its neighbours or between them, and are none. A jump that rounding can make
    is none either.
    """
    channels = zip(*(picture[::2, ::2].reshape(-1, 3).T for picture in (seen, before, after)), strict=True)
    jump = float(np.mean([_jump_of_colour(*channel) for channel in channels]))
    return jump if jump >= _ROUNDING else 0.0


def _jump_of_colour(seen: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    to_before = _brighter_by(seen, before)
    to_after = _brighter_by(seen, after) if to_before else 0.0
    return min(abs(to_before), abs(to_after)) if to_before * to_after > 0 else 0.0


def _brighter_by(now: np.ndarray, was: np.ndarray) -> float:
    """By how much the light of one colour grew between two pictures (n,); 0 where something other than light changed.

    The gain is that of most of its light: the median over pixels, each weighing as much as it is bright. It has to be
    larger than that by which pixels deviate from it, or else things moved, came or went, or there is noise. Pixels that
    are burnt out in either picture say nothing of it.
    """
    says = (now < _BURNT) & (was < _BURNT) & (was > _DARK)
    if says.mean() < _LEAST_SAYING:  # a flash, or a picture that is black
        return float(now.mean() - was.mean())
    ratios, weights = now[says] / was[says], was[says]
    gain = _weighted_median(ratios, weights)
    if abs(gain - 1) <= _weighted_median(np.abs(ratios - gain), weights):
        return 0.0
    return (gain - 1) * float(was.mean())


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(below, below[-1] / 2)]])


def _shifted(picture: np.ndarray, flow: np.ndarray, share: float) -> np.ndarray:
    """A picture read at a share of the flow away from every pixel."""
    height, width = picture.shape[:2]
    x = np.arange(width, dtype=np.float32) + share * flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + share * flow[..., 1]
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _difference(seen: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference in detail of two pictures, once the second is as bright as the first."""
    gain = (seen.mean((0, 1)) + 1e-3) / (other.mean((0, 1)) + 1e-3)
    difference = seen - other * gain
    size = 2 * int(seen.shape[1] * _NEIGHBOURHOOD / 2) + 1
    return float(np.abs(difference - cv2.blur(difference, (size, size))).mean())
