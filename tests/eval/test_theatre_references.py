"""Puppets that are known from pictures, on rendered scenes whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eval.theatre import measured_scenes
from eval.theatre_references import WITH, WITHOUT, compare_references, likeness, reference
from holocine import load_pipeline
from holocine.puppet.judge import load_judge
from holocine.puppet.renderer import render


def test_a_reference_is_a_picture_of_one_puppet_in_its_place_and_light() -> None:
    scene = next(scene for scene in measured_scenes(9) if len(scene.puppets) > 1)
    one, other = reference(scene, 0), reference(scene, 1)
    assert one.shape == other.shape == render(scene, only=range(1))[0][0].shape and not np.array_equal(one, other)
    cool = reference(replace(scene, light="cool" if scene.light != "cool" else "warm"), 0)
    assert not np.array_equal(one, cool)


def test_the_world_looks_as_it_should_and_another_scene_does_not() -> None:
    judge, (scene, other) = load_judge(), measured_scenes(2)
    truth = likeness(scene, render(scene)[0], judge)
    assert truth.share("colour, body and hat as described") == truth.share("light of the reference") == 1
    foreign = likeness(scene, render(replace(other, shots=scene.shots, puppets=other.puppets[:1] * 4))[0], judge)
    assert foreign.share("colour, body and hat as described") < 0.5


def test_a_scene_is_made_without_and_with_references() -> None:
    scene, pipeline = measured_scenes(1, num_frames=33)[0], load_pipeline()
    pipeline.register_to_config(default_num_inference_steps=1)
    found = compare_references(pipeline, scene, 1, load_judge())
    assert list(found) == [WITHOUT, WITH] and found[WITHOUT].asked == found[WITH].asked
