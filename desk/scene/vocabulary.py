"""The words of the puppet theatre, for the embedded model, which knows no others.

Captions are put together from choices, read back into choices, and checked for words that the model never saw.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from eval.encoders.theatre import vocabulary
from holocine.puppet import captions as words
from holocine.puppet.captions import to_storyboard
from holocine.puppet.world import (
    ACTIONS,
    BODIES,
    CAMERAS,
    COLOURS,
    FRAMINGS,
    HATS,
    MIN_SHOT_FRAMES,
    PROPS,
    SETTINGS,
    SIZES,
    sample_scene,
)
from holocine.storyboard import Storyboard

FRAMES_TRAINED = (33, 97)  # the shortest and longest scenes that the embedded model learnt from
MOST_SHOTS = 6
_WORD = re.compile(r"[^\W\d_]+")
_TAG = re.compile(r"\[character\d+\]")


def choices() -> dict[str, list[str]]:
    """What the guided picker offers, by the name of the choice."""
    return {
        "setting": list(SETTINGS),
        "colour": list(COLOURS),
        "body": list(BODIES),
        "hat": list(HATS),
        "prop": list(PROPS),
        "framing": list(FRAMINGS),
        "size": list(SIZES),
        "action": list(ACTIONS),
        "camera": list(CAMERAS),
    }


def phrases() -> dict[str, dict[str, str]]:
    """The words that the picker writes for each choice: the first wording that captions use for it."""
    tables: dict[str, Mapping[str, tuple[str, ...]]] = {
        "setting": words.SETTING_WORDS,
        "size": words.SIZE_WORDS,
        "action": words.ACTION_WORDS,
        "camera": words.CAMERA_WORDS,
    }
    first = {name: {choice: options[0] for choice, options in table.items()} for name, table in tables.items()}
    return {**first, "hat": dict(words.HAT_WORDS), "prop": dict(words.PROP_WORDS)}


def read_caption(caption: str) -> dict[str, Any] | None:
    """The picker's choices that a caption stands for; None if it is not in the theatre's words."""
    text = caption.lower()
    if not _TAG.search(text) and not text.startswith(("insert", "an insert")):
        return None
    tags = list(dict.fromkeys(_TAG.findall(text)))
    size = _choice(text, words.SIZE_WORDS)
    framing = "single" if len(tags) == 1 else "two-shot"
    if text.startswith("over"):
        framing = "over-the-shoulder"
        tags = tags[::-1] if text.startswith("over the") else tags
    elif text.startswith(("insert", "an insert")):
        framing = "insert"
    return {
        "framing": framing,
        "who": tags,
        "size": size or "medium",
        "action": _choice(text, words.ACTION_WORDS) or "standing",
        "camera": _choice(text, words.CAMERA_WORDS) or "static",
        "lanterns": "lanterns light up" in text,
    }


def _choice(text: str, table: Mapping[str, tuple[str, ...]]) -> str | None:
    """The choice one of whose wordings is in `text`; the longest wording counts, since some contain others."""
    found = [(len(option), choice) for choice, options in table.items() for option in options if option.lower() in text]
    return max(found)[1] if found else None


def unknown_words(text: str) -> list[str]:
    """The words of a caption that the embedded model never saw, each once, as they are written."""
    found: dict[str, str] = {}
    for word in _WORD.findall(_TAG.sub(" ", text)):
        if word.lower() not in vocabulary():
            found.setdefault(word.lower(), word)
    return list(found.values())


def doubts(storyboard: Storyboard) -> Iterator[tuple[int | None, str]]:
    """What in a storyboard lies outside the world that the embedded model learnt: shot (from 1) and sentence."""
    captions = {None: storyboard.global_caption, **dict(enumerate(storyboard.captions, start=1))}
    for shot, caption in captions.items():
        if found := unknown_words(caption):
            shown = ", ".join(f"“{word}”" for word in found[:5]) + (" and others" if len(found) > 5 else "")
            where = f"Shot {shot}: the" if shot else "The"
            yield shot, f"{where} puppet theatre has never heard of {shown}; it will show something else."
    for number, shot in enumerate(storyboard.shots, start=1):
        if shot.num_frames < MIN_SHOT_FRAMES:
            yield (
                number,
                f"Shot {number} lasts {shot.num_frames} frames; the theatre's shots last at least {MIN_SHOT_FRAMES}.",
            )
    if storyboard.num_shots > MOST_SHOTS:
        yield None, f"{storyboard.num_shots} shots; the theatre's scenes have at most {MOST_SHOTS}."
    shortest, longest = FRAMES_TRAINED
    if not shortest <= storyboard.num_frames <= longest:
        yield None, f"{storyboard.num_frames} frames; the theatre's scenes last {shortest} to {longest}."


def surprise(seed: int) -> Storyboard:
    """A valid scene of the theatre, in its own words; the seed also becomes the storyboard's."""
    scene = sample_scene(seed, num_frames=65)
    who = " and ".join(f"the {puppet.colour} one" for puppet in scene.puppets[:2])
    place = {"city": "in the city", "forest": "in the forest", "desert": "in the desert", "snow": "in the snow"}
    where = place.get(scene.setting, f"{'on' if scene.setting == 'beach' else 'in'} the {scene.setting}")
    title = f"{who[0].upper()}{who[1:]} {where}"
    return to_storyboard(scene, seed=seed, title=title)
