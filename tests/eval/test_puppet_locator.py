"""The theatre's locator: the embedded weights on scenes that they were not trained on, and the recipe."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from eval.boxes import overlap
from eval.calibration.calibrate import calibration_scenes
from eval.calibration.damage.content import disguise, swap_characters
from eval.encoders import Encoders
from eval.encoders.__main__ import main
from eval.encoders.finders import PuppetFinder, load_finder
from eval.encoders.locator_measure import Findings, measure_locator, table
from eval.encoders.locator_training import damaged, targets, train_locator, truth_of
from eval.encoders.puppet_locator import (
    LOCATOR_FOLDER,
    LOOKS,
    STRIDE,
    WEIGHTS,
    described_looks,
    load_locator,
)
from eval.evidence import Boundary, Detection
from eval.gathering import gather
from eval.metrics import all_metrics
from eval.scorecard import measure
from holocine import Storyboard
from holocine.prompt import character_descriptions
from holocine.puppet.captions import describe_puppet, to_storyboard
from holocine.puppet.renderer import render
from holocine.puppet.world import BODIES, COLOURS, HATS, Puppet, sample_scene


class _True:
    """Finds the cuts that are there."""

    name = "true"

    def __init__(self, cuts):
        self.cuts = cuts

    def detect(self, thumbnails):
        return Detection(self.name, len(thumbnails), tuple(Boundary(cut, 1.0) for cut in self.cuts))


def scored(scene, frames, board=None):
    """The values of all metrics between shots, by name, with the characters as the locator finds them."""
    finder = PuppetFinder(load_locator())
    evidence = gather(frames, board or to_storyboard(scene), Encoders(), _True(scene.cuts), finder=finder)
    return {name: measure(metric, evidence) for name, metric in all_metrics().items() if metric.group == "inter-shot"}


@pytest.fixture(scope="module")
def scene():
    return next(s for s in calibration_scenes(20).values() if sum(x.framing == "single" for x in s.shots) >= 4)


@pytest.fixture(scope="module")
def frames(scene):
    return render(scene)[0]


def test_weights_are_small_and_the_card_says_how_good_they_are():
    assert (LOCATOR_FOLDER / WEIGHTS).stat().st_size <= 4e6
    counts = json.loads((LOCATOR_FOLDER / "measured.json").read_text())
    measured = {name: Findings(**one) for name, one in counts.items()}
    assert table(measured) in (LOCATOR_FOLDER / "README.md").read_text()
    assert measured["as rendered"].recall > 0.97 and measured["as rendered"].precision > 0.97


def test_it_finds_the_puppets_of_scenes_that_it_has_not_seen():
    found = measure_locator(load_locator(), num_scenes=6)
    clean = found["as rendered"]
    assert clean.recall > 0.95 and clean.precision > 0.95 and clean.mean_overlap > 0.8
    assert clean.traits > 0.95 * 3 * clean.found
    assert found["blurred by 2 pixels"].recall > 0.85


def test_pictures_of_any_size_give_boxes_in_their_own_pixels(scene, frames):
    small = load_locator().figures(frames[:1])[0]
    large = load_locator().figures(np.repeat(np.repeat(frames[:1], 3, axis=1), 3, axis=2))[0]
    assert small and len(small) == len(large)
    for one, other in zip(small, large, strict=True):
        assert overlap(tuple(3 * side for side in one.box), other.box) > 0.8


def test_noise_has_no_puppets_in_it():
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 112, 3), dtype=np.uint8)
    grey = np.full((2, 64, 112, 3), 128, np.uint8)
    assert load_locator().figures(noise) == [[]] * 4 and load_locator().figures(grey) == [[]] * 2
    assert load_locator().figures(noise[:0]) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_description_in_the_words_of_the_captions_is_read(seed):
    rng = np.random.default_rng(seed)
    puppet = Puppet(*(str(rng.choice(choices)) for choices in (list(COLOURS), BODIES, HATS)))
    text = character_descriptions(describe_puppet(puppet, 0, rng))["[character1]"]
    assert described_looks(text) == {"colour": puppet.colour, "body": puppet.body, "hat": puppet.hat}


def test_what_a_description_does_not_say_or_says_twice_is_left_open():
    assert described_looks("a blue puppet") == {"colour": "blue"}
    assert described_looks("a blue and red puppet with a party hat") == {"hat": "party hat"}
    assert described_looks("a tall man in a raincoat") == {}


def test_every_character_is_seen_where_it_is_asked_for_and_nowhere_else(scene, frames):
    values = scored(scene, frames)
    assert values["character_presence"].value == 1
    assert values["character_intruders"].value == 0
    assert values["character_consistency"].value > 0.9


def test_another_character_is_not_the_one_that_was_asked_for(scene, frames):
    swapped, board = swap_characters(scene, frames, 1, np.random.default_rng(0))
    values, clean = scored(scene, swapped, board), scored(scene, frames)
    assert values["character_presence"].value < 1
    assert values["character_intruders"].value > 0
    pairs = "character_consistency"
    assert values[pairs].covered < clean[pairs].covered and values[pairs].of == clean[pairs].of


@pytest.mark.parametrize(("trait", "choices"), [("colour", COLOURS), ("hat", HATS), ("body", BODIES)])
def test_a_character_that_changes_its_looks_is_seen_and_less_consistent(scene, frames, trait, choices):
    changed, board = disguise(trait, choices)(scene, frames, 1, np.random.default_rng(0))
    values, clean = scored(scene, changed, board), scored(scene, frames)
    assert values["character_presence"].value == 1
    assert values["character_consistency"].value < clean["character_consistency"].value - 0.01


def test_a_video_without_the_characters_scores_well_on_none_of_them(scene, frames):
    empty = replace(scene, shots=tuple(replace(shot, framing="insert", who=()) for shot in scene.shots))
    for video in (render(empty)[0], np.random.default_rng(0).integers(0, 256, frames.shape, dtype=np.uint8)):
        values = scored(scene, video, to_storyboard(scene))
        assert values["character_presence"].value == 0
        for name in ("character_intruders", "character_consistency", "character_margin", "character_return"):
            assert values[name].value is None and values[name].reason


def test_it_looks_for_characters_in_the_theatre_only():
    finder, reason = load_finder(None, to_storyboard(sample_scene(3)))
    assert finder.id == "puppet-locator" and reason is None
    film = Storyboard.from_captions("A street. [character1] is a tall man.", ["[character1] runs."], 17, [])
    finder, reason = load_finder(None, film)
    assert finder is None and "owlv2" in reason


def test_boxes_move_along_when_a_picture_is_cropped(frames, scene):
    pictures, truths = render(scene, only={0})
    rng = np.random.default_rng(1)
    picture = truth_of(pictures[0], scene, truths[0])
    for _ in range(20):
        again = damaged(picture, rng)
        assert again.frame.shape == picture.frame.shape and again.frame.dtype == np.uint8
        assert again.boxes.shape == picture.boxes.shape
        assert (again.boxes >= 0).all() and (again.boxes <= (112, 64, 112, 64)).all()


def test_what_should_be_said_lies_at_the_middle_of_every_box(scene):
    pictures, truths = render(scene, only={0})
    picture = truth_of(pictures[0], scene, truths[0])
    wanted = targets([picture])
    assert int((wanted.middles == 1).sum()) == len(picture.boxes)
    for box, looks in zip(picture.boxes, picture.looks, strict=True):
        x, y = int((box[0] + box[2]) / 2 / STRIDE), int((box[1] + box[3]) / 2 / STRIDE)
        assert wanted.known[0, y, x] and wanted.looks[0, y, x].tolist() == looks.tolist()
        left, top, right, bottom = (STRIDE * wanted.boxes[0, y, x]).tolist()
        centre = ((x + 0.5) * STRIDE, (y + 0.5) * STRIDE)
        again = (centre[0] - left, centre[1] - top, centre[0] + right, centre[1] + bottom)
        np.testing.assert_allclose(again, box, atol=1e-3)


def test_training_writes_weights_that_load_and_goes_on_where_it_stopped(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(2):
            train_locator(tmp_path / "run", 600, tmp_path / "out", batch=4, most_steps=1, soft_scenes=0)
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 2
    locator = load_locator(tmp_path / "out")
    assert locator.sha256 != load_locator().sha256
    assert set(LOOKS) >= {"colour", "body", "hat"}


def test_the_command_measures_a_locator(tmp_path, capsys):
    assert main(["measure-locator", "--scenes", "1", "--out", str(tmp_path / "counts.json")]) == 0
    assert "| as rendered |" in capsys.readouterr().out
    assert set(json.loads((tmp_path / "counts.json").read_text())) >= {"as rendered", "40 % brighter"}
