"""What a shot shows, as a fixed list of questions with closed answers."""

from __future__ import annotations

from holocine.puppet.world import (
    ACTIONS,
    BODIES,
    CAMERAS,
    COLOURS,
    FRAMINGS,
    HATS,
    LIGHTS,
    PROPS,
    SCARVES,
    SETTINGS,
    SIZES,
    Scene,
)

TRAITS = {"colour": tuple(COLOURS), "body": BODIES, "hat": HATS, "prop": PROPS}
LOOKS = ("colour", "body", "hat")  # what a puppet looks like, of what captions say
CAPTION_FACTS: dict[str, tuple[str, ...]] = {
    "setting": SETTINGS,
    "framing": FRAMINGS,
    "size": SIZES,
    "action": ACTIONS,
    "camera": CAMERAS,
    "lanterns": ("none", "dark", "coming on", "lit"),
    **{f"{trait}{slot}": (*values, "nobody") for slot in (0, 1) for trait, values in TRAITS.items()},
}
"""What captions say. Slots are the puppets of a shot in the order in which its caption names them."""

UNSAID_FACTS: dict[str, tuple[str, ...]] = {
    "light": LIGHTS,
    **{f"scarf{slot}": (*SCARVES, "nobody") for slot in (0, 1)},
}
"""What no caption says but every shot of a scene keeps."""

FACTS = {**CAPTION_FACTS, **UNSAID_FACTS}


def shot_facts(scene: Scene, index: int) -> list[int]:
    """The answers for one shot, as an index into the choices of each of `FACTS`."""
    shot = scene.shots[index]
    lanterns = "none"
    if scene.lanterns:
        on = next(i for i, other in enumerate(scene.shots) if other.lanterns_light_up)
        lanterns = "dark" if index < on else "coming on" if index == on else "lit"
    values = {
        "setting": scene.setting,
        "framing": shot.framing,
        "size": shot.size,
        "action": shot.action,
        "camera": shot.camera,
        "lanterns": lanterns,
        "light": scene.light,
    }
    for slot in (0, 1):
        puppet = scene.puppets[shot.who[slot]] if slot < len(shot.who) else None
        for trait in (*TRAITS, "scarf"):
            values[f"{trait}{slot}"] = getattr(puppet, trait) if puppet else "nobody"
    return [choices.index(values[name]) for name, choices in FACTS.items()]


def shot_answers(scene: Scene, index: int) -> dict[str, str]:
    """The answers for one shot in words, by fact."""
    return {name: FACTS[name][answer] for name, answer in zip(FACTS, shot_facts(scene, index), strict=True)}
