"""Boxes by description, with a tiny OWLv2 of transformers' own classes and random weights."""

import json
import re

import numpy as np
import pytest
import torch
from transformers import (
    CLIPTokenizer,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
)

from eval.boxes import read_boxes
from eval.encoders import EncoderError, Encoders
from eval.encoders.__main__ import main
from eval.encoders.finders import RememberingFinder, names_finder
from eval.encoders.open_vocabulary import BoxFinder, _to_pixels, find_boxes, load_box_finder
from eval.scorecard import score
from holocine import Storyboard, write_video

DESCRIPTION = "a tall man with a long grey coat, a black hat and a very small white dog on a leash"


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("owlv2")
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    start, end = len(words) - 2, len(words) - 1
    tokenizer = CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[], model_max_length=16)
    towers = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Owlv2Config(
        text_config={**towers, "vocab_size": len(words), "bos_token_id": start, "eos_token_id": end},
        vision_config={**towers, "image_size": 64, "patch_size": 16},
        projection_dim=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Owlv2ForObjectDetection(config).save_pretrained(folder)
    size = {"height": 64, "width": 64}
    Owlv2Processor(Owlv2ImageProcessor(size=size), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def finder(model_folder) -> BoxFinder:
    return load_box_finder(model_folder, threshold=0.0, device="cpu")


def test_each_description_gets_one_box_inside_the_picture(finder):
    picture = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    found = finder.find(picture, {"[character1]": "a cat", "[character2]": DESCRIPTION})
    assert set(found) == {"[character1]", "[character2]"}
    for x0, y0, x1, y1 in found.values():
        assert 0 <= x0 < x1 <= 80 and 0 <= y0 < y1 <= 48
    assert finder.find(picture, {}) == {}


def test_the_box_is_the_one_that_transformers_itself_ranks_first(finder):
    picture = np.random.default_rng(1).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    inputs = finder.processor(text=[["a cat"]], images=picture, return_tensors="pt")
    with torch.no_grad():
        output = finder.model(**inputs)
    (ranked,) = finder.processor.post_process_grounded_object_detection(output, threshold=0.0, target_sizes=[(48, 80)])
    best = ranked["boxes"][ranked["scores"].argmax()].numpy()
    np.testing.assert_allclose(finder.find(picture, {"x": "a cat"})["x"], np.clip(best, 0, [80, 48, 80, 48]), atol=1e-3)


def test_nothing_below_the_threshold_is_found(finder):
    strict = BoxFinder(finder.model, finder.processor, threshold=1.01)
    assert strict.find(np.zeros((48, 80, 3), np.uint8), {"x": "a cat"}) == {}


def test_boxes_are_relative_to_the_picture_padded_to_a_square():
    assert _to_pixels(np.array([0.5, 0.25, 0.5, 0.25]), 50, 100) == (25, 12.5, 75, 37.5)
    assert _to_pixels(np.array([0.5, 0.5, 2.0, 2.0]), 50, 100) == (0, 0, 100, 50)


def test_characters_are_looked_for_in_the_shots_that_name_them_and_the_file_is_read_again(
    finder, model_folder, tmp_path, capsys
):
    captions = ["[character1] rolls.", "[character2] and [character3]."]
    storyboard = Storyboard.from_captions("[character1] is a red ball. [character2] is a cat.", captions, 17)
    video = tmp_path / "video.mp4"
    write_video(video, np.random.default_rng(2).integers(0, 256, (17, 48, 80, 3), dtype=np.uint8), 16, storyboard)
    found = find_boxes(video, storyboard, finder)
    first, second = storyboard.shot_ranges
    assert set(found) == {"[character1]", "[character2]"}
    sampled = set(range(0, 17, 2))
    assert set(found["[character1]"]) <= sampled & set(first)
    assert set(found["[character2]"]) <= sampled & set(second)
    out = tmp_path / "boxes.json"
    command = ["find-boxes", str(video), "--model", str(model_folder), "--threshold", "0", "-o", str(out)]
    assert main(command) == 0
    assert read_boxes(out) == {tag: dict(boxes) for tag, boxes in found.items()}
    assert json.loads(out.read_text()).keys() == found.keys()
    assert "[character1]: " in capsys.readouterr().out


def test_a_folder_that_is_no_model_is_an_error(tmp_path, capsys):
    with pytest.raises(EncoderError, match=re.escape(f"{tmp_path} is no OWLv2 model")):
        load_box_finder(tmp_path)
    assert main(["find-boxes", "/no/such.mp4", "--model", str(tmp_path), "-o", str(tmp_path / "b.json")]) == 1
    assert "error: " in capsys.readouterr().err


def test_as_a_finder_it_gives_every_figure_a_score_for_every_description(finder):
    pictures = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    descriptions = {"[character1]": "a cat", "[character2]": DESCRIPTION}
    assert finder.known(descriptions) == descriptions
    found = finder.candidates(pictures, descriptions)
    assert len(found) == 2 and any(found)
    for figures in found:
        assert len(figures) <= 2
        for figure in figures:
            assert set(figure.fits) == set(descriptions)
            assert all(0 <= fit <= 1 for fit in figure.fits.values())
            x0, y0, x1, y1 = figure.box
            assert 0 <= x0 < x1 <= 64 and 0 <= y0 < y1 <= 64
    assert finder.candidates(pictures, {}) == [[], []]


def test_what_it_found_is_kept_for_the_same_pictures_and_descriptions(finder, tmp_path):
    pictures = np.random.default_rng(2).integers(0, 256, (2, 48, 80, 3), dtype=np.uint8)
    descriptions = {"[character1]": "a cat"}
    first = RememberingFinder(finder, tmp_path).candidates(pictures, descriptions)
    kept = list(tmp_path.rglob("*.json"))
    assert len(kept) == 1
    again = RememberingFinder(finder, tmp_path).candidates(pictures, descriptions)
    assert [[(f.box, f.fits) for f in figures] for figures in again] == [
        [(f.box, f.fits) for f in figures] for figures in first
    ]
    RememberingFinder(finder, tmp_path).candidates(pictures, {"[character1]": "a dog"})
    assert len(list(tmp_path.rglob("*.json"))) == 2
    kept[0].write_text("[[[")
    assert len(RememberingFinder(finder, tmp_path).candidates(pictures, descriptions)) == 2


def test_a_folder_of_owlv2_looks_for_characters_in_the_same_pass_as_everything_else(model_folder):
    frames = np.random.default_rng(3).integers(0, 256, (16, 48, 80, 3), dtype=np.uint8)
    board = Storyboard.from_captions("[character1] is a cat.", ["[character1] sits.", "[character1] runs."], 17, [9])
    finder = load_box_finder(model_folder, threshold=0.0)
    assert names_finder(str(model_folder)) and names_finder("owlv2") and not names_finder("boxes.json")
    card = score(frames, board, encoders=Encoders(), detector="pyscenedetect", boxes=finder)
    assert card.encoders["finder"].id.startswith("owlv2:") and len(card.encoders["finder"].sha256) == 64
    assert card.metrics["character_presence"].of == 2
    assert card.metrics["character_presence"].value is not None
    assert card.seconds["characters"] > 0


def test_a_folder_without_owlv2_is_named_in_the_error(tmp_path):
    with pytest.raises(EncoderError, match="is no OWLv2 model"):
        score(np.zeros((8, 16, 16, 3), np.uint8), None, fps=8, encoders=Encoders(), boxes=tmp_path)
