"""The puppet world looks as it did when `WORLD_VERSION` was last raised: else runs would keep videos of another world.

Where it is meant to look different, raise `WORLD_VERSION` and write down how it looks, `python -m
tests.benchmarks.test_world`.
"""

import json
from pathlib import Path

import numpy as np

from benchmarks.suites.suite import load_suite
from holocine.puppet.renderer import render
from holocine.puppet.world import WORLD_VERSION

LOOKS = Path(__file__).with_name("world.json")
SCENES = ("puppet-001", "puppet-041", "puppet-064", "puppet-088")
BLOCK, TOLERANCE = 8, 1.0  # pixels, levels of 256: fonts and compilers may round a pixel differently, no more


def looks() -> dict[str, list]:
    """The first picture of every shot of some scenes, as the mean colours of blocks."""
    suite = load_suite("puppet")
    found = {}
    for id in SCENES:
        scene = suite[id].scene
        frames, _ = render(scene, only=(0, *scene.cuts))
        shots, height, width, _ = frames.shape
        blocks = frames.reshape(shots, height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).mean((2, 4))
        found[id] = blocks.round().astype(int).tolist()
    return found


def test_the_world_looks_as_its_version_says():
    known = json.loads(LOOKS.read_text())
    assert known["version"] == WORLD_VERSION, "how it looks was not written down"
    for id, pictures in looks().items():
        difference = np.abs(np.array(pictures) - np.array(known["looks"][id])).max()
        assert difference <= TOLERANCE, f"{id} looks different: raise WORLD_VERSION and write down how it looks"


if __name__ == "__main__":
    LOOKS.write_text(json.dumps({"version": WORLD_VERSION, "looks": looks()}, separators=(",", ":")) + "\n")
