"""The words of the puppet theatre, for the embedded model, which knows no others.

Captions are put together from choices, and read back into choices.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from holocine.plurals import listed
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
_STAGED = re.compile(r"\[(?P<tag>character\d+)\] is an? (?P<looks>[^.\[]*)\.")
_PALE = 0.2  # saturation, below which a colour is a grey
_ALIKE = 0.75  # of letters, from which a word is taken for a slip of another
_FEW = 4  # letters, below which that says nothing
_NEAR = {  # by their stems: other forms of these words are meant, too
    "walking": "run stroll march ride drive crawl chase wander dash sneak go come leave enter follow climb swim ran",
    "jumping": "dance leap bounce fly skip juggle wave clap play fight spin twirl roll cheer celebrate laugh sing",
    "standing": "sit wait sleep rest look watch talk speak say smile read eat drink cry think listen kneel lie pose",
    "puppet": "man woman girl boy child family person cat dog robot doll bear bird knight queen king clown character",
    "round": "circular oval ball spherical",
    "square": "box boxy cube cubic rectangular",
    "triangular": "triangle cone conical pyramid",
    "crown": "tiara diadem",
    "hat": "cap helmet beret bonnet",
    "beach": "coast shore ocean island harbour harbor lake",
    "forest": "jungle park garden meadow",
    "city": "town village street square paris london tokyo berlin",
    "desert": "sand dune dunes savanna canyon",
    "snowy": "icy frozen arctic mountain mountains",
    "room": "house kitchen bedroom office hall cafe bar station train castle",
    "pans": "tracks tilts follows moves",
    "zooms": "pushes dollies",
    "balloon": "kite",
    "flower": "rose tulip bouquet",
    "umbrella": "parasol",
}
_KINDS = {  # words that nothing of the theatre is near to, by what they ask for
    "weather": "rain rainy storm stormy wind windy fog foggy cloud cloudy thunder lightning hail weather",
    "time": "morning noon afternoon evening dusk dawn sunset sunrise midnight day today tonight",
    "person": "he him his she her hers they them their theirs someone somebody everyone everybody",
}
_HAS = {
    "weather": "the theatre has no weather; its places are {places}",
    "time": "the theatre has no times of day, but “a city at night”",
    "person": "say who is meant by a tag, such as [character1]",
    "manner": "the theatre does not know how something is done; leave it out",
    "action": "the theatre’s actions are {actions}",
    None: "nothing of the theatre is near; what it has is listed under “Guide” and “Set the stage”",
}
_SHOWN = 5  # words of one kind


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


@cache
def nearest_word(word: str) -> str | None:
    """The word of the theatre that is nearest to one that it does not know; None if none is near.

    A colour by its hue; else another form of a word, one of like meaning from a short list, or of nearly the same
    letters.
    """
    lower = word.lower()
    if lower in _known_words():
        return lower
    if _kind(word) is not None and not lower.endswith("ing"):
        return None
    near = _near_by_stem().get(_stem(lower)) or _nearest_colour(lower)
    if near or len(lower) < _FEW:
        return near
    return next(iter(get_close_matches(lower, _known_words(), 1, _ALIKE)), None)


def hints(unknown: Sequence[str]) -> list[str]:
    """What the theatre has of the kinds that words ask for which nothing in it is near to: a sentence for each kind."""
    by_kind: dict[str | None, list[str]] = {}
    for word in unknown:
        by_kind.setdefault(_kind(word), []).append(f"“{word}”")
    places = listed([options[0] for options in words.SETTING_WORDS.values()])
    return [
        f"{', '.join(found[:_SHOWN])}: {_HAS[kind].format(places=places, actions=listed(ACTIONS))}"
        for kind, found in by_kind.items()
    ]


@cache
def _known_words() -> list[str]:
    return sorted(words.vocabulary())


@cache
def _near_by_stem() -> dict[str, str]:
    near = {_stem(other): known for known, others in _NEAR.items() for other in others.split()}
    return near | {_stem(known): known for known in reversed(_known_words())}


@cache
def _kind_by_stem() -> dict[str, str]:
    return {_stem(known): kind for kind, others in _KINDS.items() for known in others.split()}


def _kind(word: str) -> str | None:
    lower = word.lower()
    if (kind := _kind_by_stem().get(_stem(lower))) is not None:
        return kind
    return "manner" if re.fullmatch(r"\w{3,}ly", lower) else "action" if re.fullmatch(r"\w{3,}ing", lower) else None


def _stem(word: str) -> str:
    """What the forms of an English word have in common, roughly: walk, walks, walking; fly, flies; juggle, juggling."""
    short = re.sub(r"ies$", "y", word) if len(word) > 4 else word
    short = re.sub(r"(?<=\w{3})(?:ing|ed|es|s|e)$", "", short)
    return re.sub(r"([^aeiou])\1$", r"\1", short)


def _nearest_colour(name: str) -> str | None:
    """By hue, since a dark blue is a blue; what has hardly any colour is white, unless it is dark."""
    from PIL import ImageColor

    if name not in ImageColor.colormap:
        return None

    def hsv(rgb: tuple[int, ...]) -> tuple[float, float, float]:
        return colorsys.rgb_to_hsv(*(value / 255 for value in rgb[:3]))

    hue, saturation, value = hsv(ImageColor.getrgb(name))
    if saturation < _PALE:
        return "white" if value > 0.5 else None
    hues = {known: hsv(rgb)[0] for known, rgb in COLOURS.items() if hsv(rgb)[1] >= _PALE}
    return min(hues, key=lambda known: abs((hue - hues[known] + 0.5) % 1 - 0.5))


def read_stage(caption: str) -> dict[str, Any]:
    """What a global caption says in the theatre's words: {setting, place, puppets}.

    setting: the choice, or None; place: the words that say it, as they stand there. puppets: by tag, without brackets,
    {colour, body, hat, prop}, None for what is not said.
    """
    lower = caption.lower()
    places = [(len(option), option, choice) for choice, options in words.SETTING_WORDS.items() for option in options]
    _, place, setting = max((found for found in places if found[1].lower() in lower), default=(0, None, None))
    at = lower.find(place.lower()) if place else 0
    puppets = {}
    for found in _STAGED.finditer(lower):
        looks = found["looks"].split()
        puppets[found["tag"]] = {
            "colour": next((colour for colour in COLOURS if colour in looks), None),
            "body": next((body for body in BODIES if body in looks), None),
            "hat": _phrase(found["looks"], words.HAT_WORDS, "no hat"),
            "prop": _phrase(found["looks"], words.PROP_WORDS, "nothing"),
        }
    return {"setting": setting, "place": place and caption[at : at + len(place)], "puppets": puppets}


def _phrase(text: str, table: Mapping[str, str], none: str) -> str:
    return next((choice for choice, phrase in table.items() if phrase in text and choice != none), none)


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
