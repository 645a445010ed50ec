"""Light and grading from shot to shot: palettes of backgrounds, on made-up colours and in the theatre."""

from dataclasses import replace

import numpy as np
import pytest

from eval.calibration.calibrate import calibration_scenes
from eval.calibration.damage.content import change_action, change_light
from eval.encoders import Encoders
from eval.encoders.finders import PuppetFinder
from eval.encoders.puppet_locator import load_locator
from eval.evidence import Boundary, Detection
from eval.gathering import gather
from eval.metrics import all_metrics
from eval.palette import background, differences, palette
from eval.scorecard import measure
from holocine.puppet.captions import to_storyboard
from holocine.puppet.renderer import render

METRIC = all_metrics()["look_consistency"]


def place(seed: int, gain=(1.0, 1.0, 1.0)) -> np.ndarray:
    """Pixels (n, 3) of some colours, in some light."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(20, 180, (6, 3))
    pixels = np.repeat(colours, rng.integers(100, 900, 6), axis=0) + rng.integers(-2, 3, (1, 3))
    return (pixels * gain).clip(0, 255).astype(np.uint8)


def test_the_same_place_in_the_same_light_differs_by_nothing():
    apart = differences([palette(place(0)), palette(place(0))])
    for kind in (apart.plain, apart.left, apart.gain):
        np.testing.assert_allclose(kind, 0, atol=0.3)


def test_another_light_is_a_difference_that_a_gain_takes_away():
    apart = differences([palette(place(0)), palette(place(0, (1.2, 1.0, 0.7)))])
    assert apart.plain[0, 1] > 5 and apart.left[0, 1] < 1
    assert apart.gain[0, 1] == pytest.approx(-np.log(0.7), abs=0.05)
    for kind in (apart.plain, apart.left, apart.gain):
        np.testing.assert_array_equal(kind, kind.T)


def test_another_place_is_not_explained_by_any_light():
    apart = differences([palette(place(seed)) for seed in (0, 1, 2)])
    others = ~np.eye(3, dtype=bool)
    assert (apart.plain[others] > 4).all() and (apart.left[others] > 2).all()


def test_a_palette_is_always_the_same_and_its_shares_add_up():
    first, second = palette(place(3)), palette(place(3))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert first[1].sum() == pytest.approx(1)


def test_a_picture_of_one_colour_has_a_palette():
    apart = differences([palette(np.full((50, 3), 90, np.uint8)), palette(np.full((9, 3), 90, np.uint8))])
    assert apart.plain[0, 1] < 0.5 and apart.left[0, 1] < 0.5


def test_figures_and_what_is_around_them_are_no_background():
    frame = np.zeros((40, 60, 3), np.uint8)
    frame[12:28, 21:29] = 255
    assert background(frame, [(20, 10, 30, 30)]).max() == 0
    assert background(frame, []).max() == 255
    assert background(frame, [(-5, -5, 70, 50)]) is None


class _True:
    """Finds the cuts that are there."""

    name = "true"

    def __init__(self, cuts):
        self.cuts = cuts

    def detect(self, thumbnails):
        return Detection(self.name, len(thumbnails), tuple(Boundary(cut, 1.0) for cut in self.cuts))


def look(scene, frames):
    found = gather(frames, to_storyboard(scene), Encoders(), _True(scene.cuts), finder=PuppetFinder(load_locator()))
    return measure(METRIC, found)


@pytest.fixture(scope="module")
def scenes():
    """Rendered scenes with one stretch of the stage that is shown twice."""
    found = []
    for scene in calibration_scenes(8).values():
        stretches = [shot.stretch for shot in scene.shots]
        if len(set(stretches)) == len(stretches) - 1:
            found.append((scene, render(scene)[0]))
    return found[:3]


def test_the_light_of_one_shot_is_noticed_and_a_moving_character_is_not(scenes):
    assert scenes
    for scene, frames in scenes:
        clean = look(scene, frames).value
        assert clean > 0.8
        lit, _ = change_light(scene, frames, 1, np.random.default_rng(0))
        assert look(scene, lit).value < clean - 0.1
        moved, _ = change_action(scene, frames, 1, np.random.default_rng(0))
        assert look(scene, moved).value == pytest.approx(clean, abs=0.06)


def test_shots_of_other_places_are_not_compared_and_it_says_so():
    scene = next(iter(calibration_scenes(1).values()))
    scene = replace(scene, shots=tuple(replace(shot, stretch=i) for i, shot in enumerate(scene.shots[:3])))
    record = look(scene, render(scene)[0])
    assert record.value is None and record.reason == "no two shots show the same setting"
    assert (record.covered, record.of) == (0, 3)


def test_without_a_storyboard_nothing_is_compared():
    evidence = gather(np.zeros((8, 16, 16, 3), np.uint8), None, Encoders(), _True(()), fps=8)
    assert measure(METRIC, evidence).reason.startswith("there is no storyboard")
