"""Known damage to rendered truth, in graded strengths: what each metric should notice, and what it should not.

A damage is a pure function of a scene of the puppet theatre, its rendered frames, a strength and a random generator. It
returns the frames and the storyboard to score, or None where a scene has no room for it. Given generators in the same
state, stronger damage is the weaker one and more, so that scores can be expected to fall from strength to strength.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.stage import stretch_order
from holocine.puppet.world import BODIES, CAMERAS, COLOURS, HATS, NUM_STRETCHES, SIZES, Scene, ShotPlan, sample_scene
from holocine.storyboard import Storyboard

Damaged = tuple[np.ndarray, Storyboard]
Apply = Callable[[Scene, np.ndarray, float, np.random.Generator], Damaged | None]

MIN_FRAMES = 8  # the shortest shot that damage leaves or makes

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

    What is in neither may react: there are good reasons for it to do so and good reasons not to. `in_place`: figures
    stay where they were, so that boxes around them still fit. `version`: raised when the damage itself changes, so that
    values that were made with an older one are not used.
    """

    name: str
    title: str
    unit: str
    strengths: tuple[float, ...]
    moves: tuple[str, ...]
    keeps: tuple[str, ...]
    apply: Apply
    in_place: bool = False
    version: int = 1


def shot_ranges(scene: Scene) -> list[range]:
    """The frames of each shot of a scene."""
    return [range(a, b) for a, b in pairwise((0, *scene.cuts, scene.num_frames))]


def _with_shots(scene: Scene, changed: Mapping[int, ShotPlan]) -> Scene:
    return replace(scene, shots=tuple(changed.get(i, shot) for i, shot in enumerate(scene.shots)))


def _retake(frames: np.ndarray, scene: Scene, shots: Iterable[int]) -> np.ndarray:
    """The frames with some shots rendered again, from a changed scene with the same cuts."""
    frames, ranges = frames.copy(), shot_ranges(scene)
    wanted = sorted(i for shot in shots for i in ranges[shot])
    frames[wanted] = render(scene, only=set(wanted))[0]
    return frames


def _other(rng: np.random.Generator, choices: Iterable, *than) -> str:
    """One of the choices, but none of those after it."""
    return str(rng.choice([choice for choice in choices if choice not in than]))


# Cuts


def move_cuts(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """Every cut comes `strength` frames early or late."""
    signs = rng.choice((-1, 1), len(scene.cuts))
    cuts = [cut + int(sign * strength) for cut, sign in zip(scene.cuts, signs, strict=True)]
    lengths = np.diff((0, *cuts, scene.num_frames))
    if not cuts or lengths.min() < MIN_FRAMES:
        return None
    shots = {i: replace(shot, num_frames=int(n)) for i, (shot, n) in enumerate(zip(scene.shots, lengths, strict=True))}
    return render(_with_shots(scene, shots))[0], to_storyboard(scene)


def drop_cuts(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """`strength` shots never come: the shot before goes on instead."""
    order = rng.permutation(len(scene.shots) - 1)[: int(strength)] + 1
    if len(order) < strength:
        return None
    shots: list[ShotPlan] = []
    for index, shot in enumerate(scene.shots):
        if index in order:
            shots[-1] = replace(shots[-1], num_frames=shots[-1].num_frames + shot.num_frames)
        else:
            shots.append(shot)
    return render(replace(scene, shots=tuple(shots)))[0], to_storyboard(scene)


def add_cuts(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """`strength` of the longest shots cut to another place and size half-way."""
    longest = sorted(range(len(scene.shots)), key=lambda i: -scene.shots[i].num_frames)[: int(strength)]
    if len(longest) < strength or any(scene.shots[i].num_frames < 2 * MIN_FRAMES + 4 for i in longest):
        return None
    seeds = rng.integers(2**31, size=len(scene.shots))
    shots: list[ShotPlan] = []
    for index, shot in enumerate(scene.shots):
        if index not in longest:
            shots.append(shot)
            continue
        own = np.random.default_rng(seeds[index])
        follows = scene.shots[index + 1].stretch if index + 1 < len(scene.shots) else shot.stretch
        stretch = int(_other(own, range(NUM_STRETCHES), shot.stretch, follows))
        sizes = {"single": SIZES, "two-shot": SIZES[:2]}.get(shot.framing)
        size = _other(own, sizes, shot.size) if sizes else shot.size
        half = shot.num_frames // 2
        shots += [
            replace(shot, num_frames=half),
            replace(shot, num_frames=shot.num_frames - half, stretch=stretch, size=size, lanterns_light_up=False),
        ]
    return render(replace(scene, shots=tuple(shots)))[0], to_storyboard(scene)


def dissolve_cuts(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """Every cut becomes a dissolve of `strength` frames; the pictures at its sides stand still in it."""
    frames, length = frames.copy(), int(strength)
    for cut in scene.cuts:
        start = cut - length // 2
        last, first = frames[cut - 1].astype(np.float32), frames[cut].astype(np.float32)
        for i in range(length):
            share = (i + 1) / (length + 1)
            before = frames[start + i].astype(np.float32) if start + i < cut else last
            after = frames[start + i].astype(np.float32) if start + i >= cut else first
            frames[start + i] = ((1 - share) * before + share * after).round().astype(np.uint8)
    return frames, to_storyboard(scene)


# What the shots show


def _appearances(scene: Scene) -> tuple[int, list[int]]:
    """The puppet that is in most shots, and those shots."""
    shots = [[i for i, shot in enumerate(scene.shots) if puppet in shot.who] for puppet in range(len(scene.puppets))]
    puppet = max(range(len(shots)), key=lambda p: len(shots[p]))
    return puppet, shots[puppet]


def _disguise(trait: str, choices: Iterable[str]) -> Apply:
    def apply(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
        changed, shots = _disguised(scene, trait, choices, rng)
        if len(shots) < strength + 1:
            return None
        return _retake(frames, changed, shots[: int(strength)]), to_storyboard(scene)

    apply.__doc__ = f"The puppet that is in most shots has another {trait} in `strength` of them."
    return apply


def _disguised(scene: Scene, trait: str, choices: Iterable[str], rng: np.random.Generator) -> tuple[Scene, list[int]]:
    """A scene whose most frequent puppet has another trait throughout, and its shots in random order."""
    puppet, shots = _appearances(scene)
    other = _other(rng, choices, *(getattr(p, trait) for p in scene.puppets))
    puppets = tuple(replace(p, **{trait: other}) if i == puppet else p for i, p in enumerate(scene.puppets))
    return replace(scene, puppets=puppets), [shots[i] for i in rng.permutation(len(shots))]


def morph(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """Within `strength` shots the puppet that is in most shots fades to another colour."""
    changed, shots = _disguised(scene, "colour", COLOURS, rng)
    if len(shots) < strength:
        return None
    retaken, ranges = _retake(frames, changed, shots[: int(strength)]), shot_ranges(scene)
    for shot in shots[: int(strength)]:
        share = np.linspace(0, 1, len(ranges[shot]))[:, None, None, None]
        where = slice(ranges[shot].start, ranges[shot].stop)
        retaken[where] = (frames[where] * (1 - share) + retaken[where] * share).round().astype(np.uint8)
    return retaken, to_storyboard(scene)


def swap_characters(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """`strength` shots of one puppet show another one of the scene."""
    shots = [i for i, shot in enumerate(scene.shots) if shot.framing == "single"]
    if len(shots) < strength or len(scene.puppets) < 2:
        return None
    chosen = rng.permutation(shots)[: int(strength)]
    others = rng.integers(1, len(scene.puppets), size=len(scene.shots))
    changed = {
        int(i): replace(scene.shots[i], who=((scene.shots[i].who[0] + int(others[i])) % len(scene.puppets),))
        for i in chosen
    }
    return _retake(frames, _with_shots(scene, changed), changed), to_storyboard(scene)


def replace_shots(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """`strength` shots are those of another storyboard, set elsewhere."""
    if len(scene.shots) < strength:
        return None
    lengths = tuple(shot.num_frames for shot in scene.shots)
    foreign = sample_scene(int(rng.integers(2**31)), lengths=lengths)
    while foreign.setting == scene.setting:
        foreign = sample_scene(int(rng.integers(2**31)), lengths=lengths)
    chosen = rng.permutation(len(scene.shots))[: int(strength)]
    return _retake(frames, foreign, map(int, chosen)), to_storyboard(scene)


def rearrange_background(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """In `strength` shots the same kind of place is arranged in another way, in the same light."""
    if len(scene.shots) < strength:
        return None
    chosen = rng.permutation(len(scene.shots))[: int(strength)]
    other = replace(scene, seed=int(rng.integers(2**31)))
    while (stretch_order(other) != stretch_order(scene)).any():
        other = replace(scene, seed=int(rng.integers(2**31)))
    return _retake(frames, other, map(int, chosen)), to_storyboard(scene)


def change_camera(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """In `strength` shots the camera moves in another way."""
    chosen = rng.permutation(len(scene.shots))[: int(strength)]
    if len(chosen) < strength:
        return None
    changed = {int(i): replace(scene.shots[i], camera=_other(rng, CAMERAS, scene.shots[i].camera)) for i in chosen}
    return _retake(frames, _with_shots(scene, changed), changed), to_storyboard(scene)


def change_size(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """`strength` shots of one puppet are wider or closer than asked for."""
    shots = [i for i, shot in enumerate(scene.shots) if shot.framing == "single"]
    if len(shots) < strength:
        return None
    chosen = rng.permutation(shots)[: int(strength)]
    changed = {int(i): replace(scene.shots[i], size=_other(rng, SIZES, scene.shots[i].size)) for i in chosen}
    return _retake(frames, _with_shots(scene, changed), changed), to_storyboard(scene)


def shuffle_captions(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """`strength` captions change places, each to another shot; the video stays as it is."""
    storyboard = to_storyboard(scene)
    if storyboard.num_shots < strength:
        return None
    chosen = [int(i) for i in rng.permutation(storyboard.num_shots)[: int(strength)]]
    source = dict(zip(chosen, (*chosen[1:], chosen[0]), strict=True))
    captions = [storyboard.captions[source.get(i, i)] for i in range(storyboard.num_shots)]
    shots = (s.model_copy(update={"caption": c}) for s, c in zip(storyboard.shots, captions, strict=True))
    return frames, storyboard.model_copy(update={"shots": tuple(shots)})


# The pictures


def add_noise(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged:
    """Independent noise on every pixel, with a standard deviation of `strength` grey levels."""
    noise = rng.standard_normal(frames.shape, np.float32)
    return (frames + strength * noise).round().clip(0, 255).astype(np.uint8), to_storyboard(scene)


def blur(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged:
    """Every frame out of focus: Gaussian blur of `strength` pixels."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), strength) for frame in frames]), to_storyboard(scene)


def overexpose(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged:
    """Every pixel `strength` per cent brighter."""
    return (frames * (1 + strength / 100)).round().clip(0, 255).astype(np.uint8), to_storyboard(scene)


def flicker(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged:
    """Every frame brighter or darker by chance, with a standard deviation of `strength` per cent."""
    gain = 1 + strength / 100 * rng.standard_normal(len(frames))[:, None, None, None]
    return (frames * gain).round().clip(0, 255).astype(np.uint8), to_storyboard(scene)


def repeat_frames(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged:
    """`strength` per cent of the frames show the one before again, so that motion stutters."""
    repeated, chance = frames.copy(), rng.random(len(frames))
    for shot in shot_ranges(scene):
        for i in shot[1:]:
            if chance[i] < strength / 100:
                repeated[i] = repeated[i - 1]
    return repeated, to_storyboard(scene)


def freeze(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged:
    """The last `strength` per cent of every shot stand still."""
    frozen = frames.copy()
    for shot in shot_ranges(scene):
        last = shot.start + round((len(shot) - 1) * (1 - strength / 100))
        frozen[last : shot.stop] = frames[last]
    return frozen, to_storyboard(scene)


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
        apply=move_cuts,
    ),
    Damage(
        "cuts_dropped",
        "shots that never come",
        "shots",
        (1, 2, 3),
        moves=("sca", *_of("f1"), *_of("recall"), "shot_count_error", *TEXTS),
        keeps=(*_of("precision"), "gradual_share", "flicker", "motion_smoothness", *PICTURE),
        apply=drop_cuts,
    ),
    Damage(
        "cuts_added",
        "cuts that nobody asked for",
        "cuts",
        (1, 2, 3),
        moves=("sca", *_of("f1"), *_of("precision"), "shot_count_error"),
        keeps=(*_of("recall"), "gradual_share", *STEADY, "flicker", "motion_smoothness", *PICTURE),
        apply=add_cuts,
    ),
    Damage(
        "cuts_dissolved",
        "dissolves in place of cuts",
        "frames",
        (2, 4, 8, 12),
        moves=("gradual_share",),
        keeps=("shot_count_error", "text_video", *STEADY, "flicker", "shot_size", "clipping"),
        apply=dissolve_cuts,
    ),
    *(
        Damage(
            f"{trait}_changed",
            f"a character has another {trait} in some shots",
            "shots",
            (1, 2, 3),
            moves=(*CHARACTERS, "text_shot"),
            keeps=_all_but(CHARACTERS, TEXTS),
            apply=_disguise(trait, choices),
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
        apply=morph,
        in_place=True,
    ),
    Damage(
        "characters_swapped",
        "another character of the scene in some shots",
        "shots",
        (1, 2, 3),
        moves=(*CHARACTERS, "text_shot", "shot_retrieval"),
        keeps=_all_but(CHARACTERS, TEXTS),
        apply=swap_characters,
        in_place=True,
    ),
    Damage(
        "shots_replaced",
        "shots of another storyboard",
        "shots",
        (1, 2, 3, 4),
        moves=("character_consistency", "character_margin", "text_video", "text_shot", "shot_retrieval", *FILMING),
        keeps=("sca", "cut_f1_5", "shot_count_error", "gradual_share", *STEADY, "flicker", "motion_smoothness"),
        apply=replace_shots,
    ),
    Damage(
        "background_rearranged",
        "the same place arranged in another way in some shots",
        "shots",
        (1, 2, 3),
        moves=(),
        keeps=_all_but(),
        apply=rearrange_background,
        in_place=True,
    ),
    Damage(
        "captions_shuffled",
        "captions exchanged between shots",
        "captions",
        (2, 3, 5),
        moves=("text_shot", "shot_retrieval", "shot_retrieval_above_chance", *FILMING),
        keeps=(*CUTS, *STEADY, *MOVEMENT, *PICTURE),
        apply=shuffle_captions,
    ),
    Damage(
        "camera_changed",
        "another camera movement in some shots",
        "shots",
        (1, 2, 3, 4),
        moves=("camera_movement",),
        keeps=_all_but(("camera_movement", "dynamic_degree"), TEXTS, STEADY),
        apply=change_camera,
    ),
    Damage(
        "size_changed",
        "another shot size in some shots",
        "shots",
        (1, 2, 3),
        moves=("shot_size", "text_shot"),
        keeps=_all_but(("shot_size", "dynamic_degree"), TEXTS, STEADY),
        apply=change_size,
    ),
    Damage(
        "noise",
        "noise",
        "grey levels",
        (2, 5, 10, 20),
        moves=("motion_smoothness", "background_consistency"),
        keeps=(*CUTS, *CHARACTERS, *TEXTS, "flicker", "dynamic_degree", *FILMING, "sharpness"),
        apply=add_noise,
        in_place=True,
    ),
    Damage(
        "blur",
        "blur",
        "pixels",
        (0.5, 1, 2, 4),
        moves=("sharpness",),
        keeps=_all_but(STEADY, PICTURE),
        apply=blur,
        in_place=True,
    ),
    Damage(
        "overexposed",
        "overexposure",
        "% brighter",
        (10, 20, 40, 80),
        moves=("clipping",),
        keeps=_all_but(STEADY, PICTURE, ("flicker",)),
        apply=overexpose,
        in_place=True,
    ),
    Damage(
        "flicker",
        "brightness that flickers",
        "%",
        (1, 2, 5, 10),
        moves=("flicker",),
        keeps=_all_but(STEADY, ("flicker",), PICTURE),
        apply=flicker,
        in_place=True,
    ),
    Damage(
        "frames_repeated",
        "frames repeated, so that motion stutters",
        "% of frames",
        (10, 20, 40, 60),
        moves=("motion_smoothness",),
        keeps=_all_but(("motion_smoothness",), STEADY, _MATCHED),
        apply=repeat_frames,
    ),
    Damage(
        "frozen",
        "shots that freeze before they end",
        "% of a shot",
        (25, 50, 75, 100),
        moves=("dynamic_degree", "camera_movement"),
        keeps=_all_but(("dynamic_degree", "camera_movement", "motion_smoothness"), STEADY),
        apply=freeze,
    ),
)
