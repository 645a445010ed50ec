"""Scenes of the theatre with something changed, and the shots of theirs that are filmed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from holocine.puppet.renderer import render
from holocine.puppet.world import Scene, ShotPlan
from holocine.storyboard import Storyboard

Damaged = tuple[np.ndarray, Storyboard]
Apply = Callable[[Scene, np.ndarray, float, np.random.Generator], Damaged | None]


def shot_ranges(scene: Scene) -> list[range]:
    """The frames of each shot of a scene."""
    return [range(a, b) for a, b in pairwise((0, *scene.cuts, scene.num_frames))]


def with_shots(scene: Scene, changed: Mapping[int, ShotPlan]) -> Scene:
    return replace(scene, shots=tuple(changed.get(i, shot) for i, shot in enumerate(scene.shots)))


def retake(frames: np.ndarray, scene: Scene, shots: Iterable[int]) -> np.ndarray:
    """The frames with some shots rendered again, from a changed scene with the same cuts."""
    frames, ranges = frames.copy(), shot_ranges(scene)
    wanted = sorted(i for shot in shots for i in ranges[shot])
    frames[wanted] = render(scene, only=set(wanted))[0]
    return frames


def other_than(rng: np.random.Generator, choices: Iterable, *than) -> str:
    """One of the choices, but none of those after it."""
    return str(rng.choice([choice for choice in choices if choice not in than]))
