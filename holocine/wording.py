"""What a storyboard says, in words for a reader that sees one text at a time: no character tags, no count of shots."""

from __future__ import annotations

import re
from typing import NamedTuple

from holocine.prompt import character_descriptions, clean, expand_characters
from holocine.storyboard import Storyboard

_COUNT = re.compile(r"\s*This scene contains \d+ shots?\.")
_NAMED = re.compile(r"(?:[\s,(–—-]|\b(?:named|called))+\Z")
# Full stops and the like, also of Chinese, Japanese, Hindi, Arabic, Urdu, Armenian, Amharic, Khmer and Burmese.
_STOPS = tuple(".!?;…。．！？；｡।॥؟؛۔։።៖។။")
_CLOSING = "”’」』"  # may stand behind them
_FULL_WIDTH = re.compile("[\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


class Texts(NamedTuple):
    """A storyboard without character tags.

    whole: the global caption and all shot captions. shots: the caption of each shot. scene: the global caption.
    """

    whole: str
    shots: tuple[str, ...]
    scene: str


def describe_texts(storyboard: Storyboard) -> Texts:
    """Replace every character tag of a storyboard by its description in the global caption.

    "[character1] is a tall man." becomes "A tall man." in the global caption, and "Close-up of [character1]" becomes
    "Close-up of a tall man" in a shot. Tags that the global caption does not describe stay. The sentence "This scene
    contains N shots." is left out: no picture shows it.
    """
    caption = _COUNT.sub("", clean(storyboard.global_caption)).strip()
    shots = tuple(expand_characters(clean(text), caption) for text in storyboard.captions)
    scene = _without_tags(caption)
    return Texts(" ".join((ended(scene), *map(ended, shots))), shots, scene)


def _without_tags(caption: str) -> str:
    """The global caption, each character described once where it is introduced and again where it is named later."""
    text = caption
    for tag, description in character_descriptions(caption).items():
        text = _introduced(text, tag, description)
    return expand_characters(text, caption)


def _introduced(text: str, tag: str, description: str) -> str:
    """`text` without the tag where it is introduced together with its description."""
    following = rf"{re.escape(tag)}\s*(?:(?:is|are|was|were)\s|[,:=–—]\s*|\()({re.escape(description)})\)?"
    if match := re.search(following, text):
        begins_sentence = re.search(r"(?:^|[.!?])\s*\Z", text[: match.start()]) is not None
        first = description[0].upper() if begins_sentence else description[0]
        return f"{text[: match.start()]}{first}{description[1:]}{text[match.end() :]}"
    before, found, after = text.partition(tag)
    named = _NAMED.sub("", before)
    words = description.split()
    if found and any(named.endswith(" ".join(words[:n])) for n in range(2, len(words) + 1)):
        return named + (after.removeprefix(")") if "(" in before[len(named) :] else after)
    return text


def ended(text: str) -> str:
    """The text with a full stop, of its own script, where nothing else ends it."""
    if text.rstrip(_CLOSING).endswith(_STOPS):
        return text
    return f"{text}。" if _FULL_WIDTH.search(text.rstrip(_CLOSING)[-1:]) else f"{text}."
