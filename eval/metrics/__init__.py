"""All metrics, by name. Each file holds one group of records whose functions are pure."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from eval.metric import Metric

_FILES = (
    "transitions",
    "presence",
    "characters",
    "look",
    "consistency",
    "motion",
    "adherence",
    "cinematography",
    "quality",
)


@cache
def all_metrics() -> dict[str, Metric]:
    """Every metric in the order in which a scorecard shows them."""
    found = [metric for name in _FILES for metric in import_module(f"eval.metrics.{name}").METRICS]
    return {metric.name: metric for metric in found}
