"""How often intervals cover the truth, by simulation on populations whose truth is known."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

from benchmarks.analysis.statistics import Values, interquartile_mean

FAILED = 0.15  # fraction of failed runs
DEPTH = 20.0  # how far below the others they score, in standard deviations of the others
MOST_SIMULATED = 30  # runs on an environment: with more, intervals cover what they should
BLOCK = 50  # trials at a time, to limit memory

POPULATIONS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Values]] = {
    # Each has mean zero and, apart from the failures, standard deviation one.
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "failures": lambda rng, shape: (
        rng.standard_normal(shape) - DEPTH * ((rng.random(shape) < FAILED) - FAILED)
    ),
    "skewed": lambda rng, shape: 1.0 - rng.standard_exponential(shape),  # the best score is one
}


def bootstrap_coverage(
    num_runs: Sequence[int],
    rng: np.random.Generator,
    population: str = "normal",
    trials: int = 1000,
    resamples: int = 500,
) -> float:
    """Fraction of trials whose 95 % stratified percentile bootstrap interval covers the truth.

    The truth is the interquartile mean of the population, the same in all environments.

    :param num_runs: of each environment
    :param population: a name in POPULATIONS
    """
    draw, total = POPULATIONS[population], sum(num_runs)
    truth = interquartile_mean(draw(rng, (1_000_000,)))
    covered = 0
    for start in range(0, trials, BLOCK):
        block = min(BLOCK, trials - start)
        resampled = []
        for n in num_runs:
            chosen = rng.integers(n, size=(block, resamples * n))
            scores = np.take_along_axis(draw(rng, (block, n)), chosen, axis=1)
            resampled.append(scores.reshape(block, resamples, n))
        ordered = np.sort(np.concatenate(resampled, axis=2), axis=2)
        means = ordered[:, :, total // 4 : total - total // 4].mean(axis=2)
        low, high = np.quantile(means, (0.025, 0.975), axis=1)
        covered += int(np.sum((low <= truth) & (truth <= high)))
    return covered / trials


def improvement_coverage(
    num_runs: Sequence[int],
    chance: float,
    rng: np.random.Generator,
    trials: int = 400,
    resamples: int = 500,
) -> float:
    """As :func:`bootstrap_coverage`, for the probability of improvement.

    It compares two algorithms with equal numbers of runs and normal scores.

    :param num_runs: of each environment
    :param chance: the true probability, the same in all environments
    """
    shift = math.sqrt(2.0) * stats.norm.ppf(chance)
    covered = 0
    for _ in range(trials):
        estimates = np.zeros(resamples)
        for n in num_runs:
            is_above = rng.standard_normal(n)[:, None] + shift > rng.standard_normal(n)
            # A resample is represented by how often it contains each run.
            first, second = rng.multinomial(n, np.full(n, 1.0 / n), size=(2, resamples))
            estimates += np.einsum("rn,nm,rm->r", first, is_above, second, optimize=True) / n**2
        low, high = np.quantile(estimates / len(num_runs), (0.025, 0.975))
        covered += bool(low <= chance <= high)
    return covered / trials
