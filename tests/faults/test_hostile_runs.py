"""Reading a stranger's run directory executes nothing that it names or holds."""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

import train_sb3
from benchmarks import __main__ as command_line
from benchmarks.experiments import Experiment
from tests.faults.hostile import CANARY, TRAPS, Trap, hostile_run, spring_traps
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError
from training.run_directory import RunDirectory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, whose modules can be imported as a command line would."""
    spring_traps(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def carry_out(command: list[str], monkeypatch: pytest.MonkeyPatch, main: Any = command_line) -> int:
    """The exit status of a command, carried out in this process."""
    monkeypatch.setattr(sys, "argv", [command[0], *command])
    if main is train_sb3:
        monkeypatch.setattr(sys, "argv", command)
    try:
        main.main()
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def refuse_to_play(*_: Any) -> None:
    """Stands for an episode, which takes longer than all that leads to it."""
    raise ConfigError("played")


def assert_nothing_ran(folder: Path) -> None:
    assert not (folder / CANARY).exists()
    assert not {"evil", "spacename", "spacename.evil"} & sys.modules.keys()


def test_the_traps_would_be_sprung(folder: Path) -> None:
    pickle.loads(pickle.dumps(Trap()))
    assert (folder / CANARY).read_text() == "x"
    __import__("spacename.evil")
    assert (folder / CANARY).read_text() == "xx"
    for name in ("spacename.evil", "spacename"):
        del sys.modules[name]


@pytest.mark.parametrize("trap", TRAPS)
def test_record_scores_and_resume_run_nothing_of_a_hostile_run(
    trap: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(hostile_run(folder / "runs", trap))
    monkeypatch.setattr(RunDirectory, "is_done", lambda _: True)  # resumed, it is left as it is
    monkeypatch.setattr("benchmarks.policies.record.rollout", refuse_to_play)
    commands = [
        (["record", path], command_line),
        (["record", f"{path}/model.zip"], command_line),
        (["scores", path, "--episodes", "2", "--env-id", "Pendulum-v1"], command_line),
        (["train_sb3.py", "--resume", path], train_sb3),
    ]
    refused = 0
    for command, main in commands:
        status = carry_out(command, monkeypatch, main)
        captured = capsys.readouterr()
        assert_nothing_ran(folder)
        assert status in (0, 2)
        if status == 2:
            (line,) = captured.err.splitlines()
            assert line.startswith("error: ")
            refused += 1
    assert refused


@pytest.mark.slow
def test_report_status_and_compare_run_nothing_of_ten_hostile_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for trap in TRAPS:
        hostile_run(folder / "runs/all", trap)
    experiment = Experiment(
        description="of a stranger's",
        implementations={"evil": {"algo": "evil:Algo"}, "td3": {"algo": "td3"}},
        total_timesteps={"evil:Env-v0": 100},
        seeds=(0,),
        against="evil",
        baselines=("random",),
    )
    (folder / "runs/all/experiment.json").write_text(json.dumps(experiment.to_json()))
    assert carry_out(["report", "all"], monkeypatch) == 0
    text = capsys.readouterr().out
    assert "evaluations/Pendulum-v1_0" in text  # which is named, and left out
    page = (folder / "reports/all/report.html").read_text()
    assert "--trust evil" in page
    assert carry_out(["status", "all"], monkeypatch) == 0
    assert "no run of it is complete" in capsys.readouterr().out
    made_up_run(folder / "runs/mine", "td3", 0, [-9.0, -8.0], env_kwargs={"g": 9.0})
    assert carry_out(["compare", "runs/all", "runs/mine"], monkeypatch) == 0
    assert_nothing_ran(folder)


def test_what_the_command_line_trusts_is_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(hostile_run(folder / "runs", "env_module"))
    for option in (["--trust", "evil"], ["--env-id", "evil:Env-v0"]):
        assert carry_out(["record", path, *option], monkeypatch) == 2  # it registers no Env-v0
        assert "Env-v0" in capsys.readouterr().err
        assert "evil" in sys.modules
        del sys.modules["evil"]
