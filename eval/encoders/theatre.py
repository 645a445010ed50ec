"""Whether a storyboard or a picture belongs to the puppet theatre, the one world that the embedded encoder knows."""

from __future__ import annotations

import re
from functools import cache

from holocine.prompt import clean
from holocine.puppet.captions import (
    ACTION_WORDS,
    CAMERA_WORDS,
    HAT_WORDS,
    PROP_WORDS,
    SETTING_SENTENCES,
    SETTING_WORDS,
    SIZE_WORDS,
)
from holocine.puppet.world import BODIES, COLOURS
from holocine.storyboard import Storyboard

_WORD = re.compile(r"[a-z]+")
_TAG = re.compile(r"\[character\d+\]")
_FRAMES_AND_LINKS = """
    a an the and of in is are with wearing holding puppet puppets this scene contains shot shots string lanterns hangs
    above light up insert empty stage without nobody view over shoulder seen past
"""
_KNOWN_SHARE = 0.8


@cache
def vocabulary() -> frozenset[str]:
    """Every word that the theatre's captions use, in lower case."""
    phrases = [_FRAMES_AND_LINKS, *SETTING_SENTENCES, *COLOURS, *BODIES, *HAT_WORDS.values(), *PROP_WORDS.values()]
    for table in (SETTING_WORDS, SIZE_WORDS, ACTION_WORDS, CAMERA_WORDS):
        phrases += [phrase for choices in table.values() for phrase in choices]
    return frozenset(_WORD.findall(" ".join(phrases).lower()))


def is_of_the_theatre(storyboard: Storyboard) -> bool:
    """Tell whether a storyboard speaks of puppets, and in the theatre's own words.

    At least 80 % of the words have to be the theatre's. Free wording ("waves at", "dances") is still understood,
    another world is not.
    """
    text = _TAG.sub(" ", clean(" ".join((storyboard.global_caption, *storyboard.captions)))).lower()
    words = _WORD.findall(text)
    known = sum(word in vocabulary() for word in words)
    return any(word in ("puppet", "puppets") for word in words) and known >= _KNOWN_SHARE * len(words)
