"""Clips that people have: videos as frames of one size, with the cuts that are known or else those that are found.

A folder may hold `clips.json`: a file name -> any of "cuts" (first frame of every new shot), "captions" (one a shot),
"prompt" (what the whole clip shows, with its characters) and "about" (what it is and whose). Of a clip that it says no
cuts of, they are detected; of one that is a single shot, "cuts" is [].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from eval.shots import ShotDetector, thumbnail
from holocine.decoding import VideoReader
from holocine.plurals import counted

NOTES = "clips.json"
WIDTH = 320  # pixels
MAX_FRAMES = 6000  # of all clips together, which are held in memory
_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".mpeg")
_LEAST = 32  # pixels; smaller than this is no picture
_FIELDS = ("cuts", "captions", "prompt", "about")


class FootageError(ValueError):
    """Clips that cannot be used. The message is one sentence."""


@dataclass(frozen=True)
class ClipNotes:
    """What `clips.json` says of a clip; None is what it does not say."""

    cuts: tuple[int, ...] | None = None
    captions: tuple[str, ...] | None = None
    prompt: str = ""
    about: str = ""


@dataclass(frozen=True, eq=False)
class Clip:
    """One video: its frames, reduced to the size that all clips share, and its shots without dissolves.

    frames: uint8 (T, H, W, 3). size: (width, height) of the file. known: whether somebody said where it is cut.
    whole: False if it has more frames than were read.
    """

    name: str
    frames: np.ndarray
    fps: float
    size: tuple[int, int]
    shots: tuple[range, ...]
    known: bool
    notes: ClipNotes
    whole: bool = True

    @property
    def cuts(self) -> tuple[int, ...]:
        return tuple(shot.start for shot in self.shots[1:])


def find_clips(paths: Sequence[Path]) -> list[tuple[Path, ClipNotes]]:
    """The videos that were named and those in folders that were named, in order, with what is known of each.

    Raises `FootageError`.
    """
    found: list[tuple[Path, ClipNotes]] = []
    for path in paths:
        if not path.is_dir():
            found.append((path, ClipNotes()))
            continue
        videos = sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES and p.is_file())
        if not videos:
            raise FootageError(f"{path} has no videos in it: put clips there, as {', '.join(_SUFFIXES[:4])} files")
        notes = _read_notes(path / NOTES, [video.name for video in videos])
        found += [(video, notes.get(video.name, ClipNotes())) for video in videos]
    return found


def load_clips(
    paths: Sequence[Path],
    detector: ShotDetector,
    width: int = WIDTH,
    progress: Callable[[str], None] | None = None,
) -> list[Clip]:
    """Read clips, cropped to the shape that most of them have and reduced to at most `width`; none is enlarged.

    At most MAX_FRAMES frames are read, the same number of each. `progress` is called with the name of each clip that is
    read. Raises `FootageError` or `VideoError`.
    """
    if width < _LEAST:
        raise FootageError(f"--width is {width}, but pictures have to be at least {_LEAST} pixels wide")
    found = find_clips(paths)
    sizes = [_size(path) for path, _ in found]
    size, most = common_size(sizes, width), MAX_FRAMES // len(found)
    if min(size) < _LEAST:
        raise FootageError(f"clips that share a size of {size[0]}x{size[1]} pixels are too small: take larger ones")
    clips = []
    for (path, notes), own in zip(found, sizes, strict=True):
        clips.append(_load(path, notes, own, size, most, detector))
        if progress:
            progress(path.name)
    return clips


def common_size(sizes: Sequence[tuple[int, int]], width: int) -> tuple[int, int]:
    """The (width, height) that clips of these sizes are cropped and reduced to.

    Its shape is the median one; it is at most `width` wide and no larger than what any clip has left when cropped.
    """
    shape = float(np.median([w / h for w, h in sizes]))
    width = int(min(width, *(min(w, h * shape) for w, h in sizes)))
    return width, round(width / shape)


def fitted(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of a frame uint8 (H, W, 3) in the shape of `size` (width, height), reduced to it."""
    height, width = frame.shape[:2]
    scale = min(width / size[0], height / size[1])
    w, h = min(width, round(size[0] * scale)), min(height, round(size[1] * scale))
    left, top = (width - w) // 2, (height - h) // 2
    middle = np.ascontiguousarray(frame[top : top + h, left : left + w])
    return cv2.resize(middle, size, interpolation=cv2.INTER_AREA)


def _size(path: Path) -> tuple[int, int]:
    with VideoReader(path) as reader:
        first = next(reader.frames())
    return first.shape[1], first.shape[0]


def _load(
    path: Path, notes: ClipNotes, own: tuple[int, int], size: tuple[int, int], most: int, detector: ShotDetector
) -> Clip:
    frames, thumbnails = [], []
    with VideoReader(path) as reader:
        decoded = reader.frames()
        for frame in islice(decoded, most):
            frames.append(fitted(frame, size))
            thumbnails.append(thumbnail(frame))
        whole = next(decoded, None) is None
        fps = reader.fps
    if not fps:
        raise FootageError(f"{path} does not say how many frames a second it has: write it anew with a frame rate")
    if notes.cuts is None:
        shots = detector.detect(np.stack(thumbnails)).clear_ranges
        if notes.captions is not None and len(notes.captions) != len(shots):
            raise FootageError(
                f"{NOTES}: {path.name} has {counted(len(notes.captions), 'caption')} and "
                f'{counted(len(shots), "shot")} were found in it: say where it is cut, as "cuts"'
            )
    else:
        wrong = [cut for cut in notes.cuts if cut >= len(frames)]
        if wrong and whole:
            raise FootageError(
                f"{NOTES}: {path.name} is said to be cut at frame {wrong[0]}, but its last frame is {len(frames) - 1}"
            )
        cuts = [cut for cut in notes.cuts if cut < len(frames)]
        shots = tuple(range(a, b) for a, b in pairwise((0, *cuts, len(frames))))
    return Clip(path.name, np.stack(frames), fps, own, shots, notes.cuts is not None, notes, whole)


def _read_notes(path: Path, names: Iterable[str]) -> dict[str, ClipNotes]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FootageError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(content, Mapping):
        raise FootageError(f"{path} has to be an object that names clips, not a {type(content).__name__}")
    names = list(names)
    unknown = [name for name in content if name not in names]
    if unknown:
        raise FootageError(f"{path} speaks of {unknown[0]!r}, which is not in the folder: there are {', '.join(names)}")
    return {name: _notes(path, name, entry) for name, entry in content.items()}


def _notes(path: Path, name: str, entry: Any) -> ClipNotes:
    if not isinstance(entry, Mapping):
        raise FootageError(f'{path}: {name} has to be an object such as {{"cuts": [41]}}, not {entry!r}')
    unknown = [key for key in entry if key not in _FIELDS]
    if unknown:
        raise FootageError(f"{path}: {name} has {unknown[0]!r}, but only {', '.join(_FIELDS)} are known")
    cuts, captions = entry.get("cuts"), entry.get("captions")
    if cuts is not None:
        frames = isinstance(cuts, list) and all(isinstance(cut, int) and not isinstance(cut, bool) for cut in cuts)
        if not frames or cuts != sorted(set(cuts)) or min(cuts, default=1) < 1:
            raise FootageError(f"{path}: the cuts of {name} have to be frame numbers that rise from 1 up, not {cuts!r}")
    if captions is not None:
        if not isinstance(captions, list) or not all(isinstance(text, str) and text.strip() for text in captions):
            raise FootageError(f"{path}: the captions of {name} have to be a list of texts, not {captions!r}")
        if cuts is not None and len(captions) != len(cuts) + 1:
            shots = counted(len(cuts) + 1, "shot")
            raise FootageError(f"{path}: {name} has {counted(len(captions), 'caption')} for {shots}")
    texts = {key: entry.get(key, "") for key in ("prompt", "about")}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise FootageError(f"{path}: {key!r} of {name} has to be a text, not {text!r}")
    return ClipNotes(
        None if cuts is None else tuple(cuts),
        None if captions is None else tuple(text.strip() for text in captions),
        texts["prompt"].strip(),
        texts["about"].strip(),
    )
