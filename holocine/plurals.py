"""Sentences that agree with their numbers, and those that are alike but for these."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_NUMBER = re.compile(r"[\d.,]*\d")
_ONE = r"(?:(?:shots? )?#(?: in #)?|\[[^\]]*\])"  # a number, a shot, a shot in so many parts, a character
_MANY = re.compile(rf"{_ONE}(?:(?:, | and (?!# more)){_ONE})*(?: and # more)?")


def counted(count: int, thing: str) -> str:
    """1 frame, 2 frames, 1,000 frames."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def of_all(part: int, all: int, thing: str) -> str:
    """3 of 5 frames; of all of them 5 frames."""
    return counted(all, thing) if part == all else f"{part:,} of {counted(all, thing)}"


def listed(things: Iterable[str]) -> str:
    """a; a and b; a, b and c."""
    *most, last = things
    return f"{', '.join(most)} and {last}" if most else last


def few(things: Sequence[str], most: int = 6) -> str:
    """a, b, c; of more than `most` the first three and how many more there are."""
    return ", ".join(things) if len(things) <= most else f"{', '.join(things[:3])} and {len(things) - 3} more"


def are(count: int) -> str:
    """is or are."""
    return "is" if count == 1 else "are"


def kind_of(sentence: str) -> str:
    """What a sentence says, whatever its numbers are and however many it lists."""
    return _MANY.sub("#", _NUMBER.sub("#", sentence))
