"""Scores of learning curves against hand-computed values."""

import math

import numpy as np
import pytest
from scipy.stats import t

from benchmarks import statistics

# Three runs, four evaluations at unequal steps.
CURVES = np.array([[0.0, 2.0, 4.0, 1.0], [2.0, 6.0, 2.0, 3.0], [1.0, 1.0, 3.0, 8.0]])
STEPS = np.array([0, 10, 20, 40])


def test_final_is_the_last_evaluation() -> None:
    assert statistics.final(CURVES).tolist() == [1.0, 3.0, 8.0]


def test_last_10_takes_all_evaluations_when_there_are_fewer() -> None:
    assert statistics.last_10(CURVES) == pytest.approx([1.75, 3.25, 3.25])


def test_last_10_takes_ten_evaluations_when_there_are_more() -> None:
    assert statistics.last_10(np.arange(12.0)[None]).tolist() == [6.5]


def test_max_of_mean_is_the_best_moment_of_the_mean_curve() -> None:
    # The means are 1, 3, 3, 4: the spread is that at the last point.
    score = statistics.max_of_mean(CURVES)
    assert score.mean == pytest.approx(4.0)
    assert score.std == pytest.approx(math.sqrt((9 + 1 + 16) / 2))


def test_maximum_is_each_runs_best_moment() -> None:
    assert statistics.maximum(CURVES).tolist() == [4.0, 6.0, 8.0]


def test_area_is_the_trapezoid_divided_by_the_steps() -> None:
    # First run: 10 * 1 + 10 * 3 + 20 * 2.5 = 90 over 40 steps.
    assert statistics.area_under_curve(CURVES, STEPS) == pytest.approx(
        [90 / 40, 130 / 40, 140 / 40]
    )
    assert statistics.area_under_curve(np.full((1, 4), 7.0), STEPS).tolist() == [7.0]


def test_the_standard_deviation_over_runs_has_one_degree_of_freedom_less() -> None:
    score = statistics.over_runs(np.array([1.0, 3.0]))
    assert (score.mean, score.std) == pytest.approx((2.0, math.sqrt(2)))


def test_a_single_run_has_no_standard_deviation() -> None:
    score = statistics.over_runs(np.array([5.0]))
    assert score.mean == 5.0
    assert math.isnan(score.std)


def test_welchs_interval_matches_the_textbook_formula() -> None:
    first, second = np.array([1.0, 2.0, 3.0, 6.0]), np.array([0.0, 1.0, 5.0])
    # Variances of the means: 14/3/4 = 7/6 and 7/3; the degrees of freedom follow from both.
    variances = np.array([7 / 6, 7 / 3])
    freedom = variances.sum() ** 2 / (variances**2 / np.array([3, 2])).sum()
    half = t.ppf(0.975, freedom) * math.sqrt(variances.sum())
    interval = statistics.welch_interval(first, second)
    assert interval.difference == pytest.approx(1.0)
    assert (interval.low, interval.high) == pytest.approx((1.0 - half, 1.0 + half))


def test_two_runs_yield_no_interval() -> None:
    with pytest.raises(ValueError, match="three runs"):
        statistics.welch_interval(np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0]))
