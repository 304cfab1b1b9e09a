"""Run directories -> tables and figures, on made-up runs whose scores are known."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.report import write_report
from benchmarks.results import load_results
from sb3_training.config import RunConfig
from sb3_training.run_directory import RunDirectory, execute


def made_up_run(
    root: Path,
    label: str,
    seed: int,
    means: list[float],
    env_id: str = "Pendulum-v1",
    gamma: float = 0.9,
) -> Path:
    """A complete run whose evaluations have the given means, every 100 steps."""

    def body(run: RunDirectory) -> None:
        buffer = io.BytesIO()
        np.savez(
            buffer,
            timesteps=100 * np.arange(len(means)),
            results=np.array([[mean - 1, mean + 1] for mean in means]),
            ep_lengths=np.full((len(means), 2), 200),
            final_results=np.full(100, 10 * means[-1]),
            final_ep_lengths=np.full(100, 200),
        )
        run.write_bytes("evaluations.npz", buffer.getvalue())

    total = 100 * (len(means) - 1)
    config = RunConfig(label=label, algo="td3", env_id=env_id, seed=seed, total_timesteps=total)
    return execute(config, {"gamma": gamma}, root, body)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    made_up_run(root, "td3", 0, [-3.0, -2.0, -1.0])
    made_up_run(root, "td3", 1, [-5.0, -2.0, -3.0])
    made_up_run(root, "other", 0, [-4.0, -4.0, -4.0])
    made_up_run(root, "td3", 0, [-9.0, -7.0], env_id="my:Env-v3")
    return root


def test_the_learning_curve_table_has_a_row_a_step_and_a_column_an_implementation(
    root: Path, tmp_path: Path
) -> None:
    write_report(root, tmp_path / "report")
    table = pd.read_csv(tmp_path / "report/learning_curves.csv", index_col="step")
    assert table.index.tolist() == [0, 100, 200]
    assert table["Pendulum-v1 td3 mean"].tolist() == [-4.0, -2.0, -2.0]
    assert table["Pendulum-v1 td3 std"].tolist() == pytest.approx([2**0.5, 0.0, 2**0.5])
    assert table["Pendulum-v1 other mean"].tolist() == [-4.0, -4.0, -4.0]
    assert table["my:Env-v3 td3 mean"].tolist()[:2] == [-9.0, -7.0]
    assert table["my:Env-v3 td3 mean"].isna().tolist() == [False, False, True]


def test_the_summary_holds_every_score(root: Path, tmp_path: Path) -> None:
    write_report(root, tmp_path / "report")
    table = pd.read_csv(tmp_path / "report/summary.csv")
    rows: Any = table.query("environment == 'Pendulum-v1' and implementation == 'td3'")
    (row,) = rows.to_dict("records")
    assert row["seeds"] == 2
    assert row["final mean"] == -2.0
    assert row["final std"] == pytest.approx(2**0.5)
    assert row["last-10 mean"] == pytest.approx(-(2 + 10 / 3) / 2)
    assert row["max of mean mean"] == -2.0
    assert row["max of mean std"] == 0.0  # at step 100, the first of the two best
    assert row["mean of max mean"] == -1.5
    assert row["AUC mean"] == pytest.approx(-(2 + 3) / 2)
    assert row["100 further starts mean"] == -20.0


def test_the_printed_tables_hold_means_and_spreads(root: Path, tmp_path: Path) -> None:
    text = write_report(root, tmp_path / "report")
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["step", "Pendulum-v1 other", "Pendulum-v1 td3", "my:Env-v3 td3"] in lines
    assert ["100", "-4.0", "-2.0 ± 0.0", "-7.0"] in lines
    assert ["200", "-4.0", "-2.0 ± 1.4", ""] in lines


def test_a_figure_of_each_environment_is_written(root: Path, tmp_path: Path) -> None:
    write_report(root, tmp_path / "report")
    for name in ("Pendulum-v1", "Env-v3"):
        with Image.open(tmp_path / f"report/learning_curve_{name}.png") as figure:
            assert figure.size == (960, 600)


def test_incomplete_runs_are_left_out_and_named(root: Path, tmp_path: Path) -> None:
    run = RunDirectory(root / "td3/Pendulum-v1_1")
    run.write_status("interrupted", 100)
    text = write_report(root, tmp_path / "report")
    assert "Left out, being incomplete: td3/Pendulum-v1_1 (interrupted)" in text
    assert load_results(root).finals.query("label == 'td3'")["seed"].tolist() == [0, 0]


def test_runs_that_differ_by_more_than_the_seed_are_not_averaged(
    root: Path, tmp_path: Path
) -> None:
    made_up_run(root, "td3", 2, [-1.0, -1.0, -1.0], gamma=0.5)
    with pytest.raises(ValueError, match="other settings"):
        write_report(root, tmp_path / "report")


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no complete run"):
        load_results(tmp_path)


def test_reporting_does_not_load_what_trains() -> None:
    code = (
        "import sys, benchmarks.report\n"
        "assert not {'torch', 'stable_baselines3', 'distributed'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pairs_with_three_seeds_each_are_compared(tmp_path: Path) -> None:
    for seed, last in enumerate([-1.0, -2.0, -3.0]):
        made_up_run(tmp_path / "runs", "a", seed, [0.0, last])
        made_up_run(tmp_path / "runs", "b", seed, [0.0, last - 1.0])
    made_up_run(tmp_path / "runs", "lonely", 0, [0.0, 0.0])
    text = write_report(tmp_path / "runs", tmp_path / "report")
    table: Any = pd.read_csv(tmp_path / "report/comparison.csv")
    (row,) = table.to_dict("records")
    assert (row["first"], row["second"], row["seeds"]) == ("a", "b", "3, 3")
    # Means -20 and -30, both with variance 100/3 of the mean; t(0.975, 4) = 2.776.
    assert row["difference"] == pytest.approx(10.0)
    assert row["low"] == pytest.approx(10.0 - 2.7764 * (200 / 3) ** 0.5, abs=1e-2)
    assert "a - b" in text


def test_the_report_says_when_there_is_nothing_to_compare(root: Path, tmp_path: Path) -> None:
    assert "No comparison" in write_report(root, tmp_path / "report")


def test_the_report_includes_the_fidelity_page_where_there_is_one(
    root: Path, tmp_path: Path
) -> None:
    write_report(root, tmp_path / "reports/first")
    assert not (tmp_path / "reports/first/fidelity.md").exists()
    (tmp_path / "reports/fidelity.md").write_text("page")
    write_report(root, tmp_path / "reports/second")
    assert (tmp_path / "reports/second/fidelity.md").read_text() == "page"
