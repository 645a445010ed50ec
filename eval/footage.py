"""One pass over a video: everything that is measured on its frames is taken while they go by, in bounded memory."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from eval.active_picture import ActivePicture, Region
from eval.evidence import Footage
from eval.shots import thumbnail
from holocine.decoding import VideoError, VideoReader
from holocine.video import checked_frames, embedded_in

MAX_FRAMES = 20_000
PICTURE_WIDTH = 160  # pixels
SAMPLES_A_SECOND = 8
MIN_SAMPLES_A_SHOT = 2
# Full-size frames that are held at a time: at 832 x 480, 14 of them.
_CHUNK_BYTES, _MAX_CHUNK = 16 * 2**20, 64
# Sharpness is measured in pictures of so many lines, so that all sizes are measured alike: no common video has fewer.
SHARPNESS_LINES = 160
# Detail finer than this is left to the size of the video and to its noise, in pixels of such a picture.
_DETAIL = 1.0
# Noise is told from the quietest blocks of so many details a side, this share of them all. By chance so many blocks of
# noise of power 1 are quieter than this: scipy.stats.chi2.ppf(0.25, 16) / 16.
_QUIET_BLOCK, _QUIET_SHARE, _QUIET_POWER = 4, 0.25, 0.745
_ALONE = 2.0  # times the power of noise up to which a block shows noise alone
_ENDS = 40  # grey levels from black and white within which noise may be cut off
_FLAT = 1.0  # grey levels of deviation below which a picture has nothing that could be sharp
# Luma this close to black (0) or white (255) counts as clipped; compression moves flat areas by a level or two.
_CLIP_MARGIN = 2


class Watcher(Protocol):
    """What looks at the full-size frames as they go by."""

    def __call__(self, first: int, frames: np.ndarray) -> None:
        """`frames` uint8 (n, H, W, 3) are the frames from number `first` on; they are not to be changed."""


def observe(
    source: str | os.PathLike | np.ndarray,
    fps: float | None = None,
    watchers: Iterable[Watcher] = (),
    progress: Callable[[int, int | None], None] | None = None,
    most_pixels: int | None = None,
) -> Footage:
    """Go once over a video file, or over frames uint8 (T, H, W, 3), which need `fps`.

    `watchers` see every full-size frame; `progress` is called with the frames done and the frames expected (None if
    unknown), and what it raises ends the pass. `fps` goes before what a file says, its times included. A file's frames
    of more than `most_pixels` are scaled down first. Raises `VideoError` for what is no video or has more than
    MAX_FRAMES frames.
    """
    watchers = tuple(watchers)
    sha256 = fingerprint(source)
    if isinstance(source, np.ndarray):
        expected, size, notes, timing = len(source), source.shape[2:0:-1], (), {}
        check_fps(fps, "an array of frames")
        _check_length(expected, "the array")
        gathered = _watch(_slices(source), watchers, expected, progress)
        gathered.measure_again(_slices(source))
    else:
        with VideoReader(source, fps, most_pixels) as reader:
            check_fps(reader.fps, str(source))
            expected = reader.num_frames
            _check_length(expected or 0, str(source))
            gathered = _watch(_stacks(reader, str(source)), watchers, expected, progress)
            gathered.look_again(str(source), most_pixels)
            fps, size, notes = reader.fps, gathered.size, tuple(reader.notes)
            timing = {"times": reader.times, "duration": reader.duration, "timecode": reader.timecode}
    return Footage(
        sha256=sha256,
        num_frames=gathered.count,
        fps=float(fps),
        size=tuple(map(int, size)),
        thumbnails=gathered.thumbnails[: gathered.count],
        pictures=gathered.pictures[: gathered.count],
        sharpness=np.array(gathered.sharpness),
        clipped=np.array(gathered.clipped),
        notes=notes,
        **timing,
    )


def fingerprint(source: str | os.PathLike | np.ndarray) -> str:
    """SHA-256 in hex of a file, or of an array's shape and bytes; raises `VideoError` for what is neither."""
    if isinstance(source, np.ndarray):
        digest = hashlib.sha256(str(checked_frames(source).shape).encode())
        for frame in source:
            digest.update(np.ascontiguousarray(frame))
        return digest.hexdigest()
    path = Path(source)
    if not path.is_file():
        raise VideoError(f"{path} is not a file" if path.exists() else f"{path} does not exist")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror}") from None


def sampled_frames(num_frames: int, fps: float, shots: Iterable[range] = ()) -> np.ndarray:
    """The numbers of the frames that encoders embed, in order: int (n,), the first frame always among them.

    About SAMPLES_A_SECOND a second at a constant step; a requested shot that the step leaves with fewer than
    MIN_SAMPLES_A_SHOT frames gets its first and its last one, too. What is chosen among the first k frames does not
    depend on how many follow.
    """
    step = sampling_step(fps)
    chosen = set(range(0, num_frames, step))
    for shot in shots:
        if len(shot) and sum(frame % step == 0 for frame in shot) < MIN_SAMPLES_A_SHOT:
            chosen |= {shot[0], shot[-1]}
    return np.array(sorted(frame for frame in chosen if frame < num_frames), dtype=np.int64)


def sampling_step(fps: float) -> int:
    """Frames from one sampled frame to the next."""
    return max(1, round(fps / SAMPLES_A_SECOND))


class _Gathered:
    """What is kept of the frames that went by, the first `count` rows of its arrays.

    The arrays are made for the frames that are expected and grow where more come, so that nothing lies in memory twice.
    """

    def __init__(self, frame: np.ndarray, expected: int | None) -> None:
        capacity = expected or _MAX_CHUNK
        self.count, self.size = 0, frame.shape[1::-1]
        self.thumbnails = np.empty((capacity, *thumbnail(frame).shape), np.uint8)
        self.pictures = np.empty((capacity, *reduced(frame).shape), np.uint8)
        self.sharpness: list[float] = []
        self.clipped: list[float] = []
        self._active = ActivePicture(*frame.shape[:2])
        self._stale = 0  # so many frames, the first ones, were measured in another region than what is known by now

    def add(self, frames: np.ndarray) -> None:
        if self.count + len(frames) > len(self.pictures):
            for array in (self.thumbnails, self.pictures):
                array.resize((2 * len(array) + len(frames), *array.shape[1:]), refcheck=False)
        lumas = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
        for luma in lumas:
            self._active.look(luma)
        if self._active.update():
            self._stale = self.count
        for frame, luma in zip(frames, lumas, strict=True):
            self.thumbnails[self.count] = thumbnail(frame)
            self.pictures[self.count] = reduced(frame)
            sharp, clipped = _measured(luma, self._active.region)
            self.sharpness.append(sharp)
            self.clipped.append(clipped)
            self.count += 1

    @property
    def region(self) -> Region:
        """The picture within its bars."""
        return self._active.region

    def measure_again(self, chunks: Iterable[np.ndarray]) -> None:
        """Measure the first frames once more, if their bars were not known when they went by.

        That is so where a video begins in the dark, which may have looked like bars, or hidden them.
        """
        frames = chain.from_iterable(chunks) if self._stale else ()
        for number, frame in enumerate(islice(frames, self._stale)):
            luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            self.sharpness[number], self.clipped[number] = _measured(luma, self.region)
        self._stale = 0

    def look_again(self, name: str, most_pixels: int | None) -> None:
        """The same for a file, which is opened once more only if need be."""
        if self._stale:
            with VideoReader(name, most_pixels=most_pixels) as reader:
                self.measure_again(_stacks(reader, name))


def _measured(luma: np.ndarray, region: Region) -> tuple[float, float]:
    """Sharpness and clipped share of uint8 luma (H, W) within the picture's region."""
    picture = region.of(luma)
    return sharpness(picture), clipped_share(picture)


def reduced(frame: np.ndarray) -> np.ndarray:
    """A frame (H, W, 3) at most PICTURE_WIDTH pixels wide, never enlarged."""
    height, width = frame.shape[:2]
    if width <= PICTURE_WIDTH:
        return frame
    size = (PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)


def sharpness(luma: np.ndarray) -> float:
    """How much of the contrast of uint8 luma (H, W) is fine detail; NaN for a picture without contrast.

    Deviation of the Laplacian of a Gaussian (Marr and Hildreth, Theory of edge detection, 1980) over that of the
    Gaussian alone, in a picture of SHARPNESS_LINES lines: low where it is blurred, the same for all sizes of one
    picture down to that one, and for any exposure that clips nothing. What noise adds to both is taken off.
    """
    # OpenCV, as this is done for every frame: 0.4 ms at 832 x 480, where scikit-image's resize takes 17 ms and its
    # laplace 1.2 ms; its blur_effect takes 5 ms, and noise moves it more.
    contrast, detail = _contrast_and_detail(luma)
    noise = noise_level(luma)
    if noise:
        of_noise = noise**2 * np.square(_noise_response(*luma.shape))
        contrast, detail = np.sqrt(np.maximum(0, np.square((contrast, detail)) - of_noise)).tolist()
    return detail / contrast if contrast >= _FLAT else math.nan


def _contrast_and_detail(luma: np.ndarray) -> tuple[float, float]:
    """Deviation of a picture (H, W) and of its fine detail, at SHARPNESS_LINES lines."""
    smooth = cv2.GaussianBlur(_of_lines(luma, SHARPNESS_LINES).astype(np.float32), (0, 0), _DETAIL)
    return tuple(float(cv2.meanStdDev(p)[1][0, 0]) for p in (smooth, cv2.Laplacian(smooth, cv2.CV_32F)))


def noise_level(luma: np.ndarray) -> float:
    """The standard deviation of the noise in uint8 luma (H, W), in grey levels; 0 where there is none to be told.

    As Donoho and Johnstone (Ideal spatial adaptation by wavelet shrinkage, 1994) from the finest diagonal details of
    Haar wavelets, but in the quietest parts of the picture, since noise is everywhere and texture is not.
    """
    # scikit-image's estimate_sigma takes their median over all of a picture, which a textured one has without noise,
    # and needs another package for it.
    height, width = (side // 2 for side in luma.shape)
    if min(height, width) < _QUIET_BLOCK:
        return 0.0
    rows = luma[: 2 * height : 2, : 2 * width].astype(np.float32) - luma[1 : 2 * height : 2, : 2 * width]
    diagonal = (rows[:, ::2] - rows[:, 1::2]) / 2
    blocks = (max(1, width // _QUIET_BLOCK), max(1, height // _QUIET_BLOCK))
    power = cv2.resize(diagonal * diagonal, blocks, interpolation=cv2.INTER_AREA)
    brightness = cv2.resize(luma, blocks, interpolation=cv2.INTER_AREA)
    whole = (brightness >= _ENDS) & (brightness <= 255 - _ENDS)
    most = np.quantile(power[whole] if whole.any() else power, _QUIET_SHARE) / _QUIET_POWER
    return float(np.sqrt(min(most, power[power <= _ALONE * most].mean())))


@lru_cache(maxsize=32)
def _noise_response(height: int, width: int) -> tuple[float, float]:
    """The deviation and the detail of noise of deviation 1 in pictures of a size; see `_contrast_and_detail`."""
    return _contrast_and_detail(np.random.default_rng(0).standard_normal((height, width), np.float32))


def _of_lines(luma: np.ndarray, lines: int) -> np.ndarray:
    """A picture (H, W) made smaller or larger to so many lines, its proportions kept."""
    height, width = luma.shape
    size = (max(1, round(width * lines / height)), lines)
    if height >= lines:
        return cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(luma.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)  # which overshoots the range


def clipped_share(luma: np.ndarray) -> float:
    """Share of the pixels of uint8 luma (H, W) that lie at the ends of the range."""
    ends = (luma <= _CLIP_MARGIN) | (luma >= 255 - _CLIP_MARGIN)
    return float(np.count_nonzero(ends) / luma.size)


def _watch(
    chunks: Iterable[np.ndarray],
    watchers: tuple[Watcher, ...],
    expected: int | None,
    progress: Callable[[int, int | None], None] | None,
) -> _Gathered:
    gathered = None
    for chunk in chunks:
        gathered = gathered or _Gathered(chunk[0], expected)
        for watcher in watchers:
            watcher(gathered.count, chunk)
        gathered.add(chunk)
        if progress is not None:
            progress(gathered.count, expected)
    return gathered


def _slices(frames: np.ndarray) -> Iterator[np.ndarray]:
    length = _chunk_length(frames[0])
    starts = range(0, len(frames), length)
    return (np.ascontiguousarray(frames[start : start + length]) for start in starts)


def _stacks(reader: VideoReader, name: str) -> Iterator[np.ndarray]:
    frames, count = reader.frames(embedded_in(reader).size), 0
    for first in frames:
        chunk, length = np.empty((_chunk_length(first), *first.shape), np.uint8), 0
        for frame in chain([first], islice(frames, len(chunk) - 1)):
            chunk[length] = frame
            length += 1
        count += length
        _check_length(count, name)
        yield chunk[:length]


def _chunk_length(frame: np.ndarray) -> int:
    return min(max(1, _CHUNK_BYTES // frame.nbytes), _MAX_CHUNK)


def _check_length(num_frames: int, name: str) -> None:
    if num_frames > MAX_FRAMES:
        raise VideoError(
            f"{name} has more than {MAX_FRAMES:,} frames: cut it into parts of at most that many and score each"
        )


def check_fps(fps: float | None, name: str) -> None:
    """Raise `VideoError` for a rate that is none, in the words of the video that it is of."""
    if not fps:
        raise VideoError(f"{name} does not say how many frames a second it has: give fps")
    if not (math.isfinite(fps) and 0 < fps <= 1000):
        raise VideoError(f"fps is {fps}, but has to be a number above 0 and at most 1000")
