"""Environments that end or block their process: named, and never taken for a success."""

import os
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import pytest

import train_sb3
from benchmarks import __main__ as command_line
from benchmarks.experiments import Experiment
from benchmarks.sweep.options import SweepOptions
from benchmarks.sweep.scheduler import RunDispatcher, sweep
from benchmarks.sweep.worker import RunOutcome, run_on_worker
from tests.helpers.failing_envs import RELEASED
from training.config import BrokenEnvironmentError, RunConfig
from training.endings import stop_on_signals, watching
from training.run import run
from training.run_directory import RunDirectory

ROOT = Path(__file__).parents[2]
ENV_ID = "tests.helpers.failing_envs:Fails-v0"
ENDINGS = {
    "exits": r"sys.exit\(0\)",
    "exits at once": r"os._exit\(0\)",
    "interrupts": "raised KeyboardInterrupt",
}


def config(how: str, algo: str = "ppo", **values: Any) -> RunConfig:
    hyperparams = {"n_steps": 64} if algo == "ppo" else {}
    return RunConfig(
        algo=algo, env_id=ENV_ID, env_kwargs={"how": how}, total_timesteps=400, eval_freq=400,
        n_eval_episodes=1, hyperparams=hyperparams, **values,
    )  # fmt: skip


@pytest.mark.parametrize("algo", ["ppo", "td3_reference"])
@pytest.mark.parametrize("how", ENDINGS)
def test_an_environment_that_would_end_the_process_fails_its_run(
    how: str, algo: str, tmp_path: Path
) -> None:
    wanted = config(how, algo)
    with stop_on_signals(), pytest.raises(BrokenEnvironmentError, match=ENDINGS[how]):
        run(wanted, tmp_path, check=False)
    status = RunDirectory(tmp_path / wanted.directory).status()
    assert status["state"] == "failed"
    assert "the environment" in status["message"]


@pytest.mark.parametrize("how", ENDINGS)
def test_a_command_ends_with_status_1_and_says_why(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--algo", "ppo", "--env-id", ENV_ID, "--env-kwargs", f"how={how}", "--no-check"]
    command += ["--hyperparams", "n_steps=64", "--total-timesteps", "400", "--root", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["train_sb3.py", *command])
    with pytest.raises(SystemExit) as ended:
        train_sb3.main()
    assert ended.value.code == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "failed: " in line]
    assert "the environment" in line


@pytest.mark.parametrize("how", ENDINGS)
def test_on_a_worker_the_first_run_that_ends_so_says_why(how: str, tmp_path: Path) -> None:
    (tmp_path / ".session").write_text("s")
    outcomes: list[RunOutcome] = []
    thread = threading.Thread(
        target=lambda: outcomes.append(run_on_worker(config(how), tmp_path, "s"))
    )  # as Dask does, off the main thread
    thread.start()
    thread.join()
    assert [outcome.state for outcome in outcomes] == ["failed"]
    assert "the environment" in outcomes[0].message


@pytest.mark.parametrize("how", ["exits", "interrupts"])
def test_what_ends_so_in_its_checks_is_refused(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.helpers.failing_envs.Fails.__init__", _ends_at_once)
    with stop_on_signals(), pytest.raises(ValueError, match="in the checks before the run"):
        run(config(how), tmp_path)
    assert list(tmp_path.iterdir()) == []


def _ends_at_once(self: Any, how: str, render_mode: str | None = None) -> None:
    sys.exit(0) if how == "exits" else _interrupt()


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("n_envs", [1, 2])
@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("raises", "environment 0 ended its process: RuntimeError: the sensor fell off"),
        ("exits", "environment 0 ended its process: SystemExit: 0"),
        ("exits at once", "environment 0 ended its process with exit status 0"),
        ("kills", "environment 0 ended its process with exit status -9"),
    ],
)
def test_an_environment_in_a_process_of_its_own_tells_its_own_error(
    how: str, cause: str, n_envs: int, tmp_path: Path
) -> None:
    wanted = config(how, vec_env="subproc", n_envs=n_envs)
    with pytest.raises(BrokenEnvironmentError, match=cause):
        run(wanted, tmp_path, check=False)
    path = tmp_path / wanted.directory
    assert RunDirectory(path).status()["state"] == "failed"
    if how == "raises":
        assert "in step" in (path / "log.txt").read_text()  # where in the environment it came from


@pytest.mark.slow
def test_a_hang_is_written_into_the_run_before_its_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = config("hangs")
    found: list[dict[str, Any]] = []
    log: list[str] = []

    def end(status: int) -> None:  # in place of the process's end
        state = RunDirectory(tmp_path / wanted.directory).status()
        if state["state"] == "failed":  # and not a busy machine's other calls
            found.append(state)
            log.append((tmp_path / wanted.directory / "log.txt").read_text())
            RELEASED.set()

    monkeypatch.setattr("training.endings._exit", end)
    RELEASED.clear()
    with watching(1.0):
        run(wanted, tmp_path, check=False)
    assert found[-1]["message"] == "hung in step at step 149: it did not return within 1 s"
    assert "failing_envs.py" in log[-1]  # where it hung


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sweep_that_a_signal_stops_ends_with_its_status(
    number: signal.Signals, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    display: Any = types.SimpleNamespace(note=lambda line: None)
    client: Any = None

    def stop(*_: Any) -> None:
        with stop_on_signals() as request:
            os.kill(os.getpid(), number)
            RunDispatcher(client, tmp_path, "s", display, request)._stop()

    monkeypatch.setattr("benchmarks.sweep.scheduler.sweep", stop)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "sweep", "smoke"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == status


@pytest.mark.slow
@pytest.mark.parametrize("vec_env", ["dummy", "subproc"])
def test_a_run_whose_environment_hangs_ends_with_status_1(vec_env: str, tmp_path: Path) -> None:
    options = ["--algo", "ppo", "--env-id", ENV_ID, "--env-kwargs", "how=hangs", "--no-check"]
    options += ["--hyperparams", "n_steps=64", "--total-timesteps", "400", "--root", str(tmp_path)]
    options += ["--step-timeout", "60", "--vec-env", vec_env]
    done = subprocess.run(
        [sys.executable, "train_sb3.py", *options], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    message = "hung in step at step 149: it did not return within 60 s"
    assert f"failed: {message}" in done.stderr
    status = RunDirectory(tmp_path / "ppo/Fails-v0_0").status()
    assert (status["state"], status["message"]) == ("failed", message)


@pytest.mark.slow
def test_a_sweep_goes_on_when_a_run_hangs(tmp_path: Path, capsys: Any) -> None:
    experiment = Experiment(
        description="",
        implementations={
            how: {"algo": "ppo", "hyperparams": {"n_steps": 64}, "env_kwargs": {"how": how}}
            for how in ("hangs", "not")
        },
        total_timesteps={ENV_ID: 400},
        seeds=(0,),
        against="not",
        settings={"eval_freq": 400, "n_eval_episodes": 1},
    )
    options = SweepOptions(workers=1, check=False, step_timeout=60.0)
    (failure,) = sweep(experiment, tmp_path, options)
    assert failure.startswith("hangs/Fails-v0_0 failed: hung in step at step 149")
    assert RunDirectory(tmp_path / "not/Fails-v0_0").is_done()
    assert "its worker died" not in capsys.readouterr().out
