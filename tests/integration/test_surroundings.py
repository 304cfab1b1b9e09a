"""Commands work whatever home, plotting settings and terminal they find."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.optimum import tasks as optimal_control
from tests.helpers.made_up_runs import made_up_run
from training import command_line

ROOT = Path(command_line.__file__).parents[1]
# For a user without an entry in the password database.
NOBODY = """
import pwd


def nobody(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")


pwd.getpwuid = nobody
"""
COMMANDS = """
import sys
from benchmarks.__main__ import main

for command in (
    "report runs --root . --output reports",
    "record random --env-id CartPole-v1 --output recording",
    "scores random --env-id MountainCarContinuous-v0 --episodes 2 --output reports",
    "compare runs/a runs/b --output reports",
):
    sys.argv = ["benchmarks", *command.split()]
    main()
"""
LEFT = (
    "reports/runs/report.html",
    "recording.gif",
    "reports/scores.md",
    "reports/compare/a_vs_b/compare.md",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with runs, and what makes its user unknown."""
    for label in ("a", "b"):
        made_up_run(tmp_path / "runs", label, 0, [0.0, 1.0], env_id="other-v0")
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody/sitecustomize.py").write_text(NOBODY)
    (tmp_path / "empty").mkdir()
    return tmp_path


def execute(folder: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process that finds these environment variables and no others."""
    paths = f"{ROOT}:{folder / 'nobody'}" if "HOME" not in variables else str(ROOT)
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=variables, capture_output=True, text=True,
        check=False, errors="replace",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HOME": "/proc", "MPLBACKEND": "nonsense", "XDG_CACHE_HOME": "/dev/null/x"},
        {"HOME": "empty", "MPLBACKEND": "TkAgg", "PYTHONIOENCODING": "ascii"},
    ],
    ids=["no home", "nowhere to write, unknown backend", "own matplotlibrc, ASCII"],
)
def test_commands_work(variables: dict[str, str], folder: Path) -> None:
    if variables.get("HOME") == "empty":
        variables = {**variables, "HOME": str(folder / "empty")}
        # LaTeX is not there, and no figure would be legible.
        (folder / "matplotlibrc").write_text("text.usetex: True\nfigure.figsize: 1, 1\n")
    finished = execute(folder, COMMANDS, **variables)
    assert finished.returncode == 0, finished.stderr
    assert "Traceback" not in finished.stderr
    for name in LEFT:
        assert (folder / name).stat().st_size > 0
    assert not (folder / "~").exists()


TRAIN = """
import sys, train_sb3

sys.argv = ["train_sb3.py", "--total-timesteps", "20", "--eval-freq", "20", "--n-eval-episodes",
            "1", "--hyperparams", "policy_kwargs.net_arch=[4]"]
train_sb3.main()
"""


@pytest.mark.slow
def test_training_works_without_a_home(folder: Path) -> None:
    finished = execute(folder, TRAIN)
    assert finished.returncode == 0, finished.stderr
    assert (folder / "runs/td3/rocket-v0_0/model.zip").exists()


@pytest.mark.parametrize("home", ["/dev/null/nowhere", "not/absolute", "/dev/null"])
def test_what_is_no_folder_is_no_home(
    home: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    command_line.prepare_process()
    assert Path.home().is_dir()
    assert os.environ["MPLBACKEND"] == "Agg"
    assert "no home directory" in capsys.readouterr().err


def test_without_a_home_there_is_a_temporary_one_that_goes(folder: Path) -> None:
    code = "from training.command_line import prepare_process; prepare_process()\n"
    code += "from pathlib import Path; print(Path.home(), Path.home().is_dir())"
    finished = execute(folder, code)
    home, existed = finished.stdout.split()
    assert existed == "True"
    assert not Path(home).exists()
    assert finished.stderr == f"no home directory: caches are in {home} and go with it\n"
    kept = execute(folder, code, HOME=str(folder / "empty"))
    assert kept.stdout.split()[0] == str(folder / "empty")
    assert kept.stderr == ""


def test_a_home_that_cannot_be_written_keeps_its_place_but_not_matplotlibs_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("MPLCONFIGDIR", "theirs")  # put back at the end
    monkeypatch.delenv("MPLCONFIGDIR")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    command_line.prepare_process()
    assert os.environ["HOME"] == str(tmp_path)
    assert Path(os.environ["MPLCONFIGDIR"]).is_dir()


@pytest.mark.parametrize(
    ("cache", "home", "expected"),
    [
        ("/somewhere", "/home/me", "/somewhere/td3-rocket-benchmark"),
        ("", "/home/me", "/home/me/.cache/td3-rocket-benchmark"),
        ("relative", "/home/me", "/home/me/.cache/td3-rocket-benchmark"),
        ("", None, "/dev/null/td3-rocket-benchmark"),
    ],
)
def test_tables_of_the_optimum_are_kept_where_there_is_a_place(
    cache: str, home: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find() -> Path:
        if home is None:
            raise RuntimeError("Could not determine home directory.")
        return Path(home)

    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.setattr(Path, "home", find)
    assert str(optimal_control.cache_folder()) == expected


def test_an_optimum_that_cannot_be_kept_is_computed_with_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    small = optimal_control.task_grid("Pendulum-v1", 0.1)
    monkeypatch.setattr(optimal_control, "task_grid", lambda env_id: small)
    assert optimal_control.solution.__wrapped__("Pendulum-v1", 0.0).grid is small
    assert "Pendulum-v1 cannot be kept, and is computed each time" in caplog.text
