"""Help is at once there: what is slow to import is imported where it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import announced
from training.command_line import print_loading

ROOT = Path(__file__).parents[2]
SLOW = {
    "torch", "stable_baselines3", "sb3_contrib", "scipy", "pandas", "matplotlib", "dask",
    "distributed", "tensorboard", "jinja2", "PIL",
}  # fmt: skip
SLOWER_THAN_HELP = SLOW | {"numpy", "gymnasium"}
CODE = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    if sys.argv[0].endswith(".py"):
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        runpy.run_module(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def loaded_by(*words: str) -> set[str]:
    """Packages that a command has loaded when it ends."""
    command = [sys.executable, "-c", CODE, *words]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "usage: " in said
    return set(said.rpartition("loaded:")[2].split())


@pytest.mark.parametrize(
    "words",
    [
        ("train_sb3.py",),
        ("benchmarks",),
        ("benchmarks", "sweep"),
        ("benchmarks", "report"),
        ("benchmarks", "speed"),
    ],
)
def test_help_loads_nothing_that_is_slow_to_import(words: tuple[str, ...]) -> None:
    assert not loaded_by(*words, "--help") & SLOWER_THAN_HELP


def test_help_of_what_registers_environments_loads_no_more_than_that() -> None:
    assert not loaded_by("envs.checks", "--help") & SLOW


def test_a_command_says_on_a_terminal_that_it_has_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    print_loading()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    announced(lambda: print("result"))()
    assert capsys.readouterr() == ("result\n", "loading ...\n")
