"""The rule of the verdicts on samples whose intervals are known by hand, and by simulation.

Samples of three with standard deviation 1 differ with a standard error of sqrt(2/3) at four
degrees of freedom: the 90 % interval is +-1.741, the 95 % interval +-2.267.
"""

import math

import numpy as np
import pytest

from benchmarks.coverage import POPULATIONS
from benchmarks.optimal_control import FIRST_SEED, optimal_value, protocol_starts
from benchmarks.statistics import welch_intervals
from benchmarks.verdict import MOST_SEEDS, Outcome, decide, seeds_for_equivalence, self_comparison
from envs.controllers import make_controller
from envs.rollout import evaluate
from sb3_training.config import RunConfig
from sb3_training.environments import make_env, play_from_seeds

BASE = np.array([-1.0, 0.0, 1.0])
HALF_90, HALF_95 = 2.131847 * math.sqrt(2 / 3), 2.776445 * math.sqrt(2 / 3)


@pytest.mark.parametrize(
    ("shift", "margin", "outcome"),
    [
        (0.0, 1.75, Outcome.EQUIVALENT),
        (0.0, 1.73, Outcome.UNDECIDED),
        (0.5, 2.25, Outcome.EQUIVALENT),
        (-0.5, 2.23, Outcome.UNDECIDED),
        (2.26, 2.0, Outcome.UNDECIDED),
        (2.28, 2.0, Outcome.DIFFERENT),
        (-2.28, 2.0, Outcome.DIFFERENT),
        (2.28, 4.01, Outcome.DIFFERENT),
        (2.28, 4.03, Outcome.NEGLIGIBLE),
        (-2.28, 4.03, Outcome.NEGLIGIBLE),
        (2.26, 4.03, Outcome.EQUIVALENT),
        (0.0, None, Outcome.UNDECIDED),
        (2.28, None, Outcome.DIFFERENT),
    ],
)
def test_the_rule_has_four_outcomes(shift: float, margin: float | None, outcome: Outcome) -> None:
    assert decide(BASE + shift, BASE, margin).outcome is outcome


def test_a_verdict_says_what_it_rests_on() -> None:
    verdict = decide(BASE + 1.0, np.array([-1.0, 0.0, 0.0, 1.0]), 9.0)
    assert verdict.difference == pytest.approx(1.0)
    assert (verdict.margin, verdict.num_runs, verdict.seeds_needed) == (9.0, (3, 4), None)
    verdict = decide(BASE + 1.0, BASE, None)
    assert verdict[1:6] == pytest.approx(
        (1.0, 1.0 - HALF_90, 1.0 + HALF_90, 1.0 - HALF_95, 1.0 + HALF_95)
    )
    assert verdict.seeds_needed is None


def test_an_undecided_verdict_names_the_seeds_it_would_take() -> None:
    verdict = decide(BASE, 2.0 * BASE, 1.0)
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.seeds_needed == seeds_for_equivalence(1.0, 2.0, 1.0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("value", "margin", "outcome"),
    [
        (0.1, 1e-9, Outcome.EQUIVALENT),
        (0.1, None, Outcome.UNDECIDED),
        (1.1, 2.0, Outcome.NEGLIGIBLE),
        (1.1, 0.5, Outcome.DIFFERENT),
        (1.1, 1.1 - 0.1, Outcome.DIFFERENT),  # the margin itself is not within the margin
        (1.1, None, Outcome.DIFFERENT),
    ],
)
def test_runs_without_spread_get_a_verdict(
    value: float, margin: float | None, outcome: Outcome
) -> None:
    verdict = decide(np.full(10, value), np.full(3, 0.1), margin)
    assert verdict.outcome is outcome
    assert verdict.low_90 == verdict.high_95 == value - 0.1


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_gets_no_verdict(side: int, bad: float) -> None:
    samples = [BASE, BASE]
    samples[side] = np.array([0.0, bad, 1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        decide(samples[0], samples[1], 1.0)


def test_two_runs_get_no_verdict() -> None:
    with pytest.raises(ValueError, match="3 runs"):
        decide(BASE, BASE[:2], 1.0)
    with pytest.raises(ValueError, match="3 runs"):
        self_comparison(np.arange(5.0), 1.0, np.random.default_rng(0))


@pytest.mark.parametrize("margin", [0.0, -1.0, np.nan, np.inf])
def test_a_margin_must_be_positive(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        decide(BASE, BASE, margin)


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
    expected = (1.644854 + 1.281552) ** 2 * 2.0 / 0.01**2
    assert seeds_for_equivalence(1.0, 1.0, 0.01) == pytest.approx(expected, rel=1e-4)


@pytest.mark.filterwarnings("error")
def test_extreme_deviations_have_a_number_of_seeds_too() -> None:
    assert seeds_for_equivalence(0.0, 0.0, 1.0) == 3
    assert seeds_for_equivalence(1e-9, 0.0, 1e9) == 3
    assert 10**8 < seeds_for_equivalence(4e3, 1.0, 1.0) < 2 * 10**8
    assert seeds_for_equivalence(1e9, 1.0, 1e-9) == MOST_SEEDS
    assert seeds_for_equivalence(1e300, 1e300, 1e-300) == MOST_SEEDS


def test_a_self_comparison_counts_the_splits() -> None:
    # Of 20 splits into three and three, two separate the zeros from the ones. In the others the
    # means differ by 1/3 with a standard error of sqrt(2/9): a 90 % interval of 1/3 +- 1.005.
    values = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    rng = np.random.default_rng(0)
    fractions = self_comparison(values, 1.5, rng, splits=20_000)
    assert fractions[Outcome.NEGLIGIBLE] == pytest.approx(0.1, abs=0.01)
    assert fractions[Outcome.EQUIVALENT] == 1.0 - fractions[Outcome.NEGLIGIBLE]
    fractions = self_comparison(values, None, rng, splits=20_000)
    assert fractions[Outcome.DIFFERENT] == pytest.approx(0.1, abs=0.01)
    assert fractions[Outcome.UNDECIDED] == 1.0 - fractions[Outcome.DIFFERENT]
    assert set(fractions) == set(Outcome)


@pytest.mark.parametrize("num_runs", [10, 20, 21])
@pytest.mark.parametrize("population", POPULATIONS)
def test_an_implementation_rarely_differs_from_itself(population: str, num_runs: int) -> None:
    rng = np.random.default_rng(2)
    fractions = [
        self_comparison(values, 0.5, rng, splits=100)
        for values in POPULATIONS[population](rng, (300, num_runs))
    ]
    different = [f[Outcome.DIFFERENT] + f[Outcome.NEGLIGIBLE] for f in fractions]
    assert 0.0 < np.mean(different) <= 0.05


@pytest.mark.slow
def test_brake_and_stay_is_not_the_optimum_of_the_rocket() -> None:
    config = RunConfig(algo="any", env_id="rocket-v0", total_timesteps=1)
    policy = make_controller("brake", make_env(config))
    episodes = play_from_seeds(policy, config, range(FIRST_SEED, FIRST_SEED + 100))
    optimum = optimal_value("rocket-v0", protocol_starts("rocket-v0"))
    verdict = decide(evaluate(episodes).returns, optimum.astype(np.float64), 20.0)
    assert verdict.outcome is Outcome.DIFFERENT
    assert verdict.high_95 < -100.0
