"""Tables of made-up runs, against numbers worked out by hand."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.analysis.load import Results, final_values, load_results
from benchmarks.analysis.statistics import Interval, MeanAndStd
from benchmarks.experiments import Experiment
from benchmarks.report.scores import COVERAGE, aggregate, paper_table, thresholds
from benchmarks.report.tables import (
    all_tables,
    gaps,
    hyperparameters,
    learning_curves,
    summary,
    timings,
)
from benchmarks.table import Bounds, Table, tabulate, to_csv, to_latex, to_markdown
from tests.helpers.coverage import bootstrap_coverage, improvement_coverage
from tests.helpers.made_up_runs import edit_provenance, made_up_run, set_optimum
from training.config import ConfigError, RunConfig
from training.open_run import open_run

OTHER = "other-v0"  # no optimum and no margin is known


@pytest.fixture(autouse=True)
def optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    set_optimum(monkeypatch)


def runs(root: Path, label: str, finals: Sequence[float], **settings: Any) -> None:
    """Runs of seeds 0, 1, ..., each with this return on all further starts."""
    for seed, value in enumerate(finals):
        made_up_run(root, label, seed, [-100.0, -50.0, -20.0], finals=[value] * 4, **settings)


def declare(root: Path, num_seeds: int, against: str, margin: float | None = 40.0) -> str:
    experiment = Experiment(
        description="",
        implementations={},
        total_timesteps={"Pendulum-v1": 200},
        seeds=tuple(range(num_seeds)),
        against=against,
        margins={} if margin is None else {"Pendulum-v1": margin},
    ).to_json()
    (root / "experiment.json").write_text(json.dumps(experiment))
    return str(experiment["sha256"])


def made(root: Path, make: Callable[[Results], Table | None]) -> Table:
    table = make(load_results(root))
    assert table is not None
    return table


def names(root: Path, paper: bool = False) -> list[str]:
    return [table.name for table in all_tables(load_results(root), paper)]


def cells(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def picked(row: Mapping[str, str], *names: str) -> list[str]:
    return [row[name] for name in names]


def fail(root: Path, label: str, seed: int) -> None:
    """A run that ends in an error."""
    lost = RunConfig(algo="td3", env_id="Pendulum-v1", label=label, seed=seed, total_timesteps=200)
    with (
        pytest.raises(RuntimeError, match="the sensor"),
        open_run(lost, {"gamma": 0.9}, root),
    ):
        raise RuntimeError("the sensor fell off")


def test_values_are_printed_by_their_kind_and_kept_unrounded() -> None:
    row = {
        "name": "a|b",
        "n": 1500,
        "x": -0.04,
        "mean": MeanAndStd(-1234.56, 0.94),
        "one": MeanAndStd(2.0, math.nan),
        "est": Interval(1.26, -2.0, 3.0),
        "few": Interval(1.26, math.nan, math.nan),
        "ends": Bounds(-1.0, 20.0),
        "none": Bounds(math.nan, math.nan),
        "fine": 0.12345,
    }
    table = tabulate("t", "T", "C.", [row, {"n": 2}], {"fine": 3}, bold=[(0, "name")])
    assert table.rows == [
        [*("a|b", "1,500", "0.0", "-1,234.6 ± 0.9", "2.0", "1.3 [-2.0, 3.0]", "1.3"),
         *("[-1.0, 20.0]", "-", "0.123")],
        ["-", "2", *"-" * 8],
    ]  # fmt: skip
    assert table.data["mean std"].tolist()[0] == 0.94
    assert table.data["est low"].tolist()[0] == -2.0
    text = to_markdown(table).splitlines()
    assert text[:4] == ["## T", "", "C.", ""]
    assert text[6].startswith(r"| **a\|b** | 1,500 |")


def test_a_value_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be printed"):
        tabulate("t", "T", "C", [{"x": np.array(0.5)}])


def test_small_numbers_of_an_environment_have_three_decimals() -> None:
    entries = [{"environment": "a", "x": 0.5}, {"environment": "b", "x": 0.5, "y": 12.0}]
    table = tabulate("t", "T", "C", entries)
    assert table.rows == [["a", "0.500", "-"], ["b", "0.5", "12.0"]]


def test_a_row_with_failed_runs_is_never_bold(tmp_path: Path) -> None:
    runs(tmp_path, "a", [-10.0, -20.0, -30.0])
    runs(tmp_path, "b", [-20.0, -30.0, -40.0])
    for label, seed in (("a", 3), ("c", 0), ("c", 1)):
        fail(tmp_path, label, seed)
    table = made(tmp_path, summary)
    assert [row["failed"] for row in cells(table)] == ["1", "0", "2"]
    assert picked(cells(table)[-1], "implementation", "seeds", "return") == ["c", "0", "-"]
    assert table.bold == frozenset({(1, table.header.index("return"))})
    assert "such a row is never bold" in table.caption


def test_two_seeds_have_no_interval(tmp_path: Path) -> None:
    runs(tmp_path, "a", [-10.0, -20.0])
    runs(tmp_path, "b", [-20.0, -30.0, -40.0])
    table = made(tmp_path, summary)
    assert [row["95% interval"] for row in cells(table)] == ["-", "[-54.8, -5.2]"]
    assert "Below three seeds" in table.caption
    assert "[" not in made(tmp_path, aggregate).rows[0][2]


def test_one_implementation_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    runs(tmp_path, "a", [-10.0, -20.0, -30.0])
    assert names(tmp_path)[0] == "summary"
    assert made(tmp_path, aggregate).header == ["implementation", "seeds", "IQM"]


def test_late_returns_have_a_column_where_runs_have_them(tmp_path: Path) -> None:
    late = {"late_results": [[-1.0, -3.0], [-5.0, -7.0]]}
    for seed in range(2):
        made_up_run(tmp_path, "a", seed, [-9.0, -8.0], finals=[-6.0], arrays=late)
        made_up_run(tmp_path, "b", seed, [-9.0, -8.0], finals=[-6.0], env_id=OTHER)
    table = made(tmp_path, summary)
    assert [row["late return"] for row in cells(table)] == ["-4.000 ± 0.000", "-"]
    assert "Late return: mean of the policies at the last ten" in table.caption


def test_a_measure_says_of_how_many_runs_it_is_where_not_of_all(tmp_path: Path) -> None:
    for seed, error in enumerate([0.1, 0.2, np.nan]):
        arrays = {"final_steady_state_error": np.full(100, error)}
        made_up_run(tmp_path, "a", seed, [-9.0, -8.0], arrays=arrays)
    table = made(tmp_path, summary)
    assert cells(table)[0]["steady-state error in m"] == "0.1500 ± 0.0707"
    assert "steady-state error in m of a on Pendulum-v1: 2 of 3 runs" in table.caption


def test_the_summary_holds_every_score(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 0, [-3.0, -2.0, -1.0])
    made_up_run(tmp_path, "td3", 1, [-5.0, -2.0, -3.0])
    table = made(tmp_path, summary)
    (row,) = table.data.to_dict("records")
    assert (row["return mean"], row["return std"]) == (-20.0, pytest.approx(200**0.5))
    assert row["IQM"] == -20.0
    assert (row["regret mean"], row["regret std"]) == (20.0, pytest.approx(200**0.5))
    assert (row["final mean"], row["final std"]) == (-2.0, pytest.approx(2**0.5))
    assert row["last-10 mean"] == pytest.approx(-(2 + 10 / 3) / 2)
    assert (row["max of mean mean"], row["max of mean std"]) == (-2.0, 0.0)  # at step 100
    assert row["mean of max mean"] == -1.5
    assert row["AUC mean"] == pytest.approx(-(2 + 3) / 2)
    texts = picked(cells(table)[0], "seeds", "return", "IQM")
    assert texts == ["2", "-20.0 ± 14.1", "-20.0"]


def test_an_environments_own_measures_are_columns(tmp_path: Path) -> None:
    """``score`` is also a column of our own, which stays what it is."""
    own = {"final_fuel_left": np.tile([0.5, 1.5], 50), "final_score": np.full(100, 7.0)}
    for seed in range(2):
        made_up_run(tmp_path, "a", seed, [-9.0, -8.0], env_id=OTHER, arrays=own)
        made_up_run(tmp_path, "b", seed, [-9.0, -8.0], env_id=OTHER)
    table = made(tmp_path, summary)
    assert [row["fuel left"] for row in cells(table)] == ["1.0 ± 0.0", "-"]
    assert table.data["fuel left mean"].tolist()[0] == 1.0
    assert not {"score", "results", "ep lengths"} & set(table.header)


def test_names_can_do_no_harm_in_any_form(tmp_path: Path) -> None:
    bad = '=HYPERLINK("x")<script>\x1b[31m|\n'
    table = tabulate("t", bad, bad, [{bad: bad, "n": -0.5}], notes=bad)
    forms = [to_csv(table), to_markdown(table), to_latex(table)]
    assert not any("\x1b" in form for form in forms)
    (row,) = csv.DictReader(io.StringIO(to_csv(table)))
    assert [name[0] for name in row] == ["'", "n"]
    assert [value[0] for value in row.values()] == ["'", "-"]
    assert r"\<script>\x1b[31m\|\n" in to_markdown(table).splitlines()[-1]
    assert "<script>" not in to_markdown(table).replace(r"\<", "")
    assert "<script>" not in to_latex(table)
    harmless = tabulate("t", "", "", [{"": ""}], notes="none")
    assert len(to_latex(table).splitlines()) == len(to_latex(harmless).splitlines())


def test_what_no_run_reports_has_no_column(tmp_path: Path) -> None:
    for seed, jitter in enumerate([np.tile([0.5, 0.25], 50), np.full(100, np.nan)]):
        arrays = {"final_jitter": jitter}
        made_up_run(tmp_path, "a", seed, [-1.0, -2.0], env_id=OTHER, arrays=arrays)
    made_up_run(tmp_path, "b", 0, [-1.0, -2.0], env_id=OTHER)
    first, second = cells(made(tmp_path, summary))
    assert (first["jitter in m/s²"], second["jitter in m/s²"]) == ("0.375", "-")
    assert not {"regret", "success rate", "steady-state error in m"} & set(first)


def test_the_best_return_is_bold_with_those_that_cannot_be_told_from_it(tmp_path: Path) -> None:
    runs(tmp_path, "best", [-10.0, -20.0, -30.0])
    runs(tmp_path, "near", [-20.0, -30.0, -40.0])
    runs(tmp_path, "single", [-21.0])
    runs(tmp_path, "worse", [-110.0, -120.0, -130.0])
    runs(tmp_path, "elsewhere", [-500.0], env_id=OTHER)
    table = made(tmp_path, summary)
    bold = {table.rows[i][1] for i, j in table.bold if table.header[j] == "return"}
    assert bold == {"best", "near", "elsewhere"}
    assert len(table.bold) == 3


def test_the_learning_curve_table_has_a_row_for_each_step(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 0, [-3.0, -2.0, -1.0])
    made_up_run(tmp_path, "td3", 1, [-5.0, -2.0, -3.0])
    made_up_run(tmp_path, "b", 0, [-40.0, -4.0])
    table = made(tmp_path, learning_curves)
    assert table.header == ["environment", "step", "b", "td3"]
    assert table.rows == [
        ["Pendulum-v1", "0", "-40.0", "-4.0 ± 1.4"],
        ["Pendulum-v1", "100", "-4.0", "-2.0 ± 0.0"],
        ["Pendulum-v1", "200", "-", "-2.0 ± 1.4"],
    ]
    assert "n = 1/2" in table.caption


def test_long_learning_curves_are_printed_in_part_and_kept_in_full(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 0, list(range(26)))
    table = made(tmp_path, learning_curves)
    steps = [row[1] for row in table.rows]
    assert steps == ["0", "300", "600", "900", "1,200", "1,500", "1,800", "2,100", "2,400", "2,500"]
    assert table.data["step"].tolist() == list(range(0, 2501, 100))
    assert table.data["td3 mean"].tolist() == list(range(26))


def test_scores_over_environments_are_normalised_by_the_untrained_regret(tmp_path: Path) -> None:
    # V* is 0 and the regret before training 100; elsewhere the best return, 0, stands for V*.
    runs(tmp_path, "a", [0.0, -10.0, -20.0, -30.0])
    runs(tmp_path, "b", [-20.0, -30.0, -40.0, -50.0])
    runs(tmp_path, "a", [0.0, -10.0, -20.0, -30.0], env_id=OTHER)
    runs(tmp_path, "b", [-40.0, -50.0, -60.0, -70.0], env_id=OTHER)
    runs(tmp_path, "a", [0.0], env_id="Lonely-v0")
    scores = final_values(load_results(tmp_path), OTHER, "b", "score")
    assert scores.tolist() == pytest.approx([0.6, 0.5, 0.4, 0.3])
    declare(tmp_path, 4, against="b")
    table = made(tmp_path, aggregate)
    first, second = cells(table)
    assert first["seeds"] == "4, 4"
    assert first["IQM"].startswith("0.850 [")
    assert second["IQM"].startswith(
        "0.550 ["
    )  # 0.8 ... 0.5 and 0.6 ... 0.3: the middle is 0.5, 0.6
    # Of 16 pairs on Pendulum-v1 two are ties and one is lost: 14 / 16; elsewhere all are won.
    assert first["above b"].startswith("0.94 [")
    assert second["above b"] == "-"
    assert (
        "with 3 normally distributed runs that of the IQM covers the truth in 74%" in table.caption
    )
    assert "that of a chance of 0.5 in 82% and of 0.9 in 45%" in table.caption
    assert "Lonely" not in table.caption


@pytest.mark.slow
def test_the_coverage_that_captions_quote_is_what_simulations_find() -> None:
    rng = np.random.default_rng(0)
    for n in (3, 5, 10):
        found = [
            bootstrap_coverage((n,), rng),
            *(improvement_coverage((n,), chance, rng) for chance in (0.5, 0.9)),
        ]
        # Of 400 trials the fraction 0.45 has a standard error of 0.025; 0.74 of 1,000, of 0.014.
        assert found == pytest.approx(COVERAGE[n], abs=0.08)


def test_without_a_common_environment_nothing_is_aggregated(tmp_path: Path) -> None:
    runs(tmp_path, "a", [-1.0])
    runs(tmp_path, "b", [-1.0], env_id=OTHER)
    assert "aggregate" not in names(tmp_path)


def test_a_regret_is_split_at_what_the_discounts_best_policy_earns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_optimum(monkeypatch, value=5.0, loss=2.0)
    runs(tmp_path, "a", [-10.0, -20.0], gamma=0.9)
    runs(tmp_path, "b", [-10.0], gamma=1.0)
    runs(tmp_path, "a", [-10.0], env_id=OTHER)
    table = made(tmp_path, gaps)
    assert [row[3:] for row in table.rows] == [
        ["0.9", "20.0 ± 7.1", "2.0", "18.0 ± 7.1"],
        ["1.0", "15.0", "0.0", "15.0"],
    ]


def test_steps_to_a_score_are_medians_over_all_runs(tmp_path: Path) -> None:
    # V* is 0 and the mean regret before training 100.
    for seed, last in enumerate([-5.0, -5.0, -60.0]):
        made_up_run(tmp_path, "a", seed, [-100.0, -50.0 - seed, last])
    made_up_run(tmp_path, "b", 0, [-100.0, -100.0, -100.0])
    first, second = cells(made(tmp_path, thresholds))
    columns = ("steps to 0.5", "runs at 0.5", "steps to 0.9", "runs at 0.9")
    assert picked(first, *columns) == ["200", "2", "200", "2"]
    assert picked(second, *columns) == ["-", "0", "-", "0"]


def test_settings_that_differ_between_implementations_are_bold(tmp_path: Path) -> None:
    runs(tmp_path, "a", [-1.0], gamma=0.9, n_envs=2)
    runs(tmp_path, "b", [-1.0], gamma=0.8)
    runs(tmp_path, "b", [-1.0], gamma=0.7, env_id=OTHER)
    table = made(tmp_path, hyperparameters)
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == sorted(rows)
    assert rows["gamma"] == ["0.9", f"0.8 (Pendulum-v1); 0.7 ({OTHER})"]
    assert rows["algo"] == ["td3", "td3"]
    assert rows["n_envs"] == ["2", "1"]
    assert not {"seed", "label", "env_id"} & set(rows)
    assert {table.rows[i][0] for i, _ in table.bold} == {"gamma", "n_envs"}
    assert len(table.bold) == 6


def test_times_have_a_table_of_their_own(tmp_path: Path) -> None:
    for seed, speed in enumerate([1000.0, 2000.0]):
        path = made_up_run(tmp_path, "a", seed, [-1.0, -2.0])
        times = {"seconds": 10.0, "steps_per_second": speed, "continued_from_step": 50 * seed}
        edit_provenance(path, **times)
    (row,) = cells(made(tmp_path, timings))
    assert picked(row, "seconds", "steps/s", "continued") == ["10 ± 0", "1,500 ± 707", "1"]


def test_all_else_is_the_same_whatever_the_order_and_times_of_the_runs(tmp_path: Path) -> None:
    texts = []
    for root, seeds in ((tmp_path / "one", (0, 1, 2, 10)), (tmp_path / "two", (10, 2, 0, 1))):
        for seed in seeds:
            for label in ("b", "a") if seeds[0] else ("a", "b"):
                made_up_run(root, label, seed, [-100.0, -30.0], finals=[-20.0 - seed] * 2)
        tables = all_tables(load_results(root))
        assert [table.name for table in tables] == [
            *("verdicts", "summary", "learning_curves", "aggregate", "gaps", "thresholds"),
            *("hyperparameters", "timings"),
        ]
        texts.append([to_markdown(table) + table.data.to_csv() for table in tables[:-1]])
    assert texts[0] == texts[1]


def test_our_scores_stand_beside_the_papers(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 0, [0.0, 90.0, 80.0], env_id="Hopper-v4")
    made_up_run(tmp_path, "a", 1, [0.0, 100.0, 80.0], env_id="Hopper-v4")
    made_up_run(tmp_path, "b", 0, [1.0, 2.0], env_id="gymnasium:Ant-v5", evaluation="published")
    assert "paper" not in names(tmp_path)
    assert names(tmp_path, paper=True)[-1] == "paper"
    table = made(tmp_path, paper_table)
    rows = {row[0]: row[1:] for row in table.rows}
    assert len(rows) == 7
    assert rows["Hopper-v4"] == ["3,564.07 ± 114.74", "95.00 ± 5.00", "2", "-", "-"]  # ddof=0
    assert rows["Ant-v5"] == ["4,372.44 ± 1,000.33", "-", "-", "2.00 ± 0.00", "1"]
    assert rows["Reacher"] == ["-3.60 ± 0.56", "-", "-", "-", "-"]
    assert "200 steps, 2 episodes every 1,000 steps, the same starts" in table.caption
    assert "100 steps, 2 episodes every 1,000 steps, the paper's protocol" in table.caption


def test_without_the_papers_environments_there_is_no_comparison_with_it(tmp_path: Path) -> None:
    runs(tmp_path, "a", [-1.0])
    with pytest.raises(ConfigError, match="no complete run on an environment of the paper"):
        names(tmp_path, paper=True)
