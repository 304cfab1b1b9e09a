"""How often the intervals cover the truth, on populations that scores of runs may come from."""

import numpy as np
import pytest
from scipy.stats import skew

from benchmarks.coverage import (
    POPULATIONS,
    bootstrap_coverage,
    improvement_coverage,
    welch_coverage,
)

TRIALS = 20_000  # a fraction of 0.93 is then known to 0.002


def coverage(
    first: str, second: str, n_first: int, n_second: int, scale: tuple[float, float] = (1.0, 1.0)
) -> float:
    rng = np.random.default_rng(0)
    return welch_coverage(first, second, n_first, n_second, rng, TRIALS, scale)


@pytest.mark.parametrize("population", POPULATIONS)
def test_the_populations_are_what_they_are_called(population: str) -> None:
    scores = POPULATIONS[population](np.random.default_rng(0), (2, 500_000))
    assert scores.mean() == pytest.approx(0.0, abs=0.03)
    failed = np.mean(scores < -10.0)
    skewness = {"normal": 0.0, "failures": -2.0, "skewed": -2.0}
    assert skew(scores, axis=None) == pytest.approx(skewness[population], abs=0.1)
    assert failed == pytest.approx(0.15 if population == "failures" else 0.0, abs=0.002)


@pytest.mark.parametrize("num_runs", [5, 10, 20])
@pytest.mark.parametrize("population", POPULATIONS)
def test_welchs_interval_covers_between_like_populations(population: str, num_runs: int) -> None:
    assert coverage(population, population, num_runs, num_runs) >= 0.93


@pytest.mark.parametrize(("n_first", "n_second"), [(5, 10), (10, 20), (20, 10)])
@pytest.mark.parametrize("population", POPULATIONS)
def test_welchs_interval_covers_with_twice_as_many_runs_on_one_side(
    population: str, n_first: int, n_second: int
) -> None:
    assert coverage(population, population, n_first, n_second) >= 0.93


@pytest.mark.parametrize(("n_first", "n_second"), [(5, 5), (10, 10), (20, 20), (5, 20), (20, 5)])
@pytest.mark.parametrize("scale", [(1.0, 3.0), (10.0, 1.0)])
def test_welchs_interval_covers_between_normal_populations_of_unequal_variance(
    n_first: int, n_second: int, scale: tuple[float, float]
) -> None:
    assert coverage("normal", "normal", n_first, n_second, scale) >= 0.93


@pytest.mark.parametrize("num_runs", [5, 10, 20])
def test_welchs_interval_covers_between_a_normal_and_a_skewed_population(num_runs: int) -> None:
    assert coverage("normal", "skewed", num_runs, num_runs) >= 0.93


@pytest.mark.parametrize("num_runs", [5, 10])
def test_no_interval_covers_failures_that_no_run_shows(num_runs: int) -> None:
    # Where none of the runs has failed, with probability 0.85^n, nothing tells that any could.
    assert coverage("normal", "failures", num_runs, num_runs) <= 1.0 - 0.85**num_runs + 0.01


@pytest.mark.parametrize(
    ("first", "second", "scale", "covered"),
    [
        ("normal", "failures", (1.0, 1.0), {5: 0.56, 10: 0.80, 20: 0.92}),
        ("failures", "failures", (1.0, 3.0), {5: 0.72, 10: 0.80, 20: 0.92}),
        ("skewed", "skewed", (1.0, 3.0), {5: 0.90, 10: 0.92, 20: 0.93}),
    ],
)
def test_welchs_interval_falls_short_as_the_readme_says_until_there_are_40_runs(
    first: str, second: str, scale: tuple[float, float], covered: dict[int, float]
) -> None:
    # Skewness cancels between like populations only.
    measured = {n: coverage(first, second, n, n, scale) for n in covered}
    assert measured == pytest.approx(covered, abs=0.01)
    assert coverage(first, second, 40, 40, scale) >= 0.93


@pytest.mark.parametrize(("population", "covered"), [("skewed", 0.91), ("failures", 0.86)])
def test_welchs_interval_falls_short_with_four_times_as_many_runs_on_one_side(
    population: str, covered: float
) -> None:
    assert coverage(population, population, 5, 20) == pytest.approx(covered, abs=0.01)


def test_welchs_coverage_depends_on_the_ratio_of_the_scales_only() -> None:
    large, small = ((2.0, 6.0), (1.0, 3.0))
    assert coverage("skewed", "normal", 5, 8, large) == coverage("skewed", "normal", 5, 8, small)


def test_the_bootstrap_of_three_runs_covers_three_times_in_four() -> None:
    # The mean of three runs (a quarter of them is none) has 27 resamples, so the interval ends at
    # the smallest and largest run: both are on one side of the truth with probability 2 / 2^3.
    assert bootstrap_coverage([3], np.random.default_rng(0), trials=4000) == pytest.approx(
        0.75, abs=0.03
    )


@pytest.mark.parametrize("population", POPULATIONS)
def test_the_bootstrap_nears_its_nominal_coverage_with_many_runs(population: str) -> None:
    rng = np.random.default_rng(0)
    assert bootstrap_coverage([20, 30], rng, population, trials=500) == pytest.approx(
        0.95, abs=0.03
    )


def test_the_bootstraps_coverage_depends_on_its_generator_alone() -> None:
    first, second = (
        bootstrap_coverage([10, 10, 10], np.random.default_rng(3), trials=200) for _ in range(2)
    )
    assert first == second


def test_the_interval_of_a_high_chance_to_be_above_covers_little_for_few_runs() -> None:
    def covered(num_runs: int, chance: float) -> float:
        return improvement_coverage((num_runs,), chance, np.random.default_rng(0))

    # Of 400 trials a fraction of 0.95 is known to 0.011.
    assert covered(50, 0.5) == pytest.approx(0.95, abs=0.03)
    assert covered(50, 0.9) == pytest.approx(0.95, abs=0.04)
    # Where all of three runs are above all others, every resample is: an interval of width zero.
    # By integration over the normal densities that has the probability 0.555.
    assert covered(3, 0.9) < 1.0 - 0.555 + 0.05
