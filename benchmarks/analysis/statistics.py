"""Scores of learning curves, and their confidence intervals.

Arrays of curves have the axes (num_runs, num_evaluations).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]
Curves = Values
MIN_RUNS = 3  # with fewer there is no interval
BATCH = 50  # resamples at a time, to limit memory


class MeanAndStd(NamedTuple):
    """Mean and standard deviation (ddof=1; NaN for a single run) over runs."""

    mean: float
    std: float


def over_runs(values: Values) -> MeanAndStd:
    """Mean and standard deviation of one value per run, shape (num_runs,)."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return MeanAndStd(float(np.mean(values)), std)


class Interval(NamedTuple):
    """An estimate and its confidence interval; the ends are NaN where there are too few runs."""

    estimate: float
    low: float
    high: float


def student_interval(values: Values, confidence: float = 0.95) -> Interval:
    """Mean over runs with Student's t interval; its ends are NaN for fewer than three runs.

    :param values: one value per run, shape (num_runs,)
    """
    if len(values) < MIN_RUNS:
        return Interval(float(np.mean(values)), np.nan, np.nan)
    least = values.min()
    above = values - least  # so that the spread of equal values is exactly zero
    low, high = stats.ttest_1samp(above, 0.0).confidence_interval(confidence)
    return Interval(*(float(least + part) for part in (above.mean(), low, high)))


def welch_interval(first: Values, second: Values, confidence: float = 0.95) -> Interval:
    """Difference of two means, first minus second, with Welch's interval.

    The runs are independent samples, of possibly unequal variance.

    :param first: one value per run, shape (num_runs,); at least three, as in the second
    :raises ValueError: if there are fewer than three runs
    """
    if min(len(first), len(second)) < MIN_RUNS:
        raise ValueError("an interval needs at least three runs on each side")
    return Interval(*(float(part) for part in welch_intervals(first, second, confidence)))


def welch_intervals(
    first: Values, second: Values, confidence: float = 0.95, trim: float = 0.0
) -> tuple[Values, Values, Values]:
    """Many comparisons at once: differences of means, low and high ends, each of shape (...,).

    Untrimmed, by Welch (1947), "The generalization of 'Student's' problem when several different
    population variances are involved"; trimmed, by Yuen (1974), "The two-sample trimmed t for
    unequal population variances". Without spread the width is zero.

    :param first: shape (..., num_runs), like the second, which may have another number of runs
    :param trim: fraction of the runs, rounded down, to leave out at each end
    """
    least, other = (values.min(axis=-1, keepdims=True) for values in (first, second))
    x, y = first - least, second - other  # so that the spread of equal values is exactly zero
    test = stats.ttest_ind(x, y, axis=-1, equal_var=False, trim=trim)
    low, high = test.confidence_interval(confidence)
    shift = (least - other)[..., 0]
    difference = stats.trim_mean(x, trim, axis=-1) - stats.trim_mean(y, trim, axis=-1)
    return shift + difference, shift + low, shift + high


def standard_error(values: Values, trim: float = 0.0) -> float:
    """Standard error of a trimmed mean, as in Yuen's interval.

    The interval of a sample against itself has sqrt(2) times this standard error.
    """
    test = stats.ttest_ind(values, values, equal_var=False, trim=trim)
    low, high = test.confidence_interval(0.5)
    return float((high - low) / 2.0 / stats.t.ppf(0.75, test.df) / 2.0**0.5)


def wilson_interval(count: Values, n: int, confidence: float = 0.95) -> tuple[Values, Values]:
    """Ends of Wilson's interval of a rate (1927), of the same shape as the count.

    :param count: number of events in n trials
    """
    z = stats.norm.ppf((1.0 + confidence) / 2.0)
    middle = (count + z**2 / 2.0) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(count * (n - count) / n + z**2 / 4.0)
    # For counts of 0 and n, the ends are exactly 0 and 1; the formula gives them up to rounding.
    return np.where(count == 0, 0.0, middle - half), np.where(count == n, 1.0, middle + half)


def newcombe_intervals(
    first: Values, second: Values, n_first: int, n_second: int, confidence: float = 0.95
) -> tuple[Values, Values, Values]:
    """Differences of two rates, low and high ends, of the same shape as the counts.

    Method 10 of Newcombe (1998), "Interval estimation for the difference between independent
    proportions": the distances of Wilson's limits from the rates, combined as the
    root of the sum of squares.

    :param first: number of events in n_first trials
    :param second: number of events in n_second trials
    """
    p, q = first / n_first, second / n_second
    low_p, high_p = wilson_interval(first, n_first, confidence)
    low_q, high_q = wilson_interval(second, n_second, confidence)
    return p - q, p - q - np.hypot(p - low_p, high_q - q), p - q + np.hypot(high_p - p, q - low_q)


def interquartile_mean(*samples: Values) -> Values:
    """Mean of the middle half of all values of all samples, shapes (..., num_runs) -> (...,).

    A quarter of the values, rounded down, is left out at each end (Agarwal et al. 2021, "Deep
    reinforcement learning at the edge of the statistical precipice").
    """
    return np.asarray(stats.trim_mean(np.concatenate(samples, axis=-1), 0.25, axis=-1))


def stratified_bootstrap(
    samples: Sequence[Values],
    statistic: Callable[..., Values],
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Percentile bootstrap interval that resamples the runs within each environment.

    :param samples: one array (num_runs,) for each environment; if one has fewer than three
        runs, the ends are NaN
    :param statistic: called as ``statistic(*samples)``, with arrays (num_resamples, num_runs)
    """
    estimate = float(statistic(*samples))
    if min(map(len, samples)) < MIN_RUNS:
        return Interval(estimate, np.nan, np.nan)
    settings: dict[str, Any] = {"n_resamples": resamples, "confidence_level": confidence}
    result = stats.bootstrap(
        tuple(samples),
        lambda *resampled, axis: statistic(*resampled),
        vectorized=True,
        method="percentile",
        batch=BATCH,
        rng=rng,
        **settings,
    )
    low, high = result.confidence_interval
    return Interval(estimate, float(low), float(high))


def performance_profile(samples: Sequence[Values], thresholds: Values) -> Values:
    """Fraction of runs that score above each threshold, shape (num_thresholds,).

    Every environment weighs the same (Agarwal et al. 2021).

    :param samples: one array (num_runs,) for each environment
    :param thresholds: shape (num_thresholds,)
    """
    above = [(values > thresholds[:, None]).mean(axis=1) for values in samples]
    return np.asarray(np.mean(above, axis=0))


def probability_of_improvement(first: Sequence[Values], second: Sequence[Values]) -> Values:
    """Chance that a run of the first scores above a run of the second, mean over environments.

    Within an environment it is the Mann-Whitney statistic, ties counting one half, over the
    number of pairs (Agarwal et al. 2021).

    :param first: one array (..., num_runs) for each environment, as the second
    :return: shape (...,)
    """
    chances: Values = np.mean(
        [_chance_above(x, y) for x, y in zip(first, second, strict=True)], axis=0
    )
    return chances


def _chance_above(x: Values, y: Values) -> Values:
    """The chance on one environment, from ranks: comparing all pairs would take n * m memory."""
    n, m = x.shape[-1], y.shape[-1]
    ranks = stats.rankdata(np.concatenate([x, y], axis=-1), axis=-1)[..., :n]
    return np.asarray((ranks.sum(axis=-1) - n * (n + 1) / 2) / (n * m))


def steps_to_threshold(curves: Curves, timesteps: NDArray[Any], threshold: float) -> Values:
    """First evaluation step at which each run reaches the threshold, or NaN, shape (num_runs,).

    :param timesteps: shape (num_evaluations,), or each run's own, as the curves
    """
    reached = curves >= threshold
    steps = np.broadcast_to(timesteps, curves.shape)
    first = np.take_along_axis(steps, reached.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(reached.any(axis=1), first, np.nan)


def final(curves: Curves) -> NDArray[np.float64]:
    """The last evaluation of each run, shape (num_runs,)."""
    return curves[:, -1]


def last_10(curves: Curves) -> NDArray[np.float64]:
    """The mean of each run's last ten evaluations (of all, when fewer), shape (num_runs,)."""
    return np.asarray(curves[:, -10:].mean(axis=1))


def maximum(curves: Curves) -> NDArray[np.float64]:
    """Each run's highest evaluation, shape (num_runs,); biased upwards."""
    return np.asarray(curves.max(axis=1))


def max_of_mean(curves: Curves) -> MeanAndStd:
    """Highest point of the mean curve, with the spread over runs at that point.

    The score of the TD3 paper's Table 1. It picks the luckiest moment, so it is biased upwards.
    """
    best = int(curves.mean(axis=0).argmax())
    return over_runs(curves[:, best])


def area_under_curve(curves: Curves, timesteps: NDArray[Any]) -> NDArray[np.float64]:
    """Area by the trapezoidal rule, divided by the number of steps, shape (num_runs,).

    :param timesteps: shape (num_evaluations,), or each run's own, as the curves
    """
    area = np.trapezoid(curves, timesteps, axis=1)
    return np.asarray(area / (timesteps[..., -1] - timesteps[..., 0]))
