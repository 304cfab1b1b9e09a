"""The rule of the verdicts on samples whose intervals are known by hand, and by simulation."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import ttest_ind

from benchmarks.analysis.statistics import (
    Values,
    newcombe_intervals,
    welch_intervals,
    wilson_interval,
)
from benchmarks.analysis.verdict import (
    MOST_SEEDS,
    OUTCOMES,
    SETTLED,
    Answer,
    Outcome,
    answer_of,
    compare_rates,
    decide,
    seeds_for_equal_rates,
    seeds_for_equivalence,
)
from benchmarks.optimum.tasks import FIRST_SEED, optimal_value, protocol_starts
from envs.controllers import make_controller
from envs.rollout import evaluate
from training.config import RunConfig
from training.environments import make_env, play_from_seeds

# Samples of three with standard deviation 1 differ with a standard error of sqrt(2/3) at four
# degrees of freedom: the 90 % interval is +-1.741, the 95 % interval +-2.267.
THREE = np.array([-1.0, 0.0, 1.0])
# Trimmed by one at each end, three of five are left: mean 0, winsorised variance 1, so squared
# standard errors of 1 * 4 / (3 * 2) = 2/3 each and four degrees of freedom.
FIVE = np.array([-100.0, -1.0, 0.0, 1.0, 100.0])
HALF_90, HALF_95 = 2.131847 * math.sqrt(4 / 3), 2.776445 * math.sqrt(4 / 3)  # 2.462, 3.206


@pytest.mark.parametrize(
    ("shift", "margin", "answer"),
    [
        (0.0, 2.47, Answer.EQUIVALENT),
        (0.0, 2.45, Answer.UNDECIDED),
        (0.5, 2.97, Answer.EQUIVALENT),
        (-0.5, 2.95, Answer.UNDECIDED),
        (3.20, 2.0, Answer.UNDECIDED),
        (3.21, 2.0, Answer.DIFFERENT),
        (-3.21, 5.67, Answer.DIFFERENT),
        (3.21, 5.68, Answer.NEGLIGIBLE),
        (3.20, 5.68, Answer.EQUIVALENT),
        (0.0, None, Answer.UNDECIDED),
        (3.21, None, Answer.DIFFERENT),
    ],
)
def test_the_typical_run_has_four_answers(
    shift: float, margin: float | None, answer: Answer
) -> None:
    assert decide(FIVE + shift, FIVE, margin).typical.answer is answer


def test_a_verdict_says_what_it_rests_on() -> None:
    verdict = decide(FIVE + 1.0, FIVE, 9.0)
    typical = verdict.typical
    assert (verdict.num_runs, verdict.trimmed, verdict.level) == ((5, 5), True, 0.05)
    assert typical.estimates == pytest.approx((1.0, 0.0))
    assert typical.within == pytest.approx((1.0 - HALF_90, 1.0 + HALF_90))
    assert typical.apart == pytest.approx((1.0 - HALF_95, 1.0 + HALF_95))
    assert (typical.margin, typical.seeds_needed, verdict.failures) == (9.0, None, None)
    assert verdict.mean.apart[1] > 100.0  # which hangs on the outliers
    assert json.loads(json.dumps(asdict(verdict)))["outcome"] == "equivalent"


@pytest.mark.parametrize(("n", "m"), [(5, 5), (10, 10), (7, 20), (40, 11)])
@pytest.mark.parametrize("level", [0.05, 0.016])
def test_the_interval_is_that_of_scipy_also_for_unequal_numbers(
    n: int, m: int, level: float
) -> None:
    rng = np.random.default_rng(n)
    first, second = rng.standard_cauchy(n), 2.0 * rng.normal(size=m)
    part = decide(first, second, 1.0, level=level).typical
    theirs = ttest_ind(first, second, equal_var=False, trim=0.2)
    assert part.apart == pytest.approx(tuple(theirs.confidence_interval(1.0 - level)))
    assert part.within == pytest.approx(tuple(theirs.confidence_interval(1.0 - 2.0 * level)))


@pytest.mark.parametrize(("first", "second"), [(THREE, THREE), (np.arange(4.0), np.arange(30.0))])
def test_below_five_runs_nothing_is_trimmed_and_the_verdict_says_so(
    first: Values, second: Values
) -> None:
    verdict = decide(first, second, 1.0)
    assert not verdict.trimmed
    assert verdict.typical == verdict.mean
    _, low, high = welch_intervals(first, second)
    assert verdict.typical.apart == (float(low), float(high))


def test_a_level_of_its_own_widens_the_intervals() -> None:
    part = decide(FIVE, FIVE, 3.0, level=0.01).typical
    assert part.within == pytest.approx((-3.746947 * math.sqrt(4 / 3), 3.746947 * math.sqrt(4 / 3)))
    assert part.answer is Answer.UNDECIDED


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("value", "margin", "answer"),
    [
        (0.1, 1e-9, Answer.EQUIVALENT),
        (0.1, None, Answer.UNDECIDED),
        (1.1, 2.0, Answer.NEGLIGIBLE),
        (1.1, 0.5, Answer.DIFFERENT),
        (1.1, 1.1 - 0.1, Answer.DIFFERENT),  # the margin itself is not within the margin
        (1.1, None, Answer.DIFFERENT),
    ],
)
@pytest.mark.parametrize(("n", "m"), [(10, 5), (10, 3)])
def test_runs_without_spread_get_a_verdict_and_are_known_to_tie(
    value: float, margin: float | None, answer: Answer, n: int, m: int
) -> None:
    verdict = decide(np.full(n, value), np.full(m, 0.1), margin)
    assert verdict.typical.answer is answer
    assert verdict.typical.within[0] == verdict.typical.apart[1] == value - 0.1
    assert verdict.tied


def test_ties_are_half_of_a_sides_runs() -> None:
    half = np.array([1.0, 1.0, 1.0, 2.0, 3.0, 4.0])
    assert decide(half, np.arange(6.0), 1.0).tied
    assert not decide(half[1:], np.arange(6.0), 1.0).tied


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_gets_no_verdict(side: int, bad: float) -> None:
    samples = [THREE, THREE]
    samples[side] = np.array([0.0, bad, 1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        decide(samples[0], samples[1], 1.0)


def test_two_runs_get_no_verdict() -> None:
    with pytest.raises(ValueError, match="3 runs"):
        decide(THREE, THREE[:2], 1.0)


@pytest.mark.parametrize("margin", [0.0, -1.0, np.nan, np.inf])
def test_a_margin_must_be_positive(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        decide(THREE, THREE, margin)


def test_wilsons_and_newcombes_intervals_are_those_of_the_paper() -> None:
    # Newcombe (1998), Statistics in Medicine 17, 873-890, Table II, method 10.
    for counts, numbers, expected in [
        ((56, 48), (70, 80), (0.0524, 0.3339)),
        ((9, 3), (10, 10), (0.1705, 0.8090)),
        ((5, 0), (56, 29), (-0.0381, 0.1926)),
        ((0, 0), (10, 20), (-0.1611, 0.2775)),
        ((10, 0), (10, 10), (0.6075, 1.0)),
    ]:
        first, second = np.array(counts, float)
        _, low, high = newcombe_intervals(first, second, *numbers)
        assert (low, high) == pytest.approx(expected, abs=6e-5)
    assert wilson_interval(np.array(0.0), 10) == pytest.approx((0.0, 0.27753), abs=1e-5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("counts", "num_runs", "answer"),
    [
        ((0, 0), (10, 10), Answer.UNDECIDED),  # Wilson: up to 21 %
        ((0, 0), (11, 11), Answer.EQUIVALENT),
        ((20, 20), (20, 20), Answer.EQUIVALENT),  # all fail
        ((1, 1), (20, 20), Answer.EQUIVALENT),
        ((0, 4), (20, 20), Answer.UNDECIDED),
        ((0, 5), (20, 20), Answer.DIFFERENT),
        ((0, 5), (5, 5), Answer.DIFFERENT),
        ((1, 4), (5, 40), Answer.UNDECIDED),
        ((40, 80), (1000, 1000), Answer.NEGLIGIBLE),
    ],
)
def test_failures_have_an_answer_too(
    counts: tuple[int, int], num_runs: tuple[int, int], answer: Answer
) -> None:
    part = compare_rates(counts, num_runs, 0.2, 0.05)
    assert part.answer is answer
    assert part.counts == counts
    assert (part.seeds_needed is None) == (answer is not Answer.UNDECIDED)
    assert all(0.0 <= low <= high <= 1.0 for low, high in part.intervals)


def test_the_outcome_follows_from_both_answers() -> None:
    assert OUTCOMES.keys() == set(Answer)
    assert all(row.keys() == {None, *Answer} for row in OUTCOMES.values())
    assert {outcome for row in OUTCOMES.values() for outcome in row.values()} == set(Outcome)
    runs = np.linspace(-1.0, 1.0, 20)
    none, five, one = np.zeros(20, bool), np.arange(20) < 5, np.arange(20) < 1

    def outcome(shift: float, margin: float | None, first: object, second: object) -> Outcome:
        return decide(runs + shift, runs, margin, (np.array(first), np.array(second))).outcome

    assert outcome(0.0, 2.0, none, none) is Outcome.EQUIVALENT
    assert outcome(0.0, 2.0, five, five) is Outcome.WHERE_THEY_SUCCEED
    assert outcome(0.0, 2.0, none, five) is Outcome.FAILS_MORE
    assert outcome(9.0, 2.0, one, one) is Outcome.TYPICAL
    assert outcome(9.0, 2.0, none, five) is Outcome.BOTH
    assert outcome(9.0, 99.0, none, none) is Outcome.NEGLIGIBLE
    assert outcome(0.0, 0.1, none, none) is Outcome.UNDECIDED
    assert outcome(0.0, 0.1, none, five) is Outcome.FAILS_MORE
    assert decide(runs, runs, 2.0).outcome is Outcome.EQUIVALENT
    assert set(Outcome) - SETTLED == {Outcome.UNDECIDED, Outcome.WHERE_THEY_SUCCEED}


def test_one_failing_run_in_twenty_leaves_the_typical_run_alone() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 20))
    first[3] -= 200.0
    verdict = decide(first, second, 2.0, (first < -50.0, second < -50.0))
    assert verdict.typical.answer is Answer.EQUIVALENT
    assert verdict.mean.answer is Answer.UNDECIDED
    assert verdict.outcome is Outcome.EQUIVALENT


def simulated_power(stds: tuple[float, float], margin: float, num_runs: int) -> float:
    rng = np.random.default_rng(num_runs)
    first, second = (std * rng.normal(size=(20_000, num_runs)) for std in stds)
    _, low, high = welch_intervals(first, second, 0.90)
    return float(np.mean((-margin < low) & (high < margin)))


@pytest.mark.parametrize(
    ("stds", "margin"),
    [((1.0, 1.0), 3.0), ((1.0, 1.0), 1.0), ((2.0, 4.0), 3.0), ((0.0, 5.0), 4.0), ((3.0, 2.0), 1.5)],
)
def test_the_seeds_needed_have_the_power_and_fewer_do_not(
    stds: tuple[float, float], margin: float
) -> None:
    needed = seeds_for_equivalence(*stds, margin)
    assert simulated_power(stds, margin, needed) >= 0.78
    assert simulated_power(stds, margin, needed - 1) < 0.81
    assert simulated_power(stds, margin, max(3, int(0.6 * needed))) < 0.8


def test_many_seeds_approach_the_normal_formula() -> None:
    # (z(0.95) + z(0.9))^2 * (sum of variances) / margin^2
    expected = (1.644854 + 1.281552) ** 2 * 2.0 / 0.15**2
    assert seeds_for_equivalence(1.0, 1.0, 0.15) == pytest.approx(expected, abs=2.0)


@pytest.mark.filterwarnings("error")
def test_no_number_of_seeds_is_larger_than_anyone_would_run() -> None:
    assert seeds_for_equivalence(0.0, 0.0, 1.0) == 3
    assert seeds_for_equivalence(1e-9, 0.0, 1e9) == 3
    assert seeds_for_equivalence(4e3, 1.0, 1.0) == MOST_SEEDS + 1
    assert seeds_for_equivalence(1e300, 1e300, 1e-300) == MOST_SEEDS + 1
    assert seeds_for_equal_rates(0.5, 0.01) == MOST_SEEDS + 1


def test_the_seeds_needed_for_failures_have_the_power() -> None:
    assert seeds_for_equal_rates(0.0, 0.2) == 11  # where none of either is within, see above
    needed = seeds_for_equal_rates(0.1, 0.2)
    rng = np.random.default_rng(0)
    for n, low, high in ((needed, 0.79, 1.0), (needed // 2, 0.0, 0.79)):
        counts = rng.binomial(n, 0.1, (2, 20_000)).astype(float)
        _, lows, highs = newcombe_intervals(counts[0], counts[1], n, n, 0.9)
        assert low <= np.mean((lows > -0.2) & (highs < 0.2)) <= high


def test_an_undecided_part_names_the_seeds_it_would_take() -> None:
    verdict = decide(THREE, 2.0 * THREE, 1.0, (np.zeros(3, bool), np.zeros(3, bool)))
    assert verdict.typical.seeds_needed == seeds_for_equivalence(1.0, 2.0, 1.0)
    assert verdict.failures
    assert verdict.failures.seeds_needed == 11
    assert answer_of((-1.0, 1.0), (-2.0, 2.0), 0.5) is Answer.UNDECIDED


@pytest.mark.slow
def test_brake_and_stay_is_not_the_optimum_of_the_rocket() -> None:
    config = RunConfig(algo="any", env_id="rocket-v0", total_timesteps=1)
    policy = make_controller("brake", make_env(config))
    episodes = play_from_seeds(policy, config, range(FIRST_SEED, FIRST_SEED + 100))
    optimum = optimal_value("rocket-v0", protocol_starts("rocket-v0"))
    verdict = decide(evaluate(episodes).returns, optimum.astype(np.float64), 20.0)
    assert verdict.outcome is Outcome.TYPICAL
    assert verdict.mean.apart[1] < -100.0
