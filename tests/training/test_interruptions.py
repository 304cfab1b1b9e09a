"""Runs that end early: by a signal, or because a number is no longer finite."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import train_sb3
from tests.helpers.probe_envs import Array, ProbeEnv, Step, observation
from train_sb3 import RunConfig, train
from training.config import DivergedError
from training.run_directory import RunDirectory

SCRIPT = Path(train_sb3.__file__)
SINGLE = {**os.environ, "OMP_NUM_THREADS": "1"}
TINY = {"learning_starts": 20, "batch_size": 8, "policy_kwargs": {"net_arch": [8]}}
# Updates are small and few.
COMMAND = [
    *[sys.executable, str(SCRIPT), "--algo", "td3", "--env-id", "rocket-v0", "--no-check"],
    *["--eval-freq", "1000000", "--n-eval-episodes", "1", "--root", "runs"],
    *["--hyperparams", "learning_starts=20", "batch_size=8", "policy_kwargs.net_arch=[8]"],
    *["train_freq=4"],
]
LONG = ["--total-timesteps", "1000000"]  # longer than a test could wait
RUN = Path("runs/td3/rocket-v0_0")
PATIENCE = 60.0  # s; only a test that fails waits so long


class Faulty(ProbeEnv):
    """Episodes of ten steps, with one wrong number.

    :param at: step at which it is, counted over all episodes
    :param reward: of that step
    :param state: observed at that step
    """

    def __init__(self, at: int = 45, reward: float = 1.0, state: float = 1.0) -> None:
        super().__init__()
        self.at, self.reward, self.state = at, reward, state
        self.total = 0

    def step(self, action: Array) -> Step:
        self.total += 1
        self.time += 1
        wrong = self.total == self.at
        seen = np.array([self.state], np.float32) if wrong else observation(0)
        return seen, self.reward if wrong else 1.0, False, self.time == 10, {}


gym.register("Faulty-v0", lambda **kwargs: Faulty(**kwargs), max_episode_steps=1000)


def start(
    folder: Path, arguments: list[str], command: list[str] = COMMAND
) -> subprocess.Popen[str]:
    """Begin a run, and wait until it is under way."""
    process = subprocess.Popen(
        [*command, *arguments], cwd=folder, env=SINGLE, stderr=subprocess.PIPE, text=True
    )
    before = status(folder).get("step", 0)
    wait_until(process, lambda: status(folder).get("step", 0) > before)
    return process


def wait_until(process: subprocess.Popen[str], condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"it ended too early: {process.communicate()[1]}")
        time.sleep(0.02)


def status(folder: Path) -> dict[str, Any]:
    return RunDirectory(folder / RUN).read_json("status.json") or {}


def stop(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send a signal; what the process says on stderr until it has ended."""
    process.send_signal(number)
    return process.communicate(timeout=PATIENCE)[1]


def finish(folder: Path, arguments: list[str]) -> str:
    """Run to the end; what is printed."""
    finished = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=SINGLE,
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return finished.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "exit_status", "by_directory"),
    [(signal.SIGINT, 130, False), (signal.SIGTERM, 143, True)],
    ids=["ctrl-c and the same command", "sigterm and --resume"],
)
def test_a_stopped_run_leaves_a_checkpoint_and_goes_on_from_it(
    number: signal.Signals, exit_status: int, by_directory: bool, tmp_path: Path
) -> None:
    steps = ["--total-timesteps", "3000"]
    process = start(tmp_path, steps)
    error = stop(process, number)
    assert process.returncode == exit_status
    assert error.startswith("interrupted ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    found = status(tmp_path)
    assert found["state"] == "interrupted"
    assert found["step"] > 0
    assert list((tmp_path / RUN / "checkpoint").rglob("*.safetensors"))

    assert "is complete" in finish(tmp_path, ["--resume", str(RUN)] if by_directory else steps)
    assert status(tmp_path)["state"] == "done"
    provenance = json.loads((tmp_path / RUN / "provenance.json").read_text())
    assert provenance["continued_from_step"] >= found["step"]
    assert not (tmp_path / RUN / "checkpoint").exists()


@pytest.mark.slow
def test_a_second_ctrl_c_ends_it_without_waiting_for_a_checkpoint(tmp_path: Path) -> None:
    # It is the rollout's start that a first one waits for, so let that never come.
    never = [argument.replace("train_freq=4", "train_freq=900000") for argument in COMMAND]
    process = start(tmp_path, LONG, never)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    error = stop(process, signal.SIGINT)
    assert process.returncode == 130
    assert error.startswith("interrupted ")
    assert error.count("\n") == 1
    assert status(tmp_path)["state"] == "interrupted"
    assert not (tmp_path / RUN / "checkpoint").exists()


@pytest.mark.slow
def test_ctrl_c_while_it_starts_leaves_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, *LONG], cwd=tmp_path, env=SINGLE, stderr=subprocess.PIPE, text=True
    )
    wait_until(process, (tmp_path / RUN).exists)
    error = stop(process, signal.SIGINT)
    assert process.returncode == 130
    assert "Traceback" not in error


def diverging_run(root: Path, hyperparams: dict[str, Any], **changes: Any) -> RunDirectory:
    settings: dict[str, Any] = {"algo": "td3", "env_id": "Faulty-v0", "total_timesteps": 100}
    config = RunConfig(
        **{**settings, "eval_freq": 100, "n_eval_episodes": 1, **changes}, hyperparams=hyperparams
    )
    with pytest.raises(DivergedError):
        train(config, root)
    return RunDirectory(root / config.directory)


@pytest.mark.parametrize(
    ("env_kwargs", "source"),
    [
        ({"reward": float("nan")}, "reward"),
        ({"reward": float("inf")}, "reward"),
        ({"reward": float("-inf")}, "reward"),
        ({"state": float("nan")}, "observation"),
        ({"state": float("inf")}, "observation"),
    ],
    ids=str,
)
@pytest.mark.parametrize("at", [45, 50], ids=["within an episode", "at the end of one"])
@pytest.mark.parametrize("changes", [{}, {"n_envs": 2}, {"normalize": True}], ids=str)
def test_a_number_from_the_environment_that_is_not_finite_ends_the_run_at_its_step(
    env_kwargs: dict[str, float], source: str, at: int, changes: dict[str, Any], tmp_path: Path
) -> None:
    run = diverging_run(tmp_path, TINY, env_kwargs={"at": at, **env_kwargs}, **changes)
    found = run.status()
    assert found["state"] == "diverged"
    assert source in found["message"]
    assert f"at step {at * changes.get('n_envs', 1)}" in found["message"]
    assert not (run.path / "model.zip").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algo", "hyperparams"),
    [
        ("td3", {**TINY, "learning_rate": 1e30}),
        ("a2c", {"learning_rate": 1e30, "policy_kwargs": {"net_arch": [8]}}),
        ("ppo", {"learning_rate": 1e30, "n_steps": 20, "batch_size": 10}),
        ("ppo", {"learning_rate": 1e30, "n_steps": 100, "batch_size": 10, "n_epochs": 1}),
    ],
)
def test_weights_and_losses_that_are_not_finite_end_the_run(
    algo: str, hyperparams: dict[str, Any], tmp_path: Path
) -> None:
    run = diverging_run(tmp_path, hyperparams, algo=algo, env_id="Pendulum-v1")
    found = run.status()
    assert found["state"] == "diverged"
    assert "at step " in found["message"]


@pytest.mark.parametrize(
    ("arguments", "rate", "source"),
    [
        (["--env-id", "Faulty-v0", "--env-kwargs", "reward=1e999"], "1e-3", "reward"),
        (["--env-id", "Faulty-v0", "--env-kwargs", "state=1e999"], "1e-3", "observation"),
        (["--env-id", "Pendulum-v1"], "1e30", "loss"),
    ],
    ids=["reward", "observation", "loss"],
)
def test_the_command_line_says_when_and_what_diverged(
    arguments: list[str],
    rate: str,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = ["--root", str(tmp_path), "--total-timesteps", "100", "--n-eval-episodes", "1"]
    settings += ["--hyperparams", "learning_starts=50", f"learning_rate={rate}"]
    monkeypatch.setattr(sys, "argv", ["train_sb3.py", *settings, *arguments])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as stop:
        train_sb3.main()
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("diverged: ")
    assert error.count("\n") == 1
    assert "is NaN or infinite at step " in error
    assert source in error or "weight" in error


def test_a_run_that_diverged_is_begun_anew_by_the_same_command(tmp_path: Path) -> None:
    run = diverging_run(tmp_path, TINY, env_kwargs={"reward": float("inf")})
    first = run.status()
    again = diverging_run(tmp_path, TINY, env_kwargs={"reward": float("inf")})
    assert again.status() == first
