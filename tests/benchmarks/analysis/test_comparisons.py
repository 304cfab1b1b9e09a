"""Comparisons of made-up runs: what counts, what is said of them, and how they are tabulated."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from benchmarks.analysis.comparisons import Comparison, compare_all
from benchmarks.analysis.load import load_results
from benchmarks.analysis.verdict import Answer, Outcome
from benchmarks.experiments import AUC, FINAL, LAST_10, LATE, Experiment, declaration_hash
from benchmarks.report.scores import aggregate
from benchmarks.report.verdicts import verdict_table
from benchmarks.report.wording import sentence, sentences, warnings
from benchmarks.table import Table
from tests.benchmarks.report.test_tables import cells, fail, picked
from tests.helpers.made_up_runs import made_up_run, set_optimum

OTHER = "other-v0"  # no optimum and no margin is known
SPREAD = np.linspace(-1.0, 1.0, 20)  # of twenty runs


@pytest.fixture(autouse=True)
def optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    set_optimum(monkeypatch)


def runs(root: Path, label: str, returns: ArrayLike, late: bool = True, **settings: Any) -> None:
    """Runs of seeds 0, 1, ..., each with this late return, and half of it at the end."""
    for seed, value in enumerate(np.asarray(returns, float).tolist()):
        arrays = {"late_results": np.full((10, 4), value)} if late else {}
        finals = [value / 2.0] * 4
        made_up_run(root, label, seed, [-100.0, -50.0], finals=finals, arrays=arrays, **settings)


def declare(root: Path, num_seeds: int, against: str = "b", **changes: Any) -> Experiment:
    experiment = Experiment(
        description="",
        implementations={"a": {"algo": "td3"}, "b": {"algo": "sac"}},
        total_timesteps={"Pendulum-v1": 100},
        seeds=tuple(range(num_seeds)),
        against=against,
        margins={"Pendulum-v1": 4.0},
    )
    experiment = replace(experiment, **changes)
    (root / "experiment.json").write_text(json.dumps(experiment.to_json()))
    return experiment


def compared(root: Path) -> list[Comparison]:
    return compare_all(load_results(root))


def tabulated(root: Path) -> Table:
    results = load_results(root)
    table = verdict_table(results, compare_all(results))
    assert table is not None
    return table


def head(root: Path, name: str = "mine") -> str:
    results = load_results(root)
    return "\n".join(text for text, _ in sentences(results, compare_all(results), name))


def test_a_verdict_rests_on_the_late_return_and_on_failures(tmp_path: Path) -> None:
    runs(tmp_path, "a", [-200.0, *(-10.0 + SPREAD[1:])])
    runs(tmp_path, "b", -10.0 + SPREAD)
    sha256 = declare(tmp_path, 20).to_json()["sha256"]
    (each,) = compared(tmp_path)
    assert each.verdict
    assert each.verdict.failures
    assert (each.verdict.failures.counts, each.failure_regret) == ((1, 0), 30.0)
    assert each.verdict.outcome is Outcome.EQUIVALENT
    assert abs(each.verdict.typical.difference) < 0.1
    assert each.verdict.mean.difference < -9.0
    table = tabulated(tmp_path)
    typical, failures, mean = cells(table)
    assert typical["part"] == "typical run"
    assert picked(typical, "seeds", "answer", "verdict") == [
        "20 of 20, 20 of 20", "equivalent", "equivalent",
    ]  # fmt: skip
    assert picked(failures, "part", "first", "second", "margin") == [
        "failures, %", "5.0", "0.0", "20.0",
    ]  # fmt: skip
    assert picked(mean, "part", "answer", "seeds needed") == ["mean", "-", "-"]
    assert sha256 in table.caption
    assert "above 30 on Pendulum-v1" in table.caption
    assert "complete in 1 of 1" in table.caption


def test_a_sentence_tells_both_parts_and_the_mean(tmp_path: Path) -> None:
    runs(tmp_path, "a", [-200.0, *(-10.0 + SPREAD[1:10])])
    runs(tmp_path, "b", -10.0 + SPREAD[:10])
    declare(tmp_path, 10)
    (each,) = compared(tmp_path)
    text = sentence(each)
    assert text.startswith("Pendulum-v1, a against b: equivalent where they succeed, failure rates")
    assert "the difference of trimmed means is +0.0, 90% interval [-0.3, 0.3], margin 4" in text
    assert "(a regret above 30): 1 of 10 against 0 of 10, a difference of +10 percentage" in text
    assert "On average: -29.4 against -10.5" in text
    assert "Judged on 10 seeds of each." in text
    assert "it takes 30 seeds of each (failures) to show that" in text


def test_who_fails_more_often_is_named(tmp_path: Path) -> None:
    runs(tmp_path, "a", -10.0 + SPREAD)
    runs(tmp_path, "b", np.where(np.arange(20) < 8, -200.0, -10.0 + SPREAD).tolist())
    declare(tmp_path, 20)
    assert "a against b: b fails more often." in head(tmp_path)
    assert "take the typical run's part with caution" in head(tmp_path)


@pytest.mark.parametrize("num_seeds", [1, 2, 3, 4])
def test_below_five_seeds_the_head_says_what_they_show_and_what_a_verdict_takes(
    num_seeds: int, tmp_path: Path
) -> None:
    runs(tmp_path, "a", [-10.0, -20.0, -30.0, -40.0][:num_seeds])
    runs(tmp_path, "b", [-300.0, -20.0, -30.0, -40.0][:num_seeds])
    declare(tmp_path, num_seeds)
    text = head(tmp_path)
    assert f"{num_seeds} of {num_seeds} runs of a end above where they began" in text
    assert "(mean return -100 before training, -50 at the end)" in text
    assert "the best possible is 0" in text
    assert f"With {['one', 'two', 'three', 'four'][num_seeds - 1]} seed" in text
    assert "a verdict needs ten seeds or more" in text
    assert "python -m benchmarks sweep mine --extend --seeds 10" in text
    assert "seeds of each (" not in text
    assert not {"different", "equivalent"} & set(text.split())
    table = tabulated(tmp_path)
    assert {row["verdict"] for row in cells(table)} == {"none: needs 5 seeds of each, better 10"}
    assert not any(row.get("seeds needed", "-") != "-" for row in cells(table))
    assert not any(row.get("answer", "-") != "-" for row in cells(table))


@pytest.mark.parametrize("name", ["quick", "quick_2x100", "mine"])
def test_the_command_for_more_seeds_is_that_of_the_experiment(name: str, tmp_path: Path) -> None:
    runs(tmp_path, "a", [-10.0])
    runs(tmp_path, "b", [-10.0])
    assert "To get them" not in head(tmp_path, name)
    declare(tmp_path, 1)
    assert head(tmp_path, name).endswith(f"python -m benchmarks sweep {name} --extend --seeds 10")


@pytest.mark.slow
def test_old_runs_are_compared_by_the_final_policy_and_the_report_says_so(tmp_path: Path) -> None:
    runs(tmp_path, "a", -10.0 + SPREAD, late=False)
    runs(tmp_path, "b", -10.0 + SPREAD)
    runs(tmp_path, "b", -10.0 + SPREAD, env_id=OTHER)
    declare(tmp_path, 20)
    finals = load_results(tmp_path).finals
    assert finals.query("env_id == 'Pendulum-v1'")[LATE].max() == -4.5
    assert finals.query("env_id == @OTHER")[LATE].max() == -9.0
    (each, *_) = compared(tmp_path)
    assert not each.late_scores
    assert "Some runs have no scores of their late policies" in head(tmp_path)


def test_an_old_declaration_is_judged_by_what_it_declared(tmp_path: Path) -> None:
    for label in ("a", "b"):
        runs(tmp_path, label, -200.0 + SPREAD)
    file = tmp_path / "experiment.json"
    declare(tmp_path, 20)
    content = json.loads(file.read_text())
    del content["sha256"]
    for name in ("metrics", "failure_regrets", "rate_margin", "looks", "level"):
        content["declaration"].pop(name)
    content["sha256"] = declaration_hash(content["declaration"])
    file.write_text(json.dumps(content))
    (each,) = compared(tmp_path)
    assert (each.metric, each.failure_regret) == (FINAL, None)
    assert each.verdict
    assert each.verdict.typical.estimates == pytest.approx((-100.0, -100.0))


def test_each_declared_metric_has_a_comparison_of_its_own(tmp_path: Path) -> None:
    for seed in range(5):
        made_up_run(tmp_path, "a", seed, [-10.0, -20.0 - seed, -30.0])
        made_up_run(tmp_path, "b", seed, [-10.0, -40.0 - seed, -30.0])
    declare(tmp_path, 5, metrics=(LAST_10, AUC))
    first, second = compared(tmp_path)
    assert (first.metric, second.metric) == (LAST_10, AUC)
    assert first.verdict
    assert first.verdict.typical.estimates == pytest.approx((-62 / 3, -82 / 3))
    assert first.failure_regret == 30.0
    assert second.verdict
    assert second.verdict.typical.estimates == pytest.approx((-21.0, -31.0))
    assert second.failure_regret is None  # an area has no regret
    assert "by AUC: different in typical return" in sentence(second)
    assert {row["metric"] for row in cells(tabulated(tmp_path))} == {"last 10", "auc"}


def test_without_a_threshold_failures_are_not_compared(tmp_path: Path) -> None:
    for label in ("a", "b"):
        runs(tmp_path, label, -10.0 + SPREAD, env_id=OTHER)
    (each,) = compared(tmp_path)
    assert each.verdict
    assert each.verdict.failures is None
    assert "Failures are not compared" in sentence(each)
    assert "without a margin: undecided" in sentence(each)
    assert "nothing was declared before the runs" in tabulated(tmp_path).caption


def test_margins_and_thresholds_hold_however_a_module_is_given(tmp_path: Path) -> None:
    for label in ("a", "b"):
        runs(tmp_path, label, -10.0 + SPREAD, env_id="my.module:Own-v1", evaluation="published")
    steps, values = {"my.module:Own-v1": 100}, {"my.module:Own-v1": 4.0}
    declare(tmp_path, 20, total_timesteps=steps, margins=values, failure_regrets=values)
    results = load_results(tmp_path)
    regrets = results.finals.filter(like="_regret").columns
    results = results._replace(finals=results.finals.assign(**dict.fromkeys(regrets, 1.0)))
    (each,) = compare_all(results)
    assert each.verdict
    assert (each.env_id, each.failure_regret) == ("Own-v1", 4.0)
    assert each.verdict.typical.margin == 4.0


def test_what_has_failed_alone_is_compared_too_where_nothing_was_declared(tmp_path: Path) -> None:
    runs(tmp_path, "a", -10.0 + SPREAD)
    fail(tmp_path, "b", 0)
    (each,) = compared(tmp_path)
    assert (each.verdict, each.settings, each.steps) == (None, None, ((100,), ()))
    assert "a against b: none: 1 of b failed or diverged." in head(tmp_path)


@pytest.mark.slow
def test_all_others_are_compared_with_the_declared_opponent_alone(tmp_path: Path) -> None:
    for label in ("a", "b", "c"):
        runs(tmp_path, label, [-10.0, -20.0, -30.0])
    assert [(x.first, x.second) for x in compared(tmp_path)] == [("a", "b"), ("a", "c"), ("b", "c")]
    declare(tmp_path, 3, against="a")
    assert [(x.first, x.second) for x in compared(tmp_path)] == [("b", "a"), ("c", "a")]
    table = aggregate(load_results(tmp_path))
    assert table
    assert table.header[3:] == ["above a"]
    declare(tmp_path, 3, against="absent")
    assert {x.second for x in compared(tmp_path)} == {"absent"}
    assert {x.verdict for x in compared(tmp_path)} == {None}
    table = aggregate(load_results(tmp_path))
    assert table
    assert table.header == ["implementation", "seeds", "IQM"]


def test_failed_runs_forbid_a_verdict(tmp_path: Path) -> None:
    runs(tmp_path, "a", -10.0 + SPREAD[:5])
    runs(tmp_path, "b", -10.0 + SPREAD[:6])
    declare(tmp_path, 6)
    for label, seed in (("a", 5), ("c", 0), ("c", 1)):
        fail(tmp_path, label, seed)
    first, second = cells(tabulated(tmp_path))
    assert picked(first, "verdict", "difference") == ["none: 1 of a failed or diverged", "-"]
    assert picked(second, "verdict", "seeds") == [
        "none: 2 of c failed or diverged",
        "0 of 6, 6 of 6",
    ]
    assert "a against b: none: 1 of a failed or diverged" in head(tmp_path)
    assert not any(each.needs_seeds for each in compared(tmp_path))


def test_what_was_declared_after_runs_is_said_to_be(tmp_path: Path) -> None:
    for label in ("a", "b"):
        runs(tmp_path, label, [-10.0, -20.0, -30.0])
    declare(tmp_path, 3)
    assert "were declared before the runs" in tabulated(tmp_path).caption
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "declared_first": False}))
    assert "were declared after some of the runs" in tabulated(tmp_path).caption


def test_a_verdict_on_part_of_the_declared_seeds_is_provisional(tmp_path: Path) -> None:
    runs(tmp_path, "a", -10.0 + SPREAD[:19])
    runs(tmp_path, "b", -10.0 + SPREAD)
    declare(tmp_path, 20)
    table = tabulated(tmp_path)
    row = cells(table)[0]
    assert picked(row, "seeds", "verdict") == ["19 of 20, 20 of 20", "provisional: equivalent"]
    assert "complete in 0 of 1" in table.caption


def test_seeds_beyond_the_declared_ones_do_not_count(tmp_path: Path) -> None:
    runs(tmp_path, "a", [*(-10.0 + SPREAD[:5]), -1000.0])
    runs(tmp_path, "b", -10.0 + SPREAD[:5])
    declare(tmp_path, 5)
    (each,) = compared(tmp_path)
    assert each.verdict
    assert each.verdict.mean.difference == pytest.approx(0.0)


def test_looks_are_taken_in_turn_until_one_settles_the_comparison(tmp_path: Path) -> None:
    runs(tmp_path, "a", -10.0 + SPREAD)
    runs(tmp_path, "b", -10.0 + SPREAD)
    declare(tmp_path, 20, looks=(5, 10, 20))
    (each,) = compared(tmp_path)
    assert [look.seeds for look in each.looks] == [5, 10, 20]
    outcomes = [look.verdict.outcome for look in each.looks]
    assert outcomes == [Outcome.WHERE_THEY_SUCCEED] * 2 + [Outcome.EQUIVALENT]
    assert {look.verdict.level for look in each.looks} == {0.0205}
    assert each.verdict == each.looks[-1].verdict
    assert not each.needs_seeds
    assert not each.is_provisional
    assert "5 seeds: equivalent where they succeed; 10 seeds" in sentence(each)
    runs(tmp_path, "c", -90.0 + SPREAD)
    different = compared(tmp_path)[1]
    assert [look.seeds for look in different.looks] == [5]
    assert different.verdict
    assert different.verdict.num_runs == (5, 5)


def test_between_two_looks_the_earlier_one_counts(tmp_path: Path) -> None:
    runs(tmp_path, "a", -10.0 + SPREAD[:9])
    runs(tmp_path, "b", -10.0 + SPREAD[:12])
    declare(tmp_path, 20, looks=(5, 10, 20))
    (each,) = compared(tmp_path)
    assert [look.seeds for look in each.looks] == [5]
    assert each.needs_seeds
    assert "provisional: equivalent where they succeed" in sentence(each)
    declare(tmp_path, 20, looks=(10, 20))
    (each,) = compared(tmp_path)
    assert each.verdict is None
    assert cells(tabulated(tmp_path))[0]["verdict"] == "none: needs 10 seeds of each, better 10"


def test_added_seeds_are_said_to_be_looks(tmp_path: Path) -> None:
    for label in ("a", "b"):
        runs(tmp_path, label, -10.0 + SPREAD)
    (each,) = compared(tmp_path)
    assert "Seeds were added" not in sentence(each)
    text = sentence(replace(each, earlier=(5, 10)))
    assert "had been written on 5 and on 10: 3 looks at 5% find a difference" in text
    assert "in 11% of comparisons" in text


def test_a_verdict_warns_where_calibration_found_errors(tmp_path: Path) -> None:
    runs(tmp_path, "a", -10.0 + SPREAD)
    runs(tmp_path, "b", [-10.0] * 20)
    declare(tmp_path, 20)
    (each,) = compared(tmp_path)
    assert each.verdict
    assert each.verdict.failures
    assert each.verdict.failures.answer is Answer.EQUIVALENT
    text = " ".join(warnings(each.verdict))
    assert "pass for equal in up to 9%" in text
    assert "score the same" in text


def test_many_comparisons_are_told_in_short_with_their_seeds_and_looks(tmp_path: Path) -> None:
    labels = "acdefgh"
    for label in (*labels, "b"):
        runs(tmp_path, label, -10.0 + SPREAD[:5])
    declare(
        tmp_path,
        20,
        looks=(5, 20),
        implementations={label: {"algo": "td3"} for label in (*labels, "b")},
    )
    ((text, settings),) = sentences(load_results(tmp_path), compared(tmp_path), "x")
    verdict = compared(tmp_path)[-1].verdict
    assert verdict is not None
    low, high = verdict.typical.apart
    assert text.endswith(
        f"h against b (+0.0 [{low:.1f}, {high:.1f}]): provisional: equivalent where they succeed,"
        " failure rates not settled. Judged on 5 seeds of each (planned: after 5, 20)."
    )
    assert text.startswith("Pendulum-v1, differences of typical returns and their 97.")
    assert settings == (
        "Settings: the same for a, c, d, e, f, g, h and b, but for what only one of them has."
    )
