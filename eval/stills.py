"""Small pictures of a video, kept beside its scorecard so that a report can show it without the video."""

from __future__ import annotations

import math
import os

import numpy as np

from eval.scorecard import Scorecard
from holocine.files import replacing

STRIP, A_SHOT, MAX_SHOTS = 16, 4, 40  # pictures of the whole, pictures of a shot, shots that get any
_COLUMNS, _QUALITY = 12, 85


def shown_shots(card: Scorecard) -> tuple[range, ...]:
    """The shots that are shown: the requested ones that have frames, or else the detected ones; MAX_SHOTS at most."""
    shots = card.shots
    if shots is None:
        cuts = [boundary.frame for boundary in card.boundaries]
        shots = [range(a, b) for a, b in zip([0, *cuts], [*cuts, card.video.num_frames], strict=True)]
    return tuple(shot for shot in shots if len(shot))[:MAX_SHOTS]


def spread(frames: range, count: int) -> list[int]:
    """Up to `count` numbers spread evenly over a range, its ends left out by half a step."""
    count = min(count, len(frames))
    return [frames[math.floor((i + 0.5) * len(frames) / count)] for i in range(count)]


def still_frames(card: Scorecard) -> list[int]:
    """The frames whose pictures are kept, in order; they follow from the scorecard alone."""
    whole = spread(range(card.video.num_frames), STRIP)
    return sorted({*whole, *(frame for shot in shown_shots(card) for frame in spread(shot, A_SHOT))})


def sheet_places(card: Scorecard) -> tuple[int, int, dict[int, tuple[int, int]]]:
    """Columns and rows of the sheet of stills, and the column and row of every frame on it."""
    frames = still_frames(card)
    columns = min(_COLUMNS, len(frames))
    return columns, math.ceil(len(frames) / columns), {f: (i % columns, i // columns) for i, f in enumerate(frames)}


def save_stills(path: str | os.PathLike, card: Scorecard, pictures: np.ndarray) -> None:
    """Write the stills of a video as one JPEG; `pictures` uint8 (T, h, w, 3) are all its frames, reduced."""
    from PIL import Image

    height, width = pictures.shape[1:3]
    columns, rows, places = sheet_places(card)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for frame, (column, row) in places.items():
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = pictures[frame]
    with replacing(path) as temporary:
        Image.fromarray(sheet).save(temporary, "JPEG", quality=_QUALITY)
