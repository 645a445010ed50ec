"""Shot sizes and angles of film: a photographed face at known sizes, boxes of figures, CLIP models in real files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file
from skimage.data import astronaut, coffee, rocket

from eval.encoders import Encoders, load_encoders
from eval.evidence import Detection, Embeddings, Evidence, Footage
from eval.faces import FaceSearch, find_faces
from eval.film_terms import SCALE, steps_apart
from eval.film_words import ANGLE_WORDS, SIZE_WORDS, Opinion, form_opinion, neutral_pictures
from eval.framing import heads_by_face, heads_by_figure, term_of
from eval.gathering import gather
from eval.metrics.cinematography import METRICS
from eval.report.page import page
from eval.request import Request, place
from eval.scorecard import score
from eval.shots import load_detector
from eval.sighting import given_boxes
from holocine import Storyboard, write_video

_, SIZE, ANGLE = METRICS
WIDTH, HEIGHT = 320, 180
HEAD, TOP, CENTRE = 133, 15, 222  # of the astronaut's photograph, in its pixels, by eye
NOTHING = Encoders(missing={"clip": "no clip here", "dino": "none", "aesthetic": "none"})
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def photographed(heads: float, size=(WIDTH, HEIGHT)) -> np.ndarray:
    """A photograph of an astronaut, framed so that the picture is so many heads high."""
    height = round(heads * HEAD)
    width, top = round(height * size[0] / size[1]), max(0, TOP - HEAD // 4) if heads > 1.3 else 2 * TOP
    left = 2000 + CENTRE - width // 2
    whole = cv2.copyMakeBorder(astronaut(), 0, 2000, 2000, 2000, cv2.BORDER_REPLICATE)
    return cv2.resize(whole[top : top + height, left : left + width], size, interpolation=cv2.INTER_AREA)


def clip_of(frames: np.ndarray, heads: tuple[float, ...]) -> np.ndarray:
    return np.concatenate([np.repeat(photographed(h)[None], frames, 0) for h in heads])


def board(*captions: str) -> Storyboard:
    return Storyboard.from_captions("[character1] is a woman in an orange suit.", list(captions), 12 * len(captions))


def filmed(*captions: str, size=(WIDTH, HEIGHT), **fields) -> Evidence:
    count = 12 * len(captions)
    pictures, nothing = np.zeros((count, 90, 160, 3), np.uint8), np.zeros(count)
    footage = Footage("0", count, 12.0, size, pictures, pictures, nothing, nothing)
    shots = [{"caption": text, "num_frames": 12} for text in captions]
    asked = place(Request(Storyboard(global_caption="A street.", shots=shots), fps=12), count, 12.0)
    return Evidence(footage, Detection("truth", count, ()), asked, **fields)


def face(heads: float) -> tuple[float, ...]:
    side = HEIGHT / heads / 1.5
    return (10.0, 10.0, 10 + side, 10 + side)


# Heads and terms


@pytest.mark.parametrize(
    ("heads", "term"),
    [
        (0.5, "extreme close-up"),
        (1.9, "close-up"),  # cut at the shoulders
        (3.0, "medium close-up"),  # at the chest
        (4.1, "medium"),  # at the hips
        (6.0, "medium wide"),  # at the knees
        (8.2, "wide"),  # the whole figure
        (40.0, "extreme wide"),
    ],
)
def test_where_the_frame_cuts_a_person_names_the_shot(heads, term):
    assert term_of(heads) == term


def test_every_term_is_reached_in_order():
    terms = [term_of(heads) for heads in np.geomspace(0.3, 60, 200)]
    assert list(dict.fromkeys(terms)) == list(SCALE[::-1])
    assert steps_apart("wide", "wide") == 0 and steps_apart("wide", "close-up") == 4


@pytest.mark.parametrize("heads", [1.1, 1.4, 1.9, 2.2, 2.8, 3.2, 4.6, 5.5])
def test_a_photographed_face_tells_how_many_heads_high_the_picture_is(heads):
    faces = find_faces(photographed(heads, (640, 360)))
    assert heads_by_face(faces[0], (640, 360)) == pytest.approx(heads, rel=0.15)


def test_photographs_without_a_face_have_none():
    assert find_faces(coffee()) == [] and find_faces(rocket()) == []
    assert find_faces(np.full((90, 160, 3), 128, np.uint8)) == []


def test_a_whole_figure_is_measured_by_its_height_and_a_cut_one_by_its_width():
    size = (1600, 900)
    assert term_of(heads_by_figure((700, 50, 900, 850), size)) == "wide"
    assert term_of(heads_by_figure((780, 600, 820, 800), size)) == "extreme wide"
    at_the_knees, at_the_hips, at_the_shoulders = ((800 - w / 2, 60, 800 + w / 2, 900) for w in (345, 505, 1090))
    assert term_of(heads_by_figure(at_the_knees, size)) == "medium wide"
    assert term_of(heads_by_figure(at_the_hips, size)) == "medium"
    assert term_of(heads_by_figure(at_the_shoulders, size)) == "close-up"
    assert term_of(heads_by_figure((790, 0, 810, 900), size)) == "medium wide", "it is cut, so no wider than that"
    assert heads_by_figure((0, 0, 1600, 900), size) is None


# The metric


@pytest.mark.parametrize(
    ("caption", "heads", "value"),
    [
        ("Close-up of her", 1.9, 1.0),
        ("Medium close-up of her", 1.9, 1.0),
        ("Medium shot of her", 1.9, 0.0),
        ("Wide shot of her", 1.9, 0.0),
        ("Extreme close-up of her", 1.9, 1.0),
        ("Medium shot of her", 4.0, 1.0),
        ("Close-up of her", 4.0, 0.0),
        ("Cowboy shot of her", 6.0, 1.0),
    ],
)
def test_a_neighbouring_term_is_as_asked_and_one_further_off_is_not(caption, heads, value):
    measured = SIZE.measure(filmed(caption, faces={0: [face(heads)], 6: [face(heads)], 11: []}))
    assert SIZE.derive(measured.parts) == value and measured.detail[0]["by"] == "face"
    assert measured.detail[0]["heads"] == pytest.approx(heads)


def test_one_face_in_many_frames_is_an_error_of_the_detector():
    stray = {frame: [] for frame in range(1, 12)} | {0: [face(5)]}
    measured = SIZE.measure(filmed("Close-up of her", faces=stray))
    assert measured.parts == {} and "shot 1: no face is seen" in measured.reason


def test_without_a_face_the_figure_of_the_character_counts():
    boxes = {"[character1]": {0: (150, 40, 170, 80)}, "[character2]": {0: (0, 0, 300, 180)}}
    evidence = filmed("Extreme wide shot of [character1]", faces={0: [], 6: []})
    evidence = replace(evidence, sightings=given_boxes(boxes, evidence.shots))
    measured = SIZE.measure(evidence)
    assert SIZE.derive(measured.parts) == 1
    assert (measured.detail[0]["by"], measured.detail[0]["seen"]) == ("figure", "extreme wide")


def words(term: str | None) -> dict[str, Opinion]:
    """An opinion that is sure of a term, or of none."""
    fits = {name: float(name == term) for name in SIZE_WORDS}
    return {"size": Opinion("a clip", tuple(SIZE_WORDS), np.array([[v] for v in fits.values()]), np.zeros(3), 0.5)}


def embedded(evidence: Evidence, opinions: dict[str, Opinion]) -> Evidence:
    count = evidence.footage.num_frames
    return replace(evidence, clip=Embeddings("a clip", np.arange(count), np.ones((count, 1))), words=opinions)


def test_where_a_face_and_clips_words_contradict_each_other_nothing_is_said_but_that():
    evidence = filmed("Close-up of her", "Close-up of him", faces={0: [face(1.9)], 6: [face(1.9)]})
    evidence = replace(evidence, faces={frame: [face(1.9)] for frame in (0, 6, 12, 18)})
    agreed = SIZE.measure(embedded(evidence, words("close-up")))
    assert (agreed.covered, agreed.of, SIZE.derive(agreed.parts), agreed.reason) == (2, 2, 1.0, None)
    unsure = SIZE.measure(embedded(evidence, words(None)))
    assert SIZE.derive(unsure.parts) == 1.0
    against = SIZE.measure(embedded(evidence, words("wide")))
    assert (against.covered, against.of, against.parts) == (0, 2, {})
    assert "shot 1: by its face it is a close-up shot, and CLIP's words call it wide" in against.reason


def test_what_some_shots_leave_out_is_said_beside_the_value():
    measured = SIZE.measure(
        filmed("Close-up of her", "Close-up of him", faces={0: [face(1.9)], 6: [face(1.9)], 15: []})
    )
    assert (measured.covered, measured.of, SIZE.derive(measured.parts)) == (1, 2, 1.0)
    assert measured.reason.startswith("shot 2: no face is seen")


# Words


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list:
    """CLIP models in open_clip's own files that have learned nothing."""
    loaded = []
    for seed in range(4):
        folder = tmp_path_factory.mktemp(f"clip{seed}")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = open_clip.model.CLIP(TINY["embed_dim"], TINY["vision_cfg"], TINY["text_cfg"])
        weights = {name: value.contiguous() for name, value in model.state_dict().items()}
        save_file(weights, folder / "model.safetensors")
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": {}}))
        loaded.append(load_encoders(folder).clip)
    return loaded


def test_weights_that_know_nothing_seldom_have_an_opinion(clips):
    pictures = np.stack([photographed(heads, (224, 224)) for heads in np.linspace(0.8, 7, 12)])
    said = []
    for clip in clips:
        for phrases in (SIZE_WORDS, ANGLE_WORDS):
            opinion = form_opinion(clip, phrases)
            said += [opinion.of(vector)[0] for vector in clip.embed_images(pictures)]
    assert np.mean([term is not None for term in said]) <= 0.25


class Knowing:
    """An encoder that tells bright pictures, for which it takes close-ups, from dark ones, and prefers one text."""

    id = "knowing"

    def embed_texts(self, texts):
        angle = np.array([0.2 if "close-up" in text else 1.2 if "wide" in text else 0.75 for text in texts])
        return np.stack([np.cos(angle), np.sin(angle)], 1)

    def embed_images(self, pictures):
        angle = 1.3 - 1.1 * pictures.mean((1, 2, 3)) / 255
        return np.stack([np.cos(angle), np.sin(angle)], 1)


def test_an_encoder_that_can_tell_has_an_opinion_where_it_is_clear():
    opinion = form_opinion(Knowing(), SIZE_WORDS)
    told = [opinion.of(v)[0] for v in Knowing().embed_images(np.stack([np.full((8, 8, 3), k) for k in (0, 255)]))]
    assert told == ["wide", "close-up"]
    leads = [opinion.of(vector)[1] for vector in Knowing().embed_images(neutral_pictures())]
    assert max(leads) == pytest.approx(opinion.margin), "no picture of nothing is ahead by more"


def test_angles_are_told_where_captions_ask_and_a_clip_has_an_opinion():
    vectors = np.array([[float(term == "low angle")] for term in ANGLE_WORDS])
    sure = {"angle": Opinion("a clip", tuple(ANGLE_WORDS), vectors, np.zeros(len(ANGLE_WORDS)), 0.5)}
    evidence = filmed("Low angle of a tower", "Overhead shot of a table", "A street")
    measured = ANGLE.measure(embedded(evidence, sure))
    assert (measured.covered, measured.of, ANGLE.derive(measured.parts)) == (2, 2, 0.5)
    unsure = {"angle": replace(sure["angle"], margin=2.0)}
    nothing = ANGLE.measure(embedded(evidence, unsure))
    assert nothing.parts == {} and nothing.of == 2 and "no angle's words fit it clearly better" in nothing.reason
    bare = ANGLE.measure(replace(evidence, missing={"clip": "no clip here"}))
    assert (bare.parts, bare.of, bare.reason) == ({}, 2, "no clip here")
    assert ANGLE.measure(filmed("A street")).reason == "no caption asks for a camera angle"


# In the pass


def test_a_file_is_scored_on_the_sizes_of_its_faces_in_one_pass_with_a_real_clip_folder(clips, tmp_path):
    video = tmp_path / "film.mp4"
    asked = board("Close-up of [character1].", "Medium shot of [character1].", "Medium close-up, from a low angle.")
    write_video(video, clip_of(12, (1.9, 4.6, 2.9)), 12)
    card = score(video, asked, encoders=NOTHING, detector="pyscenedetect")
    record = card.metrics["shot_size"]
    assert (record.value, record.covered, record.of) == (1.0, 3, 3), record.reason
    assert [shot["seen"] for shot in record.detail] == ["close-up", "medium", "medium close-up"]
    assert card.metrics["camera_angle"].reason == "no clip here" and card.seconds["characters"] > 0
    wrong = board("Wide shot of [character1].", "Close-up of [character1].", "Wide shot of [character1].")
    assert score(video, wrong, encoders=NOTHING, detector="pyscenedetect").metrics["shot_size"].value == 0
    evidence = gather(video, asked, Encoders(clip=clips[0]), load_detector("pyscenedetect"))
    assert set(evidence.words) == {"size", "angle"} and evidence.words["size"].encoder == clips[0].id


def test_the_report_says_at_a_shot_why_its_size_is_not_known():
    frames = np.repeat(cv2.resize(coffee(), (WIDTH, HEIGHT))[None], 12, 0)
    card = score(frames, board("Close-up of [character1]."), encoders=NOTHING, detector="pyscenedetect", fps=12)
    assert card.metrics["shot_size"].value is None
    html = page({Path("a.json"): card})
    assert "size<b>no face is seen" in html


def test_nobody_looks_for_faces_that_no_caption_needs():
    frames = clip_of(12, (1.9,))
    evidence = gather(frames, board("[character1] waits."), NOTHING, load_detector("pyscenedetect"), 12.0)
    assert evidence.faces is None and not evidence.words


def test_a_search_that_fails_says_so_and_stops_nothing():
    search = FaceSearch(np.array([0]))
    search(0, np.zeros((1, 0, 0, 3), np.uint8))
    assert search.faces() is None and search.problem.startswith("looking for faces failed at frame 0")
