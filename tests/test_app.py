"""The page as a whole, without a browser; what visitors do in one is in tests/desk/test_browser_*.py."""

import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest

import app
from desk.studio.limits import LimitError
from desk.tabs import direct, visits

ROOT = Path(__file__).parents[1]


def test_the_interface_builds_without_weights(make_pipeline, tmp_path, monkeypatch):
    make_pipeline().save_pretrained(tmp_path / "model")
    for weights in (tmp_path / "model").rglob("*.safetensors"):
        weights.unlink()
    monkeypatch.setenv("HOLOCINE_MODEL", str(tmp_path / "model"))
    assert isinstance(app.build(str(tmp_path / "outputs")), gr.Blocks)


def test_nothing_is_offered_to_programs_but_what_is_meant_for_them(tmp_path, monkeypatch):
    monkeypatch.delenv("HOLOCINE_MODEL", raising=False)
    named = app.build(str(tmp_path)).get_api_info()["named_endpoints"]
    assert all(not name.startswith("/lambda") for name in named)


@pytest.mark.parametrize(("text", "seed"), [("", None), (None, None), (" 7 ", 7), ("0", 0)])
def test_a_seed_is_a_whole_number_or_nothing(text, seed):
    assert visits.read_seed(text) == seed


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "9" * 30])
def test_other_seeds_are_refused(text):
    with pytest.raises(LimitError, match="has to be a whole number"):
        visits.read_seed(text)


def test_sizes_are_read_and_nothing_else():
    assert visits.read_size("112 x 64") == (112, 64)
    with pytest.raises(LimitError):
        visits.read_size("../etc")


def test_the_sizes_offered_can_all_be_made(monkeypatch):
    monkeypatch.delenv("HOLOCINE_MODEL", raising=False)
    from desk.studio.limits import Limits
    from desk.studio.models import find

    model = find()
    limits = Limits.of(model)
    offered = direct.sizes(model, limits)
    assert offered[0] == f"{model.facts.width} x {model.facts.height}" and len(offered) > 2
    for size in offered:
        width, height = visits.read_size(size)
        model.facts.token_grid(height, width)
        limits.check_settings(1, 1.0, height, width)


def test_four_versions_differ_before_anything_is_chosen(tmp_path, monkeypatch):
    monkeypatch.delenv("HOLOCINE_MODEL", raising=False)
    demo = app.build(str(tmp_path))
    offered = [block for block in demo.blocks.values() if isinstance(block, gr.Dropdown | gr.Number)]
    modes = [block.value for block in offered if str(block.label).endswith(": attention")]
    steps = [block.value for block in offered if block.label == "Steps" and isinstance(block, gr.Number)]
    assert len(modes) == len(steps) == 4 and len(set(zip(modes, steps, strict=True))) == 4


def test_the_program_tells_what_it_reads_and_takes_no_arguments():
    for arguments, code in ((["--help"], 0), (["--share"], 2)):
        ran = subprocess.run([sys.executable, "app.py", *arguments], cwd=ROOT, capture_output=True, text=True)
        assert ran.returncode == code
        assert "HOLOCINE_MODEL" in ran.stdout if code == 0 else "unrecognized arguments: --share" in ran.stderr
