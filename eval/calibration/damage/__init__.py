"""Known damage to rendered truth, in graded strengths: what each metric should notice, and what it should not.

A damage is a pure function of a scene of the puppet theatre, its rendered frames, a strength and a random generator. It
returns the frames and the storyboard to score, or None where a scene has no room for it. Given generators in the same
state, stronger damage is the weaker one and more, so that scores can be expected to fall from strength to strength.
"""

from __future__ import annotations

from dataclasses import dataclass

from eval.calibration.damage import content, cuts, pictures
from eval.calibration.damage.pictures import Change
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
CROPS = ("character_consistency@crops", "character_margin@crops")  # on boxes instead of whole frames
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
    apply: Apply
    change: Change | None = None
    in_place: bool = False
    version: int = 1


_ALL = (*CUTS, *CHARACTERS, *TEXTS, *STEADY, *MOVEMENT, *FILMING, *PICTURE)


def _all_but(*families: tuple[str, ...]) -> tuple[str, ...]:
    """Every metric but those of some families."""
    left_out = {name for family in families for name in family}
    return tuple(name for name in _ALL if name not in left_out)


def _of(kind: str) -> tuple[str, ...]:
    """The counting metrics of one kind, at every tolerance."""
    return tuple(name for name in CUTS if name.startswith(f"cut_{kind}_"))


_MATCHED = tuple(name for name in CUTS if name not in ("shot_count_error", "gradual_share"))
_NEAR = tuple(name for name in CUTS if name.startswith("cut_") and name[-1] in "012")  # less than cuts are moved by

DAMAGES: tuple[Damage, ...] = (
    Damage(
        "cuts_moved",
        "cuts come early or late",
        "frames",
        (1, 2, 4, 6),
        moves=("sca", "cut_offset", *_NEAR),
        keeps=("shot_count_error", "gradual_share", *STEADY, "flicker", "motion_smoothness", *PICTURE),
        apply=cuts.move_cuts,
    ),
    Damage(
        "cuts_dropped",
        "shots that never come",
        "shots",
        (1, 2, 3),
        moves=("sca", *_of("f1"), *_of("recall"), "shot_count_error", *TEXTS),
        keeps=(*_of("precision"), "gradual_share", "flicker", "motion_smoothness", *PICTURE),
        apply=cuts.drop_cuts,
    ),
    Damage(
        "cuts_added",
        "cuts that nobody asked for",
        "cuts",
        (1, 2, 3),
        moves=("sca", *_of("f1"), *_of("precision"), "shot_count_error"),
        keeps=(*_of("recall"), "gradual_share", *STEADY, "flicker", "motion_smoothness", *PICTURE),
        apply=cuts.add_cuts,
    ),
    Damage(
        "cuts_dissolved",
        "dissolves in place of cuts",
        "frames",
        (2, 4, 8, 12),
        moves=("gradual_share",),
        keeps=("shot_count_error", "text_video", *STEADY, "flicker", "shot_size", "clipping"),
        apply=cuts.dissolve_cuts,
    ),
    *(
        Damage(
            f"{trait}_changed",
            f"a character has another {trait} in some shots",
            "shots",
            (1, 2, 3),
            moves=(*CHARACTERS, "text_shot"),
            keeps=_all_but(CHARACTERS, TEXTS),
            apply=content.disguise(trait, choices),
            in_place=True,
        )
        for trait, choices in (("colour", COLOURS), ("hat", HATS), ("body", BODIES))
    ),
    Damage(
        "character_morphs",
        "a character changes colour within a shot",
        "shots",
        (1, 2, 3),
        moves=("subject_consistency", "background_consistency"),
        keeps=_all_but(CHARACTERS, TEXTS, STEADY),
        apply=content.morph,
        in_place=True,
    ),
    Damage(
        "characters_swapped",
        "another character of the scene in some shots",
        "shots",
        (1, 2, 3),
        moves=(*CHARACTERS, "text_shot", "shot_retrieval"),
        keeps=_all_but(CHARACTERS, TEXTS),
        apply=content.swap_characters,
        in_place=True,
    ),
    Damage(
        "shots_replaced",
        "shots of another storyboard",
        "shots",
        (1, 2, 3, 4),
        moves=("character_consistency", "character_margin", "text_video", "text_shot", "shot_retrieval", *FILMING),
        keeps=("sca", "cut_f1_5", "shot_count_error", "gradual_share", *STEADY, "flicker", "motion_smoothness"),
        apply=content.replace_shots,
    ),
    Damage(
        "background_rearranged",
        "the same place arranged in another way in some shots",
        "shots",
        (1, 2, 3),
        moves=(),
        keeps=_all_but(),
        apply=content.rearrange_background,
        in_place=True,
    ),
    Damage(
        "captions_shuffled",
        "captions exchanged between shots",
        "captions",
        (2, 3, 5),
        moves=("text_shot", "shot_retrieval", "shot_retrieval_above_chance", *FILMING),
        keeps=(*CUTS, *STEADY, *MOVEMENT, *PICTURE),
        apply=content.shuffle_captions,
    ),
    Damage(
        "camera_changed",
        "another camera movement in some shots",
        "shots",
        (1, 2, 3, 4),
        moves=("camera_movement",),
        keeps=_all_but(("camera_movement", "dynamic_degree"), TEXTS, STEADY),
        apply=content.change_camera,
    ),
    Damage(
        "size_changed",
        "another shot size in some shots",
        "shots",
        (1, 2, 3),
        moves=("shot_size", "text_shot"),
        keeps=_all_but(("shot_size", "dynamic_degree"), TEXTS, STEADY),
        apply=content.change_size,
    ),
    Damage(
        "noise",
        "noise",
        "grey levels",
        (2, 5, 10, 20),
        moves=("motion_smoothness", "background_consistency"),
        keeps=(*CUTS, *CHARACTERS, *TEXTS, "flicker", "dynamic_degree", *FILMING, "sharpness"),
        apply=pictures.of_a_scene(pictures.add_noise),
        change=pictures.add_noise,
        in_place=True,
    ),
    Damage(
        "blur",
        "blur",
        "pixels",
        (0.5, 1, 2, 4),
        moves=("sharpness",),
        keeps=_all_but(STEADY, PICTURE),
        apply=pictures.of_a_scene(pictures.blur),
        change=pictures.blur,
        in_place=True,
    ),
    Damage(
        "overexposed",
        "overexposure",
        "% brighter",
        (10, 20, 40, 80),
        moves=("clipping",),
        keeps=_all_but(STEADY, PICTURE, ("flicker",)),
        apply=pictures.of_a_scene(pictures.overexpose),
        change=pictures.overexpose,
        in_place=True,
    ),
    Damage(
        "flicker",
        "brightness that flickers",
        "%",
        (1, 2, 5, 10),
        moves=("flicker",),
        keeps=_all_but(STEADY, ("flicker",), PICTURE),
        apply=pictures.of_a_scene(pictures.flicker),
        change=pictures.flicker,
        in_place=True,
    ),
    Damage(
        "frames_repeated",
        "frames repeated, so that motion stutters",
        "% of frames",
        (10, 20, 40, 60),
        moves=("motion_smoothness",),
        keeps=_all_but(("motion_smoothness",), STEADY, _MATCHED),
        apply=pictures.of_a_scene(pictures.repeat_frames),
        change=pictures.repeat_frames,
    ),
    Damage(
        "frozen",
        "shots that freeze before they end",
        "% of a shot",
        (25, 50, 75, 100),
        moves=("dynamic_degree", "camera_movement"),
        keeps=_all_but(("dynamic_degree", "camera_movement", "motion_smoothness"), STEADY),
        apply=pictures.of_a_scene(pictures.freeze),
        change=pictures.freeze,
    ),
)
