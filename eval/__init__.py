"""Scoring of multi-shot videos: a video and its storyboard in, a scorecard out.

Names are imported when they are first used, so `import eval` loads neither torch nor an encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holocine.lazy import lazily

if TYPE_CHECKING:
    from eval.combining import combine
    from eval.encoders import load_encoders
    from eval.gathering import Cancelled
    from eval.metrics import all_metrics
    from eval.scorecard import Scorecard, ScorecardError, score
    from eval.shots import load_detector

_MODULE_OF = {
    "Cancelled": "gathering",
    "Scorecard": "scorecard",
    "ScorecardError": "scorecard",
    "all_metrics": "metrics",
    "combine": "combining",
    "load_detector": "shots",
    "load_encoders": "encoders",
    "score": "scorecard",
}

__all__ = [
    "Cancelled",
    "Scorecard",
    "ScorecardError",
    "all_metrics",
    "combine",
    "load_detector",
    "load_encoders",
    "score",
]

__getattr__, __dir__ = lazily(__name__, _MODULE_OF)
