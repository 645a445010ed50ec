"""The README is also a Hugging Face Space card, and its commands are the ones that are checked."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def card():
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", README, re.DOTALL)[1])


def test_the_space_card_has_what_a_gradio_space_needs(card):
    assert card["sdk"] == "gradio"
    assert (ROOT / card["app_file"]).is_file()
    assert isinstance(card["python_version"], str), "a bare 3.10 would be read as 3.1"
    assert card["license"] == "apache-2.0"
    assert len(card["short_description"]) <= 60


def test_the_space_runs_the_gradio_that_is_tested(card):
    major = card["sdk_version"].split(".")[0]
    assert version("gradio").split(".")[0] == major
    required = re.search(r"^gradio\[mcp\]>=([\d.]+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert required and card["sdk_version"].startswith(required[1])


def test_the_test_command_is_the_one_that_is_checked():
    assert "pip install -r requirements.txt && pytest\n" in README
    script = (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^pip install .*-r requirements\.txt$", script, re.MULTILINE)
    assert re.search(r"^pytest$", script, re.MULTILINE)


def test_every_file_that_the_readme_names_is_there():
    named = set(re.findall(r"\b(?:examples|docs)/[\w./-]+\.(?:yaml|png)", README))
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
