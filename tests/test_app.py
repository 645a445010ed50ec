from types import SimpleNamespace

import gradio as gr
import pytest
from PIL import Image

import app
from holocine import Storyboard, read_video

PROMPT = "[global caption] A studio. [per shot caption] Wide shot. [shot cut] Close-up. [shot cut] Night."
VISITOR = SimpleNamespace(session_hash="visitor")


@pytest.fixture(autouse=True)
def tiny_model(make_pipeline, tmp_path, monkeypatch):
    make_pipeline().save_pretrained(tmp_path / "model")
    monkeypatch.setenv("HOLOCINE_MODEL", str(tmp_path / "model"))
    app.load_model.cache_clear()
    yield
    app.load_model.cache_clear()


def generate(text, steps=None, guidance=None, seed=None, progress=lambda *a, **k: None):
    return app.generate(text, 17, "5, 13", seed, steps, guidance, "sparse", VISITOR, progress)


def test_the_interface_builds_without_a_model(monkeypatch):
    monkeypatch.setenv("HOLOCINE_MODEL", "not/there")
    assert isinstance(app.build(), gr.Blocks)


def test_a_storyboard_becomes_a_video_and_a_contact_sheet(storyboard):
    seen = []
    video, sheet, as_run = generate(storyboard.to_yaml(), progress=lambda at, **k: seen.append(at))
    assert seen == [0, (1, 2), (2, 2)]
    read = read_video(video)
    assert read.frames.shape == (17, 448, 672, 3)
    assert read.storyboard == storyboard == Storyboard.from_yaml(as_run)
    assert Image.open(sheet).width > 1000


def test_a_prompt_string_is_a_storyboard_too():
    _, _, as_run = generate(PROMPT, seed=3, steps=1)
    board = Storyboard.from_yaml(as_run)
    assert (board.num_frames, board.cuts, board.seed) == (17, (5, 13), 3)


def test_the_plan_shows_shots_and_warnings(storyboard):
    text = app.show_plan(PROMPT, 18, "5, 13", "sparse")
    assert "17 frames" in text and "| 2 | 5–12 |" in text and "num_frames 18 was changed to 17" in text
    markdown = app.show_plan(storyboard.model_copy(update={"title": "x"}).to_yaml(), None, "", "full")
    assert "100% of full attention's work" in markdown and r"\[character1]" in markdown


@pytest.mark.parametrize(
    ("text", "says"), [("", "storyboard"), ("shots: []", "shots"), ("a: <b>", "unknown key"), (PROMPT, "cuts are 'x'")]
)
def test_bad_storyboards_are_sentences_in_plan_and_error(text, says):
    cuts = "x" if text == PROMPT else ""
    planned = app.show_plan(text, 17, cuts, "sparse")
    assert planned.startswith("**This storyboard cannot be made:**") and says in planned and "<b>" not in planned
    with pytest.raises(gr.Error, match=says):
        app.generate(text, 17, cuts, None, None, None, "sparse", VISITOR, lambda *a, **k: None)


def test_bad_options_are_errors_in_one_sentence(storyboard):
    with pytest.raises(gr.Error, match="guidance_scale"):
        generate(storyboard.to_yaml(), guidance=float("nan"))


def test_cancel_stops_after_the_running_step_and_frees_the_visitor(storyboard):
    steps = []

    def progress(at, **_):
        steps.append(at)
        if at == (2, 50):
            app.cancel(VISITOR)

    outputs = generate(storyboard.to_yaml(), steps=50, progress=progress)
    assert steps[-1] == (2, 50)
    assert all(output == gr.skip() for output in outputs)
    assert not app._cancelled
    app.cancel(VISITOR)
