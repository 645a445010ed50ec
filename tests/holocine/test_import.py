"""`import holocine` is light, and offers its names all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

import holocine


def modules_after(code: str) -> set[str]:
    program = f"import sys; {code}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_no_heavy_library():
    loaded = modules_after("import holocine")
    assert "holocine" in loaded
    assert not loaded & {"torch", "diffusers", "transformers", "av", "PIL", "numpy", "pydantic"}


def test_planning_a_storyboard_needs_no_torch():
    loaded = modules_after("from holocine import Storyboard, ShotLayout, TextWindows, text_windows")
    assert "holocine.storyboard" in loaded
    assert not loaded & {"torch", "diffusers", "transformers", "av"}


def test_the_plan_command_needs_no_torch():
    board = Path(__file__).parents[2] / "examples" / "beach.yaml"
    loaded = modules_after(f"from holocine.__main__ import main; main(['plan', {str(board)!r}])")
    assert {"holocine.plan", "transformers"} <= loaded
    assert not loaded & {"torch", "diffusers", "av"}


@pytest.mark.parametrize("name", holocine.__all__)
def test_every_listed_name_can_be_imported(name):
    assert getattr(holocine, name) is not None
    assert name in dir(holocine)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'holocine' has no attribute 'Storybord'"):
        _ = holocine.Storybord
