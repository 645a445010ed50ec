"""Standard errors, paired comparisons and Holm's correction, against scipy and against numbers worked out by hand."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.reporting.significance import (
    BOOTSTRAPPED,
    MIN_PAIRS,
    RESAMPLES,
    compare,
    holm,
    interval,
    least_p,
    standard_error,
    storyboards_needed,
    values_of,
)
from eval.metric import mean

NAMES = ("sum", "count")


def one_each(values) -> np.ndarray:
    """A storyboard a row, each with one thing counted."""
    return np.stack([values, np.ones(len(values))], 1)


def precision(parts) -> float | None:
    total = parts["right"] + parts["wrong"]
    return parts["right"] / total if total else None


def test_the_standard_error_of_a_plain_mean_is_the_deviation_over_the_root_of_n():
    values = np.random.default_rng(0).normal(size=12)
    assert standard_error(mean, NAMES, one_each(values)) == pytest.approx(stats.sem(values))
    assert standard_error(mean, NAMES, one_each(values[:1])) is None


def test_the_standard_error_of_a_ratio_leaves_one_storyboard_out_at_a_time():
    rows = np.array([[3.0, 1.0], [0.0, 2.0], [5.0, 0.0]])
    without = np.array([5 / 7, 8 / 9, 3 / 6])
    expected = np.sqrt(2 / 3 * ((without - without.mean()) ** 2).sum())
    assert standard_error(precision, ("right", "wrong"), rows) == pytest.approx(expected)
    alone = np.array([[3.0, 1.0], [0.0, 0.0]])
    assert standard_error(precision, ("right", "wrong"), alone) is None, "without the first there is no value"


def test_values_come_from_totals_and_are_missing_where_nothing_was_counted():
    totals = np.array([[6.0, 2.0], [1.0, 4.0], [0.0, 0.0]])
    np.testing.assert_array_equal(values_of(mean, NAMES, totals), [3.0, 0.25, np.nan])
    np.testing.assert_array_equal(values_of(mean, NAMES[::-1], totals[:, ::-1]), [3.0, 0.25, np.nan])
    np.testing.assert_array_equal(values_of(precision, ("right", "wrong"), totals), [0.75, 0.2, np.nan])


@pytest.mark.parametrize("shift", [0.0, 0.3, 1.2])
def test_the_paired_bootstrap_agrees_with_scipy(shift):
    rng = np.random.default_rng(1)
    baseline = rng.normal(size=60) * 5  # storyboards differ far more than systems do: only pairing finds the shift
    ours = baseline + shift + rng.normal(size=60) * 0.8
    found = compare(mean, NAMES, one_each(ours), one_each(baseline))
    assert found.pairs == 60 and found.difference == pytest.approx((ours - baseline).mean())
    assert found.p == pytest.approx(stats.ttest_rel(ours, baseline).pvalue, abs=0.03)
    scipys = stats.bootstrap((ours - baseline,), np.mean, method="percentile", n_resamples=9999, random_state=0)
    assert (found.low, found.high) == pytest.approx(scipys.confidence_interval, abs=0.03)
    assert compare(mean, NAMES, one_each(ours), one_each(baseline)) == found, "the same every time"


def test_a_certain_difference_has_the_least_p_and_none_has_one():
    values = np.arange(10.0)
    certain = compare(mean, NAMES, one_each(values + 1), one_each(values))
    assert (certain.difference, certain.low, certain.high) == pytest.approx((1, 1, 1))
    assert compare(mean, NAMES, one_each(values), one_each(values)).p == 1
    noisy = compare(mean, NAMES, one_each(values + 9), one_each(np.random.default_rng(0).normal(size=10)))
    assert noisy.p == least_p(10) == 2 / 2**10
    many = np.arange(float(BOOTSTRAPPED))
    certain = compare(mean, NAMES, one_each(many + 1), one_each(many))
    assert certain.p == least_p(BOOTSTRAPPED) == pytest.approx(1 / (RESAMPLES + 1))


@pytest.mark.parametrize("n", [6, 9, 13, 20])
def test_the_test_of_few_storyboards_is_scipys_permutation_test_with_students_interval(n):
    rng = np.random.default_rng(n)
    ours, baseline = rng.normal(size=n) + 0.8, rng.normal(size=n)
    found = compare(mean, NAMES, one_each(ours), one_each(baseline))
    options = {"permutation_type": "samples", "n_resamples": 2**n if n < 14 else 9999}
    expected = stats.permutation_test((ours - baseline,), np.mean, vectorized=True, rng=1, **options)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-12 if n < 14 else 0.02)
    students = stats.ttest_rel(ours, baseline).confidence_interval()
    assert (found.low, found.high) == pytest.approx((students.low, students.high))


@pytest.mark.parametrize("n", [6, 8, 10, 20])
def test_alike_systems_differ_on_few_storyboards_no_more_often_than_the_level_allows(n):
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):  # errors far from normal, of which a bootstrap calls 8 to 14 % significant
        ours, baseline = rng.lognormal(size=(2, n))
        wrong += compare(mean, NAMES, one_each(ours), one_each(baseline)).p < 0.05
    assert wrong / 400 < 0.05 + 2 * (0.05 * 0.95 / 400) ** 0.5


def test_values_of_unequal_counts_are_swapped_with_their_counts():
    ours, baseline = np.array([[3.0, 1.0], *[[1.0, 3.0]] * 6]), np.array([[0.0, 2.0], *[[1.0, 4.0]] * 6])
    swaps = (np.arange(2**7)[:, None] >> np.arange(7)) & 1
    moved = swaps @ (baseline - ours)
    sides = (values_of(precision, ("right", "wrong"), one) for one in (ours.sum(0) + moved, baseline.sum(0) - moved))
    differences = np.subtract(*sides)
    expected = (np.abs(differences) >= abs(differences[0]) - 1e-12).mean()
    assert compare(precision, ("right", "wrong"), ours, baseline).p == pytest.approx(expected)


def test_how_many_storyboards_it_takes_depends_on_how_many_are_compared():
    assert [storyboards_needed(comparisons) for comparisons in (1, 2, 3, 4, 10)] == [6, 7, 7, 8, 9]
    values = one_each(np.arange(6.0))
    found = compare(mean, NAMES, one_each(np.arange(6.0) + 1), values)
    assert found.p == 1 / 32 and found.is_decidable() and not found.is_decidable(2)


def test_too_few_pairs_are_not_compared():
    values = one_each(np.arange(MIN_PAIRS, dtype=float))
    assert compare(mean, NAMES, values, values) is not None
    assert compare(mean, NAMES, values[1:], values[1:]) is None


def test_storyboards_count_by_what_was_counted_in_them():
    ours = np.array([[9.0, 9.0], *[[0.0, 1.0]] * 7])
    baseline = np.array([[0.0, 9.0], *[[0.0, 1.0]] * 7])
    assert compare(mean, NAMES, ours, baseline).difference == pytest.approx(9 / 16), "not 1/8, a mean of means"


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.2]) == [0.2] and holm([]) == []


MANY = 10**6  # storyboards, of which the interval is the normal one


@pytest.mark.parametrize("value", [0.001, 0.02, 0.5, 0.97, 0.9999])
def test_an_interval_stays_within_the_range_and_is_the_plain_one_far_from_its_ends(value):
    low, high = interval(value, 0.02, MANY, (0, 1))
    assert 0 <= low < value < high <= 1
    assert interval(0.5, 0.001, MANY, (0, 1)) == pytest.approx((0.5 - 0.00196, 0.5 + 0.00196), abs=1e-6)
    assert interval(value, 0.02, MANY) == pytest.approx((value - 0.0392, value + 0.0392), abs=1e-6)


def test_an_interval_is_in_the_logit_of_a_share_and_in_the_logarithm_of_a_size():
    low, high = interval(0.9, 0.05, MANY, (0, 1))
    logit = np.log(9), 1.959966 * 0.05 / (0.9 * 0.1)
    assert (low, high) == pytest.approx([1 / (1 + np.exp(-logit[0] - sign * logit[1])) for sign in (-1, 1)])
    assert interval(2.0, 0.5, MANY, (0, None)) == pytest.approx((2 * np.exp(-0.4899914), 2 * np.exp(0.4899914)))
    assert interval(-2.0, 0.5, MANY, (None, 0)) == pytest.approx((-2 * np.exp(0.4899914), -2 * np.exp(-0.4899914)))
    low, high = interval(0.0, 0.3, MANY, (-1, 1))
    assert -1 < low < 0 < high < 1 and low == pytest.approx(-high)


def test_an_interval_of_a_value_at_a_limit_is_cut_off_there_and_of_none_is_none():
    assert interval(1.0, 0.0, MANY, (0, 1)) == (1.0, 1.0)
    assert interval(1.0, 0.1, MANY, (0, 1)) == pytest.approx((0.804, 1.0), abs=1e-5)
    assert interval(0.0, 0.0, MANY, (0, None)) == (0.0, 0.0)
    assert interval(0.5, None, MANY, (0, 1)) is None


def test_an_interval_of_few_storyboards_is_students():
    values = np.random.default_rng(0).normal(size=5)
    expected = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert interval(values.mean(), stats.sem(values), 5) == pytest.approx(expected)
    low, high = interval(0.5, 0.2, 2, (0, None))
    assert 0 <= low < 0.5 < high and np.isfinite(high)
