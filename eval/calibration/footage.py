"""What the scorer finds in filmed or generated videos, and how it reacts there to damage of the pictures alone.

Such a video has no truth beside its storyboard, but the frames that it has can be damaged in known ways.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from eval.calibration.damage import DAMAGES
from eval.encoders import Encoders, load_encoders
from eval.gathering import storyboard_of
from eval.scorecard import examine
from eval.shots import ShotDetector, load_detector
from holocine.storyboard import Storyboard
from holocine.video import read_video

CHANGES = tuple(damage for damage in DAMAGES if damage.change is not None)


def observed(
    video: Path, storyboard: Path | None = None, progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """The scores of a video as plain JSON, and under "damaged" those of the video with its pictures damaged.

    Every frame is held in memory. `progress` is called with 1 for each of 1 + the strengths of all `CHANGES`.
    """
    asked = storyboard_of(video, storyboard)
    encoders, detector = load_encoders("auto", asked), load_detector()
    card, evidence = examine(video, asked, encoders=encoders, detector=detector)
    if progress:
        progress(1)
    return {
        "video": card.video.model_dump(mode="json"),
        "detector": card.detector,
        "boundaries": [boundary.model_dump(mode="json") for boundary in card.boundaries],
        "requested": None if card.shots is None else [shot.start for shot in card.shots[1:]],
        "metrics": {
            name: {"value": record.value, "covered": record.covered, "of": record.of, "reason": record.reason}
            for name, record in card.metrics.items()
        },
        "notes": list(card.notes),
        "damaged": _damaged(
            read_video(video).frames,
            list(evidence.detection.shot_ranges),
            asked,
            card.video.fps,
            encoders,
            detector,
            progress,
        ),
    }


def _damaged(
    frames: np.ndarray,
    shots: list[range],
    storyboard: Storyboard | None,
    fps: float,
    encoders: Encoders,
    detector: ShotDetector,
    progress: Callable[[int], None] | None,
) -> dict[str, list[dict[str, Any]]]:
    """By damage, for each strength: the cuts that are found and the metrics that have a value."""
    found: dict[str, list[dict[str, Any]]] = {}
    for damage in CHANGES:
        for strength in damage.strengths:
            changed = damage.change(frames, shots, strength, np.random.default_rng(0))
            card, _ = examine(changed, storyboard, fps=fps, encoders=encoders, detector=detector)
            values = {name: record.value for name, record in card.metrics.items() if record.value is not None}
            cuts = [boundary.frame for boundary in card.boundaries]
            found.setdefault(damage.name, []).append({"strength": strength, "cuts": cuts, "values": values})
            if progress:
                progress(1)
    return found
