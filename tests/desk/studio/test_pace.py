"""How long a video takes is learnt from those that were made."""

from dataclasses import replace

import pytest

from desk.studio.pace import Pace


def test_before_the_first_video_nothing_is_promised(storyboard, settings, tiny_model):
    assert Pace().seconds(storyboard, settings, tiny_model.facts) is None


def test_denoising_goes_by_its_arithmetic_and_the_rest_by_pixels(storyboard, settings, tiny_model):
    pace, facts = Pace(), tiny_model.facts
    pace.learn(storyboard, settings, facts, seconds=10, denoising=6)
    assert pace.seconds(storyboard, settings, facts) == pytest.approx(10)
    twice = replace(settings, steps=2 * settings.steps)
    assert pace.seconds(storyboard, twice, facts) == pytest.approx(16, rel=0.2)
    assert pace.rest(storyboard, twice) == pytest.approx(4)


def test_a_slow_first_video_is_forgotten_by_those_after_it(storyboard, settings, tiny_model):
    pace = Pace()
    for seconds in (60, 8, 8, 8):
        pace.learn(storyboard, settings, tiny_model.facts, seconds, denoising=4)
    assert pace.seconds(storyboard, settings, tiny_model.facts) == pytest.approx(8)
