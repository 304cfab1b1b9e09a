"""``python -m benchmarks``: refusals in one line, and runs compiled on request."""

import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command_line
from sb3_training.config import ConfigError, RunConfig


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "nope"], "must be one of quick, pendulum_verdict, smoke"),
        (["report", "nope"], "must be one of quick, pendulum_verdict, smoke"),
        (["sweep", "smoke", "--workers", "0"], "workers must be 1 or more"),
        (["report", "smoke"], "run: python -m benchmarks sweep smoke"),
    ],
)
def test_nonsense_is_refused_in_one_line_before_anything_is_written(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    with pytest.raises(SystemExit) as stop:
        command_line.main()
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_only_the_reference_is_compiled_and_under_a_label_of_its_own() -> None:
    runs = [
        RunConfig(algo=algo, env_id="Pendulum-v1", total_timesteps=10)
        for algo in ("td3", "td3_reference")
    ]
    sb3, reference = map(command_line.compiled, runs)
    assert sb3 == runs[0]
    assert reference.label == "td3_reference_compiled"
    assert reference.hyperparams == {"compile": True}


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    run = RunConfig(algo="td3_reference", env_id="Pendulum-v1", total_timesteps=10)
    with pytest.raises(ConfigError, match="needs a C\\+\\+ compiler"):
        command_line.compiled(run)
