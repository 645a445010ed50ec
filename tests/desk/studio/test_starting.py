"""What a desk says when it starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from desk.studio.models import model_names
from desk.studio.outputs import Outputs
from desk.studio.starting import opening

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """An environment without variables of the desk's, and without a GPU."""
    for name in ("MODEL", "PRESET", "COMPILE", "GPU_SECONDS", "GPU_SIZE", "ENCODERS", "OUTPUTS"):
        monkeypatch.delenv(f"HOLOCINE_{name}", raising=False)
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def test_the_model_and_where_it_runs_are_said():
    assert opening() == ["embedded model, 112 x 64, on the CPU"]


def test_presets_are_said_and_those_for_other_models_are_left_out_aloud(monkeypatch):
    monkeypatch.setenv("HOLOCINE_PRESET", "fast,80GB")
    first, second = opening()
    assert first.endswith("on the CPU, preset 80GB")
    assert second.startswith("HOLOCINE_PRESET: fast is left out, made for Wan2.2's experts")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"HOLOCINE_PRESET": "12GB"}, "HOLOCINE_PRESET: 12GB moves weights .* no GPU is here: leave it out"),
        ({"HOLOCINE_PRESET": "48GB"}, "HOLOCINE_PRESET: 48GB moves weights"),
        ({"HOLOCINE_PRESET": "rapid"}, "HOLOCINE_PRESET: the preset 'rapid' is unknown"),
        ({"HOLOCINE_MODEL": " , "}, "HOLOCINE_MODEL is ',', but names no model"),
    ],
)
def test_what_no_request_could_be_made_with_is_refused(monkeypatch, variables, said):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=said):
        opening()


@pytest.mark.parametrize(("preset", "said"), [("", "needs a C.. compiler"), ("16GB", "HOLOCINE_PRESET=16GB, which fe")])
def test_fused_blocks_that_cannot_be_are_refused(monkeypatch, preset, said):
    monkeypatch.setenv("HOLOCINE_COMPILE", "1")
    monkeypatch.setenv("HOLOCINE_PRESET", preset)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("torch.cuda.is_available", lambda: preset != "")
    with pytest.raises(ValueError, match=f"HOLOCINE_COMPILE.*{said}"):
        opening()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HOLOCINE_GPU_SECONDS", "120", "HOLOCINE_GPU_SECONDS is for a Space on ZeroGPU"),
        ("HOLOCINE_GPU_SIZE", "huge", "HOLOCINE_GPU_SIZE is for a Space on ZeroGPU"),
        ("HOLOCINE_COMPILE", "maybe", "HOLOCINE_COMPILE is 'maybe', but has to be 1 or 0: 0 is taken"),
        ("HOLOCINE_ENCODERS", "foo", "HOLOCINE_ENCODERS is 'foo', which is no encoder"),
    ],
)
def test_what_means_nothing_is_said(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    first, second = opening()
    assert first == "embedded model, 112 x 64, on the CPU" and second.startswith(said)


def test_several_models_are_divided_by_commas(monkeypatch):
    monkeypatch.setenv("HOLOCINE_MODEL", "embedded,, embedded ,")
    assert model_names() == ("embedded",)


def test_a_folder_that_cannot_be_written_is_named_with_the_variable(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be kept in .*file.*: name another folder in HOLOCINE_OUTPUTS"):
        Outputs(tmp_path / "file", 10**9, 3600)


def test_a_desk_that_cannot_start_says_so_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOLOCINE_OUTPUTS", str(tmp_path / "file"))
    done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("app: finished videos cannot be kept in")
