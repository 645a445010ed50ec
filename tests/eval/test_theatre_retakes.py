"""Agreement of a shot that is made anew with kept shots, on rendered scenes whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.shots import load_detector
from eval.theatre import measured_scenes
from eval.theatre_retakes import ONE_GO, WAYS, agreement, compare_ways, retaken_shot
from holocine import load_pipeline
from holocine.puppet.judge import load_judge
from holocine.puppet.renderer import render
from holocine.puppet.world import Scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A scene in which a puppet is seen in two shots."""
    return next(scene for scene in measured_scenes(8) if retaken_shot(scene) is not None)


@pytest.fixture(scope="module")
def observers():
    return load_judge(), load_detector()


def test_the_shot_that_is_made_anew_shares_a_puppet_with_another(scene: Scene) -> None:
    shot = retaken_shot(scene)
    others = set().union(*(set(other.who) for i, other in enumerate(scene.shots) if i != shot))
    assert set(scene.shots[shot].who) & others
    lonely = [replace(shot, who=(i,)[: len(shot.who)]) for i, shot in enumerate(scene.shots)]
    assert retaken_shot(replace(scene, shots=tuple(lonely))) is None


def test_the_world_agrees_with_itself_and_a_shot_of_another_scene_does_not(scene: Scene, observers) -> None:
    frames, shot = render(scene)[0], retaken_shot(scene)
    truth = agreement(scene, frames, shot, *observers)
    assert truth.share("same looks as kept") == truth.share("same light as kept") == 1
    assert truth.share("right puppets") == truth.share("its cuts on their frames") == 1
    start, stop = (0, *scene.cuts)[shot], (*scene.cuts, scene.num_frames)[shot]
    foreign = np.concatenate([frames[:start], np.roll(frames[start:stop], 1, -1), frames[stop:]])  # other colours
    other = agreement(scene, foreign, shot, *observers)
    assert other.asked == truth.asked
    assert other.share("same looks as kept") == 0 and other.share("right puppets") == 0


def test_every_way_is_asked_the_same(observers) -> None:
    pipeline = load_pipeline()
    scene = next(scene for scene in measured_scenes(20, num_frames=33) if retaken_shot(scene) is not None)
    found = compare_ways(
        lambda **given: pipeline(num_inference_steps=1, **given), scene, 1, WAYS[:1] + WAYS[-1:], *observers
    )
    assert list(found) == [ONE_GO, WAYS[0].name, WAYS[-1].name]
    assert len({tuple(tally.asked.items()) for tally in found.values()}) == 1
