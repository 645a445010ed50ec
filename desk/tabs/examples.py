"""Scenes that are there at once: shipped videos of the embedded model, each with its storyboard inside.

Beside each MP4 lies a JSON file with what the stage shows of its scores; `desk.examples` makes both.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from desk.page import stage
from desk.studio.preview import picture_url
from desk.studio.studio import planned
from holocine.storyboard import Storyboard
from holocine.video import VideoError, read_video

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[2] / "examples"
VIDEOS = FOLDER / "videos"
CINEMA = FOLDER / "cinema"  # storyboards for other weights
NOTE = "An example, made earlier by the embedded model. Edit its storyboard, or make it again."


@dataclass(frozen=True)
class Example:
    """A storyboard, and what the stage shows of its video; `content` is None for one without a video."""

    id: str
    storyboard: Storyboard
    content: dict[str, Any] | None

    def stage_value(self) -> stage.Value:
        """The video on the stage, or an empty stage."""
        return stage.empty() if self.content is None else stage.finished(self.content, VIDEOS, NOTE)


@lru_cache(maxsize=2)
def load_examples(theatre: bool) -> tuple[Example, ...]:
    """The examples for the embedded model, or for other models: storyboards for HoloCine's 14B weights."""
    if not theatre:
        return tuple(Example(path.stem, Storyboard.load(path), None) for path in sorted(CINEMA.glob("*.yaml")))
    examples = []
    for path in sorted(VIDEOS.glob("*.mp4")):
        try:
            examples.append(_read(path))
        except VideoError as error:
            logger.warning("the example %s is left out: %s", path.name, error)
    return tuple(examples)


def _read(path: Path) -> Example:
    video = read_video(path)
    if video.storyboard is None:
        raise VideoError(f"{path} has no storyboard in it")
    content = planned(video.storyboard)
    for shot, span in zip(content["shots"], video.storyboard.shot_ranges, strict=True):
        shot["picture"] = picture_url(video.frames[span[len(span) // 2]])
    made = {name: value for name, value in (video.settings or {}).items() if name != "seconds"}  # on another machine
    content |= {
        "aspect": video.frames.shape[2] / video.frames.shape[1],
        "files": {"video": path.name},
        "settings": made or None,
    }
    scores = path.with_suffix(".json")
    if scores.exists():
        content |= json.loads(scores.read_text(encoding="utf-8"))
    return Example(path.stem, video.storyboard, content)
