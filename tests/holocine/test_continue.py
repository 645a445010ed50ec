"""Continuations on the command line, with a tiny random model: real MP4s."""

import json
import re

import numpy as np
import pytest
import torch

from holocine import KeepError, Storyboard, StoryboardError, read_storyboard, read_video
from holocine.__main__ import main
from holocine.continuing import parse_context, plan_continuation
from holocine.latents_file import latents_path, read_latents
from holocine.source import open_source, read_source
from holocine.video import read_embedded

BOARD = """
title: Studio
global_caption: A young painter, [character1], in a bright studio. This scene contains 3 shots.
fps: 12
seed: 5
shots:
  - {caption: "Medium shot of [character1].", num_frames: 5}
  - {caption: "Close-up of her hand.", num_frames: 8}
  - {caption: "Wide shot of the studio at night.", num_frames: 4}
"""
MORE = """
shots:
  - {caption: "She paints.", num_frames: 8}
  - {caption: "She sleeps.", num_frames: 4}
"""


@pytest.fixture(scope="module")
def made(model_folder, tmp_path_factory):
    """A folder with scene.mp4 and its latents."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "board.yaml").write_text(BOARD)
    options = ["-o", folder / "scene.mp4", "--model", model_folder, "--quiet", "--keep-latents"]
    assert main(["generate", *map(str, (folder / "board.yaml", *options))]) == 0
    return folder


@pytest.fixture
def work(work):
    """A working folder with more.yaml in it."""
    (work / "more.yaml").write_text(MORE)
    return work


def test_a_film_is_what_was_there_bit_for_bit_and_then_the_new_shots(made, work, run):
    code, out, err = run("continue", made / "scene.mp4", "more.yaml", "-o", "film.mp4", "--seed", "3", "--quiet")
    assert (code, err) == (0, "")
    assert "wrote film.mp4: 5 shots, 2 of them new after seeing 2, 3; 29 frames, 2.4 s, seed 3 (" in out
    before, after = read_video(made / "scene.mp4"), read_video("film.mp4")
    assert np.array_equal(after.frames[:17], before.frames)
    assert after.frames.shape[0] == 29 and after.fps == 12
    assert after.storyboard.cuts == (5, 13, 17, 25)
    assert after.storyboard.captions == (*before.storyboard.captions, "She paints.", "She sleeps.")
    assert "This scene contains 5 shots." in after.storyboard.prompt
    assert [take.seed for take in read_embedded("film.mp4").making.takes] == [5, 5, 5, 3, 3]
    latents = read_latents(latents_path("film.mp4"))[0]
    assert latents.shape[1] == 8
    assert torch.equal(latents[:, :5], read_latents(latents_path(made / "scene.mp4"))[0])
    assert (work / "film.png").exists()


def test_a_film_goes_on_again_and_again_and_its_shots_can_be_retaken(made, work, run):
    assert run("continue", made / "scene.mp4", "more.yaml", "-o", "a.mp4", "--quiet")[0] == 0
    code, out, _ = run("continue", "a.mp4", "more.yaml", "--context", "1,4", "-o", "b.mp4", "--quiet")
    assert code == 0 and "7 shots, 2 of them new after seeing 1, 4" in out
    first, second = read_video("a.mp4").frames, read_video("b.mp4").frames
    assert np.array_equal(second[:29], first) and len(second) == 41
    assert read_source("b.mp4").latents.shape[1] == 11
    assert run("retake", "b.mp4", "--shot", "6", "-o", "c.mp4", "--quiet")[0] == 0
    third = read_video("c.mp4").frames
    assert np.array_equal(third[:29], second[:29]) and np.array_equal(third[37:], second[37:])
    assert not np.array_equal(third[29:37], second[29:37])


def test_new_shots_remember_settings_of_their_own_and_the_film_keeps_those_of_its_first(made, work, run):
    options = ("--steps", "3", "--seed", "3", "--quiet")
    assert run("continue", made / "scene.mp4", "more.yaml", "-o", "film.mp4", *options)[0] == 0
    film = read_embedded("film.mp4")
    assert film.settings == read_embedded(made / "scene.mp4").settings
    assert [take.settings for take in film.making.takes] == [{}, {}, {}, *[{"num_inference_steps": 3}] * 2]


def test_the_model_sees_the_context_and_the_new_shots_only(made, work, run, monkeypatch):
    from holocine import HoloCinePipeline

    seen, call = [], HoloCinePipeline.__call__
    monkeypatch.setattr(
        HoloCinePipeline, "__call__", lambda self, board, **o: (seen.append((board, o)), call(self, board, **o))[1]
    )
    run("continue", made / "scene.mp4", "more.yaml", "--context", "2,", "-o", "film.mp4", "--quiet")
    board, options = seen[0]
    assert board.captions == ("Close-up of her hand.", "She paints.", "She sleeps.")
    assert board.cuts == (5, 13) and board.num_frames == 17, "8 frames in 2 latent frames, as the first of a scene 5"
    assert "This scene contains 3 shots." in board.prompt
    (kept,) = options["keep"]
    assert kept.shot == 1 and np.array_equal(kept.frames, read_source(made / "scene.mp4").frames[5:10])


def test_one_shot_is_read_without_the_rest(made):
    source, whole = open_source(made / "scene.mp4"), read_source(made / "scene.mp4")
    for shot, span in enumerate(source.storyboard.shot_ranges, start=1):
        assert np.array_equal(source.frames_of_shot(shot), whole.frames[span.start : span.stop])


@pytest.mark.parametrize(
    ("text", "shots"),
    [(None, (4, 5)), ("1", (5,)), ("3", (3, 4, 5)), ("5", (1, 2, 3, 4, 5)), ("2,", (2,)), ("5, 1,4", (1, 4, 5))],
)
def test_context_is_how_many_of_the_last_or_which(text, shots):
    assert parse_context(text, 5) == shots


def test_the_only_shot_is_the_default_context():
    assert parse_context(None, 1) == (1,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6", "context 6: the video has 5 shots; give 1 to 5"),
        ("0", "context 0: the video has 5 shots"),
        ("last", "context 'last' names no shots: write 2 for the last two, or 1,4,5 for these"),
        ("-1", "context '-1' names no shots"),
        (",", "context ',' names no shots"),
    ],
)
def test_other_context_is_one_sentence(text, message):
    with pytest.raises(KeepError, match=message):
        parse_context(text, 5)


def test_context_that_is_not_there_or_empty_is_said():
    board = Storyboard.from_captions("A room.", ["a.", "b."], num_frames=17)
    with pytest.raises(KeepError, match="there is no shot 3: the scene has 2"):
        plan_continuation(board, board, [1, 3])
    with pytest.raises(KeepError, match="no shot is named as context"):
        plan_continuation(board, board, [])


def test_a_new_shot_shorter_than_a_latent_frame_is_an_error_that_names_it():
    board = Storyboard.from_captions("A room.", ["a.", "b."], num_frames=17)
    more = Storyboard(
        global_caption="A room.", shots=[{"caption": "c.", "num_frames": 1}, {"caption": "d.", "num_frames": 8}]
    )
    with pytest.raises(StoryboardError, match="shot 4 of 4: cut at frame 17 is not after the previous cut"):
        plan_continuation(board, more, [2])


def test_shots_asked_for_in_seconds_stay_so():
    board = Storyboard.from_yaml("global_caption: A.\nfps: 12\nshots:\n- {caption: a., seconds: 0.8}\n").as_run()
    more = Storyboard.from_yaml("global_caption: A.\nfps: 12\nshots:\n- {caption: b., seconds: 0.7}\n")
    made = plan_continuation(board, more, [1])
    assert made.film.cuts == (9,) and made.film.num_frames == 17
    assert made.film.asked.shot_seconds == (0.8, 0.7)
    assert [shot.num_frames for shot in made.scene.shots] == [9, 8]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ("fps: 24\n", [], "more.yaml has 24 frames a second and the video 12: a film has one rate, leave fps out"),
        ("", ["--context", "7"], "context 7: the video has 3 shots; give 1 to 3"),
        ("", ["--context", "7,"], "there is no shot 7: the scene has 3, numbered from 1"),
        ("colour: red\n", [], "more.yaml: unknown key 'colour'"),
        ("", ["--shot", "1"], "unrecognized arguments: --shot 1"),
    ],
)
def test_bad_continuations_are_one_line(made, work, run, change, arguments, message):
    (work / "more.yaml").write_text(change + MORE)
    code, _, err = run("continue", made / "scene.mp4", "more.yaml", *arguments, "-o", "film.mp4")
    assert code == 2 and err.count("\n") == 1 and message in err
    assert [path.name for path in work.iterdir()] == ["more.yaml"]


@pytest.mark.parametrize(
    ("words", "frames", "context", "message"),
    [
        (
            60,
            8,
            "2",
            r"2 new shots and the 2 of the context have captions of \d+ text tokens, and the model reads 128: take a "
            "smaller context, or go on with fewer or shorter shots at a time",
        ),
        (
            2,
            4090,
            "1",
            "2 new shots and the 1 of the context have 4,097 frames, and the model has positions for 4,093: go on with "
            "fewer or shorter shots at a time",
        ),
    ],
)
def test_more_than_the_model_takes_names_the_limit_and_the_remedy(made, work, run, words, frames, context, message):
    shots = [{"caption": "She paints. " * words, "num_frames": frames}, {"caption": "She sleeps.", "num_frames": 4}]
    (work / "more.yaml").write_text(json.dumps({"shots": shots}))
    options = ("--context", context, "-o", "film.mp4", "--quiet")
    code, _, err = run("continue", made / "scene.mp4", "more.yaml", *options)
    assert code == 2 and re.search(f"^holocine: {message}\n$", err, re.MULTILINE)
    assert [path.name for path in work.iterdir()] == ["more.yaml"]


def test_nothing_is_overwritten_without_force(made, work, run):
    (work / "film.mp4").write_text("precious")
    _, _, err = run("continue", made / "scene.mp4", "more.yaml", "-o", "film.mp4", "--quiet")
    assert err == "holocine: film.mp4 exists: name another output, or add --force to replace it\n"
    assert run("continue", made / "scene.mp4", "more.yaml", "-o", "film.mp4", "--quiet", "--force")[0] == 0
    assert run("continue", "film.mp4", "more.yaml", "-o", "film.mp4", "--quiet", "--force")[0] == 0
    assert read_storyboard("film.mp4").num_shots == 7


def test_another_global_caption_is_the_films_from_then_on_and_it_is_said(made, work, run):
    (work / "more.yaml").write_text("global_caption: A dog, [character2].\n" + MORE)
    code, _, err = run("continue", made / "scene.mp4", "more.yaml", "-o", "film.mp4", "--quiet")
    assert code == 0 and "the global caption of the film is now that of more.yaml" in err
    assert read_storyboard("film.mp4").global_caption == "A dog, [character2]."
