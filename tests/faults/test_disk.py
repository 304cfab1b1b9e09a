"""A disk that is full: one line naming file and cause, status 1, never a run that is done."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import train_sb3
from benchmarks import __main__ as command_line
from training.checkpoint import write_through
from training.config import RunConfig
from training.run_directory import RunDirectory

ROOT = Path(__file__).parents[2]
FULL = "No space left on device"
FILES = {
    "td3": ["config.json", "status.json", "evaluations.npz", "best_model.zip", "model.zip"],
    "td3_reference": ["evaluations.npz", "policy.safetensors", "provenance.json"],
}
SMALL = {
    "td3": ["learning_starts=10", "policy_kwargs.net_arch=[8]"],
    "td3_reference": ["learning_starts=10", "hidden_sizes=[8]"],
}


@pytest.mark.parametrize(("algo", "name"), [(algo, name) for algo in FILES for name in FILES[algo]])
def test_a_file_of_a_run_that_cannot_be_written_is_named_in_one_line(
    algo: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:

    def fill_up(path: Path, content: bytes) -> None:
        if path.name == f"{name}.tmp":
            raise OSError(errno.ENOSPC, FULL, str(path))
        write_through(path, content)

    monkeypatch.setattr("training.run_directory.write_through", fill_up)
    monkeypatch.setattr("training.evaluation.N_FINAL_EPISODES", 2)
    config = RunConfig(
        algo=algo, env_id="rocket-v0", total_timesteps=30, max_episode_steps=10, n_eval_episodes=1
    )
    options = ["--algo", algo, "--env-id", "rocket-v0", "--total-timesteps", "30", "--no-check"]
    options += ["--max-episode-steps", "10", "--n-eval-episodes", "1", "--root", str(tmp_path)]
    options += ["--hyperparams", *SMALL[algo]]
    main = train_sb3.main if algo == "td3" else command_line.main
    first = ["train_sb3.py"] if algo == "td3" else ["benchmarks", "run"]
    monkeypatch.setattr(sys, "argv", [*first, *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    told = [line for line in capsys.readouterr().err.splitlines() if FULL in line]
    assert len(told) == 1
    assert name in told[0]
    run = RunDirectory(tmp_path / config.directory)
    assert not run.is_done()
    if name == "config.json":  # the first file: nothing had begun
        assert run.status()["state"] == "pending"
    elif name != "status.json":  # which cannot say so itself
        assert run.status()["state"] == "failed"
        assert FULL in run.status()["message"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "limit"),
    [
        ([str(ROOT / "train_sb3.py"), "--algo", "td3"], 20_000),
        ([str(ROOT / "train_sb3.py"), "--algo", "td3"], 2_000),
        (["-m", "benchmarks", "run", "--algo", "td3_reference"], 20_000),
        (["-m", "benchmarks", "record", "pd", "--initial-state", "1", "0"], 20_000),
    ],
    ids=str,
)
def test_a_limit_on_the_size_of_files_takes_one_line(
    command: list[str], limit: int, tmp_path: Path
) -> None:
    if "record" not in command:
        command = [*command, "--env-id", "rocket-v0", "--total-timesteps", "400", "--no-check"]
        command += ["--max-episode-steps", "10", "--n-eval-episodes", "1"]
    else:
        command = [*command, "--output", "recordings/pd"]

    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True,
        preexec_fn=set_limit, env=surroundings(),
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr.splitlines()[-1]
    found = [path for path in tmp_path.rglob("*") if path.suffix in (".gif", ".png")]
    assert not found
    for path in tmp_path.glob("runs/*/*"):
        assert not RunDirectory(path).is_done()


def surroundings() -> dict[str, Any]:
    """The environment variables with which the project is found from anywhere."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
