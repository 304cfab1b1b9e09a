"""Do two implementations perform alike? A rule with four answers, on one score per run.

Means of independent runs are compared by Welch's interval, as Colas et al. (2019), "A Hitchhiker's
Guide to Statistical Comparisons of Reinforcement Learning Algorithms", advise. Finding no
difference is not yet evidence of likeness (Patterson et al. 2024, "Empirical Design in
Reinforcement Learning", JMLR); that takes two one-sided tests (Schuirmann 1987), which both reject
at 5 % just where the 90 % interval lies within the margin.
"""

from bisect import bisect_left
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.statistics import MIN_RUNS, Values, over_runs, welch_intervals

MOST_SEEDS = 10**9  # the answer where even more would be needed


class Outcome(StrEnum):
    """What the runs show."""

    EQUIVALENT = "equivalent"
    DIFFERENT = "different"
    NEGLIGIBLE = "different but negligible"
    UNDECIDED = "undecided"


OUTCOMES = {  # (equivalent, different) -> outcome
    (True, False): Outcome.EQUIVALENT,
    (False, True): Outcome.DIFFERENT,
    (True, True): Outcome.NEGLIGIBLE,
    (False, False): Outcome.UNDECIDED,
}


class Verdict(NamedTuple):
    """An outcome, and all that it rests on.

    The difference of means is first minus second, followed by its 90 % and 95 % Welch intervals.
    seeds_needed, per side, is None unless undecided with a margin. It supposes that there is no
    difference: if there is one near the margin, more seeds do not help.
    """

    outcome: Outcome
    difference: float
    low_90: float
    high_90: float
    low_95: float
    high_95: float
    margin: float | None
    num_runs: tuple[int, int]
    seeds_needed: int | None


def decide(first: Values, second: Values, margin: float | None) -> Verdict:
    """Compare two implementations on one environment.

    Equivalent: the 90 % interval lies strictly within +-margin. Different: the 95 % interval
    excludes zero. Both: different but negligible. Neither: undecided.

    :param first: one score per run, shape (num_runs,); at least three, as in the second
    :param margin: the difference too small to matter; None leaves different or undecided
    :raises ValueError: for fewer than three runs, a score that is not finite, or a margin of zero
    """
    *intervals, equivalent, different = _compare(first, second, margin)
    outcome, seeds = OUTCOMES[bool(equivalent), bool(different)], None
    if outcome is Outcome.UNDECIDED and margin is not None:
        seeds = seeds_for_equivalence(over_runs(first).std, over_runs(second).std, margin)
    difference, low_90, high_90, low_95, high_95 = map(float, intervals)
    num_runs = len(first), len(second)
    return Verdict(outcome, difference, low_90, high_90, low_95, high_95, margin, num_runs, seeds)


def seeds_for_equivalence(
    first_std: float, second_std: float, margin: float, power: float = 0.8, alpha: float = 0.05
) -> int:
    """Fewest seeds per side for which two one-sided tests show equivalence with this power.

    Supposes normal scores without a true difference. With an estimated standard error s, both
    tests reject where the difference is within margin - t s of zero; the probability of that is
    averaged over quantiles of both sides' variances, which are chi-squared distributed.

    :param first_std: standard deviation over seeds, in the unit of the margin
    :return: at least three, at most MOST_SEEDS
    """
    spread = float(np.hypot(first_std, second_std))
    if spread == 0.0:
        return MIN_RUNS
    share = (first_std / spread) ** 2
    quantiles = (np.arange(60) + 0.5) / 60

    def power_of(num_runs: int) -> float:
        estimates = stats.chi2.ppf(quantiles, num_runs - 1) / (num_runs - 1)  # over the true ones
        first, second = share * estimates[:, None], (1.0 - share) * estimates
        error = first + second
        bounds = stats.t.ppf(1.0 - alpha, (num_runs - 1) * error**2 / (first**2 + second**2))
        room = margin / spread * num_runs**0.5 - bounds * np.sqrt(error)
        return float(np.maximum(2.0 * stats.norm.cdf(room) - 1.0, 0.0).mean())

    return MIN_RUNS + bisect_left(range(MIN_RUNS, MOST_SEEDS), power, key=power_of)


def self_comparison(
    values: Values, margin: float | None, rng: np.random.Generator, splits: int = 1000
) -> dict[Outcome, float]:
    """Fraction of each outcome when the runs of one implementation are split in two at random.

    :param values: one score per run, shape (num_runs,); at least six
    :raises ValueError: as :func:`decide` does for the halves
    """
    shuffled, half = rng.permuted(np.tile(values, (splits, 1)), axis=1), len(values) // 2
    *_, equivalent, different = _compare(shuffled[:, :half], shuffled[:, half:], margin)
    return {
        outcome: float(np.mean((equivalent == is_equivalent) & (different == is_different)))
        for (is_equivalent, is_different), outcome in OUTCOMES.items()
    }


def _compare(first: Values, second: Values, margin: float | None) -> tuple[NDArray[Any], ...]:
    """Difference, both intervals, whether equivalent and whether different, each shape (...,)."""
    if min(first.shape[-1], second.shape[-1]) < MIN_RUNS:
        raise ValueError(f"a verdict needs at least {MIN_RUNS} runs on each side")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a verdict needs scores that are all finite")
    if margin is not None and not 0.0 < margin < np.inf:
        raise ValueError(f"a margin must be positive and finite, got {margin!r}")
    difference, low_90, high_90 = welch_intervals(first, second, 0.90)
    _, low_95, high_95 = welch_intervals(first, second, 0.95)
    within = 0.0 if margin is None else margin  # no interval lies strictly within zero
    equivalent = (-within < low_90) & (high_90 < within)
    different = (low_95 > 0.0) | (high_95 < 0.0)
    return difference, low_90, high_90, low_95, high_95, equivalent, different
