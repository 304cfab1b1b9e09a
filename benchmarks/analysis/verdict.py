"""Do two implementations perform alike? Two questions, two answers, and an outcome in words.

The typical run: the difference of 20 % trimmed means with Yuen's interval (Welch's, untrimmed,
below five runs). A mean would depend on whether one run in twenty fails. Failures: the difference
of the rates at which runs fall below a declared level, with Newcombe's interval. Finding no
difference is not yet evidence of equivalence (Patterson et al. 2024, "Empirical Design in
Reinforcement Learning", JMLR); that takes two one-sided tests (Schuirmann 1987), which both reject
at a level exactly when the interval of confidence 1 - 2 * level lies within the margin. The
difference of means (Welch; Colas et al. 2019, "A Hitchhiker's Guide to Statistical Comparisons of
Reinforcement Learning Algorithms") is reported beside the two and decides nothing.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.analysis.statistics import (
    MIN_RUNS,
    Values,
    newcombe_intervals,
    standard_error,
    welch_intervals,
    wilson_interval,
)

TRIM = 0.2
MIN_TRIMMED = 5  # runs a side, so that trimming leaves one out at each end
MOST_SEEDS = 1_000  # if these are too few, the number needed is given as one more


class Answer(StrEnum):
    """What one part shows."""

    EQUIVALENT = "equivalent"
    DIFFERENT = "different"
    NEGLIGIBLE = "different but negligible"
    UNDECIDED = "undecided"


class Outcome(StrEnum):
    """What the parts show together."""

    EQUIVALENT = "equivalent"
    WHERE_THEY_SUCCEED = "equivalent where they succeed"
    NEGLIGIBLE = "different but negligible"
    TYPICAL = "different in typical return"
    FAILS_MORE = "fails more often"
    BOTH = "different in typical return and in failures"
    UNDECIDED = "undecided"


E, D, N, U = Answer.EQUIVALENT, Answer.DIFFERENT, Answer.NEGLIGIBLE, Answer.UNDECIDED
OUTCOMES = {  # typical run -> failures -> outcome; None: failures are not compared
    E: {None: Outcome.EQUIVALENT, E: Outcome.EQUIVALENT, N: Outcome.NEGLIGIBLE,
        U: Outcome.WHERE_THEY_SUCCEED, D: Outcome.FAILS_MORE},
    N: {None: Outcome.NEGLIGIBLE, E: Outcome.NEGLIGIBLE, N: Outcome.NEGLIGIBLE,
        U: Outcome.WHERE_THEY_SUCCEED, D: Outcome.FAILS_MORE},
    D: {None: Outcome.TYPICAL, E: Outcome.TYPICAL, N: Outcome.TYPICAL,
        U: Outcome.TYPICAL, D: Outcome.BOTH},
    U: {None: Outcome.UNDECIDED, E: Outcome.UNDECIDED, N: Outcome.UNDECIDED,
        U: Outcome.UNDECIDED, D: Outcome.FAILS_MORE},
}  # fmt: skip
SETTLED = frozenset(Outcome) - {Outcome.UNDECIDED, Outcome.WHERE_THEY_SUCCEED}


@dataclass(frozen=True)
class VerdictPart:
    """One question's numbers, and its answer.

    :param estimates: of the first and the second: trimmed means, means, or rates of failure
    :param difference: first minus second
    :param within: interval of confidence 1 - 2 * level, which decides whether they are equivalent
    :param apart: interval of confidence 1 - level, which decides whether they differ
    :param margin: the difference too small to matter; None if there is none
    :param seeds_needed: seeds per side to show equivalence if there is no difference; None unless
        undecided with a margin; above MOST_SEEDS if even those are too few
    """

    estimates: tuple[float, float]
    difference: float
    within: tuple[float, float]
    apart: tuple[float, float]
    margin: float | None
    answer: Answer
    seeds_needed: int | None


@dataclass(frozen=True)
class Failures(VerdictPart):
    """How often runs fail: ``estimates`` are rates.

    :param counts: of runs that failed
    :param intervals: Wilson's 95 % interval of each rate
    """

    counts: tuple[int, int]
    intervals: tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Verdict:
    """What the runs of two implementations show on one environment.

    :param trimmed: whether the typical run is judged by trimmed means
    :param tied: whether half of the runs of a side, or more, have the same score
    :param failures: None where no threshold of failure is known
    :param mean: descriptive: it decides nothing
    :param level: of each test
    """

    num_runs: tuple[int, int]
    level: float
    trimmed: bool
    tied: bool
    typical: VerdictPart
    failures: Failures | None
    mean: VerdictPart
    outcome: Outcome

    @property
    def is_settled(self) -> bool:
        """Whether no more seeds are needed."""
        return self.outcome in SETTLED


def decide(
    first: Values,
    second: Values,
    margin: float | None,
    failed: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None,
    rate_margin: float = 0.2,
    level: float = 0.05,
) -> Verdict:
    """Compare two implementations on one environment.

    :param first: one score per run, shape (num_runs,); at least three, as in the second
    :param margin: the difference of scores too small to matter; None: nothing is equivalent
    :param failed: whether each run failed, shapes as the scores; None where that is not known
    :param rate_margin: the difference of failure rates too small to matter
    :param level: of each one-sided test of equivalence, and each two-sided one of a difference
    :raises ValueError: for fewer than three runs, a score that is not finite, or a margin of zero
    """
    refuse_incomparable(first, second, margin)
    trim = TRIM if min(len(first), len(second)) >= MIN_TRIMMED else 0.0
    typical, mean = (compare_means(first, second, margin, level, t) for t in (trim, 0.0))
    failures = None
    if failed is not None:
        counts = int(failed[0].sum()), int(failed[1].sum())
        failures = compare_rates(counts, (len(first), len(second)), rate_margin, level)
    return Verdict(
        num_runs=(len(first), len(second)),
        level=level,
        trimmed=trim > 0.0,
        tied=any(2 * np.unique(x, return_counts=True)[1].max() >= len(x) for x in (first, second)),
        typical=typical,
        failures=failures,
        mean=mean,
        outcome=OUTCOMES[typical.answer][failures.answer if failures else None],
    )


def refuse_incomparable(first: Values, second: Values, margin: float | None) -> None:
    """Refuse what cannot be compared.

    :raises ValueError: as :func:`decide` does
    """
    if min(len(first), len(second)) < MIN_RUNS:
        raise ValueError(f"a verdict needs at least {MIN_RUNS} runs on each side")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a verdict needs scores that are all finite")
    if margin is not None and not 0.0 < margin < np.inf:
        raise ValueError(f"a margin must be positive and finite, got {margin!r}")


def compare_means(
    first: Values, second: Values, margin: float | None, level: float, trim: float
) -> VerdictPart:
    """The part about means; see :func:`decide`.

    :param trim: fraction of the runs to leave out at each end
    """
    difference, *within = map(float, welch_intervals(first, second, 1.0 - 2.0 * level, trim))
    _, *apart = map(float, welch_intervals(first, second, 1.0 - level, trim))
    answer, seeds = answer_of(within, apart, margin), None
    if answer is Answer.UNDECIDED and margin is not None:
        spread, other = (standard_error(x, trim) * len(x) ** 0.5 for x in (first, second))
        seeds = seeds_for_equivalence(spread, other, margin, level, trim)
    estimates = float(stats.trim_mean(first, trim)), float(stats.trim_mean(second, trim))
    return VerdictPart(
        estimates, difference, (within[0], within[1]), (apart[0], apart[1]), margin, answer, seeds
    )


def compare_rates(
    counts: tuple[int, int], num_runs: tuple[int, int], margin: float, level: float
) -> Failures:
    """The part about failures; see :func:`decide`.

    :param counts: how many runs failed
    """
    numbers = np.array(counts[0], float), np.array(counts[1], float)
    difference, *within = map(float, newcombe_intervals(*numbers, *num_runs, 1.0 - 2.0 * level))
    _, *apart = map(float, newcombe_intervals(*numbers, *num_runs, 1.0 - level))
    answer = answer_of(within, apart, margin)
    seeds = None
    if answer is Answer.UNDECIDED:
        seeds = seeds_for_equal_rates(sum(counts) / sum(num_runs), margin, level)
    (low, high), (other_low, other_high) = map(wilson_interval, numbers, num_runs)
    rates = counts[0] / num_runs[0], counts[1] / num_runs[1]
    return Failures(
        rates, difference, (within[0], within[1]), (apart[0], apart[1]), margin, answer, seeds,
        counts, ((float(low), float(high)), (float(other_low), float(other_high))),
    )  # fmt: skip


def answer_of(within: Sequence[float], apart: Sequence[float], margin: float | None) -> Answer:
    """What two intervals show; see :class:`VerdictPart`."""
    equivalent = margin is not None and -margin < within[0] and within[1] < margin
    if apart[0] > 0.0 or apart[1] < 0.0:
        return Answer.NEGLIGIBLE if equivalent else Answer.DIFFERENT
    return Answer.EQUIVALENT if equivalent else Answer.UNDECIDED


def seeds_for_equivalence(
    first_std: float,
    second_std: float,
    margin: float,
    level: float = 0.05,
    trim: float = 0.0,
    power: float = 0.8,
) -> int:
    """Fewest seeds per side for which two one-sided tests show equivalence with this power.

    Assumes normal scores without a true difference. With an estimated standard error s, both
    tests reject where the difference is within margin - t s of zero; the probability of that is
    averaged over quantiles of both sides' variances, which are chi-squared distributed.

    :param first_std: over seeds, in the unit of the margin; trimmed, the standard error of the
        trimmed mean times the square root of the number of seeds
    :return: at least three, at most one more than MOST_SEEDS
    """
    spread = float(np.hypot(first_std, second_std))
    if spread == 0.0:
        return MIN_RUNS
    share = (first_std / spread) ** 2
    quantiles = (np.arange(60) + 0.5) / 60

    def has_power(num_runs: int) -> bool:
        freedom = num_runs - 2 * int(trim * num_runs) - 1
        estimates = stats.chi2.ppf(quantiles, freedom) / freedom  # over the true variances
        first, second = share * estimates[:, None], (1.0 - share) * estimates
        error = first + second
        bounds = stats.t.ppf(1.0 - level, freedom * error**2 / (first**2 + second**2))
        room = margin / spread * num_runs**0.5 - bounds * np.sqrt(error)
        return float(np.maximum(2.0 * stats.norm.cdf(room) - 1.0, 0.0).mean()) >= power

    return _first(has_power)


def seeds_for_equal_rates(
    rate: float, margin: float, level: float = 0.05, power: float = 0.8
) -> int:
    """Fewest seeds per side that show equal rates with this power, if both fail at this rate.

    :return: at least three, at most one more than MOST_SEEDS
    """

    def has_power(num_runs: int) -> bool:
        counts = np.arange(num_runs + 1.0)
        chances = stats.binom.pmf(counts, num_runs, rate)
        likely = chances > 1e-6
        counts, chances = counts[likely], chances[likely]
        _, low, high = newcombe_intervals(
            counts[:, None], counts, num_runs, num_runs, 1.0 - 2.0 * level
        )
        return float(chances @ ((-margin < low) & (high < margin)) @ chances) >= power

    return _first(has_power)


def _first(is_enough: Callable[[int], bool]) -> int:
    """The smallest number of runs that is enough; all larger numbers must be enough too."""
    return MIN_RUNS + bisect_left(range(MIN_RUNS, MOST_SEEDS + 1), True, key=is_enough)
