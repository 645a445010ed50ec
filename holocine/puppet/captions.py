"""Scenes in words: the captions of the puppet theatre, with paraphrases."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from holocine.puppet.world import BODIES, COLOURS, FPS, Puppet, Scene, ShotPlan
from holocine.storyboard import Shot, Storyboard

SETTING_WORDS = {
    "beach": ("a sunny beach", "a beach by the sea", "the seaside"),
    "forest": ("a green forest", "the woods", "a forest clearing"),
    "city": ("a city at night", "the streets of a city at night", "a night city"),
    "desert": ("a sandy desert", "the desert", "a desert with cacti"),
    "snow": ("a snowy field", "a field of snow", "a winter landscape"),
    "room": ("a cosy room", "a living room", "a room indoors"),
}
SETTING_SENTENCES = ("The scene is set in {}.", "The setting is {}.", "The story takes place in {}.")
SIZE_WORDS = {
    "wide": ("Wide shot", "Long shot", "A wide shot"),
    "medium": ("Medium shot", "A medium shot", "Mid shot"),
    "close-up": ("Close-up", "A close-up", "Close shot"),
}
ACTION_WORDS = {
    "standing": ("standing still", "standing", "who stands still"),
    "walking left": ("walking to the left", "walking left", "who walks to the left"),
    "walking right": ("walking to the right", "walking right", "who walks to the right"),
    "jumping": ("jumping", "jumping up and down", "hopping on the spot"),
}
CAMERA_WORDS = {
    "static": ("The camera is static.", "The camera does not move.", "Static camera."),
    "pan left": ("The camera pans left.", "The camera pans to the left.", "Pan left."),
    "pan right": ("The camera pans right.", "The camera pans to the right.", "Pan right."),
    "zoom in": ("The camera zooms in.", "The camera slowly zooms in.", "Zoom in."),
    "zoom out": ("The camera zooms out.", "The camera slowly zooms out.", "Zoom out."),
}
HAT_WORDS = {
    "no hat": "no hat",
    "golden crown": "a golden crown",
    "black top hat": "a black top hat",
    "party hat": "a party hat",
}
PROP_WORDS = {"balloon": "a balloon", "flower": "a flower", "umbrella": "an umbrella"}
_FRAMES_AND_LINKS = """
    a an the and of in is are with wearing holding puppet puppets this scene contains shot shots string lanterns hangs
    above light up insert empty stage without nobody view over shoulder seen past
"""


@cache
def vocabulary() -> frozenset[str]:
    """Every word that the theatre's captions use, in lower case."""
    phrases = [_FRAMES_AND_LINKS, *SETTING_SENTENCES, *COLOURS, *BODIES, *HAT_WORDS.values(), *PROP_WORDS.values()]
    for table in (SETTING_WORDS, SIZE_WORDS, ACTION_WORDS, CAMERA_WORDS):
        phrases += [phrase for choices in table.values() for phrase in choices]
    return frozenset(re.findall("[a-z]+", " ".join(phrases).lower()))


def _article(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def describe_puppet(puppet: Puppet, index: int, rng: np.random.Generator) -> str:
    hat, tag = HAT_WORDS[puppet.hat], f"[character{index + 1}]"
    looks = (f"{puppet.colour} {puppet.body}", f"{puppet.body} {puppet.colour}")[int(rng.integers(2))]
    held = f" and holding {PROP_WORDS[puppet.prop]}" if puppet.prop != "nothing" else ""
    worn = (f"with {hat}", f"wearing {hat}")[int(rng.integers(2))]
    return f"{tag} is {_article(looks)} puppet {worn}{held}."


def describe_shot(scene: Scene, shot: ShotPlan, rng: np.random.Generator) -> str:
    def pick(words: tuple[str, ...]) -> str:
        return words[int(rng.integers(len(words)))]

    tags = [f"[character{i + 1}]" for i in shot.who]
    size, camera = pick(SIZE_WORDS[shot.size]), pick(CAMERA_WORDS[shot.camera])
    action = pick(ACTION_WORDS[shot.action][:2] if len(tags) > 1 else ACTION_WORDS[shot.action])
    if shot.framing == "insert":
        text = pick(("Insert shot of the empty stage.", "An insert without puppets.", "Insert: nobody is in view."))
    elif shot.framing == "over-the-shoulder":
        text = pick(("Over-the-shoulder shot of {} seen past {}.", "Over the shoulder of {1}: {0} in view."))
        text = text.format(*tags)
    elif shot.framing == "two-shot":
        text = pick((f"{size} of {{}} and {{}} {action}.", f"{size}: {{}} and {{}} are {action}.")).format(*tags)
    else:
        text = f"{size} of {tags[0]} {action}."
    lights = " The lanterns light up." if shot.lanterns_light_up else ""
    return f"{text}{lights} {camera}"


def to_storyboard(
    scene: Scene, seed: int | None = None, title: str | None = None, wording: int | None = None
) -> Storyboard:
    """The storyboard of a scene. The words are drawn from `wording`, or from the scene so that they never change."""
    rng = np.random.default_rng((scene.seed, 1) if wording is None else (scene.seed, 2, wording))
    words = SETTING_WORDS[scene.setting]
    sentences = [SETTING_SENTENCES[int(rng.integers(3))].format(words[int(rng.integers(3))])]
    if scene.lanterns:
        sentences.append("A string of lanterns hangs above.")
    sentences += [describe_puppet(puppet, i, rng) for i, puppet in enumerate(scene.puppets)]
    count = len(scene.shots)
    sentences.append(f"This scene contains {count} shot{'s' if count != 1 else ''}.")
    return Storyboard(
        global_caption=" ".join(sentences),
        shots=tuple(Shot(caption=describe_shot(scene, s, rng), num_frames=s.num_frames) for s in scene.shots),
        fps=FPS,
        title=title,
        seed=seed,
    )
