"""The words of the puppet theatre, for the embedded model, which knows no others.

Captions are put together from choices, and read back into choices.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from holocine.puppet import captions as words
from holocine.puppet.captions import to_storyboard
from holocine.puppet.world import (
    ACTIONS,
    BODIES,
    CAMERAS,
    COLOURS,
    FRAMINGS,
    HATS,
    PROPS,
    SETTINGS,
    SIZES,
    sample_scene,
)
from holocine.storyboard import Storyboard

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


def surprise(seed: int) -> Storyboard:
    """A valid scene of the theatre, in its own words; the seed also becomes the storyboard's."""
    scene = sample_scene(seed, num_frames=65)
    who = " and ".join(f"the {puppet.colour} one" for puppet in scene.puppets[:2])
    place = {"city": "in the city", "forest": "in the forest", "desert": "in the desert", "snow": "in the snow"}
    where = place.get(scene.setting, f"{'on' if scene.setting == 'beach' else 'in'} the {scene.setting}")
    title = f"{who[0].upper()}{who[1:]} {where}"
    return to_storyboard(scene, seed=seed, title=title)
