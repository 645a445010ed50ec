"""Damage to what the shots of a scene show, against what their captions say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from eval.calibration.damage.scenes import Apply, Damaged, other_than, retake, shot_ranges, with_shots
from holocine.puppet.captions import to_storyboard
from holocine.puppet.stage import stretch_order
from holocine.puppet.world import ACTIONS, CAMERAS, COLOURS, LIGHTS, SIZES, Scene, sample_scene
from holocine.storyboard import Storyboard


def _appearances(scene: Scene) -> tuple[int, list[int]]:
    """The puppet that is in most shots, and those shots."""
    shots = [[i for i, shot in enumerate(scene.shots) if puppet in shot.who] for puppet in range(len(scene.puppets))]
    puppet = max(range(len(shots)), key=lambda p: len(shots[p]))
    return puppet, shots[puppet]


def disguise(trait: str, choices: Iterable[str]) -> Apply:
    def apply(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
        changed, shots = _disguised(scene, trait, choices, rng)
        if len(shots) < strength + 1:
            return None
        return retake(frames, changed, shots[: int(strength)]), to_storyboard(scene)

    apply.__doc__ = f"The puppet that is in most shots has another {trait} in `strength` of them."
    return apply


def _disguised(scene: Scene, trait: str, choices: Iterable[str], rng: np.random.Generator) -> tuple[Scene, list[int]]:
    """A scene whose most frequent puppet has another trait throughout, and its shots in random order."""
    puppet, shots = _appearances(scene)
    worn = {getattr(p, trait) for p in scene.puppets}
    free = [choice for choice in choices if choice not in worn] or list(choices)
    other = other_than(rng, free, getattr(scene.puppets[puppet], trait))
    puppets = tuple(replace(p, **{trait: other}) if i == puppet else p for i, p in enumerate(scene.puppets))
    return replace(scene, puppets=puppets), [shots[i] for i in rng.permutation(len(shots))]


def morph(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """Within `strength` shots the puppet that is in most shots fades to another colour."""
    changed, shots = _disguised(scene, "colour", COLOURS, rng)
    if len(shots) < strength:
        return None
    retaken, ranges = retake(frames, changed, shots[: int(strength)]), shot_ranges(scene)
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
    return retake(frames, with_shots(scene, changed), changed), to_storyboard(scene)


def replace_shots(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """`strength` shots are those of another storyboard, set elsewhere."""
    if len(scene.shots) < strength:
        return None
    lengths = tuple(shot.num_frames for shot in scene.shots)
    foreign = sample_scene(int(rng.integers(2**31)), lengths=lengths)
    while foreign.setting == scene.setting:
        foreign = sample_scene(int(rng.integers(2**31)), lengths=lengths)
    chosen = rng.permutation(len(scene.shots))[: int(strength)]
    return retake(frames, foreign, map(int, chosen)), to_storyboard(scene)


def rearrange_background(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """In `strength` shots the same kind of place is arranged in another way, in the same light."""
    if len(scene.shots) < strength:
        return None
    chosen = rng.permutation(len(scene.shots))[: int(strength)]
    other = replace(scene, seed=int(rng.integers(2**31)))
    while (stretch_order(other) != stretch_order(scene)).any():
        other = replace(scene, seed=int(rng.integers(2**31)))
    return retake(frames, other, map(int, chosen)), to_storyboard(scene)


def change_camera(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """In `strength` shots the camera moves in another way."""
    chosen = rng.permutation(len(scene.shots))[: int(strength)]
    if len(chosen) < strength:
        return None
    changed = {int(i): replace(scene.shots[i], camera=other_than(rng, CAMERAS, scene.shots[i].camera)) for i in chosen}
    return retake(frames, with_shots(scene, changed), changed), to_storyboard(scene)


def change_size(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """`strength` shots of one puppet are wider or closer than asked for."""
    shots = [i for i, shot in enumerate(scene.shots) if shot.framing == "single"]
    if len(shots) < strength:
        return None
    chosen = rng.permutation(shots)[: int(strength)]
    changed = {int(i): replace(scene.shots[i], size=other_than(rng, SIZES, scene.shots[i].size)) for i in chosen}
    return retake(frames, with_shots(scene, changed), changed), to_storyboard(scene)


def change_light(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """`strength` shots are filmed in another light than a shot of the same stretch of the stage."""
    order, chosen = [int(i) for i in rng.permutation(len(scene.shots))], []
    light = other_than(rng, LIGHTS, scene.light)
    for i in order:
        others = [j for j in order if j != i and scene.shots[j].stretch == scene.shots[i].stretch]
        if len(chosen) < strength and any(j not in chosen for j in others):
            chosen.append(i)
    if len(chosen) < strength:
        return None
    return retake(frames, replace(scene, light=light), chosen), to_storyboard(scene)


def change_action(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """In `strength` shots the puppets do something else."""
    shots = [i for i, shot in enumerate(scene.shots) if shot.framing in ("single", "two-shot")]
    if len(shots) < strength:
        return None
    actions = [other_than(rng, ACTIONS, shot.action) for shot in scene.shots]
    chosen = [int(i) for i in rng.permutation(shots)[: int(strength)]]
    changed = {i: replace(scene.shots[i], action=actions[i]) for i in chosen}
    return retake(frames, with_shots(scene, changed), chosen), to_storyboard(scene)


def shuffle_captions(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """`strength` captions change places, each to another shot; the video stays as it is."""
    storyboard = exchange_captions(to_storyboard(scene), int(strength), rng)
    return storyboard and (frames, storyboard)


def exchange_captions(storyboard: Storyboard, count: int, rng: np.random.Generator) -> Storyboard | None:
    """A storyboard with `count` captions moved each to another shot; None if it has fewer shots."""
    if storyboard.num_shots < count:
        return None
    chosen = [int(i) for i in rng.permutation(storyboard.num_shots)[:count]]
    source = dict(zip(chosen, (*chosen[1:], chosen[0]), strict=True))
    captions = [storyboard.captions[source.get(i, i)] for i in range(storyboard.num_shots)]
    shots = (s.model_copy(update={"caption": c}) for s, c in zip(storyboard.shots, captions, strict=True))
    return storyboard.model_copy(update={"shots": tuple(shots)})
