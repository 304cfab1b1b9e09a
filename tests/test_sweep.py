"""Sweeps: nothing is done twice, and workers leave no trace in the results."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.experiments import EXPERIMENTS
from benchmarks.sweep import sweep
from sb3_training.config import ConfigError, RunConfig
from sb3_training.run_directory import RunDirectory

# Small networks and short runs, past the warm-up.
SETTINGS: dict[str, dict[str, Any]] = {
    "td3": {"learning_starts": 100, "batch_size": 16, "policy_kwargs": {"net_arch": [16]}},
    "td3_reference": {"learning_starts": 100, "batch_size": 16, "hidden_sizes": [16]},
}


def configs(steps: int = 400) -> list[RunConfig]:
    return [
        RunConfig(
            algo=algo,
            env_id="Pendulum-v1",
            seed=seed,
            total_timesteps=steps,
            eval_freq=200,
            n_eval_episodes=2,
            hyperparams=SETTINGS[algo],
        )
        for seed in (0, 1)
        for algo in ("td3", "td3_reference")
    ]


def contents(root: Path, runs: list[RunConfig]) -> dict[str, bytes]:
    names = ("evaluations.npz", "config.json", "status.json", "log.txt")
    return {
        f"{run.directory}/{name}": (root / run.directory / name).read_bytes()
        for run in runs
        for name in names
    }


def test_one_worker_and_two_give_the_same_bytes(tmp_path: Path) -> None:
    runs = configs()
    assert sweep(runs, tmp_path / "one", workers=1) == []
    assert sweep(runs[::-1], tmp_path / "two", workers=2) == []
    assert contents(tmp_path / "one", runs) == contents(tmp_path / "two", runs)


def test_a_failing_run_is_named_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = configs()[:1]
    bad = RunConfig(algo="td3", env_id="CartPole-v1", total_timesteps=100)
    (failure,) = sweep([bad, *good], tmp_path, workers=1)
    assert "CartPole-v1" in failure
    assert RunDirectory(tmp_path / good[0].directory).is_done()
    assert "FAILED" in capsys.readouterr().out


def test_only_missing_runs_are_carried_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = configs()
    sweep(runs[:2], tmp_path, workers=2)
    before = contents(tmp_path, runs[:2])
    times = {
        run.directory: (tmp_path / run.directory / "status.json").stat().st_mtime_ns
        for run in runs[:2]
    }
    capsys.readouterr()
    sweep(runs[:3], tmp_path, workers=2)
    assert "3 runs in" in capsys.readouterr().out
    assert contents(tmp_path, runs[:2]) == before
    for run in runs[:2]:
        assert (tmp_path / run.directory / "status.json").stat().st_mtime_ns == times[run.directory]
    assert RunDirectory(tmp_path / runs[2].directory).is_done()


def test_a_changed_experiment_is_refused_before_anything_runs(tmp_path: Path) -> None:
    runs = configs()[:2]
    sweep(runs[:1], tmp_path, workers=1)
    before = contents(tmp_path, runs[:1])
    changed = replace(runs[0], total_timesteps=500)
    with pytest.raises(ConfigError, match="total_timesteps is 400 there and 500 here"):
        sweep([runs[1], changed], tmp_path, workers=1)
    assert contents(tmp_path, runs[:1]) == before
    assert not (tmp_path / runs[1].directory).exists()


def test_quick_is_two_implementations_on_two_environments_with_three_seeds() -> None:
    runs = EXPERIMENTS["quick"].runs()
    assert len({run.directory for run in runs}) == 12
    assert {(run.env_id, run.total_timesteps) for run in runs} == {
        ("Pendulum-v1", 10_000),
        ("rocket-v0", 20_000),
    }
    assert {run.eval_freq for run in runs} == {1_000}


@pytest.mark.slow
def test_a_killed_benchmark_leaves_no_process_and_finishes_only_what_was_missing(
    tmp_path: Path,
) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "sweep",
        "smoke",
        "--root",
        str(tmp_path),
        "--workers",
        "1",
    ]
    runs = EXPERIMENTS["smoke"].runs()
    process = subprocess.Popen(command, start_new_session=True)
    while not any(RunDirectory(tmp_path / "smoke" / run.directory).is_done() for run in runs):
        time.sleep(0.1)
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 60
    while group_is_alive(process.pid):
        assert time.monotonic() < deadline, "worker processes outlive the killed command"
        time.sleep(0.1)

    root = tmp_path / "smoke"
    done = [run for run in runs if RunDirectory(root / run.directory).is_done()]
    assert 1 <= len(done) < len(runs)
    began = {run.directory: (root / run.directory / "provenance.json").read_bytes() for run in done}
    subprocess.run(command, check=True)
    assert all(RunDirectory(root / run.directory).is_done() for run in runs)
    for run in done:
        provenance = (root / run.directory / "provenance.json").read_bytes()
        assert provenance == began[run.directory]


def group_is_alive(group: int) -> bool:
    """Whether a process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
