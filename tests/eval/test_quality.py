from __future__ import annotations

import numpy as np
import pytest

from eval.evidence import Boundary, Detection, Evidence, Footage
from eval.metrics.quality import METRICS

AESTHETIC, SHARPNESS, CLIPPING = METRICS


def evidence(sharpness, clipped=None, aesthetic=None, missing=None, boundaries=()) -> Evidence:
    count = len(sharpness)
    blank = np.zeros((count, 16, 16, 3), np.uint8)
    clipped = np.zeros(count) if clipped is None else np.asarray(clipped)
    footage = Footage("0", count, 8.0, (16, 16), blank, blank, np.asarray(sharpness), clipped)
    return Evidence(footage, Detection("test", count, boundaries), aesthetic=aesthetic, missing=missing or {})


def test_sharpness_and_clipping_are_means_over_frames() -> None:
    seen = evidence([0.1, 0.2, 0.6], [0, 0.25, 0.5])
    assert SHARPNESS.derive(SHARPNESS.measure(seen).parts) == pytest.approx(0.3)
    assert CLIPPING.derive(CLIPPING.measure(seen).parts) == pytest.approx(25)


def test_frames_of_a_dissolve_are_neither_soft_nor_free_of_clipping() -> None:
    dissolve = (Boundary(4, 0.9, "gradual", 2, 5),)
    seen = evidence([0.4, 0.4, 0.1, 0.1, 0.1, 0.2], [0.3, 0.3, 0, 0, 0, 0.6], boundaries=dissolve)
    assert SHARPNESS.derive(SHARPNESS.measure(seen).parts) == pytest.approx(1 / 3)
    measured = CLIPPING.measure(seen)
    assert CLIPPING.derive(measured.parts) == pytest.approx(40)
    assert (measured.covered, measured.of) == (3, 6)


def test_aesthetic_is_the_mean_over_sampled_frames_that_have_a_value() -> None:
    measured = AESTHETIC.measure(evidence([0.0] * 9, aesthetic=(np.array([0, 4, 8]), np.array([0.5, np.nan, 0.6]))))
    assert AESTHETIC.derive(measured.parts) == pytest.approx(0.55)
    assert (measured.covered, measured.of) == (2, 3)


def test_aesthetic_is_absent_without_its_weights_and_says_why() -> None:
    measured = AESTHETIC.measure(evidence([0.1], missing={"aesthetic": "the predictor is not here"}))
    assert AESTHETIC.derive(measured.parts) is None
    assert measured.reason == "the predictor is not here"


def test_values_that_are_no_numbers_are_absent_and_not_zero() -> None:
    measured = SHARPNESS.measure(evidence([np.nan, np.nan]))
    assert SHARPNESS.derive(measured.parts) is None
    assert measured.reason == "no frame could be measured"
