"""How a run scores its videos: which encoders and detector, what versions of the metrics, and their hash."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.suites.suite import content_hash
from holocine.storyboard import Storyboard

if TYPE_CHECKING:
    from eval.request import Request

NONE = "none"
_DEFINITIONS: dict[tuple[Scoring, bool], dict[str, Any]] = {}  # by scoring, and whether of the puppet world


@dataclass(frozen=True)
class Scoring:
    """Names as `eval.load_encoders` and `eval.load_detector` take them; encoders "none" scores without any."""

    encoders: str = "auto"
    dino: str = "auto"
    aesthetic: str | None = None
    detector: str = "transnetv2"
    device: str | None = None

    def load(self) -> Callable[..., str]:
        """Return a function from a video and its storyboard to scorecard JSON; its models are loaded once.

        It also takes what a mapping of finished videos may say of one: `cuts`, `fps`, `start` and `align`.
        """
        from eval import score

        detector = _detector(self.detector)

        def to_json(video: Path, storyboard: Storyboard, fps: float | None = None, **how: Any) -> str:
            request = _request(video, storyboard, fps, **how)
            return score(video, request, fps=fps, encoders=_encoders(self, storyboard), detector=detector).to_json()

        return to_json

    def definition(self, storyboard: Storyboard) -> dict[str, Any]:
        """What a storyboard's scores depend on beside the video, as JSON values.

        Loads the encoders, whose choice may depend on what world the storyboard is of; raises ValueError or OSError
        for those that cannot be had.
        """
        from eval.encoders import is_of_the_theatre

        world = is_of_the_theatre(storyboard)
        if (self, world) not in _DEFINITIONS:
            _DEFINITIONS[self, world] = _definition(self, storyboard)
        return _DEFINITIONS[self, world]

    def sha256(self, storyboard: Storyboard) -> str:
        return content_hash(self.definition(storyboard))

    def plain(self) -> dict[str, Any]:
        """What was asked for, wherever it is computed."""
        return {name: value for name, value in asdict(self).items() if name != "device"}


def _request(
    video: Path,
    storyboard: Storyboard,
    fps: float | None,
    cuts: list[int] | None = None,
    start: float = 0.0,
    align: str = "auto",
) -> Request:
    from eval.gathering import cut_request
    from eval.request import Request

    if cuts is not None:
        return cut_request(storyboard, cuts, video, fps, start=start, policy=align)
    # Shots without lengths are even in a suite: all systems are told so.
    return Request.of(storyboard, timed=True, start=start, policy=align)


def _definition(scoring: Scoring, storyboard: Storyboard) -> dict[str, Any]:
    from eval.scorecard import encoder_records

    encoders = encoder_records(_encoders(scoring, storyboard))
    return {
        "metrics": list(metric_ids()),
        "detector": _detector(scoring.detector).name,
        "encoders": {role: record.model_dump(mode="json") for role, record in encoders.items()},
    }


def metric_ids() -> tuple[str, ...]:
    from eval import all_metrics

    return tuple(metric.id for metric in all_metrics().values())


def _encoders(scoring: Scoring, storyboard: Storyboard):
    from eval.encoders import Encoders, load_encoders

    if scoring.encoders == NONE:
        why = "scoring without encoders was asked for"
        return Encoders(missing={"clip": why, "dino": why, "aesthetic": why})
    return load_encoders(
        scoring.encoders, storyboard, dino=scoring.dino, aesthetic=scoring.aesthetic, device=scoring.device
    )


@cache
def _detector(name: str):
    from eval import load_detector

    return load_detector(name)
