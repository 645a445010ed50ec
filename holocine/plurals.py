"""Sentences that agree with their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def counted(count: int, thing: str) -> str:
    """1 frame, 2 frames, 1,000 frames."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


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
