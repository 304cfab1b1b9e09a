"""``python -m benchmarks run``: one run of either implementation, with the options of train_sb3."""

import sys
from dataclasses import fields
from pathlib import Path

import pytest

import train_sb3
from benchmarks import __main__ as command_line
from training.command_line import RunOptions
from training.config import ConfigError, RunConfig
from training.run_directory import RunDirectory

SHORT = ["--env-id", "Pendulum-v1", "--seed", "0", "--total-timesteps", "20", "--eval-freq", "20"]
SHORT += ["--n-eval-episodes", "1", "--hyperparams", "learning_starts=10"]


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "run", *arguments])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("training.evaluation.N_FINAL_EPISODES", 2)
    command_line.main()


@pytest.mark.parametrize(
    ("algo", "policy"), [("td3_reference", "policy.safetensors"), ("td3", "model.zip")]
)
def test_it_trains_either_implementation(
    algo: str,
    policy: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command(monkeypatch, "--algo", algo, *SHORT, "--root", str(tmp_path))
    run = RunDirectory(tmp_path / algo / "Pendulum-v1_0")
    assert run.is_done()
    assert (run.path / policy).exists()
    command(monkeypatch, "--resume", str(run.path))
    said = capsys.readouterr().out.replace("\n", "")  # a progress bar, and lines that it wraps
    assert f"{run.path} is complete; last mean evaluation return" in said
    assert f"{run.path} was already complete" in said


def test_train_sb3_names_the_command_for_the_reference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = "python -m benchmarks run --algo td3_reference --env-id Pendulum-v1 --seed 0"
    monkeypatch.setattr(sys, "argv", ["train_sb3.py", "--algo", "td3_reference", *SHORT])
    with pytest.raises(SystemExit) as stop:
        train_sb3.main()
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert expected in error
    with pytest.raises(ConfigError, match=expected):
        train_sb3.train(RunConfig(algo="td3_reference", env_id="Pendulum-v1", total_timesteps=20))


def test_every_setting_of_a_run_is_an_option_with_the_same_default() -> None:
    options = {field.name: field for field in fields(RunOptions)}
    for setting in fields(RunConfig):
        if setting.name not in ("algo", "env_id", "total_timesteps"):  # required of a RunConfig
            assert options[setting.name] is setting
