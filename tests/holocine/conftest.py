"""What several tests of the package share: the command line, a working folder, models of golden numbers."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

from holocine import HoloCineTransformer3DModel
from holocine.__main__ import main
from tests.conftest import command

BOARD = """\
global_caption: "A young painter, [character1], in a bright studio."
num_frames: 17
fps: 16
shots:
  - caption: Medium shot of [character1] at her easel.
  - caption: Close-up of her hand.
"""

OURS = Path(__file__).parents[1] / "golden"
NAMED = Path(os.environ.get("HOLOCINE_GOLDEN") or OURS)  # may hold golden numbers of some kinds only


def golden_files(family: str = "", named: Path | None = None) -> list[Path]:
    """The golden numbers of a family, of HoloCine itself without one: those in `named`, or ours where it has none."""
    found = (sorted((folder / family).glob("*.safetensors")) for folder in (named or NAMED, OURS))
    return next(filter(None, found), [])


def golden_path(name: str, named: Path | None = None) -> Path:
    """A file beside golden numbers: that in `named`, or ours where it has none."""
    path = (named or NAMED) / name
    return path if path.is_file() else OURS / name


def golden_transformer(config: dict[str, Any], weights: dict[str, torch.Tensor]) -> HoloCineTransformer3DModel:
    """The transformer that reference code had, by its config and its weights as it names them."""
    model = HoloCineTransformer3DModel(
        patch_size=tuple(config["patch_size"]),
        num_attention_heads=config["num_heads"],
        attention_head_dim=config["dim"] // config["num_heads"],
        in_channels=config["in_dim"],
        out_channels=config["out_dim"],
        text_dim=config["text_dim"],
        freq_dim=config["freq_dim"],
        ffn_dim=config["ffn_dim"],
        num_layers=config["num_layers"],
        eps=config["eps"],
    )
    model.load_state_dict(convert_wan_transformer_to_diffusers(weights), strict=True)
    return model.eval()


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys):
    """The command line of holocine, see `command`."""
    return command(main, capsys)


@pytest.fixture
def board(work):
    """The working folder, with a storyboard of two shots in board.yaml."""
    (work / "board.yaml").write_text(BOARD, encoding="utf-8")
    return work
