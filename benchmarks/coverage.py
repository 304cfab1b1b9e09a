"""How often intervals cover the truth, by simulation on populations whose truth is known."""

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.statistics import Values, interquartile_mean, welch_intervals

FAILED = 0.15  # fraction of failed runs
DEPTH = 20.0  # how far below the others they score, in standard deviations of the others

POPULATIONS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Values]] = {
    # Each of mean zero, and but for the failures of standard deviation one.
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "failures": lambda rng, shape: (
        rng.standard_normal(shape) - DEPTH * ((rng.random(shape) < FAILED) - FAILED)
    ),
    "skewed": lambda rng, shape: 1.0 - rng.standard_exponential(shape),  # the best score is one
}


def welch_coverage(
    first: str,
    second: str,
    n_first: int,
    n_second: int,
    rng: np.random.Generator,
    trials: int,
    scale: tuple[float, float] = (1.0, 1.0),
) -> float:
    """Fraction of trials whose 95 % Welch interval covers the true difference of means.

    That is zero here; the interval moves with the difference, so another would change nothing.

    :param first: a name in POPULATIONS, as the second
    :param n_first: runs of the first in each trial
    :param scale: factors on the scores of both
    """
    first_scores = scale[0] * POPULATIONS[first](rng, (trials, n_first))
    second_scores = scale[1] * POPULATIONS[second](rng, (trials, n_second))
    _, low, high = welch_intervals(first_scores, second_scores)
    return float(np.mean((low <= 0.0) & (high >= 0.0)))


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
    resampled = []
    for n in num_runs:
        chosen = rng.integers(n, size=(trials, resamples * n))
        scores = np.take_along_axis(draw(rng, (trials, n)), chosen, axis=1)
        resampled.append(scores.reshape(trials, resamples, n))
    ordered = np.sort(np.concatenate(resampled, axis=2), axis=2)
    means = ordered[:, :, total // 4 : total - total // 4].mean(axis=2)
    low, high = np.quantile(means, (0.025, 0.975), axis=1)
    truth = interquartile_mean(draw(rng, (1_000_000,)))
    return float(np.mean((low <= truth) & (truth <= high)))
