"""How often the intervals cover the truth, on populations that scores of runs may come from."""

import numpy as np
import pytest
from scipy.stats import skew

from tests.helpers.coverage import (
    POPULATIONS,
    bootstrap_coverage,
    improvement_coverage,
)


@pytest.mark.parametrize("population", POPULATIONS)
def test_the_populations_are_what_they_are_called(population: str) -> None:
    scores = POPULATIONS[population](np.random.default_rng(0), (2, 500_000))
    assert scores.mean() == pytest.approx(0.0, abs=0.03)
    failed = np.mean(scores < -10.0)
    skewness = {"normal": 0.0, "failures": -2.0, "skewed": -2.0}
    assert skew(scores, axis=None) == pytest.approx(skewness[population], abs=0.1)
    assert failed == pytest.approx(0.15 if population == "failures" else 0.0, abs=0.002)


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


@pytest.mark.slow
def test_the_interval_of_a_high_chance_to_be_above_covers_little_for_few_runs() -> None:
    def covered(num_runs: int, chance: float) -> float:
        return improvement_coverage((num_runs,), chance, np.random.default_rng(0))

    # Of 400 trials a fraction of 0.95 is known to 0.011.
    assert covered(50, 0.5) == pytest.approx(0.95, abs=0.03)
    assert covered(50, 0.9) == pytest.approx(0.95, abs=0.04)
    # Where all of three runs are above all others, every resample is: an interval of width zero.
    # By integration over the normal densities that has the probability 0.555.
    assert covered(3, 0.9) < 1.0 - 0.555 + 0.05
