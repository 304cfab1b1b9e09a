"""Figures: what must be seen on them, on made-up runs."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.drawing import sane_limits
from benchmarks.plots import known_levels, plot_all
from benchmarks.results import load_results
from benchmarks.tables import all_tables
from tests.made_up_runs import made_up_run, set_optimum


@pytest.fixture(autouse=True)
def cheap_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    set_optimum(monkeypatch)


def drawn(root: Path, folder: Path, half_std: bool = False) -> dict[str, str]:
    """The figures of a folder of runs: caption by name."""
    folder.mkdir()
    results = load_results(root)
    aggregate = next((t for t in all_tables(results) if t.name == "aggregate"), None)
    pictures = plot_all(results, aggregate, folder, half_std)
    return {picture.name: picture.caption for picture in pictures}


def svg(folder: Path, name: str) -> str:
    return (folder / f"{name}.svg").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems name their displays otherwise")
@pytest.mark.parametrize(
    ("variables", "backends"),
    [
        ({}, ["egl", "dummy"]),
        ({"DISPLAY": ":0"}, ["", ""]),
        ({"MUJOCO_GL": "osmesa", "SDL_VIDEODRIVER": "x11"}, ["osmesa", "x11"]),
    ],
)
def test_without_a_display_mujoco_and_pygame_draw_where_they_need_none(
    variables: dict[str, str], backends: list[str]
) -> None:
    names = ("MUJOCO_GL", "SDL_VIDEODRIVER")
    ours = ("DISPLAY", "WAYLAND_DISPLAY", *names)
    env = {name: value for name, value in os.environ.items() if name not in ours} | variables
    code = f"import benchmarks.drawing, os; [print(os.environ.get(name, '')) for name in {names}]"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    assert result.stdout.splitlines() == backends


def test_every_figure_is_there_as_png_and_svg(tmp_path: Path) -> None:
    for seed in range(3):
        made_up_run(tmp_path / "runs", "a", seed, [-9.0, -1.0 - seed])
        made_up_run(tmp_path / "runs", "b", seed, [-9.0, -5.0 - seed])
    names = drawn(tmp_path / "runs", tmp_path / "out")
    assert set(names) == {
        "learning_curve_Pendulum-v1", "regret_Pendulum-v1", "final_returns_Pendulum-v1",
        "performance_profile", "interquartile_means",
    }  # fmt: skip
    for name in names:
        assert svg(tmp_path / "out", name).startswith("<?xml")
        with Image.open(tmp_path / f"out/{name}.png") as figure:
            assert figure.width == 960
            assert np.asarray(figure.convert("L")).min() < 50  # not blank


def test_the_optimum_is_at_the_same_starts_as_the_curve(tmp_path: Path) -> None:
    made_up_run(tmp_path / "runs", "a", 0, [-9.0, -1.0])
    assert known_levels(load_results(tmp_path / "runs"), "Pendulum-v1") == {"optimum": 0.0}


def test_the_band_is_what_was_asked_for_and_the_caption_says_which(tmp_path: Path) -> None:
    for seed in range(4):
        made_up_run(tmp_path / "runs", "a", seed, [-9.0, -1.0 - seed])
    interval = drawn(tmp_path / "runs", tmp_path / "interval")
    half = drawn(tmp_path / "runs", tmp_path / "half", half_std=True)
    name = "learning_curve_Pendulum-v1"
    assert "95 % Student interval" in interval[name]
    assert "half a standard deviation" in half[name]
    assert svg(tmp_path / "interval", name) != svg(tmp_path / "half", name)


def test_two_seeds_are_drawn_as_lines_without_a_band(tmp_path: Path) -> None:
    for number, folder in ((2, "two"), (3, "three")):
        for seed in range(number):
            made_up_run(tmp_path / folder / "runs", "a", seed, [-9.0, -1.0 - seed])
        drawn(tmp_path / folder / "runs", tmp_path / folder / "out")
    name = "learning_curve_Pendulum-v1"
    assert "FillBetween" not in svg(tmp_path / "two/out", name)
    assert "FillBetween" in svg(tmp_path / "three/out", name)


def test_a_diverged_run_does_not_flatten_the_others(tmp_path: Path) -> None:
    """Its fall is cut off, and the figure of final returns says that a run is outside."""
    for seed in range(5):
        made_up_run(tmp_path / "runs", "a", seed, [-9.0, -5.0, -1.0 - 0.1 * seed])
    made_up_run(tmp_path / "runs", "b", 0, [-9.0, -1e6, -1e6])
    for seed in range(1, 5):
        made_up_run(tmp_path / "runs", "b", seed, [-9.0, -5.0, -2.0])
    drawn(tmp_path / "runs", tmp_path / "out")
    with Image.open(tmp_path / "out/final_returns_Pendulum-v1.png") as figure:
        assert figure.width == 960
    results = load_results(tmp_path / "runs")
    finals = results.finals["mean_return"].to_numpy()
    low, high = sane_limits(results, "Pendulum-v1", [finals])
    assert -100.0 < low < high < 20.0
