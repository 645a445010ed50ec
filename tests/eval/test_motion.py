from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from eval.evidence import Boundary, Detection, Evidence, Footage
from eval.flow import camera_motion, optical_flow
from eval.metric import Metric
from eval.metrics.motion import METRICS

FLICKER, SMOOTHNESS, DYNAMIC = METRICS
HEIGHT, WIDTH = 64, 112


@cache
def world(seed: int = 0) -> np.ndarray:
    """A large picture with texture to look at through a moving window."""
    noise = np.random.default_rng(seed).uniform(0, 255, (40, 75, 3)).astype(np.float32)
    return cv2.resize(noise, (300, 160), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def look(picture: np.ndarray, x: float, y: float = 80, zoom: float = 1.0) -> np.ndarray:
    """What a camera sees whose middle is at (x, y) of a picture, at a magnification."""
    matrix = np.array([[1 / zoom, 0, x - WIDTH / 2 / zoom], [0, 1 / zoom, y - HEIGHT / 2 / zoom]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), flags=flags).astype(np.uint8)


def pan(speed: float = 2.0, num_frames: int = 16, seed: int = 0) -> np.ndarray:
    """A camera that moves right by `speed` pixels a frame."""
    return np.stack([look(world(seed), 100 + speed * i) for i in range(num_frames)])


def evidence(frames: np.ndarray, cuts=(), fps: float = 10.0, boundaries=None) -> Evidence:
    nothing = np.zeros(len(frames))
    footage = Footage("0", len(frames), fps, (WIDTH, HEIGHT), frames, frames, nothing, nothing)
    found = tuple(Boundary(cut, 0.9) for cut in cuts) if boundaries is None else boundaries
    return Evidence(footage, Detection("test", len(frames), found))


def value(metric: Metric, frames: np.ndarray, **kwargs) -> float | None:
    return metric.derive(metric.measure(evidence(frames, **kwargs)).parts)


def test_dynamic_degree_is_the_speed_in_widths_a_second() -> None:
    assert value(DYNAMIC, pan(2.0), fps=10) == pytest.approx(2 * 10 / WIDTH, rel=0.08)
    assert value(DYNAMIC, pan(2.0), fps=20) == pytest.approx(2 * 20 / WIDTH, rel=0.08)
    assert value(DYNAMIC, pan(0.0)) == pytest.approx(0, abs=1e-3)


def test_a_cut_is_neither_motion_nor_flicker() -> None:
    joined = np.concatenate([pan(1.0), pan(1.0, seed=1) // 2])
    for metric in METRICS:
        assert value(metric, joined, cuts=(16,)) == pytest.approx(
            np.mean([value(metric, pan(1.0)), value(metric, pan(1.0, seed=1) // 2)]), rel=0.1
        )
    assert value(SMOOTHNESS, joined) < value(SMOOTHNESS, joined, cuts=(16,)) - 0.05, "unless it is not known"


def test_frames_of_a_dissolve_are_left_out() -> None:
    one, other = pan(0.0), pan(0.0, seed=1) // 3
    mixed = np.stack([(one[0] * (1 - a) + other[0] * a).astype(np.uint8) for a in (0.2, 0.4, 0.6, 0.8)])
    frames = np.concatenate([one, mixed, other])
    dissolve = (Boundary(18, 0.9, "gradual", 16, 20),)
    assert value(FLICKER, frames, boundaries=dissolve) == 0
    assert value(SMOOTHNESS, frames, boundaries=dissolve) is None, "nothing moves beside it"
    assert value(SMOOTHNESS, frames, cuts=(18,)) is not None


def test_flicker_is_the_size_of_the_jump_in_percent() -> None:
    grey = np.full((13, HEIGHT, WIDTH, 3), 100, np.uint8)
    grey[1::2] = 151
    assert value(FLICKER, grey) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("speed", [0.0, 1.0, 3.0])
def test_flicker_is_seen_whatever_moves(speed: float) -> None:
    steady = pan(speed)
    rng = np.random.default_rng(0)
    values = [value(FLICKER, steady)]
    for strength in (0.01, 0.03, 0.1):
        gain = 1 + strength * rng.standard_normal(len(steady))
        values.append(value(FLICKER, (steady * gain[:, None, None, None]).clip(0, 255).astype(np.uint8)))
    assert values == sorted(values)
    assert values[1] > 2 * values[0]


@pytest.mark.parametrize("noise", [5, 20])
@pytest.mark.parametrize("speed", [0.0, 2.0])
def test_noise_is_no_flicker_and_neither_is_stutter_or_a_thing_that_comes_and_goes(noise: float, speed: float) -> None:
    steady = pan(speed, 24) // 2 + 60
    noisy = steady + noise * np.random.default_rng(0).standard_normal(steady.shape)
    assert value(FLICKER, noisy.round().clip(0, 255).astype(np.uint8)) == 0
    stutter, popping = steady.copy(), steady.copy()
    stutter[1::2] = stutter[:-1:2]
    popping[1::2, 20:50, 30:70] = 235
    assert value(FLICKER, steady) == value(FLICKER, stutter) == value(FLICKER, popping) == 0


def test_a_flash_is_flicker_though_all_of_it_is_burnt_out() -> None:
    frames = pan(1.0, 9) // 3
    frames[4] = 255
    assert value(FLICKER, frames) > 5


def test_light_that_comes_on_a_fade_and_changes_of_shot_that_were_not_found_are_no_flicker() -> None:
    one, other = pan(1.0) // 2 + 20, pan(1.0, seed=1) // 3
    brighter = (one * 1.6).astype(np.uint8)
    fade = (one * np.linspace(1, 0, 16)[:, None, None, None]).astype(np.uint8)
    mixed = [((1 - a) * one[-1] + a * other[0]).round().astype(np.uint8) for a in np.arange(1, 9) / 9]
    for frames in ([*one, *other], [*one[:8], *brighter[8:]], [*one, *mixed, *other], fade):
        assert value(FLICKER, np.stack(frames)) == 0


def test_smooth_motion_at_any_speed_is_smooth_and_repeated_frames_are_not() -> None:
    for speed in (0.7, 1.5, 3.0):
        smooth = pan(speed, 24)
        stutter = smooth.copy()
        stutter[1::2] = stutter[:-1:2]
        assert value(SMOOTHNESS, smooth) > 0.75
        assert value(SMOOTHNESS, stutter) < value(SMOOTHNESS, smooth) - 0.3


def test_things_that_come_and_go_are_not_smooth() -> None:
    frames = pan(1.0, 24)
    popping = frames.copy()
    popping[1::2, 20:44, 40:70] = look(world(5), 150)[20:44, 40:70]
    assert value(SMOOTHNESS, popping) < value(SMOOTHNESS, frames) - 0.3


def test_flicker_is_not_taken_for_unsmooth_motion() -> None:
    frames = pan(2.0, 24) // 2
    gain = 1 + 0.1 * np.random.default_rng(0).standard_normal(len(frames))
    flickering = (frames * gain[:, None, None, None]).clip(0, 255).astype(np.uint8)
    assert value(SMOOTHNESS, flickering) == pytest.approx(value(SMOOTHNESS, frames), abs=0.1)


def test_a_still_video_has_no_smoothness_rather_than_a_perfect_or_a_bad_one() -> None:
    measured = SMOOTHNESS.measure(evidence(pan(0.0)))
    assert SMOOTHNESS.derive(measured.parts) is None
    assert measured.reason == "hardly anything moves in this video"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_two_frames_are_too_few(metric: Metric) -> None:
    measured = metric.measure(evidence(pan(1.0, 2)))
    assert metric.derive(measured.parts) is None
    assert "three frames" in measured.reason


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_shot_is_told_apart_in_the_detail(metric: Metric) -> None:
    measured = metric.measure(evidence(np.concatenate([pan(1.0), pan(3.0, seed=1)]), cuts=(16,)))
    assert [(shot["start"], shot["stop"]) for shot in measured.detail] == [(0, 16), (16, 32)]
    assert measured.covered == 28
    assert measured.of == 32


@pytest.mark.parametrize("shape", [(1, 1), (8, 300), (15, 20), (90, 160)])
def test_pictures_of_any_shape_can_be_measured(shape: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (5, *shape, 3), dtype=np.uint8)
    for metric in METRICS:
        found = value(metric, frames)
        assert found is None or np.isfinite(found)


def test_the_camera_is_found_behind_a_figure_that_moves_against_it() -> None:
    figure = look(world(7), 180)[:44, :36]
    frames = [look(world(), 100 + 2 * i) for i in range(2)]
    for i, frame in enumerate(frames):
        frame[20:, 30 + 3 * i : 66 + 3 * i] = figure
    luma = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    right, down, growth = camera_motion(optical_flow(*luma), luma[0])
    assert right * WIDTH == pytest.approx(-2, abs=0.2)
    assert abs(down) * WIDTH < 0.2
    assert abs(growth) < 0.01


def test_a_zoom_is_growth_and_no_shift() -> None:
    luma = [cv2.cvtColor(look(world(), 150, zoom=z), cv2.COLOR_RGB2GRAY) for z in (1.0, 1.05)]
    right, down, growth = camera_motion(optical_flow(*luma), luma[0])
    assert growth == pytest.approx(np.log(1.05), rel=0.15)
    assert abs(right) * WIDTH < 0.5
    assert abs(down) * WIDTH < 0.5
