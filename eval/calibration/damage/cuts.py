"""Damage to the cuts of a scene: moved, dropped, added, dissolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from eval.calibration.damage.scenes import Damaged, other_than, shot_ranges, with_shots
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import NUM_STRETCHES, SIZES, Scene, ShotPlan

MIN_FRAMES = 8  # the shortest shot that damage leaves or makes


def move_cuts(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """Every cut comes `strength` frames early or late."""
    signs = rng.choice((-1, 1), len(scene.cuts))
    cuts = [cut + int(sign * strength) for cut, sign in zip(scene.cuts, signs, strict=True)]
    lengths = np.diff((0, *cuts, scene.num_frames))
    if not cuts or lengths.min() < MIN_FRAMES:
        return None
    shots = {i: replace(shot, num_frames=int(n)) for i, (shot, n) in enumerate(zip(scene.shots, lengths, strict=True))}
    return render(with_shots(scene, shots))[0], to_storyboard(scene)


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
    """`strength` of the longest shots cut to another place and size half-way; what moves keeps its pace."""
    longest = sorted(range(len(scene.shots)), key=lambda i: -scene.shots[i].num_frames)[: int(strength)]
    if len(longest) < strength or any(scene.shots[i].num_frames < 2 * MIN_FRAMES + 4 for i in longest):
        return None
    seeds = rng.integers(2**31, size=len(scene.shots))
    changed: dict[int, ShotPlan] = {}
    for index in longest:
        shot, own = scene.shots[index], np.random.default_rng(seeds[index])
        follows = scene.shots[index + 1].stretch if index + 1 < len(scene.shots) else shot.stretch
        stretch = int(other_than(own, range(NUM_STRETCHES), shot.stretch, follows))
        sizes = {"single": SIZES, "two-shot": SIZES[:2]}.get(shot.framing)
        size = other_than(own, sizes, shot.size) if sizes else shot.size
        changed[index] = replace(shot, stretch=stretch, size=size, lanterns_light_up=False)
    halves = (shot_ranges(scene)[index] for index in longest)
    wanted = sorted(frame for half in halves for frame in half[len(half) // 2 :])
    frames = frames.copy()
    frames[wanted] = render(with_shots(scene, changed), only=set(wanted))[0]
    return frames, to_storyboard(scene)


def dissolve_cuts(scene: Scene, frames: np.ndarray, strength: float, rng: np.random.Generator) -> Damaged | None:
    """Every cut becomes a dissolve of `strength` frames; the pictures at its sides stand still in it."""
    return dissolved(frames, scene.cuts, int(strength)), to_storyboard(scene)


def dissolved(frames: np.ndarray, cuts: Sequence[int], length: int) -> np.ndarray:
    """Frames uint8 (T, H, W, 3) with a dissolve of `length` frames around every cut."""
    frames = frames.copy()
    for cut in cuts:
        start = cut - length // 2
        last, first = frames[cut - 1].astype(np.float32), frames[cut].astype(np.float32)
        for i in range(length):
            share = (i + 1) / (length + 1)
            before = frames[start + i].astype(np.float32) if start + i < cut else last
            after = frames[start + i].astype(np.float32) if start + i >= cut else first
            frames[start + i] = ((1 - share) * before + share * after).round().astype(np.uint8)
    return frames
