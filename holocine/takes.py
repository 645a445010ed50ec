"""What making a video anew would lose: takes that were made since, which no other seed brings back."""

from __future__ import annotations

import os
from pathlib import Path

from holocine.decoding import VideoError
from holocine.plurals import listed
from holocine.program import UsageError
from holocine.video import read_embedded


def later_takes(video: str | os.PathLike) -> tuple[int, ...]:
    """The shots (from 1) of a video that were retaken since it was made, or continued; none of what is no such video.

    Raises `VideoError` for a video whose takes are damaged.
    """
    embedded = read_embedded(video)
    if embedded.storyboard is None or embedded.making is None:
        return ()
    return embedded.making.made_later(embedded.storyboard.seed)


def takes_left_out(source: str | os.PathLike) -> list[str]:
    """A sentence if a video that is made again from its storyboard (of any file) has takes that the new one has not."""
    shots = later_takes(source) if Path(source).suffix.lower() == ".mp4" else ()
    if not shots:
        return []
    return [
        f"{_named(shots)} of {source} {'was' if len(shots) == 1 else 'were'} retaken or added since it was made, and "
        "will be made anew here, as all shots are: retake makes some anew and keeps the others"
    ]


def check_takes_stay(out: str | os.PathLike) -> None:
    """Raise UsageError if a video stands where one is to be written, and has takes that would be lost."""
    try:
        shots = later_takes(out) if Path(out).is_file() else ()
    except VideoError:  # what is no video has no takes
        return
    if shots:
        raise UsageError(
            f"{out} exists, and {_named(shots)} of it, retaken or added since it was made, would be lost: name another "
            "output, delete it first, or make only some of its shots anew with retake"
        )


def _named(shots: tuple[int, ...]) -> str:
    return f"shot{'s'[: len(shots) != 1]} {listed(map(str, shots))}"
