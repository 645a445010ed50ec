from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holocine.puppet.captions import to_storyboard
from holocine.puppet.facts import FACTS, shot_facts
from holocine.puppet.renderer import render
from holocine.puppet.training.data import shard_lengths, shard_scenes
from holocine.puppet.world import HEIGHT, MIN_SHOT_FRAMES, SCARVES, WIDTH, sample_lengths, sample_scene

seeds = st.integers(0, 2**40)


@given(seeds, st.sampled_from((33, 49, 65, 97)))
def test_every_scene_is_a_storyboard_without_warnings(seed: int, num_frames: int) -> None:
    scene = sample_scene(seed, num_frames)
    storyboard = to_storyboard(scene)
    assert storyboard.warnings == ()
    assert storyboard.num_frames == scene.num_frames == num_frames
    assert storyboard.cuts == scene.cuts
    assert all(shot.num_frames >= MIN_SHOT_FRAMES for shot in scene.shots)


@given(seeds)
def test_neighbouring_shots_do_not_look_alike(seed: int) -> None:
    shots = sample_scene(seed, 97).shots
    for before, after in zip(shots, shots[1:], strict=False):
        assert before.stretch != after.stretch
        assert (before.framing, before.size, before.who) != (after.framing, after.size, after.who)


@given(seeds)
def test_captions_say_what_is_asked_and_nothing_that_must_be_remembered(seed: int) -> None:
    scene = sample_scene(seed)
    storyboard = to_storyboard(scene)
    for puppet in scene.puppets:
        for word in (puppet.colour, puppet.body, puppet.hat):
            assert word in storyboard.global_caption
    words = set(storyboard.prompt.lower().replace(".", " ").split())
    assert not words & {*SCARVES, "scarf", "warm", "cool", "neutral"}


@given(seeds)
def test_the_wording_changes_and_the_scene_does_not(seed: int) -> None:
    scene = sample_scene(seed)
    assert to_storyboard(scene) == to_storyboard(scene)
    assert len({to_storyboard(scene, wording=i).prompt for i in range(8)}) > 1


def test_shots_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="5 shots of at least 16 frames need 81 frames, got 65"):
        sample_lengths(np.random.default_rng(0), 5, 65)


def test_rendering_is_repeatable_and_some_frames_are_those_of_all() -> None:
    scene = sample_scene(4)
    frames, truth = render(scene)
    assert frames.shape == (65, HEIGHT, WIDTH, 3)
    assert frames.dtype == np.uint8
    some, some_truth = render(scene, only={0, 30, 64})
    np.testing.assert_array_equal(some, frames[[0, 30, 64]])
    assert some_truth == [truth[i] for i in (0, 30, 64)]


def test_truth_names_the_shot_and_the_visible_puppets_of_every_frame() -> None:
    scene = sample_scene(9)
    frames, truth = render(scene)
    starts = [0, *scene.cuts, len(frames)]
    for index, (start, end) in enumerate(zip(starts, starts[1:], strict=False)):
        for frame in truth[start:end]:
            assert frame.shot == index
            assert {p.index for p in frame.puppets} == set(scene.shots[index].who)
            for puppet in frame.puppets:
                x0, y0, x1, y1 = puppet.box
                assert 0 <= x0 <= x1 <= WIDTH
                assert 0 <= y0 <= y1 <= HEIGHT


def test_lanterns_that_came_on_stay_on() -> None:
    scene = next(s for s in map(sample_scene, range(1000)) if s.lanterns and s.shots[1].lanterns_light_up)
    _, truth = render(scene)
    lit = [t.lanterns_lit for t in truth]
    assert lit[0] == 0
    assert lit[-1] == 1
    assert lit == sorted(lit)
    facts = [FACTS["lanterns"][shot_facts(scene, i)[list(FACTS).index("lanterns")]] for i in range(len(scene.shots))]
    assert facts[:2] == ["dark", "coming on"]
    assert set(facts[2:]) <= {"lit"}


def test_the_scenes_of_a_shard_share_their_timeline() -> None:
    for shard in range(5):
        assert {tuple(s.num_frames for s in scene.shots) for scene in shard_scenes(shard)} == {shard_lengths(shard)}
