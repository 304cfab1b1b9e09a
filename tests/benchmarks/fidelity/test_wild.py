"""Differences of public TD3s: what each changes in the update, and in the return."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.analysis.comparisons import compare_all
from benchmarks.analysis.load import load_results
from benchmarks.experiments import EXPERIMENTS
from benchmarks.fidelity.adapters.reference import Adapter
from benchmarks.fidelity.cases import CASES, deviation, expected_values
from benchmarks.fidelity.causes import (
    VARIANT_PREFIX,
    VARIANT_SWITCHES,
    update_deviation,
    variant_difference,
)
from benchmarks.fidelity.kit import run_updates
from benchmarks.fidelity.variants import VARIANTS
from benchmarks.report.tables import all_tables
from benchmarks.report.verdicts import variant_verdict_table
from tests.helpers.made_up_runs import made_up_run

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("label", VARIANTS)
def test_the_deviation_of_a_switch_is_that_of_the_variant_that_is_trained(label: str) -> None:
    variant, _ = VARIANTS[label]
    adapter = type("Variant", (Adapter,), {"agent_class": variant})
    for case in ("pendulum_like", "saturated"):
        values = run_updates(adapter(CASES[case].problem), case, 3)[3]
        measured = deviation(values, expected_values(case)[3])
        simulated = update_deviation(VARIANT_SWITCHES[variant.__name__], case)
        assert measured == pytest.approx(simulated, rel=0.02, abs=4 * CASES[case].band(3))


def test_variants_are_known_by_the_algorithm_of_their_runs() -> None:
    declared = EXPERIMENTS["wild_differences"].implementations
    found = {label: variant_difference(settings["algo"]) for label, settings in declared.items()}
    assert found.pop("td3_reference") is None
    assert sorted(map(str, found.values())) == sorted(map(str, VARIANT_SWITCHES.values()))
    assert variant_difference("td3_reference:my_module:Offset") is None


def test_one_table_has_both_differences_and_the_verdict(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    algos = {
        "td3_reference": "td3_reference",
        "clipless": f"{VARIANT_PREFIX}NoFinalClip",
        "td3": "td3",
    }
    for label, algo in algos.items():
        for seed in range(6):
            finals = (-150.0 - 100.0 * (label == "clipless") + rng.standard_normal(4)).tolist()
            made_up_run(tmp_path, label, seed, [-200.0, -150.0], finals=finals, algo=algo)
    results = load_results(tmp_path)
    table = variant_verdict_table(results, compare_all(results))
    assert table is not None
    [row] = [dict(zip(table.header, cells, strict=True)) for cells in table.rows]
    assert row["variant"] == "clipless"
    assert row["what differs"] == "target actions are not clipped to the bounds"
    assert float(row["update, pendulum_like"]) < CASES["pendulum_like"].band(3)
    assert row["update, saturated"] == "2e-03"
    assert float(row["return"].split()[0]) == pytest.approx(-100.0, abs=1.0)
    assert row["verdict"].startswith("different in typical return")
    assert [each.name for each in all_tables(results)][:2] == ["verdicts", "wild"]


def test_without_variants_there_is_no_such_table(tmp_path: Path) -> None:
    for label in ("td3", "td3_reference"):
        for seed in range(3):
            made_up_run(tmp_path, label, seed, [-200.0, -150.0], finals=[-150.0], algo=label)
    results = load_results(tmp_path)
    assert variant_verdict_table(results, compare_all(results)) is None


@pytest.mark.slow
def test_the_experiment_ends_in_that_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks"]
    for words in (
        "sweep wild_differences --seeds 1 --total-timesteps 1100 --workers 2",
        "report wild_differences_1x1100",
    ):
        subprocess.run([*command, *words.split()], cwd=tmp_path, check=True,
                       env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    text = (tmp_path / "reports/wild_differences_1x1100/wild.md").read_text()
    for label in VARIANTS:
        assert f" {label} | " in text
    assert text.count("none: needs 5 seeds") == len(VARIANTS)
