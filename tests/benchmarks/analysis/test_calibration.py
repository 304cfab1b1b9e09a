"""How often verdicts are wrong: a fast part of what ``python -m tests.calibration`` prints."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.analysis.sequential import nominal_level, overall_error
from benchmarks.analysis.statistics import welch_intervals
from benchmarks.analysis.verdict import TRIM
from benchmarks.experiments import DEFAULT_LOOKS
from tests.calibration import (
    POPULATIONS,
    calibration_page,
    errors_of_means,
    errors_of_rates,
    errors_on_runs,
    published_scores,
    seeds_taken,
)

TRIALS = 4_000  # a fraction of 5 % is then known to 0.35 points
AT_MOST = 0.05 + 3 * 0.0035
DESIGNS = [(5,), (10,), (20,), (40,), DEFAULT_LOOKS]
PUBLISHED = Path(__file__).parents[4] / "shared/published_curves/fujimoto"
NAMED = {population.name: population for population in POPULATIONS}


@pytest.mark.parametrize("looks", DESIGNS)
@pytest.mark.parametrize("name", ["normal", "skewed", "5% fail", "15% fail", "30% fail"])
def test_the_typical_run_is_wrong_in_at_most_one_experiment_of_twenty(
    name: str, looks: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(1)
    errors = errors_of_means(NAMED[name], looks, nominal_level(looks), TRIM, rng, TRIALS)
    assert errors.false_equivalent <= AT_MOST
    assert errors.false_different <= AT_MOST


@pytest.mark.parametrize("looks", DESIGNS)
@pytest.mark.parametrize("name", NAMED)
def test_failures_are_wrong_as_seldom_but_where_the_text_warns(
    name: str, looks: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(1)
    errors = errors_of_rates(NAMED[name], looks, nominal_level(looks), rng, TRIALS)
    never_fails = NAMED[name].rates == (0.0, 0.0) and looks == (20,)
    assert errors.false_equivalent <= (0.09 if never_fails else AT_MOST)
    assert np.isnan(errors.false_different) == (name == "5% and 30% fail")
    few = name == "30% fail" and looks == (5,)
    assert not errors.false_different > (0.075 if few else AT_MOST)


def test_looking_four_times_by_the_old_rule_is_wrong_three_times_as_often() -> None:
    rng = np.random.default_rng(1)
    errors = errors_of_means(NAMED["normal"], DEFAULT_LOOKS, 0.05, 0.0, rng, TRIALS)
    assert 0.12 < errors.false_different < 0.17
    assert 0.11 < errors.false_equivalent < 0.16


def test_the_mean_rarely_shows_equivalence_once_runs_fail_and_the_typical_run_does() -> None:
    rng = np.random.default_rng(1)
    scores = [NAMED["5% fail"].draw(rng, side, (TRIALS, 20))[0] for side in (0, 1)]
    fractions = []
    for trim in (TRIM, 0.0):
        _, low, high = welch_intervals(scores[0], scores[1], 0.9, trim)
        fractions.append(np.mean((low > -2.0) & (high < 2.0)))
    assert fractions[0] > 0.98
    assert fractions[1] < 0.2


@pytest.mark.slow
def test_clear_cases_take_eight_to_eleven_seeds() -> None:
    for difference in (0.0, 2.0):
        seeds, decided = seeds_taken(difference, False, np.random.default_rng(0))
        assert 8.0 <= seeds <= 11.0
        assert decided > 0.99


def test_the_level_of_each_look_keeps_the_error_over_all_at_five_percent() -> None:
    """Of looks at a mean of known variance, drawn apart from those that the level is from."""
    assert nominal_level(()) == nominal_level((20,)) == 0.05
    assert nominal_level(DEFAULT_LOOKS) == pytest.approx(0.0158, abs=0.0005)
    scores = np.random.default_rng(7).standard_normal((100_000, max(DEFAULT_LOOKS)))
    z = np.array([scores[:, :n].sum(axis=1) / n**0.5 for n in DEFAULT_LOOKS])
    tails = {0.05: 1.959964, nominal_level(DEFAULT_LOOKS): 2.4135}
    for level, bound in tails.items():
        error = np.mean(np.abs(z).max(axis=0) > bound)
        assert overall_error(DEFAULT_LOOKS, level) == pytest.approx(error, abs=0.004)
    assert overall_error(DEFAULT_LOOKS, nominal_level(DEFAULT_LOOKS)) <= 0.05
    assert overall_error(DEFAULT_LOOKS, 0.05) == pytest.approx(0.143, abs=0.004)


@pytest.mark.slow
@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published curves are not here")
def test_an_implementation_rarely_differs_from_itself_on_published_runs() -> None:
    scores = published_scores(PUBLISHED)
    assert {len(values) for values in scores.values()} == {10}
    assert len(scores) == 7
    for task, values in scores.items():
        for n in (5, 10, 20):
            errors = errors_on_runs(values, n, 0.05, TRIM, np.random.default_rng(0), TRIALS)
            assert errors.false_different <= AT_MOST + 0.005, (task, n)
            if task != "InvertedPendulum":  # whose runs tie at the most that is possible
                assert errors.false_equivalent <= AT_MOST + 0.005, (task, n)


@pytest.mark.slow
def test_the_page_has_a_row_for_each_population_and_design(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.calibration.TRIALS", 20)
    monkeypatch.setattr("tests.calibration.errors_of_means.__defaults__", (20,))
    monkeypatch.setattr("tests.calibration.errors_of_rates.__defaults__", (20,))
    lines = calibration_page().splitlines()
    assert sum(line.count("until decided |") for line in lines) == len(POPULATIONS)
    for name in NAMED:
        assert sum(line.startswith("|") and f" {name} |" in line for line in lines) >= 5
