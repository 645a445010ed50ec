"""Texts for an encoder that sees one at a time and reads only so much of it."""

from __future__ import annotations

import re
from collections.abc import Callable

from holocine.wording import Texts, describe_texts

__all__ = ["Texts", "describe_texts", "split_text"]

_SENTENCE_ENDS = re.compile(r"(?<=[.!?;])\s+")
_CLAUSE_ENDS = re.compile(r"(?<=[,:–—])\s+")
_SPACES = re.compile(r"\s+")


def split_text(text: str, fits: Callable[[str], bool]) -> tuple[str, ...]:
    """Divide a text into as few pieces as possible that `fits` accepts, in order and without losing a word.

    It is divided at sentence ends; a sentence that does not fit by itself at its commas, a clause that does not fit
    between words. A single word that does not fit is divided between letters.
    """
    return tuple(_packed(text.strip(), fits, (_SENTENCE_ENDS, _CLAUSE_ENDS, _SPACES)))


def _packed(text: str, fits: Callable[[str], bool], dividers: tuple[re.Pattern[str], ...]) -> list[str]:
    if fits(text) or len(text) < 2:
        return [text]
    if not dividers:
        middle = len(text) // 2
        return _packed(text[:middle], fits, ()) + _packed(text[middle:], fits, ())
    pieces: list[str] = []
    for part in dividers[0].split(text):
        if pieces and fits(joined := f"{pieces[-1]} {part}"):
            pieces[-1] = joined
        else:
            pieces += _packed(part, fits, dividers[1:])
    return pieces
