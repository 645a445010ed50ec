from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.encoders.finders import load_finder
from eval.evidence import Boundary, Detection, Evidence, Footage
from eval.figure import figure_share
from eval.film_terms import ANGLES, SCALE, asked_angle, asked_camera, asked_scale, asked_size
from eval.finding import Search
from eval.metrics.cinematography import METRICS, camera_of, size_of
from eval.request import Request, place
from eval.sighting import Sightings, looked_at, settle
from holocine.prompt import character_descriptions, character_tags
from holocine.puppet.captions import CAMERA_WORDS, SIZE_WORDS, to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import Scene, sample_scene
from holocine.storyboard import Shot, Storyboard

CAMERA, SIZE, ANGLE = METRICS
OF_THE_THEATRE = (CAMERA, SIZE)
FIRST_SEED = 920_000


def filmed(frames: np.ndarray, storyboard: Storyboard | None, cuts=()) -> Evidence:
    nothing = np.zeros(len(frames))
    footage = Footage("0", len(frames), 12.0, frames.shape[2:0:-1], frames, frames, nothing, nothing)
    asked = storyboard and place(Request(storyboard, fps=None), len(frames), footage.fps)
    return Evidence(footage, Detection("truth", len(frames), tuple(Boundary(c, 1.0) for c in cuts)), asked)


def staged(scene: Scene) -> Evidence:
    return filmed(render(scene)[0], to_storyboard(scene), scene.cuts)


def storyboard(*captions: str, num_frames: int = 33) -> Storyboard:
    return Storyboard(
        global_caption="The scene is set in a forest. [character1] is a red round puppet with no hat.",
        shots=tuple(Shot(caption=c, num_frames=num_frames + (i == 0) - 1) for i, c in enumerate(captions)),
    )


@given(st.integers(0, 2**40), st.integers(0, 5))
def test_every_wording_of_the_theatre_is_understood(seed: int, wording: int) -> None:
    scene = sample_scene(seed)
    for caption, shot in zip(to_storyboard(scene, wording=wording).captions, scene.shots, strict=True):
        assert asked_camera(caption) == shot.camera
        assert asked_size(caption) == ((shot.size,) if shot.framing in ("single", "two-shot") else None)


def test_every_phrase_of_the_theatre_means_one_thing() -> None:
    for camera, phrases in CAMERA_WORDS.items():
        assert {asked_camera(phrase) for phrase in phrases} == {camera}
    for size, phrases in SIZE_WORDS.items():
        assert {asked_size(f"{phrase} of her") for phrase in phrases} == {(size,)}


@pytest.mark.parametrize(
    ("caption", "camera"),
    [
        ("The camera slowly pushes in on her face.", "zoom in"),
        ("A slow dolly in.", "zoom in"),
        ("Slow push-in on the letter.", "zoom in"),
        ("The camera moves closer.", "zoom in"),
        ("The camera pulls back to reveal the city.", "zoom out"),
        ("We pull out.", "zoom out"),
        ("Zooming out slowly.", "zoom out"),
        ("The camera pans across the room to the right.", "pan right"),
        ("Leftward pan over the crowd.", "pan left"),
        ("The camera trucks left.", "pan left"),
        ("Tilt up to the sky.", "tilt up"),
        ("The camera tilts slowly downwards.", "tilt down"),
        ("The camera cranes up.", "tilt up"),
        ("Locked-off shot of a door.", "static"),
        ("The camera holds still while she runs to the left.", "static"),
        ("A stationary camera.", "static"),
        ("The camera never moves.", "static"),
    ],
)
def test_camera_movements_are_read_from_the_words_of_film(caption: str, camera: str) -> None:
    assert asked_camera(caption) == camera


@pytest.mark.parametrize(
    "caption",
    [
        "She walks to the left.",
        "He pushes into the crowd and pulls away his hand.",
        "A man puts the frying pan left of the stove.",
        "She moves closer to the lamp and looks up.",
        "The camera does not zoom in.",
        "Tracking shot of a car.",
        "The camera orbits around them.",
        "Handheld, the camera pans left.",
        "The camera is static and then zooms in.",
        "The camera pans left, then right; the camera pans right.",
        "Water is still.",
    ],
)
def test_what_is_no_single_traceable_movement_asks_for_none(caption: str) -> None:
    assert asked_camera(caption) is None


@pytest.mark.parametrize(
    ("caption", "sizes"),
    [
        ("Extreme close-up of her eyes", ("close-up",)),
        ("Tight shot of a hand", ("close-up",)),
        ("Medium close-up of [character1]", ("medium", "close-up")),
        ("Waist shot", ("medium",)),
        ("A mid-shot of him", ("medium",)),
        ("Full shot of the dancer", ("wide",)),
        ("Establishing shot of a town", ("wide",)),
        ("Extreme wide shot", ("wide",)),
        ("A wide river", None),
        ("Wide shot that becomes a close-up", None),
        ("She closes the door", None),
    ],
)
def test_shot_sizes_are_read_from_the_words_of_film(caption: str, sizes: tuple[str, ...] | None) -> None:
    assert asked_size(caption) == sizes


@pytest.mark.parametrize(
    ("caption", "scale"),
    [
        ("Extreme close-up of her eyes", ("extreme close-up",)),
        ("ECU, then", ("extreme close-up",)),
        ("A close-up of him", ("close-up",)),
        ("Medium close-up of [character1]", ("medium close-up",)),
        ("A mid-shot of him", ("medium",)),
        ("Cowboy shot", ("medium wide",)),
        ("Medium long shot", ("medium wide",)),
        ("Full shot of the dancer", ("wide",)),
        ("An extreme wide shot of the dunes", ("extreme wide",)),
        ("A very long shot", ("extreme wide",)),
        ("Close-up, then an extreme close-up", ("extreme close-up", "close-up")),
        ("Wide shot that becomes a close-up", None),
    ],
)
def test_the_finer_terms_are_read_too(caption: str, scale: tuple[str, ...] | None) -> None:
    assert asked_scale(caption) == scale
    assert scale is None or set(scale) <= set(SCALE)


@pytest.mark.parametrize(
    ("caption", "angle"),
    [
        ("Low-angle shot of the tower", "low angle"),
        ("He is seen from below.", "low angle"),
        ("A high angle looks down on them", "high angle"),
        ("Shot from above, the crowd parts", "high angle"),
        ("An overhead view of the table", "overhead"),
        ("Bird's-eye view of the square", "overhead"),
        ("Eye-level close-up", "eye level"),
        ("Over-the-shoulder shot of [character2]", "over the shoulder"),
        ("The camera looks over [character1]'s shoulder", "over the shoulder"),
        ("A Dutch angle of the corridor", "dutch angle"),
        ("She looks over her shoulder", None),
        ("An overhead lamp swings", None),
        ("A low fire, a high wall", None),
        ("Not a low angle", None),
        ("A low angle that cranes up into a high angle", None),
    ],
)
def test_camera_angles_are_read_from_the_words_of_film(caption: str, angle: str | None) -> None:
    assert asked_angle(caption) == angle
    assert angle is None or angle in ANGLES


@pytest.mark.parametrize(
    ("movement", "camera"),
    [
        ((0.3, 0, 0), "pan left"),
        ((-0.3, 0.1, 0), "pan right"),
        ((0, 0.2, 0), "tilt up"),
        ((0, -0.2, 0.1), "tilt down"),
        ((0, 0, 0.2), "zoom in"),
        ((0.1, 0, -0.3), "zoom out"),
        ((0.05, 0.05, -0.05), "static"),
    ],
)
def test_the_strongest_movement_names_the_camera(movement: tuple[float, ...], camera: str) -> None:
    assert camera_of(np.array(movement)) == camera


def test_on_rendered_truth_nearly_every_camera_and_most_sizes_are_right() -> None:
    right = {CAMERA: 0.0, SIZE: 0.0}
    asked = {CAMERA: 0, SIZE: 0}
    for seed in range(FIRST_SEED, FIRST_SEED + 6):
        evidence = staged(sample_scene(seed))
        for metric in OF_THE_THEATRE:
            measured = metric.measure(evidence)
            right[metric] += measured.parts.get("sum", 0)
            asked[metric] += measured.parts.get("count", 0)
            assert measured.covered == measured.of
    assert right[CAMERA] >= 0.9 * asked[CAMERA]
    assert right[SIZE] >= 0.75 * asked[SIZE]


def test_the_wrong_camera_and_the_wrong_size_are_held_against_a_video() -> None:
    scene = sample_scene(FIRST_SEED)
    right = to_storyboard(scene)
    wrong_camera = {"static": "Zoom in.", "zoom in": "Zoom out.", "zoom out": "Pan left.", "pan left": "Pan right."}
    captions = [f"Scene. {wrong_camera.get(shot.camera, 'Static camera.')}" for shot in scene.shots]
    shots = tuple(shot.model_copy(update={"caption": text}) for shot, text in zip(right.shots, captions, strict=True))
    frames = render(scene)[0]
    measured = CAMERA.measure(filmed(frames, right.model_copy(update={"shots": shots}), scene.cuts))
    assert CAMERA.derive(measured.parts) <= 0.25
    assert {shot["asked"] for shot in measured.detail} <= {"static", "zoom in", "zoom out", "pan left", "pan right"}


def test_a_figure_that_fills_more_of_the_picture_is_a_closer_shot() -> None:
    frames = np.full((3, 64, 112, 3), (120, 180, 220), np.uint8)
    shares, sizes = [], []
    for side in (12, 34, 56):
        seen = frames.copy()
        seen[:, 64 - side :, 56 - side // 2 : 56 + side // 2] = (200, 40, 40)
        shares.append(figure_share(seen))
        sizes.append(size_of(shares[-1]))
    assert shares == pytest.approx([side**2 / (64 * 112) for side in (12, 34, 56)], rel=0.15)
    assert sizes == ["wide", "medium", "close-up"]
    assert figure_share(frames) == 0


def test_captions_that_ask_for_nothing_are_absent_and_say_so() -> None:
    frames = np.zeros((33, 64, 112, 3), np.uint8)
    for metric in METRICS:
        measured = metric.measure(filmed(frames, storyboard("[character1] waits.")))
        assert metric.derive(measured.parts) is None
        assert measured.reason.startswith("no caption asks")


def test_without_a_storyboard_they_are_absent() -> None:
    for metric in METRICS:
        assert metric.measure(filmed(np.zeros((9, 64, 112, 3), np.uint8), None)).reason


def test_located_figures_tell_every_size_of_the_theatre_even_in_noise_and_blur() -> None:
    finder, _ = load_finder(None, to_storyboard(sample_scene(FIRST_SEED)))
    right = asked = 0
    for seed in range(FIRST_SEED, FIRST_SEED + 4):
        scene = sample_scene(seed)
        frames = render(scene)[0]
        noise = np.random.default_rng(seed).normal(0, 20, frames.shape)
        spoilt = np.stack([cv2.GaussianBlur(frame, (0, 0), 2) for frame in frames])
        spoilt = np.clip(spoilt + noise, 0, 255).astype(np.uint8)
        board = to_storyboard(scene)
        for pictures in (frames, spoilt):
            evidence = filmed(pictures, board, scene.cuts)
            wanted = looked_at(np.arange(len(frames)), evidence.shots)
            search = Search(finder, character_descriptions(board.global_caption), wanted, None)
            search(0, pictures)
            seen = settle(search.look(), evidence.shots, [character_tags(text) for text in board.captions])
            measured = SIZE.measure(replace(evidence, sightings=seen))
            right, asked = right + measured.parts["sum"], asked + measured.parts["count"]
            assert all("width" in shot for shot in measured.detail)
    assert right >= 0.95 * asked > 0


def test_a_size_is_asked_of_somebody_so_a_shot_of_nobody_is_not_as_asked() -> None:
    scene = sample_scene(FIRST_SEED)
    evidence = filmed(render(scene)[0], to_storyboard(scene), scene.cuts)
    nobody = Sightings("locator", (), {}, (None,) * len(evidence.shots), (None,) * len(evidence.shots), {0: []})
    measured = SIZE.measure(replace(evidence, sightings=nobody))
    assert SIZE.derive(measured.parts) == 0 and {shot["seen"] for shot in measured.detail} == {"nobody"}


def test_sizes_of_film_without_a_face_or_a_figure_are_absent_rather_than_guessed() -> None:
    filmed_world = Storyboard(
        global_caption="A windswept cliff at sunrise. [character1] is a woman with dark curly hair.",
        shots=(Shot(caption="Wide shot of [character1] walking along the edge.", num_frames=33),),
    )
    measured = SIZE.measure(filmed(np.zeros((33, 64, 112, 3), np.uint8), filmed_world))
    assert SIZE.derive(measured.parts) is None
    assert measured.reason.startswith("shot 1: ")
    assert measured.of == 1


def test_shots_that_the_video_does_not_reach_are_not_covered() -> None:
    scene = sample_scene(FIRST_SEED)
    frames = render(scene)[0][: scene.cuts[0]]
    for metric in OF_THE_THEATRE:
        measured = metric.measure(filmed(frames, to_storyboard(scene)))
        assert measured.covered <= 1 < measured.of
