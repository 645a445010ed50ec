"""Scorecards of many videos as one table, CSV or Parquet: a row a video, its metrics as columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.batch import Outcome
from eval.metrics import all_metrics
from eval.scorecard import Scorecard
from holocine.files import check_writable, replacing

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet")
_TYPES = {
    **dict.fromkeys(("video", "error", "name", "sha256", "detector", "encoders", "metrics"), "string"),
    **dict.fromkeys(("frames", "width", "height", "shots", "cuts"), "Int64"),
    **dict.fromkeys(("fps", "seconds"), "Float64"),
}  # of pandas, that know what is missing


def check_table(path: str | os.PathLike) -> None:
    """Raise ValueError for a file that is called neither .csv nor .parquet, OSError for one that cannot be written."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: a table of scores is called .csv or .parquet")
    check_writable(path)


def score_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """A row an outcome, in that order.

    video, error (of one that could not be scored, with nothing else in its row), name, sha256, frames, fps, seconds,
    width, height, shots (asked for), cuts (found), detector, encoders, metrics (their versions); then of every metric
    its value under its name, NAME_covered of NAME_of things that it could look at, NAME_reason for what is missing, and
    NAME_trust, how far its calibration found that it can be trusted, with NAME_limits, where not.
    """
    import pandas as pd

    frame = pd.DataFrame([_row(outcome) for outcome in outcomes], columns=None if outcomes else list(_TYPES))
    types = dict(_TYPES)
    for name in all_metrics():
        types |= {name: "Float64", f"{name}_covered": "Int64", f"{name}_of": "Int64"}
        types |= {f"{name}_{what}": "string" for what in ("reason", "trust", "limits")}
    return frame.astype({name: kind for name, kind in types.items() if name in frame})


def write_table(path: str | os.PathLike, outcomes: Sequence[Outcome]) -> None:
    """Write `score_frame` as CSV or Parquet, by the file's name; the file appears complete or not at all."""
    frame = score_frame(outcomes)
    with replacing(path) as temporary:
        if Path(path).suffix.lower() == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)


def _row(outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {"video": outcome.video, "error": outcome.error, "name": Path(outcome.video).name}
    return row if outcome.scorecard is None else row | _of_card(outcome.scorecard)


def _of_card(card: Scorecard) -> dict[str, Any]:
    video = card.video
    row = {
        "sha256": video.sha256,
        "frames": video.num_frames,
        "fps": video.fps,
        "seconds": video.seconds(video.num_frames),
        "width": video.size[0],
        "height": video.size[1],
        "shots": None if card.shots is None else len(card.shots),
        "cuts": len(card.boundaries),
        "detector": card.detector,
        "encoders": ", ".join(f"{role} {encoder.id}" for role, encoder in card.encoders.items()),
        "metrics": " ".join(f"{name}/{record.version}" for name, record in card.metrics.items()),
    }
    for name, record in card.metrics.items():
        row |= {name: record.value, f"{name}_covered": record.covered, f"{name}_of": record.of}
        row |= {f"{name}_reason": record.reason, f"{name}_trust": record.trust, f"{name}_limits": record.limits}
    return row
