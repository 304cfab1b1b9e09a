"""The verdict on learning curves made elsewhere, on made-up runs whose answer is known."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.analysis.verdict import decide
from benchmarks.experiments import EXPERIMENTS
from benchmarks.report.compare import MANY_STARTS, compare_page
from tests.benchmarks.analysis.test_sources import write_csv, write_evaluations, write_events
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError

OTHER = "Other-v0"  # neither a margin nor an optimum is known


def cells(page: str) -> list[list[str]]:
    """The rows of all tables in a page."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def first_sentence(page: str) -> str:
    return page.split("\n")[2].strip("*").replace("`", "")


def our_runs(root: Path, last: Sequence[float], label: str = "td3", env_id: str = OTHER) -> Path:
    """Runs with evaluations 0 and ``last`` at step 100, and ten times that on further starts."""
    for seed, mean in enumerate(last):
        made_up_run(root, label, seed, [0.0, mean], env_id)
    return root / label


def their_runs(folder: Path, last: Sequence[float], step: int = 100) -> Path:
    rows = [f"{seed},0,0\n{seed},{step},{value}" for seed, value in enumerate(last)]
    write_csv(folder / "runs.csv", "\n".join(rows))
    return folder


def test_foreign_runs_are_compared_by_the_last_evaluation_on_both_sides(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [100.0, 110.0, 120.0, 130.0])
    theirs = their_runs(tmp_path / "theirs", [110.0, 120.0, 130.0])
    page = compare_page(theirs, "td3", root=tmp_path / "runs", margin=40.0)
    # Variances 100 / 3 and 500 / 12 of the means; t(0.95, 4.96) = 2.0187, t(0.975, 4.96) = 2.5770.
    error = (100 / 3 + 500 / 12) ** 0.5
    bounds = [f"[{5 - t * error:.1f}, {5 + t * error:.1f}]" for t in (2.0187, 2.5770)]
    assert ["equivalent", "5.0", *bounds, "40.0", "-", "5.0"] in cells(page)
    assert "3 runs: too few to trim" in page
    assert [str(theirs), "3", "120.0 ± 10.0", "return at the last step", "100"] in cells(page)
    assert [str(ours), "4", "115.0 ± 12.9", "last evaluation", "100"] in cells(page)
    assert first_sentence(page) == f"{theirs} equals {ours} on {OTHER} within the margin."


def test_two_sides_of_ours_are_compared_on_the_further_starts(tmp_path: Path) -> None:
    first = our_runs(tmp_path, [1.0, 2.0, 3.0], "first")
    second = our_runs(tmp_path, [4.0, 5.0, 6.0, 7.0], "second")
    page = compare_page(first, "second", root=tmp_path)
    verdict = decide(np.array([10.0, 20.0, 30.0]), np.array([40.0, 50.0, 60.0, 70.0]), None)
    low_95, high_95 = verdict.typical.apart
    high = f"[{low_95:.1f}, {high_95:.1f}]"
    assert high_95 < 0
    assert any(
        row[:2] == ["different in typical return", "-35.0"] and high in row for row in cells(page)
    )
    assert [str(first), "3", "20.0 ± 10.0", "100 further starts", "100"] in cells(page)
    assert first_sentence(page) == f"{first} differs from {second} on {OTHER}."
    assert "3 runs: too few to trim" in page


def test_late_policies_are_compared_where_both_sides_have_them(tmp_path: Path) -> None:
    late = {"late_results": [[1.0, 2.0], [3.0, 4.0]]}
    for label, arrays in (("a", late), ("b", late), ("c", {})):
        for seed in range(5):
            made_up_run(tmp_path, label, seed, [0.0, 9.0], OTHER, arrays=arrays)
    page = compare_page(tmp_path / "a", "b", root=tmp_path)
    assert "2.500 ± 0.000" in page
    assert "late policies, 100 further starts" in page
    assert "None known." in page
    page = compare_page(tmp_path / "a", "c", root=tmp_path)
    assert "late policies" not in page
    assert "90.0 ± 0.0" in page


@pytest.mark.parametrize(
    ("last", "margin", "sentence"),
    [
        ([5.0, 5.1, 5.2], 10.0, "differs from {} on {}, but by less than the margin."),
        ([-5.0, 0.0, 5.0], 1.0, "is shown neither to differ from {} on {} nor to equal it."),
        ([0.0, 1.0], 1.0, "and {} cannot be compared on {}, which takes 3 runs of each."),
    ],
)
def test_the_first_sentence_is_the_verdict(
    last: list[float], margin: float, sentence: str, tmp_path: Path
) -> None:
    ours = our_runs(tmp_path / "runs", [0.0, 0.1, -0.1])
    theirs = their_runs(tmp_path / "theirs", last)
    page = compare_page(theirs, "td3", root=tmp_path / "runs", margin=margin)
    assert first_sentence(page) == f"{theirs} {sentence.format(ours, OTHER)}"


def test_an_undecided_verdict_says_how_many_seeds_it_takes(tmp_path: Path) -> None:
    our_runs(tmp_path / "runs", [0.0, 1.0, -1.0])
    theirs = their_runs(tmp_path / "theirs", [-5.0, 0.0, 5.0])
    page = compare_page(theirs, "td3", root=tmp_path / "runs", margin=2.0)
    verdict = decide(np.array([-5.0, 0.0, 5.0]), np.array([0.0, 1.0, -1.0]), 2.0)
    seeds = verdict.typical.seeds_needed
    assert seeds is not None
    assert cells(page)[6][0] == "undecided"
    assert cells(page)[6][-3:-1] == ["2.0", str(seeds)]


class Solution:
    """Whose starts are all worth -130."""

    def start_values(self, starts: np.ndarray) -> np.ndarray:
        assert len(starts) == MANY_STARTS
        return np.full(len(starts), -130.0)


@pytest.fixture
def lucky_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our two starts of Pendulum-v1 are worth 30 more than starts are on average."""
    monkeypatch.setattr("benchmarks.report.compare.solution", lambda env_id: Solution())
    monkeypatch.setattr(
        "benchmarks.optimum.values.mean_return",
        lambda env_id, first_seed, n: {("Pendulum-v1", 10_000, 2): -100.0}[env_id, first_seed, n],
    )


@pytest.mark.usefixtures("lucky_starts")
def test_a_verdict_that_hangs_on_the_start_states_says_so(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [-110.0, -111.0, -112.0], env_id="Pendulum-v1")
    theirs = their_runs(tmp_path / "theirs", [-140.0, -141.0, -142.0])
    for first, second, sign in ((theirs, ours, 1.0), (ours, theirs, -1.0)):
        page = compare_page(first, str(second), root=tmp_path / "runs")
        assert first_sentence(page) == (
            f"That depends on the start states: as measured, {first} differs from {second} on"
            " Pendulum-v1; with the start states allowed for,"
            f" {first} equals {second} on Pendulum-v1 within the margin."
        )
        rows = [row[:3] for row in cells(page)]
        assert ["ignored", "different in typical return", f"{-30 * sign:.1f}"] in rows
        assert ["allowed for", "equivalent", "0.0"] in rows
        assert "worth +30.0 to the best policy" in page


@pytest.mark.usefixtures("lucky_starts")
def test_a_verdict_that_the_start_states_leave_alone_is_plain(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [-110.0, -111.0, -112.0], env_id="Pendulum-v1")
    theirs = their_runs(tmp_path / "theirs", [-340.0, -341.0, -342.0])
    page = compare_page(theirs, "td3", root=tmp_path / "runs")
    assert first_sentence(page) == f"{theirs} differs from {ours} on Pendulum-v1."


def test_where_the_margin_comes_from_is_said(tmp_path: Path) -> None:
    runs, theirs = tmp_path / "runs", their_runs(tmp_path / "theirs", [1.0, 2.0, 3.0])
    our_runs(runs, [1.0, 2.0, 3.0], env_id="rocket-v0-like")
    assert "Margin: none is known" in compare_page(theirs, "td3", root=runs)
    assert "Margin: as given" in compare_page(theirs, "td3", root=runs, margin=3.0)
    page = compare_page(theirs, str(their_runs(tmp_path / "b", [1.0, 2.0, 3.0])), "Pendulum-v1")
    assert "Margin: this project's, not declared before the runs" in page
    steps = {"rocket-v0-like": 100}
    declared = replace(EXPERIMENTS["smoke"], total_timesteps=steps, margins={"rocket-v0-like": 7.5})
    (runs / "experiment.json").write_text(json.dumps(declared.to_json()))
    page = compare_page(theirs, "td3", root=runs)
    assert f"Margin: declared in {runs / 'experiment.json'}" in page
    assert any(row[0] == "equivalent" and "7.500" in row for row in cells(page))


def test_the_environment_must_be_clear(tmp_path: Path) -> None:
    runs, theirs = tmp_path / "runs", their_runs(tmp_path / "theirs", [1.0, 2.0, 3.0])
    our_runs(runs, [1.0, 2.0, 3.0], env_id="A-v0")
    our_runs(runs, [4.0, 5.0, 6.0], env_id="B-v0")
    with pytest.raises(ConfigError, match=r"A-v0, B-v0 in .*runs/td3"):
        compare_page(theirs, "td3", root=runs)
    with pytest.raises(ConfigError, match="got C-v0"):
        compare_page(theirs, "td3", "C-v0", runs)
    page = compare_page(theirs, "td3", "my_module:B-v0", runs)
    assert [str(runs / "td3"), "3", "5.000 ± 1.000", "last evaluation", "100"] in cells(page)
    assert "Not all files name their environment" in page
    for seed in range(3):
        write_events(tmp_path / f"cleanrl/A-v0__exp__{seed}__17", [(100, 1.0 + seed)])
        write_events(tmp_path / f"cleanrl/C-v0__exp__{seed}__17", [(100, 9.0)])
    page = compare_page(tmp_path / "cleanrl", "td3", root=runs)  # A-v0 alone is on both sides
    assert "on A-v0" in first_sentence(page)
    assert "Not all files name their environment" not in page
    assert any(row[:3] == [str(tmp_path / "cleanrl"), "3", "2.000 ± 1.000"] for row in cells(page))


def test_several_implementations_on_a_side_are_refused(tmp_path: Path) -> None:
    our_runs(tmp_path / "runs", [1.0, 2.0, 3.0], "td3")
    our_runs(tmp_path / "runs", [1.0, 2.0, 3.0], "sac")
    with pytest.raises(ConfigError, match="several of sac, td3: name the folder of one"):
        compare_page(tmp_path / "runs", "td3", root=tmp_path / "runs")


def test_what_makes_the_sides_unlike_is_said(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [1.0, 2.0, 3.0])
    for seed in range(3):
        write_events(tmp_path / f"cleanrl/{OTHER}__exp__{seed}__17", [(2_000 + seed, 5.0)])
    theirs = str(tmp_path / "cleanrl")
    page = compare_page(tmp_path / "cleanrl", "td3", root=tmp_path / "runs")
    assert f"`{theirs}` is scored by training episodes, with exploration noise" in page
    assert f"`{ours}` is scored by training episodes" not in page
    assert "Runs end at different steps" in page
    assert [row[-1] for row in cells(page) if row[0] in (theirs, str(ours))] == [
        "2,000 to 2,002",
        "100",
    ]
    assert f"{ours} was scored on the same 2 start states in all runs" in page
    assert "no step at which all runs have a return" in page
    assert f"{OTHER}__exp__2__17/events.out.tfevents" in page


def test_learning_curves_show_at_most_twenty_common_steps(tmp_path: Path) -> None:
    for name, every, offset in (("a", 10, 0.0), ("b", 20, 1.0)):
        for seed in range(3):
            steps = np.arange(0, 1001 + 100 * seed, every)  # some runs go on for longer
            returns = (steps + seed + offset)[:, None]
            write_evaluations(tmp_path / name / str(seed), timesteps=steps, results=returns)
    page = compare_page(tmp_path / "a", str(tmp_path / "b"))
    curves = [row for row in cells(page) if "±" in row[1] and "±" in row[2]]
    assert len(curves) == 20
    assert curves[0] == ["0", "1.0 ± 1.0", "2.0 ± 1.0"]
    assert curves[-1] == ["1,000", "1,001.0 ± 1.0", "1,002.0 ± 1.0"]
    assert all(int(row[0].replace(",", "")) % 20 == 0 for row in curves)
    assert "Which start states either side was scored on is not known." in page


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan"), float("inf")])
def test_a_margin_must_be_positive(margin: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="margin must be a number above 0"):
        compare_page(tmp_path, "td3", margin=margin)


def test_an_opponent_must_exist_and_be_another(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [1.0, 2.0, 3.0])
    with pytest.raises(ConfigError, match=r"label in .*runs \(there: td3\), got 'sac'"):
        compare_page(ours, "sac", root=tmp_path / "runs")
    with pytest.raises(ConfigError, match=r"\(there: none\), got 'td3_reference'"):
        compare_page(ours, "td3_reference", root=tmp_path / "nothing")  # a package's name too
    with pytest.raises(ConfigError, match="another directory than itself"):
        compare_page(ours, "td3", root=tmp_path / "runs")


def test_comparing_does_not_load_what_trains() -> None:
    code = (
        "import sys, benchmarks.report.compare\n"
        "assert not {'torch', 'stable_baselines3', 'distributed'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
