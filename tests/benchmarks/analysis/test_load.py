"""Run directories -> tidy tables, on made-up runs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.analysis.load import curve_matrix, final_values, groups, load_results
from benchmarks.experiments import Experiment
from benchmarks.optimum import values as optimal_returns
from tests.helpers.made_up_runs import edit_provenance, made_up_run, set_optimum
from training.config import ConfigError
from training.run_directory import RunDirectory


@pytest.fixture(autouse=True)
def optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    set_optimum(monkeypatch, value=6.0)


def edit_json(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_there_is_a_row_for_each_evaluation_and_for_each_run(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 10, [1.0, 2.0])
    made_up_run(tmp_path, "td3", 2, [3.0, 5.0], finals=[7.0, 8.0, 9.0])
    results = load_results(tmp_path)
    assert results.curves["seed"].tolist() == [2, 2, 10, 10]
    assert results.curves["timestep"].tolist() == [0, 100, 0, 100]
    assert results.curves["mean_return"].tolist() == [3.0, 5.0, 1.0, 2.0]
    assert set(results.curves["n_episodes"]) == {2}
    assert results.finals["seed"].tolist() == [2, 10]
    assert results.finals["mean_return"].tolist() == [8.0, 20.0]
    assert results.finals["n_episodes"].tolist() == [3, 100]
    assert groups(results) == [("Pendulum-v1", "td3")]
    steps, curves = curve_matrix(results, "Pendulum-v1", "td3")
    assert steps.tolist() == [0, 100]
    assert curves.tolist() == [[3.0, 5.0], [1.0, 2.0]]
    assert final_values(results, "Pendulum-v1", "td3").tolist() == [8.0, 20.0]


def test_successes_and_measures_are_means_over_the_episodes_that_have_them(tmp_path: Path) -> None:
    arrays = {
        "successes": [[True, False], [True, True]],
        "final_successes": [True, True, False, False],
        "final_steady_state_error": [0.1, np.nan, 0.3, np.nan],
        "final_jitter": [np.nan] * 4,
    }
    made_up_run(tmp_path, "a", 0, [1.0, 2.0], finals=[0.0] * 4, arrays=arrays)
    made_up_run(tmp_path, "b", 0, [1.0, 2.0])
    results = load_results(tmp_path)
    assert results.curves["success_rate"].tolist()[:2] == [0.5, 1.0]
    first, second = results.finals.to_dict("records")
    assert first["success_rate"] == 0.5
    assert first["steady_state_error"] == pytest.approx(0.2)
    assert np.isnan(first["jitter"])
    assert np.isnan([second[name] for name in ("success_rate", "steady_state_error")]).all()


def test_an_environments_own_measures_are_columns_of_the_finals(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 0, [1.0, 2.0], finals=[0.0] * 3,
                arrays={"final_fuel": [1.0, np.nan, 3.0]}, env_id="My-v0")  # fmt: skip
    made_up_run(tmp_path, "b", 0, [1.0, 2.0], env_id="My-v0")
    results = load_results(tmp_path)
    assert results.finals["fuel"].tolist() == [2.0, pytest.approx(np.nan, nan_ok=True)]


def test_regret_is_what_is_missing_to_the_optimum_of_the_same_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mean_return(env_id: str, first_seed: int, n: int) -> float:
        return {10_000: 6.0, 20_000: 60.0}[first_seed] + n

    monkeypatch.setattr("benchmarks.optimum.values.mean_return", mean_return)
    made_up_run(tmp_path, "td3", 0, [1.0, 2.0])  # evaluations of 2 episodes, 100 further starts
    results = load_results(tmp_path)
    assert results.curves["mean_regret"].tolist() == [7.0, 6.0]
    assert results.finals["mean_regret"].tolist() == [160.0 - 20.0]


@pytest.mark.parametrize(
    "config",
    [
        {"env_id": "rocket-v0", "env_kwargs": {"max_thrust": 2.0}},
        {"env_id": "rocket-v0", "evaluation": "published"},
        {"env_id": "rocket-v0", "max_episode_steps": 100},
        {"env_id": "Other-v0"},
    ],
)
def test_without_an_optimum_of_these_very_starts_there_is_no_regret(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    made_up_run(tmp_path, "td3", 0, [1.0, 2.0], **config)
    results = load_results(tmp_path)
    assert results.curves["mean_regret"].isna().all()
    assert results.finals["mean_regret"].isna().all()


def test_the_optimum_is_that_of_the_start_states_of_the_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(
        "benchmarks.optimum.values.gamma_optimal_return",
        lambda env_id, states, gamma: gamma * states[:, 0],
    )
    env = gym.make("rocket-v0")
    starts = [float(env.reset(seed=seed)[0][0]) for seed in (20_000, 20_001, 20_002)]
    value = optimal_returns.mean_return.__wrapped__("rocket-v0", 20_000, 3, 0.5)
    assert value == pytest.approx(0.5 * np.mean(starts))


def test_a_score_is_one_at_the_optimum_and_zero_before_training(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 0, [-2.0, 6.0], finals=[6.0])
    made_up_run(tmp_path, "b", 0, [-6.0, 1.0], finals=[-4.0])
    results = load_results(tmp_path)  # V* = 6; untrained, the mean regret is 10
    assert results.curves["score"].tolist() == pytest.approx([0.2, 1.0, -0.2, 0.5])
    assert results.finals["score"].tolist() == pytest.approx([1.0, 0.0])


def test_without_an_optimum_the_best_run_has_the_score_one(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 0, [0.0, 7.0], env_id="Other-v0", finals=[12.0])
    made_up_run(tmp_path, "b", 0, [4.0, 7.0], env_id="Other-v0", finals=[4.5])
    results = load_results(tmp_path)  # untrained 2, best 12
    assert results.curves["score"].tolist() == pytest.approx([-0.2, 0.5, 0.2, 0.5])
    assert results.finals["score"].tolist() == pytest.approx([1.0, 0.25])


def test_there_are_no_scores_where_nobody_got_better(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 0, [3.0, 1.0], env_id="Other-v0", finals=[2.0])
    results = load_results(tmp_path)
    assert results.finals["score"].isna().all()


def test_incomplete_and_altered_runs_are_left_out_and_named(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 0, [1.0, 2.0])
    RunDirectory(made_up_run(tmp_path, "td3", 1, [1.0, 2.0])).write_status("interrupted", 100)
    altered = made_up_run(tmp_path, "td3", 2, [1.0, 2.0])
    other = made_up_run(tmp_path / "elsewhere", "td3", 2, [1.0, 9.0])
    (altered / "evaluations.npz").write_bytes((other / "evaluations.npz").read_bytes())
    (made_up_run(tmp_path, "td3", 3, [1.0, 2.0]) / "evaluations.npz").unlink()
    results = load_results(tmp_path)
    assert results.finals["seed"].tolist() == [0]
    assert results.unfinished == [
        "td3/Pendulum-v1_1 (interrupted)",
        "td3/Pendulum-v1_2 (its files have changed since)",
        "td3/Pendulum-v1_3 (its files have changed since)",
    ]


def test_a_folder_without_complete_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no complete run"):
        load_results(tmp_path)


def test_runs_that_differ_by_more_than_the_seed_are_not_averaged(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 0, [1.0, 2.0])
    made_up_run(tmp_path, "td3", 1, [1.0, 2.0], gamma=0.5)
    with pytest.raises(ValueError, match=r"Pendulum-v1_1 has other settings"):
        load_results(tmp_path)


def test_settings_are_those_of_the_lowest_seed(tmp_path: Path) -> None:
    for seed in (10, 2):
        made_up_run(tmp_path, "td3", seed, [1.0, 2.0], gamma=0.7)
    (settings,) = load_results(tmp_path).settings.values()
    assert settings["config"]["seed"] == 2
    assert settings["hyperparameters"] == {"gamma": 0.7}


def test_provenance_counts_the_runs_of_each_kind_of_origin(tmp_path: Path) -> None:
    for seed, commit in enumerate(["b", "a", "b"]):
        file = made_up_run(tmp_path, "td3", seed, [1.0, 2.0])
        edit_provenance(file, git_commit=commit, command=["train", f"--seed={seed // 2}"])
    origins = load_results(tmp_path).provenance
    found = [(each["git_commit"], each["num_runs"], each["commands"]) for each in origins]
    assert found == [("a", 1, ["train --seed=0"]), ("b", 2, ["train --seed=0", "train --seed=1"])]


def test_times_are_those_that_the_run_wrote_down(tmp_path: Path) -> None:
    file = made_up_run(tmp_path, "td3", 0, [1.0, 2.0])
    edit_provenance(file, seconds=8.0, steps_per_second=12.5, continued_from_step=50)
    (row,) = load_results(tmp_path).timings.to_dict("records")
    names = ("seed", "seconds", "steps_per_second", "continued_from_step")
    assert [row[name] for name in names] == [0, 8.0, 12.5, 50]


def test_a_declaration_that_was_changed_afterwards_is_refused(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 0, [1.0, 2.0])
    assert load_results(tmp_path).experiment is None
    experiment = Experiment(
        description="", implementations={}, total_timesteps={"Pendulum-v1": 100}, seeds=(0, 1)
    ).to_json()
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(experiment))
    assert load_results(tmp_path).experiment == experiment
    edit_json(file, declaration={**experiment["declaration"], "margins": {"Pendulum-v1": 50.0}})
    with pytest.raises(ConfigError, match="was changed"):
        load_results(tmp_path)


@pytest.mark.slow
def test_reading_results_and_making_tables_loads_nothing_that_trains() -> None:
    code = (
        "import sys, benchmarks.report.tables\n"
        "assert not {'torch', 'stable_baselines3', 'distributed'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_each_run_has_a_value_and_a_regret_for_every_metric(tmp_path: Path) -> None:
    late = {"late_results": [[1.0, 3.0], [2.0, 4.0]]}
    made_up_run(tmp_path, "a", 0, [float(n) for n in range(12)], finals=[4.0], arrays=late)
    (row,) = load_results(tmp_path).finals.to_dict("records")
    assert (row["late_return"], row["late_return_regret"], row["late_points"]) == (2.5, 3.5, 2)
    assert (row["final_return"], row["final_return_regret"]) == (4.0, 2.0)
    assert (row["last_10"], row["last_10_regret"]) == (6.5, -0.5)
    assert row["auc"] == 5.5
    assert np.isnan(row["auc_regret"])


def test_runs_with_and_without_late_scores_are_compared_by_the_final_policy(tmp_path: Path) -> None:
    late = {"late_results": [[1.0, 3.0], [2.0, 4.0]]}
    made_up_run(tmp_path, "a", 0, [0.0, 1.0], finals=[4.0], arrays=late)
    made_up_run(tmp_path, "b", 0, [0.0, 1.0], finals=[5.0])
    made_up_run(tmp_path, "a", 0, [0.0, 1.0], finals=[5.0], arrays=late, env_id="Other-v0")
    finals = load_results(tmp_path).finals
    assert finals["late_return"].tolist() == [2.5, 4.0, 5.0]
    assert finals["late_points"].tolist() == [2, 0, 0]
