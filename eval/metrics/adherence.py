"""…"""

from __future__ import annotations

from eval.metric import Metric

METRICS: tuple[Metric, ...] = ()
