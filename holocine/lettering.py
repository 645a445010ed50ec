"""Text on pictures, in nearly every script: the letters are those of the font that OpenCV carries, none is installed.

Sizes are in pixels. A letter that the font does not have, such as an emoji, is drawn as a question mark.
"""

from __future__ import annotations

import numpy as np

# The font has these too, but as wide as Chinese letters.
_TYPEWRITER = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\xa0": " "})


def write(picture: np.ndarray, text: str, left: int, top: int, size: int, colour: tuple[int, int, int]) -> None:
    """Write one line into a picture, contiguous uint8 (H, W, 3), in place; `left` and `top` are its corner."""
    import cv2

    cv2.putText(picture, _plain(text), (left, top + size), colour, _face(), size)


def text_width(text: str, size: int) -> int:
    """How many pixels a line takes from its left edge to the end of its last letter."""
    import cv2

    left, _, width, _ = cv2.getTextSize((0, 0), _plain(text), (0, 0), _face(), size)
    return left + width


def wrapped(text: str, size: int, width: int, max_lines: int) -> list[str]:
    """`text` in lines of at most `width` pixels; what does not fit into `max_lines` ends in an ellipsis."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.extend(_broken(word, size, width))
    if len(lines) > max_lines:
        last = lines[max_lines - 1]
        while last and text_width(last + "...", size) > width:
            last = last[:-1]
        lines = [*lines[: max_lines - 1], last + "..."]
    return lines


def _broken(word: str, size: int, width: int) -> list[str]:
    """A word that is wider than a line (or a sentence without spaces) in pieces that fit."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and text_width(pieces[-1] + letter, size) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _plain(text: str) -> str:
    """`text` with typewriter punctuation."""
    return text.translate(_TYPEWRITER)


def _face():
    """OpenCV's Unicode font; made for each call, which costs microseconds, as OpenCV keeps its own for each thread."""
    import cv2

    return cv2.FontFace("uni")
