"""Whether a storyboard or a picture belongs to the puppet theatre, the one world that the embedded encoder knows."""

from __future__ import annotations

import re

from holocine.prompt import clean
from holocine.puppet.captions import vocabulary
from holocine.storyboard import Storyboard

_WORD = re.compile(r"[a-z]+")
_TAG = re.compile(r"\[character\d+\]")
_KNOWN_SHARE = 0.8


def is_of_the_theatre(storyboard: Storyboard) -> bool:
    """Tell whether a storyboard speaks of puppets, and in the theatre's own words.

    At least 80 % of the words have to be the theatre's. Free wording ("waves at", "dances") is still understood,
    another world is not.
    """
    text = _TAG.sub(" ", clean(" ".join((storyboard.global_caption, *storyboard.captions)))).lower()
    words = _WORD.findall(text)
    known = sum(word in vocabulary() for word in words)
    return any(word in ("puppet", "puppets") for word in words) and known >= _KNOWN_SHARE * len(words)
