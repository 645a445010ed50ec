"""Where characters are in the frames of a video: boxes given by people, a detector or the renderer's truth."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from holocine.prompt import ascii_tags

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the full-size frame, the ends not included
Boxes = Mapping[str, Mapping[int, Box]]  # tag such as "[character1]" -> frame -> box

_TAG = re.compile(r"\[character\d+\]")
_MIN_SIDE = 4  # pixels; less of a character shows nothing of it


class BoxError(ValueError):
    """Boxes that are none; the message names tag, frame and value."""


def read_boxes(source: str | os.PathLike | Mapping[str, Any] | None) -> dict[str, dict[int, Box]]:
    """Boxes from a JSON file or a mapping: {"[character1]": {"0": [x0, y0, x1, y1], …}, …}; empty for None.

    Keys of the inner mapping are frame numbers, 0-based; boxes are pixels of the full-size frame and may reach beyond
    it. Raises `BoxError` for anything else.
    """
    if source is None:
        return {}
    if not isinstance(source, Mapping):
        source = _parsed(Path(source))
    return {_tag(tag): {_frame(tag, n): _box(tag, n, box) for n, box in _items(tag, of)} for tag, of in source.items()}


def crop(frame: np.ndarray, box: Box) -> np.ndarray | None:
    """The part of a frame (H, W, 3) inside a box, None if hardly anything of it lies within the picture."""
    height, width = frame.shape[:2]
    left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    right, bottom = min(width, math.ceil(box[2])), min(height, math.ceil(box[3]))
    if right - left < _MIN_SIDE or bottom - top < _MIN_SIDE:
        return None
    return np.ascontiguousarray(frame[top:bottom, left:right])


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BoxError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise BoxError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise BoxError(f'{path} holds {type(content).__name__}, but has to hold {{"[character1]": {{"0": [x0, y0, …')
    return content


def _tag(tag: Any) -> str:
    if not isinstance(tag, str) or not _TAG.fullmatch(ascii_tags(tag)):
        raise BoxError(f"boxes of {tag!r}: boxes belong to a tag of the storyboard such as [character1]")
    return ascii_tags(tag)


def _items(tag: str, frames: Any) -> Any:
    if not isinstance(frames, Mapping):
        raise BoxError(f"boxes of {tag}: should map frame numbers to [x0, y0, x1, y1], not be {frames!r}")
    return frames.items()


def _frame(tag: str, number: Any) -> int:
    if not str(number).isdecimal():
        raise BoxError(f"boxes of {tag}: {number!r} is not a frame number")
    return int(number)


def _box(tag: str, number: Any, box: Any) -> Box:
    try:
        x0, y0, x1, y1 = map(float, box)
    except (TypeError, ValueError):
        x0 = y0 = x1 = y1 = math.nan
    if not (all(map(math.isfinite, (x0, y0, x1, y1))) and x0 < x1 and y0 < y1):
        raise BoxError(
            f"boxes of {tag}: frame {number} has {box!r}, but needs [x0, y0, x1, y1] in pixels with x0 < x1 and y0 < y1"
        )
    return x0, y0, x1, y1
