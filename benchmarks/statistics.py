"""Scores of learning curves. Arrays of curves have the axes (num_runs, num_evaluations)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Curves = NDArray[np.float64]


class MeanAndStd(NamedTuple):
    """Mean and standard deviation (ddof=1; NaN for a single run) over runs."""

    mean: float
    std: float


def over_runs(values: NDArray[np.float64]) -> MeanAndStd:
    """Mean and standard deviation of one value per run, shape (num_runs,)."""
    std = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return MeanAndStd(float(np.mean(values)), std)


class Interval(NamedTuple):
    """A difference of means and its confidence interval."""

    difference: float
    low: float
    high: float


def welch_interval(
    first: NDArray[np.float64], second: NDArray[np.float64], confidence: float = 0.95
) -> Interval:
    """Difference of two means, first minus second, with Welch's interval.

    The runs are independent samples, of possibly unequal variance.

    :param first: one value per run, shape (num_runs,); at least three, as in the second
    :raises ValueError: if there are fewer than three runs
    """
    if min(len(first), len(second)) < 3:
        raise ValueError("an interval needs at least three runs on each side")
    result = stats.ttest_ind(first, second, equal_var=False)
    interval = result.confidence_interval(confidence)
    return Interval(float(first.mean() - second.mean()), float(interval.low), float(interval.high))


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


def area_under_curve(curves: Curves, timesteps: NDArray[np.int64]) -> NDArray[np.float64]:
    """Trapezoid over environment steps divided by their number, shape (num_runs,).

    :param timesteps: shape (num_evaluations,)
    """
    area = np.trapezoid(curves, timesteps, axis=1)
    return np.asarray(area / (timesteps[-1] - timesteps[0]))
