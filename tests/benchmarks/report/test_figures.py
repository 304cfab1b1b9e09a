"""Figures: what must be seen on them, on made-up runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from benchmarks.analysis.comparisons import compare_all
from benchmarks.analysis.load import load_results
from benchmarks.analysis.statistics import Interval
from benchmarks.analysis.verdict import Answer, VerdictPart
from benchmarks.outputs import write_all
from benchmarks.plot_style import draw_curves, finish, possible_range, robust_limits, set_log_scale
from benchmarks.report.figures import (
    _interquartile_means,
    known_reference_lines,
    plot_all,
    typical_part,
)
from benchmarks.report.scores import standings
from benchmarks.report.tables import all_tables
from benchmarks.report.verdicts import axis_reach, forest_plot
from tests.helpers.made_up_runs import made_up_run, set_optimum


@pytest.fixture(autouse=True)
def cheap_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    set_optimum(monkeypatch)


def drawn(root: Path, folder: Path, half_std: bool = False) -> dict[str, str]:
    """The figures of a folder of runs: caption by name."""
    results = load_results(root)
    pictures = plot_all(results, standings(results), half_std)
    for picture in pictures:
        write_all(folder, picture.files)
    return {picture.name: picture.caption for picture in pictures}


def svg(folder: Path, name: str) -> str:
    return (folder / f"{name}.svg").read_text()


@pytest.mark.slow
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
    code = (
        f"import benchmarks.plot_style, os; [print(os.environ.get(name, '')) for name in {names}]"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    assert result.stdout.splitlines() == backends


@pytest.mark.slow
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
    assert known_reference_lines(load_results(tmp_path / "runs"), "Pendulum-v1") == {"optimum": 0.0}


@pytest.mark.slow
def test_the_band_is_what_was_asked_for_and_the_caption_says_which(tmp_path: Path) -> None:
    for seed in range(5):
        made_up_run(tmp_path / "runs", "a", seed, [-9.0, -1.0 - seed])
    interval = drawn(tmp_path / "runs", tmp_path / "interval")
    half = drawn(tmp_path / "runs", tmp_path / "half", half_std=True)
    name = "learning_curve_Pendulum-v1"
    assert "95% Student interval" in interval[name]
    assert "half a standard deviation" in half[name]
    assert svg(tmp_path / "interval", name) != svg(tmp_path / "half", name)


@pytest.mark.slow
def test_four_seeds_are_drawn_as_lines_without_a_band(tmp_path: Path) -> None:
    for number, folder in ((4, "four"), (5, "five")):
        for seed in range(number):
            made_up_run(tmp_path / folder / "runs", "a", seed, [-9.0, -1.0 - seed])
        drawn(tmp_path / folder / "runs", tmp_path / folder / "out")
    name = "learning_curve_Pendulum-v1"
    assert "FillBetween" not in svg(tmp_path / "four/out", name)
    assert "FillBetween" in svg(tmp_path / "five/out", name)


@pytest.mark.parametrize(
    ("column", "least", "most"), [("mean_return", -3254.7, 0.0), ("mean_regret", 0.0, 3254.7)]
)
def test_a_band_stays_within_what_is_possible(
    column: str, least: float, most: float, tmp_path: Path
) -> None:
    """V* is 0 here; without the clip both ends of this band would lie outside."""
    for seed, last in enumerate([-1.0, -1.0, -1.0, -1.0, -3200.0]):
        made_up_run(tmp_path, "a", seed, [-3254.0, last])
    results = load_results(tmp_path)
    mean, low, high = draw_curves(plt.figure().gca(), results, "Pendulum-v1", column, False)
    assert np.all((least - 0.1 <= low) & (low <= mean) & (mean <= high) & (high <= most + 0.1))


def test_an_unknown_task_has_no_ends_of_what_is_possible(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 0, [-9.0, -1.0], env_id="Other-v0")
    results = load_results(tmp_path)
    assert possible_range(results, "Other-v0", "mean_return") == (-np.inf, np.inf)


def test_the_forest_plot_has_a_row_for_each_comparison_and_part(tmp_path: Path) -> None:
    for seed in range(5):
        made_up_run(tmp_path / "runs", "a", seed, [-9.0, -1.0 - seed])
        made_up_run(tmp_path / "runs", "b", seed, [-9.0, -5.0 - seed])
        made_up_run(tmp_path / "runs", "a", seed, [-9.0, -1.0 - seed], env_id="Other-v0")
        made_up_run(tmp_path / "runs", "b", seed, [-9.0, -1.0], env_id="Other-v0")
    comparisons = compare_all(load_results(tmp_path / "runs"))
    picture = forest_plot(comparisons)
    assert picture
    assert picture.name == "verdicts_forest"
    text = picture.svg.decode()
    for row in ("a \N{MINUS SIGN} b: typical run", "failures, 2 of 5 and 5 of 5", "mean"):
        assert row in text
    assert text.count("-- mean --") == 2
    assert "90%" in picture.caption
    assert forest_plot([]) is None


@pytest.mark.slow
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
    low, high = robust_limits(results, "Pendulum-v1", [finals])
    assert -100.0 < low < high < 20.0
    text = svg(tmp_path / "out", "learning_curve_Pendulum-v1")
    assert "b (n = 5), down to -200,004.0" in text
    assert "up to 200,004.0" in svg(tmp_path / "out", "regret_Pendulum-v1")


def test_the_legend_names_only_what_can_be_seen() -> None:
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0.0, 1.0], label="inside")
    axes.axhline(0.5, label="level")
    axes.axhline(-5.0, label="too low")
    axes.axvline(9.0, label="too far")
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
    picture = finish(figure, "name", "Title", "Short.", "Notes.")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["inside", "level"]
    assert picture.caption == "Short. Notes. Outside the axes: too low, too far."


@pytest.mark.slow
def test_a_caption_has_two_sentences_at_most_and_the_rest_is_behind_it(tmp_path: Path) -> None:
    for seed in range(5):
        for label in ("a", "b"):
            made_up_run(tmp_path, label, seed, [-9.0, -1.0 - seed], env_id="rocket-v0")
    results = load_results(tmp_path)
    forest = forest_plot(compare_all(results))
    assert forest
    pictures = [forest, *plot_all(results, standings(results))]
    shorts = {each.name: each.short for each in pictures}
    shorts |= {each.name: each.short for each in all_tables(results)}
    for name, short in shorts.items():
        assert 1 <= len(re.findall(r"[.:] [A-Z]|\.$", short)) <= 2, name


def test_a_dollar_in_a_name_is_a_dollar(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 0, [-9.0, -1.0], env_id="costs$_$-v0")
    results = load_results(tmp_path)
    assert len(plot_all(results, standings(results))) > 1


def test_a_failed_run_does_not_flatten_the_final_returns_of_the_others() -> None:
    """It lies within the range of the learning curves, so that only the other runs tell."""
    # Quartiles 2 and 4, so that all from -8 to 14 is near; the mean stays in sight.
    usual = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert typical_part(usual, Interval(3.0, -1.0, 7.0)).tolist() == [1, 2, 3, 4, 5, 3, -1, 7]
    failed = np.append(usual[1:], -900.0)
    kept = typical_part(failed, Interval(-177.2, -700.0, 300.0)).tolist()
    assert kept == [2, 3, 4, 5, -177.2]


def test_a_short_logarithmic_axis_names_numbers_between_powers_of_ten() -> None:
    for top, named in ((3000.0, ["1,000", "2,000"]), (1e6, ["1,000", "10,000", "100,000"])):
        figure, axes = plt.subplots()
        set_log_scale(axes)
        axes.set_ylim(900.0, top)
        figure.canvas.draw()
        ticks = [
            *axes.yaxis.get_major_ticks(),
            *axes.yaxis.get_minor_ticks(),
        ]
        shown = [tick.label1.get_text() for tick in ticks if 900.0 <= tick.get_loc() < top]
        assert [text for text in shown if text] == named
        plt.close(figure)


@pytest.mark.slow
def test_the_caption_tells_of_a_band_only_where_there_is_one(tmp_path: Path) -> None:
    made_up_run(tmp_path / "runs", "a", 0, [-9.0, -1.0])
    captions = drawn(tmp_path / "runs", tmp_path / "out")
    for name in ("learning_curve_Pendulum-v1", "regret_Pendulum-v1"):
        assert "each run being a thin line" in captions[name]
        assert "interval" not in captions[name]


@pytest.mark.slow
def test_a_far_better_controller_does_not_flatten_the_curves_of_regret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(5):
        made_up_run(tmp_path / "runs", "a", seed, [-900.0, -500.0 - seed])
    levels = {"optimum": 0.0, "pd": -1.0, "brake": -300.0}
    monkeypatch.setattr("benchmarks.report.figures.known_reference_lines", lambda *_: levels)
    text = drawn(tmp_path / "runs", tmp_path / "out")["regret_Pendulum-v1"]
    assert text.endswith("Outside the axes: pd: 1.000.")
    assert "brake: 300.0" in svg(tmp_path / "out", "regret_Pendulum-v1")


def test_the_forest_plot_shows_each_difference_and_arrows_where_an_interval_goes_on() -> None:
    near = VerdictPart((0.0, 0.0), -0.2, (-0.5, 0.1), (-0.6, 0.2), 1.0, Answer.EQUIVALENT, None)
    wide = VerdictPart((0.0, 0.0), -4.3, (-9.5, 1.0), (-10.8, 2.2), 1.0, Answer.UNDECIDED, 673)
    far = VerdictPart(
        (0.0, 0.0), -40.0, (-41.0, -39.0), (-42.0, -38.0), 1.0, Answer.DIFFERENT, None
    )
    endless = VerdictPart((0.0, 0.0), 1.0, (-np.inf, np.inf), (-np.inf, np.inf), 1.0,
                   Answer.UNDECIDED, None)  # fmt: skip
    reach = [axis_reach(parts) for parts in ([near], [near, wide], [wide, far], [endless])]
    assert reach[0] < 3.0  # the margin is seen well
    assert 10.8 < reach[1] < 13.0  # whole intervals
    assert reach[2] > 40.0
    assert 1.0 < reach[3] < 13.0  # arrows at both ends


def test_the_label_of_interquartile_means_is_not_cut_off_beside_long_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = []

    def measure(figure: Figure, *_: str) -> None:
        figure.draw_without_rendering()
        (axes,) = figure.axes
        boxes.append((figure.bbox, axes.xaxis.label.get_window_extent()))
        plt.close(figure)

    monkeypatch.setattr("benchmarks.report.figures.finish", measure)
    for label in ("td3_reference", "td3_reference_rescaled"):
        for seed in range(3):
            made_up_run(tmp_path, label, seed, [-1500.0, -200.0 - seed])
    results = load_results(tmp_path)
    _interquartile_means(results, standings(results))
    ((whole, label_box),) = boxes
    assert whole.x0 <= label_box.x0 < label_box.x1 <= whole.x1
