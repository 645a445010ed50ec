"""Whether a shot that is made anew agrees with the shots that are kept: the same questions, of the same pairs of shots.

A scene is made in one go; then one of its shots is made again with another seed around the others, in each of `WAYS`.
What is asked of that shot, and of it together with the kept ones, stands beside what the video made in one go answers
to the same. Everything is read by the judge and the cut detector, as in `eval.theatre`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.shots import ShotDetector, thumbnails
from eval.tally import Tally
from holocine.keeping import keep_shots
from holocine.puppet.captions import to_storyboard
from holocine.puppet.facts import LOOKS, shot_answers
from holocine.puppet.world import Scene

if TYPE_CHECKING:
    from holocine.puppet.judge import Judge

ONE_GO = "one go"
_OTHER_SEEDS = 500_000  # a retake's seed is this far from its video's


@dataclass(frozen=True)
class Way:
    """One way to make a shot anew: what it is called and how the pipeline is told."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


WAYS = (
    Way("same noise, exact", {"keep_every": 1, "keep_level": "same"}),
    Way("same noise", {"keep_level": "same"}),
    Way("clean, exact", {"keep_every": 1, "keep_level": "clean"}),
    Way("clean", {"keep_level": "clean"}),
)


def retaken_shot(scene: Scene) -> int | None:
    """Which shot of a scene is made anew, from 0: the middle one of those whose puppets other shots show as well.

    None where no puppet is seen in two shots.
    """
    shared = [
        i
        for i, shot in enumerate(scene.shots)
        if any(set(shot.who) & set(other.who) for j, other in enumerate(scene.shots) if j != i)
    ]
    return shared[len(shared) // 2] if shared else None


def agreement(scene: Scene, frames: np.ndarray, shot: int, judge: Judge, detector: ShotDetector) -> Tally:
    """What is right in one shot (from 0) of a video, uint8 (frames, H, W, 3), and how it agrees with the others."""
    from holocine.puppet.judge import read_shots

    tally = Tally()
    found = set(detector.detect(thumbnails(frames)).cuts)
    tally.add("its cuts on their frames", [cut in found for cut in scene.cuts[max(0, shot - 1) : shot + 1]])
    seen = read_shots(judge, frames, scene.cuts)
    right = {name: seen[shot][name] == answer for name, answer in shot_answers(scene, shot).items()}
    who = scene.shots[shot].who
    tally.add("right puppets", [all(right[f"{trait}{slot}"] for slot in range(len(who)) for trait in LOOKS)])
    for name in ("setting", "action", "camera"):
        tally.add(f"right {name}", [right[name]])
    for other, there in enumerate(scene.shots):
        if other == shot:
            continue
        pairs = [(who.index(puppet), there.who.index(puppet)) for puppet in who if puppet in there.who]
        same = {
            trait: [seen[shot][f"{trait}{a}"] == seen[other][f"{trait}{b}"] for a, b in pairs]
            for trait in (*LOOKS, "scarf")
        }
        tally.add("same looks as kept", [all(looks) for looks in zip(*same.values(), strict=True)])
        tally.add("same scarf as kept", same["scarf"])
        tally.add("same light as kept", [seen[shot]["light"] == seen[other]["light"]])
    return tally


def compare_ways(
    pipeline, scene: Scene, seed: int, ways: Sequence[Way], judge: Judge, detector: ShotDetector
) -> dict[str, Tally]:
    """Make a scene in one go, then one of its shots anew in each way: the answers, by the way's name.

    Empty where the scene has no shot to ask about (`retaken_shot`).
    """
    shot = retaken_shot(scene)
    if shot is None:
        return {}
    first = pipeline(storyboard=to_storyboard(scene, seed=seed))
    board = to_storyboard(scene, seed=seed + _OTHER_SEEDS)
    kept = keep_shots(first, [i + 1 for i in range(len(scene.shots)) if i != shot])
    found = {ONE_GO: agreement(scene, first.frames[0], shot, judge, detector)}
    for way in ways:
        again = pipeline(storyboard=board, keep=kept, **way.settings)
        found[way.name] = agreement(scene, again.frames[0], shot, judge, detector)
    return found
