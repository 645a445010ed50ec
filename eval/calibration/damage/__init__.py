"""Known damage to rendered truth, in graded strengths: what each metric should notice, and what it should not.

What needs no rendered truth, and can be done to film as well, is in `damage.film`.

A damage is a pure function of a scene of the puppet theatre, its rendered frames, a strength and a random generator. It
returns the frames and the storyboard to score, or None where a scene has no room for it. Given generators in the same
state, stronger damage is the weaker one and more, so that scores can be expected to fall from strength to strength.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from eval.calibration.damage.content import (
    change_action,
    change_camera,
    change_light,
    change_size,
    disguise,
    morph,
    rearrange_background,
    replace_shots,
    shuffle_captions,
    swap_characters,
)
from eval.calibration.damage.cuts import add_cuts, dissolve_cuts, drop_cuts, move_cuts
from eval.calibration.damage.pictures import (
    Change,
    add_noise,
    blur,
    flicker,
    freeze,
    of_a_scene,
    overexpose,
    repeat_frames,
)
from eval.calibration.damage.scenes import Apply
from holocine.puppet.world import BODIES, COLOURS, HATS

# Metrics by what they are about. A damage names those that have to notice it and those that must not.
CUTS = (
    "sca",
    *(f"cut_{kind}_{tolerance}" for kind in ("f1", "precision", "recall") for tolerance in (0, 1, 2, 5)),
    "cut_offset",
    "shot_count_error",
    "gradual_share",
)
CROPS = ("character_consistency@crops", "character_margin@crops")  # on true boxes instead of found ones
FIGURES = ("character_presence", "character_intruders")
LOOK = ("look_consistency",)
CHARACTERS = ("character_consistency", "character_margin", "character_adjacent", "character_return", *CROPS)
TEXTS = ("text_video", "text_shot", "shot_retrieval", "shot_retrieval_above_chance")
STEADY = ("subject_consistency", "background_consistency")
MOVEMENT = ("flicker", "motion_smoothness", "dynamic_degree")
FILMING = ("camera_movement", "shot_size")
PICTURE = ("sharpness", "clipping")


@dataclass(frozen=True)
class Damage:
    """`strengths`, in `unit`, grow. `moves`: metrics that are for this; `keeps`: metrics that should not react to it.

    What is in neither may react: there are good reasons for it to do so and good reasons not to. `change`: the same for
    the frames of any video, if it is damage to the pictures alone. `in_place`: figures stay where they were, so that
    boxes around them still fit. `version`: raised when the damage itself changes, so that values that were made with an
    older one are not used.
    """

    name: str
    title: str
    unit: str
    strengths: tuple[float, ...]
    moves: tuple[str, ...]
    keeps: tuple[str, ...]
    apply: Callable[..., Any]
    change: Change | None = None
    in_place: bool = False
    version: int = 1


_ALL = (*CUTS, *CHARACTERS, *FIGURES, *LOOK, *TEXTS, *STEADY, *MOVEMENT, *FILMING, *PICTURE)


def _all_but(*families: tuple[str, ...]) -> tuple[str, ...]:
    """Every metric but those of some families."""
    left_out = {name for family in families for name in family}
    return tuple(name for name in _ALL if name not in left_out)


def _of(kind: str) -> tuple[str, ...]:
    """The counting metrics of one kind, at every tolerance."""
    return tuple(name for name in CUTS if name.startswith(f"cut_{kind}_"))


_MATCHED = tuple(name for name in CUTS if name not in ("shot_count_error", "gradual_share"))
_NEAR = tuple(name for name in CUTS if name.startswith("cut_") and name[-1] in "012")  # less than cuts are moved by

# Damage to scenes: name, title, unit, strengths, and the function that does it.
_TO_SCENES: tuple[tuple[str, str, str, tuple[float, ...], Apply], ...] = (
    ("cuts_moved", "cuts come early or late", "frames", (1, 2, 4, 6), move_cuts),
    ("cuts_dropped", "shots that never come", "shots", (1, 2, 3), drop_cuts),
    ("cuts_added", "cuts that nobody asked for", "cuts", (1, 2, 3), add_cuts),
    ("cuts_dissolved", "dissolves in place of cuts", "frames", (2, 4, 8, 12), dissolve_cuts),
    ("colour_changed", "a character has another colour in some shots", "shots", (1, 2, 3), disguise("colour", COLOURS)),
    ("hat_changed", "a character has another hat in some shots", "shots", (1, 2, 3), disguise("hat", HATS)),
    ("body_changed", "a character has another body in some shots", "shots", (1, 2, 3), disguise("body", BODIES)),
    ("character_morphs", "a character changes colour within a shot", "shots", (1, 2, 3), morph),
    ("characters_swapped", "another character of the scene in some shots", "shots", (1, 2, 3), swap_characters),
    ("shots_replaced", "shots of another storyboard", "shots", (1, 2, 3, 4), replace_shots),
    (
        "background_rearranged",
        "the same place arranged in another way in some shots",
        "shots",
        (1, 2, 3),
        rearrange_background,
    ),
    (
        "light_changed",
        "another light in some shots of a place that is shown more than once",
        "shots",
        (1, 2),
        change_light,
    ),
    ("action_changed", "characters who move in another way in some shots", "shots", (1, 2, 3), change_action),
    ("captions_shuffled", "captions exchanged between shots", "captions", (2, 3, 5), shuffle_captions),
    ("camera_changed", "another camera movement in some shots", "shots", (1, 2, 3, 4), change_camera),
    ("size_changed", "another shot size in some shots", "shots", (1, 2, 3), change_size),
)
# Damage to the pictures of any video, in the same columns.
_TO_PICTURES: tuple[tuple[str, str, str, tuple[float, ...], Change], ...] = (
    ("noise", "noise", "grey levels", (2, 5, 10, 20), add_noise),
    ("blur", "blur", "pixels", (0.5, 1, 2, 4), blur),
    ("overexposed", "overexposure", "% brighter", (10, 20, 40, 80), overexpose),
    ("flicker", "brightness that flickers", "%", (1, 2, 5, 10), flicker),
    ("frames_repeated", "frames repeated, so that motion stutters", "% of frames", (10, 20, 40, 60), repeat_frames),
    ("frozen", "shots that freeze before they end", "% of a shot", (25, 50, 75, 100), freeze),
)
# Those that leave figures where they were.
_IN_PLACE = (
    *("colour_changed", "hat_changed", "body_changed", "character_morphs", "characters_swapped"),
    *("background_rearranged", "light_changed", "noise", "blur", "overexposed", "flicker"),
)
# Those that have been changed: an added cut no longer makes what moves in its shot twice as fast.
_VERSIONS = {"cuts_added": 2}
# By damage: the metrics that are for it.
_MOVES: dict[str, tuple[str, ...]] = {
    "cuts_moved": ("sca", "cut_offset", *_NEAR),
    "cuts_dropped": ("sca", *_of("f1"), *_of("recall"), "shot_count_error", *TEXTS),
    "cuts_added": ("sca", *_of("f1"), *_of("precision"), "shot_count_error"),
    "cuts_dissolved": ("gradual_share",),
    "colour_changed": (*CHARACTERS, "text_shot"),
    "hat_changed": (*CHARACTERS, "text_shot"),
    "body_changed": (*CHARACTERS, "text_shot"),
    "character_morphs": STEADY,
    # Who is somebody else is not seen, and consistency is about those who are.
    "characters_swapped": (*FIGURES, *CROPS, "text_shot", "shot_retrieval"),
    "shots_replaced": (
        "character_presence",
        "text_video",
        "text_shot",
        "shot_retrieval",
        *FILMING,
    ),
    "background_rearranged": (),
    "light_changed": LOOK,
    "action_changed": (),
    "captions_shuffled": ("text_shot", "shot_retrieval", "shot_retrieval_above_chance", *FILMING),
    "camera_changed": ("camera_movement",),
    "size_changed": ("shot_size", "text_shot"),
    "noise": ("motion_smoothness", "background_consistency"),
    "blur": ("sharpness",),
    "overexposed": ("clipping",),
    "flicker": ("flicker",),
    "frames_repeated": ("motion_smoothness",),
    "frozen": ("dynamic_degree", "camera_movement"),
}
# By damage: the metrics that should not react to it.
_KEEPS: dict[str, tuple[str, ...]] = {
    "cuts_moved": ("shot_count_error", "gradual_share", *STEADY, "flicker", "motion_smoothness", *PICTURE),
    # A shot that never comes takes with it what is burnt out in it, and the one before takes longer to pan or walk as
    # far as it does while gait and jumps keep their pace: clipping and motion_smoothness are of other pictures then.
    "cuts_dropped": (*_of("precision"), "gradual_share", "flicker", "sharpness"),
    "cuts_added": (*_of("recall"), "gradual_share", *STEADY, "flicker", "motion_smoothness", *PICTURE),
    "cuts_dissolved": ("shot_count_error", "text_video", *STEADY, "flicker", "shot_size", "clipping"),
    "colour_changed": _all_but(CHARACTERS, FIGURES, TEXTS),
    "hat_changed": _all_but(CHARACTERS, FIGURES, TEXTS),
    "body_changed": _all_but(CHARACTERS, FIGURES, TEXTS),
    "character_morphs": _all_but(CHARACTERS, FIGURES, TEXTS, STEADY),
    "characters_swapped": _all_but(CHARACTERS, FIGURES, TEXTS),
    "shots_replaced": ("sca", "cut_f1_5", "shot_count_error", "gradual_share", *STEADY, "flicker", "motion_smoothness"),
    "background_rearranged": _all_but(LOOK),
    "light_changed": _all_but(LOOK, CHARACTERS, TEXTS, STEADY, PICTURE),
    "action_changed": _all_but(TEXTS, STEADY, MOVEMENT, FILMING, PICTURE, CROPS),
    "captions_shuffled": (*CUTS, *STEADY, *MOVEMENT, *PICTURE, *LOOK),
    "camera_changed": _all_but(("camera_movement", "dynamic_degree"), TEXTS, STEADY),
    "size_changed": _all_but(("shot_size", "dynamic_degree"), TEXTS, STEADY),
    "noise": (*CUTS, *CHARACTERS, *FIGURES, *TEXTS, "flicker", "dynamic_degree", *FILMING, "sharpness"),
    "blur": _all_but(STEADY, PICTURE),
    "overexposed": _all_but(STEADY, PICTURE, ("flicker",)),
    "flicker": _all_but(STEADY, ("flicker",), PICTURE),
    "frames_repeated": _all_but(("motion_smoothness",), STEADY, _MATCHED),
    # Captions say what characters do and how the camera moves, and a picture that stands still shows neither.
    "frozen": _all_but(("dynamic_degree", "camera_movement", "motion_smoothness"), STEADY, TEXTS),
}

DAMAGES: tuple[Damage, ...] = tuple(
    Damage(
        name,
        title,
        unit,
        strengths,
        _MOVES[name],
        _KEEPS[name],
        apply,
        change,
        in_place=name in _IN_PLACE,
        version=_VERSIONS.get(name, 1),
    )
    for name, title, unit, strengths, apply, change in (
        *((*row, None) for row in _TO_SCENES),
        *((*row, of_a_scene(change), change) for *row, change in _TO_PICTURES),
    )
)
