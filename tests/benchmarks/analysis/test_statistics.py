"""Scores of learning curves against hand-computed values."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import t

from benchmarks.analysis import statistics

# Three runs, four evaluations at unequal steps.
CURVES = np.array([[0.0, 2.0, 4.0, 1.0], [2.0, 6.0, 2.0, 3.0], [1.0, 1.0, 3.0, 8.0]])
STEPS = np.array([0, 10, 20, 40])
# Two environments with three and four runs.
SAMPLES = [np.array([0.0, 1.0, 10.0]), np.array([3.0, 3.0, 5.0, 8.0])]


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
    assert interval.estimate == pytest.approx(1.0)
    assert (interval.low, interval.high) == pytest.approx((1.0 - half, 1.0 + half))


def test_two_runs_yield_no_interval() -> None:
    with pytest.raises(ValueError, match="three runs"):
        statistics.welch_interval(np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0]))


def test_many_comparisons_at_once_are_the_single_ones() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 5, 7))
    together = np.array(statistics.welch_intervals(first, second))
    for i, j in product(range(2), range(5)):
        assert statistics.welch_interval(first[i, j], second[i, j]) == pytest.approx(
            tuple(together[:, i, j])
        )


@pytest.mark.filterwarnings("error")
def test_runs_without_spread_have_an_interval_without_width() -> None:
    # Ten times 0.1 does not add up to 1, nor do its deviations to exactly 0, without care.
    first, second = np.full(10, 0.1), np.full(3, 0.3)
    assert statistics.welch_interval(first, first[:3]) == (0.0, 0.0, 0.0)
    assert statistics.welch_interval(first, second) == (0.1 - 0.3,) * 3
    assert statistics.student_interval(first) == (0.1, 0.1, 0.1)


def test_the_mean_of_two_runs_has_no_interval() -> None:
    mean, low, high = statistics.student_interval(np.array([1.0, 2.0]))
    assert mean == 1.5
    assert math.isnan(low)
    assert math.isnan(high)


def test_the_interquartile_mean_of_eight_values_is_that_of_the_middle_four() -> None:
    values = np.array([-1000.0, 8.0, 1.0, 2.0, 4.0, 1e6, 3.0, 6.0])
    assert statistics.interquartile_mean(values) == (2.0 + 3.0 + 4.0 + 6.0) / 4.0


def test_the_interquartile_mean_pools_samples_of_unequal_length() -> None:
    # Of 0 1 3 3 5 8 10, one is left out at each end.
    assert statistics.interquartile_mean(*SAMPLES) == (1.0 + 3.0 + 3.0 + 5.0 + 8.0) / 5.0


def sum_of_means(*samples: statistics.Values) -> statistics.Values:
    return np.asarray(sum(values.mean(axis=-1) for values in samples))


def test_the_bootstrap_resamples_within_each_environment() -> None:
    # All 27 * 256 equally likely resamples, instead of random ones.
    resamples = [product(values, repeat=len(values)) for values in SAMPLES]
    sums = [np.mean(first) + np.mean(second) for first, second in product(*resamples)]
    expected = np.quantile(sums, (0.1, 0.9))
    estimate, low, high = statistics.stratified_bootstrap(
        SAMPLES, sum_of_means, np.random.default_rng(0), confidence=0.8, resamples=20_000
    )
    assert estimate == pytest.approx(11 / 3 + 19 / 4)
    assert (low, high) == pytest.approx(tuple(expected), abs=0.1)
    assert high - low > 6.0


def test_a_bootstrap_of_equal_runs_has_no_width() -> None:
    # Environments of mean 1 and 9: were runs drawn from both together, the mean would vary.
    samples = [np.full(3, 1.0), np.full(5, 9.0)]
    interval = statistics.stratified_bootstrap(samples, sum_of_means, np.random.default_rng(0))
    assert interval == (10.0, 10.0, 10.0)


def test_the_bootstrap_depends_on_its_generator_alone() -> None:
    first, same, other = (
        statistics.stratified_bootstrap(
            [np.arange(7.0), np.arange(9.0) ** 2],
            statistics.interquartile_mean,
            np.random.default_rng(seed),
            resamples=200,
        )
        for seed in (0, 0, 1)
    )
    assert first == same != other


def test_two_runs_in_one_environment_leave_the_bootstrap_without_interval() -> None:
    samples = [np.arange(10.0), np.array([1.0, 2.0])]
    interval = statistics.stratified_bootstrap(
        samples, statistics.interquartile_mean, np.random.default_rng(0)
    )
    assert interval.estimate == statistics.interquartile_mean(*samples)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_a_performance_profile_weighs_environments_equally() -> None:
    # Above 0: 2 of 3 and 4 of 4; above 3, not at it: 1 of 3 and 2 of 4; above 10: none.
    profile = statistics.performance_profile(SAMPLES, np.array([-1.0, 0.0, 3.0, 10.0]))
    assert profile == pytest.approx([1.0, (2 / 3 + 1.0) / 2, (1 / 3 + 1 / 2) / 2, 0.0])


def test_a_tie_is_half_an_improvement() -> None:
    first, second = np.array([1.0, 3.0]), np.array([1.0, 2.0, 3.0])
    # 1 ties once; 3 wins twice and ties once.
    assert statistics.probability_of_improvement([first], [second]) == pytest.approx(3 / 6)
    assert statistics.probability_of_improvement([second], [second]) == 0.5


def test_the_probability_of_improvement_is_the_mean_over_environments() -> None:
    first = [np.array([5.0, 6.0]), np.array([0.0, 4.0])]
    second = [np.array([1.0]), np.array([1.0, 2.0, 3.0])]
    assert statistics.probability_of_improvement(first, second) == (1.0 + 0.5) / 2
    assert statistics.probability_of_improvement(second, first) == (0.0 + 0.5) / 2


def test_a_threshold_is_reached_at_the_first_evaluation_at_or_above_it() -> None:
    steps = statistics.steps_to_threshold(CURVES, STEPS, 4.0)
    assert steps.tolist() == [20.0, 10.0, 40.0]


def test_a_threshold_never_reached_takes_no_number_of_steps() -> None:
    curves = np.array([[0.0, 5.0, 6.0], [7.0, 1.0, 1.0], [1.0, 2.0, 3.0], [np.nan, np.nan, 9.0]])
    steps = statistics.steps_to_threshold(curves, np.array([0, 10, 20]), 6.0)
    assert steps == pytest.approx([20.0, 0.0, np.nan, 20.0], nan_ok=True)
