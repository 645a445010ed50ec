"""How well the theatre's locator finds puppets and tells them apart, on scenes that it was not trained on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np

from eval.boxes import overlap
from eval.encoders.puppet_locator import DESCRIBED, PuppetLocator
from holocine.files import replacing
from holocine.puppet.renderer import FrameTruth, render
from holocine.puppet.world import Scene, sample_scene

_FIRST_SEED = 720_000
_FRAMES_A_SHOT = 2
_MATCH = 0.5  # intersection over union from which a box is that of a puppet
_SMALLEST = 8  # pixels of a side; less of a puppet in the picture is not counted

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _blur(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 2.0) for frame in frames])


def _noise(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (frames + 10 * rng.standard_normal(frames.shape, np.float32)).clip(0, 255).astype(np.uint8)


def _bright(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (frames * 1.4).clip(0, 255).astype(np.uint8)


CHANGES: dict[str, Change] = {
    "as rendered": lambda frames, rng: frames,
    "blurred by 2 pixels": _blur,
    "noise of 10 grey levels": _noise,
    "40 % brighter": _bright,
}


@dataclass(frozen=True)
class Findings:
    """Counts over puppets seen from any side. overlap: intersection over union summed over the found ones.

    there: puppets in the pictures; found: those that a box is around; invented: boxes around none; traits: answers to
    `DESCRIBED` that are right, of 3 a found puppet; whole: found puppets of which all three are.
    """

    there: int = 0
    found: int = 0
    invented: int = 0
    traits: int = 0
    whole: int = 0
    overlap: float = 0.0

    def __add__(self, other: Findings) -> Findings:
        return Findings(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def recall(self) -> float:
        return self.found / max(1, self.there)

    @property
    def precision(self) -> float:
        return self.found / max(1, self.found + self.invented)

    @property
    def mean_overlap(self) -> float:
        return self.overlap / max(1, self.found)


def compare(locator: PuppetLocator, scene: Scene, frames: np.ndarray, truths: Iterable[FrameTruth]) -> Findings:
    """Match the figures found in frames uint8 (n, H, W, 3) with the puppets that are there."""
    total = Findings()
    for figures, truth in zip(locator.figures(frames), truths, strict=True):
        free = list(figures)
        for puppet in truth.puppets:
            x0, y0, x1, y1 = puppet.box
            best = max(free, key=lambda figure: overlap(figure.box, puppet.box), default=None)
            shared = overlap(best.box, puppet.box) if best is not None else 0.0
            small = min(x1 - x0, y1 - y0) < _SMALLEST
            if shared >= _MATCH:
                free.remove(best)
            if small:
                continue
            if shared < _MATCH:
                total += Findings(there=1)
                continue
            own = scene.puppets[puppet.index]
            right = sum(best.answer(trait) == getattr(own, trait) for trait in DESCRIBED)
            total += Findings(1, 1, 0, right, int(right == len(DESCRIBED)), shared)
        total += Findings(invented=len(free))
    return total


def measure_locator(locator: PuppetLocator, num_scenes: int = 100) -> dict[str, Findings]:
    """The findings on rendered scenes, as they are and under each of `CHANGES`."""
    rng = np.random.default_rng(0)
    totals = {name: Findings() for name in CHANGES}
    for seed in range(_FIRST_SEED, _FIRST_SEED + num_scenes):
        scene = sample_scene(seed)
        chosen = {
            int(start + place)
            for start, shot in zip((0, *scene.cuts), scene.shots, strict=True)
            for place in np.linspace(0, shot.num_frames - 1, _FRAMES_A_SHOT).round()
        }
        frames, truths = render(scene, only=chosen)
        for name, change in CHANGES.items():
            totals[name] += compare(locator, scene, change(frames, rng), truths)
    return totals


def table(findings: dict[str, Findings]) -> str:
    """The findings as a Markdown table."""
    rows = [
        "| pictures | puppets found | boxes that are of one | mean overlap | traits right | all three right |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in findings.items():
        asked = len(DESCRIBED) * one.found
        rows.append(
            f"| {name} | {one.recall:.1%} ({one.found}/{one.there}) | {one.precision:.1%} | {one.mean_overlap:.2f} "
            f"| {one.traits / max(1, asked):.1%} | {one.whole / max(1, one.found):.1%} |"
        )
    return "\n".join(rows)


def save_findings(findings: dict[str, Findings], path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({name: vars(one) for name, one in findings.items()}, indent=2) + "\n")
