"""The verdict on learning curves made elsewhere, on made-up runs whose answer is known."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.analysis.contrast import ComparisonRequest
from benchmarks.analysis.sources.frame import ReadOptions, parse_columns
from benchmarks.analysis.starts import MANY_STARTS, parse_starts
from benchmarks.analysis.verdict import decide
from benchmarks.experiments import EXPERIMENTS
from benchmarks.report.compare import parse_sources, write_comparison
from tests.benchmarks.analysis.sources.test_source import write_csv, write_evaluations, write_events
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError

OTHER = "Other-v0"  # neither a margin nor an optimum is known


@pytest.fixture
def figures() -> None:
    """For a test that looks at the figures."""


@pytest.fixture(autouse=True)
def only_some_draw(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take longer than all the rest."""
    if "figures" not in request.fixturenames:
        monkeypatch.setattr("benchmarks.report.compare.draw", lambda *_: [])


def compare(folder: Path, *words: object, env: tuple[str, ...] = (), **request: Any) -> str:
    """The page; files go to <folder>/out."""
    options = ReadOptions()
    return write_comparison(
        list(map(str, words)), ComparisonRequest(env_ids=env, **request), options, folder / "out"
    )


def cells(page: str) -> list[list[str]]:
    """The rows of all tables in a page."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def verdicts(page: str) -> list[dict[str, str]]:
    """The rows of the table of verdicts."""
    header, _, *rows = cells(page.partition("## Verdicts")[2].partition("## ")[0])
    return [dict(zip(header, row, strict=True)) for row in rows]


def sentences(page: str) -> list[str]:
    lines = [line for line in page.splitlines() if line.startswith("- **")]
    return [line.strip("-* ").replace("`", "") for line in lines]


def our_runs(root: Path, last: Sequence[float], label: str = "td3", env_id: str = OTHER) -> Path:
    """Runs with evaluations 0 and ``last`` at step 100, and ten times that on held-out starts."""
    for seed, mean in enumerate(last):
        made_up_run(root, label, seed, [0.0, mean], env_id)
    return root / label


def their_runs(folder: Path, last: Sequence[float], env_id: str = OTHER) -> Path:
    rows = [f"{env_id},{seed},0,0\n{env_id},{seed},100,{value}" for seed, value in enumerate(last)]
    write_csv(folder / "runs.csv", "\n".join(rows), "env,seed,step,return")
    return folder


def test_foreign_runs_are_compared_by_their_curves_on_both_sides(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [100.0, 110.0, 120.0, 130.0])
    theirs = their_runs(tmp_path / "theirs", [110.0, 120.0, 130.0])
    page = compare(tmp_path, theirs, ours, margin=40.0, score="final")
    # Variances 100 / 3 and 500 / 12 of the means; t(0.95, 4.96) = 2.0187, t(0.975, 4.96) = 2.5770.
    error = (100 / 3 + 500 / 12) ** 0.5
    bounds = [f"[{5 - t * error:.1f}, {5 + t * error:.1f}]" for t in (2.0187, 2.5770)]
    (row,) = verdicts(page)
    assert row["verdict"] == "equivalent"
    assert [row["difference"], row["90% (Yuen)"], row["95% (Welch)"]] == ["5.0", *bounds]
    assert row["95% (Yuen)"] == bounds[1]  # below five runs nothing is trimmed
    assert "3 runs: too few to trim" in page
    assert [OTHER, "theirs", "3", "120.0 ± 10.0", "100", "evaluations"] in cells(page)
    assert [OTHER, "td3", "4", "115.0 ± 12.9", "100", "evaluations"] in cells(page)
    assert sentences(page) == [f"theirs equals td3 on {OTHER} within the margin."]


def test_runs_of_ours_are_compared_on_the_held_out_starts(tmp_path: Path) -> None:
    first = our_runs(tmp_path, [1.0, 2.0, 3.0], "first")
    second = our_runs(tmp_path, [4.0, 5.0, 6.0, 7.0], "second")
    page = compare(tmp_path, first, second)
    (row,) = verdicts(page)
    assert row["verdict"].startswith("different")
    assert row["difference"] == "-35.0"
    assert [OTHER, "first", "3", "20.0 ± 10.0", "100", "held-out starts"] in cells(page)
    assert sentences(page) == [f"first differs from second on {OTHER}."]
    (row,) = verdicts(compare(tmp_path, first, second, at=100))
    assert row["difference"] == "-1.750"  # of last_10, the mean of both evaluations


def test_late_policies_are_compared_where_both_sides_have_them(tmp_path: Path) -> None:
    late = {"late_results": [[1.0, 2.0], [3.0, 4.0]]}
    for label, arrays in (("a", late), ("b", late), ("c", {})):
        for seed in range(5):
            made_up_run(tmp_path, label, seed, [0.0, 9.0], OTHER, arrays=arrays)
    page = compare(tmp_path, tmp_path / "a", tmp_path / "b")
    assert [OTHER, "a", "5", "2.500 ± 0.000", "100", "held-out starts"] in cells(page)
    assert "late_return" in page
    page = compare(tmp_path, tmp_path / "a", tmp_path / "c")
    assert "late_return" not in page
    assert "90.0 ± 0.0" in page


def test_settings_are_of_our_runs_alone(tmp_path: Path) -> None:
    for seed in range(3):
        made_up_run(tmp_path, "a", seed, [0.0, 1.0], OTHER, gamma=0.9)
        made_up_run(tmp_path, "b", seed, [0.0, 1.0], OTHER, gamma=0.8, evaluation="published")
    page = compare(tmp_path, tmp_path / "a", tmp_path / "b")
    assert "Settings that differ, a / b: evaluation fixed / published; gamma 0.9 / 0.8." in page
    page = compare(tmp_path, tmp_path / "a", their_runs(tmp_path / "theirs", [1.0, 2.0, 3.0]))
    assert "Settings: those of theirs are not known." in page


def test_held_out_scores_of_runs_that_end_at_different_steps_are_told(tmp_path: Path) -> None:
    for seed in range(3):
        made_up_run(tmp_path, "a", seed, [0.0, 1.0], OTHER)
        made_up_run(tmp_path, "b", seed, [0.0, 1.0, *[2.0] * (seed > 0)], OTHER)
    page = compare(tmp_path, tmp_path / "a", tmp_path / "b", score="final_return")
    assert "Runs end at different steps, a at 100, b at 100 to 200: their lengths alone" in page
    assert [OTHER, "b", "3", "16.7 ± 5.8", "100 to 200", "held-out starts"] in cells(page)


def test_a_damaged_run_of_ours_is_left_out_and_named(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [1.0, 2.0, 3.0, 4.0])
    file = ours / f"{OTHER}_1/evaluations.npz"
    file.write_bytes(file.read_bytes()[:-1])
    page = compare(tmp_path, their_runs(tmp_path / "theirs", [1.0, 2.0, 3.0]), ours)
    assert f"Left out of td3: {OTHER}_1/evaluations.npz" in page
    assert verdicts(page)[0]["runs"] == "3, 3"


@pytest.mark.parametrize(
    ("last", "margin", "sentence"),
    [
        ([5.0, 5.1, 5.2], 10.0, "differs from td3 on {}, but by less than the margin."),
        ([-5.0, 0.0, 5.0], 1.0, "is shown neither to differ from td3 on {} nor to equal it."),
        ([0.0, 1.0], 1.0, "and td3 cannot be compared on {}, which takes 3 runs of each."),
    ],
)
def test_the_first_sentence_is_the_verdict(
    last: list[float], margin: float, sentence: str, tmp_path: Path
) -> None:
    ours = our_runs(tmp_path / "runs", [0.0, 0.1, -0.1])
    theirs = their_runs(tmp_path / "theirs", last)
    page = compare(tmp_path, theirs, ours, margin=margin, score="final")
    assert sentences(page) == [f"theirs {sentence.format(OTHER)}"]


def test_an_undecided_verdict_says_how_many_seeds_it_takes(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [0.0, 1.0, -1.0])
    theirs = their_runs(tmp_path / "theirs", [-5.0, 0.0, 5.0])
    (row,) = verdicts(compare(tmp_path, theirs, ours, margin=2.0, score="final"))
    verdict = decide(np.array([-5.0, 0.0, 5.0]), np.array([0.0, 1.0, -1.0]), 2.0)
    assert row["verdict"] == "undecided"
    assert row["seeds needed"] == str(verdict.typical.seeds_needed)


def test_the_typical_run_s_interval_is_of_trimmed_means() -> None:
    first, second = np.array([0.0, 1.0, 2.0, 3.0, 100.0]), np.zeros(5)
    low, high = decide(first, second, None).typical.apart
    # Trimmed mean 2; winsorised variance of 1, 1, 2, 3, 3 is 1; error (4 / (3 x 2))^0.5; two
    # degrees of freedom: t(0.975, 2) = 4.3027.
    assert [low, high] == pytest.approx(
        [2 - 4.3027 * (4 / 6) ** 0.5, 2 + 4.3027 * (4 / 6) ** 0.5], 1e-4
    )
    most = np.array([7.0, 5.0, 5.0, 5.0, 5.0])
    assert decide(most, second, None).typical.apart == (5.0, 5.0)


def test_every_pair_of_sources_is_compared_and_none_within_a_source(tmp_path: Path) -> None:
    for label in ("sac", "td3"):
        our_runs(tmp_path / "runs", [1.0, 2.0, 3.0], label)
    page = compare(
        tmp_path,
        f"ours={tmp_path / 'runs'}",
        f"a={their_runs(tmp_path / 'a', [1.0, 2.0, 3.0])}",
        f"b={their_runs(tmp_path / 'b', [1.0, 2.0, 3.0])}",
    )
    assert [row["comparison"] for row in verdicts(page)] == [
        "ours:sac - a", "ours:sac - b", "ours:td3 - a", "ours:td3 - b", "a - b"
    ]  # fmt: skip


def test_versions_of_an_environment_are_named_in_the_verdict(tmp_path: Path) -> None:
    first = their_runs(tmp_path / "a", [1.0, 2.0, 3.0], "Hopper-v1")
    second = their_runs(tmp_path / "b", [7.0, 8.0, 9.0], "Hopper-v4")
    with pytest.raises(ConfigError, match="Hopper-v1 in a and Hopper-v4 in b"):
        compare(tmp_path, first, second)
    page = compare(tmp_path, first, second, env=("Hopper",))
    assert sentences(page) == ["a differs from b on Hopper (v1 against v4)."]
    assert "The sides ran on different versions of the environment." in page


class Solution:
    """Whose starts are all worth -130."""

    def start_values(self, starts: np.ndarray) -> np.ndarray:
        assert len(starts) == MANY_STARTS
        return np.full(len(starts), -130.0)


@pytest.fixture
def lucky_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Our two starts of Pendulum-v1 are worth 30 more than starts are on average."""
    monkeypatch.setattr("benchmarks.analysis.starts.solution", lambda env_id: Solution())
    monkeypatch.setattr(
        "benchmarks.optimum.values.mean_return",
        lambda env_id, first_seed, n: -100.0 if n in (2, 10) else None,
    )
    monkeypatch.setattr(
        "benchmarks.analysis.starts.optimal_value", lambda env_id, states: -120.0 - states[:, 0] * 0
    )


@pytest.mark.slow
@pytest.mark.usefixtures("lucky_starts")
def test_a_verdict_that_hangs_on_the_start_states_says_so(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [-110.0, -111.0, -112.0], env_id="Pendulum-v1")
    theirs = their_runs(tmp_path / "theirs", [-140.0, -141.0, -142.0], "Pendulum-v1")
    for first, second, sign in ((theirs, ours, 1.0), (ours, theirs, -1.0)):
        page = compare(tmp_path, first, second, score="final")
        assert sentences(page) == [
            f"That depends on the start states: as measured, {first.name} differs from"
            f" {second.name} on Pendulum-v1; with the start states allowed for, {first.name} equals"
            f" {second.name} on Pendulum-v1 within the margin."
        ]
        measured, allowed = verdicts(page)
        assert measured["start states"] == "as measured"
        assert measured["verdict"].startswith("different")
        assert measured["difference"] == f"{-30 * sign:.1f}"
        assert (allowed["start states"], allowed["verdict"]) == ("allowed for", "equivalent")
        assert allowed["difference"] == "0.0"
        assert f"worth {-30 * sign:+.1f} to the best policy" in page


@pytest.mark.usefixtures("lucky_starts")
def test_start_states_can_be_declared(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [-110.0, -111.0, -112.0], env_id="Pendulum-v1")
    theirs = their_runs(tmp_path / "theirs", [-140.0, -141.0, -142.0], "Pendulum-v1")
    for words in (("protocol",), ("theirs=protocol",)):
        page = compare(tmp_path, theirs, ours, score="final", starts=words)
        assert sentences(page) == ["theirs differs from td3 on Pendulum-v1."]
        assert "start states" not in verdicts(page)[0]
    page = compare(tmp_path, theirs, ours, score="final", starts=("theirs=published",))
    assert verdicts(page)[1]["difference"] == "-10.0"
    with pytest.raises(ConfigError, match="starts must name sources: theirs, td3"):
        compare(tmp_path, theirs, ours, starts=("others=protocol",))
    with pytest.raises(ConfigError, match="got 'random'"):
        parse_starts(("random",))


def test_where_the_margin_comes_from_is_said(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    ours = our_runs(runs, [1.0, 2.0, 3.0])
    theirs = their_runs(tmp_path / "theirs", [1.0, 2.0, 3.0])
    assert "Margin: none is known" in compare(tmp_path, theirs, ours)
    assert "Margin: as given" in compare(tmp_path, theirs, ours, margin=3.0)
    declared = replace(
        EXPERIMENTS["smoke"], total_timesteps={OTHER: 100}, margins={OTHER: 7.5}
    ).to_json()
    (runs / "experiment.json").write_text(json.dumps(declared))
    page = compare(tmp_path, theirs, ours)
    assert f"Margin: declared in {runs / 'experiment.json'}" in page
    assert verdicts(page)[0]["margin"] == "7.500"


def test_files_that_do_not_name_their_environment_are_taken_for_the_other_s(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [1.0, 2.0, 3.0])
    write_csv(tmp_path / "theirs/a.csv", "0,100,1\n1,100,2\n2,100,4")
    page = compare(tmp_path, tmp_path / "theirs", ours)
    assert f"on {OTHER}" in sentences(page)[0]
    assert "Not all files name their environment" in page


def test_what_makes_the_sides_unlike_is_said(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [1.0, 2.0, 3.0])
    for seed in range(10):
        write_events(tmp_path / f"cleanrl/{OTHER}__exp__{seed}__17", [(90, 1.0), (2_000, 5.0)])
    page = compare(tmp_path, tmp_path / "cleanrl", ours)
    assert "cleanrl is scored by training episodes, with exploration noise" in page
    assert "td3 is scored by training episodes" not in page
    assert "cleanrl goes on to step 2,000; what is compared ends at 100." in page
    assert "3 runs against 10" in page
    assert "td3 on the same starts for all runs" in page


def test_the_score_of_table_1_only_describes(tmp_path: Path) -> None:
    first, second = (their_runs(tmp_path / name, [1.0, 2.0, 3.0]) for name in ("a", "b"))
    page = compare(tmp_path, first, second, score="max_of_mean")
    assert verdicts(page)[0]["verdict"] == "describes only"
    assert [OTHER, "a", "3", "2.000 ± 0.816", "100", "evaluations"] in cells(page)


def test_learning_curves_show_at_most_twenty_common_steps(tmp_path: Path) -> None:
    for name, every, offset in (("a", 10, 0.0), ("b", 20, 1.0)):
        for seed in range(3):
            steps = np.arange(0, 1001 + 100 * seed, every)  # some runs go on for longer
            returns = (steps + seed + offset)[:, None]
            write_evaluations(tmp_path / name / str(seed), timesteps=steps, results=returns)
    page = compare(tmp_path, tmp_path / "a", tmp_path / "b")
    curves = [row for row in cells(page.partition("## Learning")[2]) if "±" in row[1]]
    assert len(curves) == 20
    assert curves[0] == ["0", "1.0 ± 1.0", "2.0 ± 1.0"]
    assert curves[-1] == ["1,000", "1,001.0 ± 1.0", "1,002.0 ± 1.0"]
    assert all(int(row[0].replace(",", "")) % 20 == 0 for row in curves)


@pytest.mark.slow
@pytest.mark.usefixtures("figures")
def test_each_comparison_has_a_folder_with_all_its_files(tmp_path: Path) -> None:
    first, second = (their_runs(tmp_path / name, [1.0, 2.0, 3.0]) for name in ("a", "b"))
    compare(tmp_path, first, second)
    compare(tmp_path, first, second, score="auc", at=100, env=(OTHER,))
    folder, other = sorted((tmp_path / "out").iterdir())
    assert [folder.name, other.name] == ["a_vs_b", f"a_vs_b-{OTHER}-at_100-auc"]
    expected = {
        "compare.md",
        "compare.html",
        "compare.json",
        "verdicts_forest.png",
        "verdicts_forest.svg",
    }
    tables = ("verdicts", "scores", f"curves_{OTHER}")
    expected |= {f"{name}.{kind}" for name in tables for kind in ("csv", "tex")}
    expected |= {f"learning_curve_{OTHER}.{kind}" for kind in ("png", "svg")}
    assert {file.name for file in folder.iterdir()} == expected
    content = json.loads((folder / "compare.json").read_text())
    (environment,) = content["environments"]
    assert environment["sides"][0]["scores"] == {"0": 0.5, "1": 1.0, "2": 1.5}
    assert environment["sides"][0]["files"] == ["runs.csv"]
    (verdict,) = content["verdicts"]
    assert (verdict["first"], verdict["second"], verdict["metric"]) == ("a", "b", "last_10")
    html = (folder / "compare.html").read_text()
    assert html.count('src="data:image/png;base64,') == 2
    assert ".png" not in html


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan"), float("inf")])
def test_a_margin_must_be_positive(margin: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="margin must be a number above 0"):
        compare(tmp_path, tmp_path, tmp_path, margin=margin)


def test_a_score_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"score must be one of late_return, .*, got best"):
        compare(tmp_path, tmp_path, tmp_path, score="best")


def test_sources_must_be_two_and_differ(tmp_path: Path) -> None:
    ours = our_runs(tmp_path / "runs", [1.0, 2.0, 3.0])
    with pytest.raises(ConfigError, match=r"two sources or more, .* got 1"):
        compare(tmp_path, ours)
    with pytest.raises(ConfigError, match="another source than itself"):
        compare(tmp_path, ours, f"other={ours}")
    with pytest.raises(ConfigError, match="two sources are called td3"):
        compare(tmp_path, ours, their_runs(tmp_path / "theirs/td3", [1.0]))
    with pytest.raises(ConfigError, match="nothing must be a file or directory"):
        compare(tmp_path, ours, tmp_path / "nothing")


def test_columns_are_named_as_words() -> None:
    assert parse_columns(10, ("seed=run id", "return=r")) == ReadOptions(
        10, {"seed": "run id", "return": "r"}
    )
    for words in (("seeds=run",), ("seed=",), ("seed",)):
        with pytest.raises(ConfigError, match="columns must be step=NAME, return=NAME"):
            parse_columns(10, words)
    with pytest.raises(ConfigError, match="eval-freq must be 1 or more"):
        parse_columns(0, ())


@pytest.mark.slow
def test_comparing_does_not_load_what_trains() -> None:
    code = (
        "import sys, benchmarks.report.compare\n"
        "assert not {'torch', 'stable_baselines3', 'distributed'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sources_that_share_files_are_refused(tmp_path: Path) -> None:
    our_runs(tmp_path / "runs", [1.0, 2.0, 3.0], "td3")
    ours = our_runs(tmp_path / "runs", [1.0, 2.0, 3.0], "sac")
    (tmp_path / "link").symlink_to(ours)
    for other in (tmp_path / "runs", tmp_path / "link"):
        with pytest.raises(ConfigError, match=r"both hold .*sac/Other-v0_0/evaluations\.npz"):
            compare(tmp_path, f"a={ours}", f"b={other}")


def test_a_path_may_hold_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("lr=0.1", "lr=0.2"):
        their_runs(Path(name), [1.0, 2.0, 3.0])
    sources = ["lr=0.1", "high=lr=0.2", "absolute=" + str(tmp_path / "lr=0.1/../lr=0.2/runs.csv")]
    for pair, names in (
        (sources[:2], ["lr=0.1", "high"]), ([sources[0], sources[2]], ["lr=0.1", "absolute"])
    ):  # fmt: skip
        assert [
            each.name for each in parse_sources(pair, ReadOptions(), ComparisonRequest())
        ] == names


def test_a_source_without_a_path_is_not_the_current_folder(tmp_path: Path) -> None:
    for word in ("mine=", "", "="):
        with pytest.raises(ConfigError, match="must be LABEL=PATH or PATH, got '"):
            compare(tmp_path, their_runs(tmp_path, [1.0, 2.0, 3.0]), word)


def test_evaluations_at_other_steps_are_told(tmp_path: Path) -> None:
    def runs(name: str, steps: range) -> str:
        rows = [f"{seed},{step},{step + seed}" for seed in range(3) for step in steps]
        return f"{name}={write_csv(tmp_path / name / 'runs.csv', chr(10).join(rows))}"

    coarse = runs("coarse", range(0, 101, 50))
    page = compare(tmp_path, coarse, runs("fine", range(0, 101, 5)))
    assert "Of up to 21 evaluations of a run of fine, the 3 at steps that are compared" in page
    assert "earlier" not in page
    page = compare(tmp_path, coarse, runs("odd", range(3, 104, 5)))
    assert "odd was not evaluated at all steps that are compared: there its last evaluation" in page
    assert "up to 2 steps earlier" in page
    # At step 0 odd has no value yet; at 50 and 100 it has those of 48 and 98.
    assert ["odd", "3", "74.0 ± 1.0", "100"] in [row[1:5] for row in cells(page)]


def test_runs_that_only_folders_tell_apart_are_named(tmp_path: Path) -> None:
    for folder in ("a/sac", "a/td3", "b"):
        write_evaluations(tmp_path / folder, timesteps=[1], results=[[1.0]])
    page = compare(tmp_path, f"a={tmp_path / 'a'}", f"b={tmp_path / 'b'}")
    assert "- No file of a names its algorithm: sac, td3 are taken as runs of one." in page
    assert "No file of b" not in page


def test_copies_of_a_run_are_told(tmp_path: Path) -> None:
    rows = "\n".join(f"{seed},{step},{step**2}" for seed in (0, 1) for step in range(4))
    first = write_csv(tmp_path / "a.csv", rows)
    second = write_csv(tmp_path / "b.csv", "0,0,1\n0,1,5\n0,2,6")
    page = compare(tmp_path, f"a={first}", f"b={second}")
    assert "- Runs 1 of a and 0 of a have the same returns throughout: copies," in page
    copy = write_csv(tmp_path / "c.csv", rows.replace("0,1,1", "0,1,9"))
    page = compare(tmp_path, f"a={first}", f"c={copy}")
    assert "- Runs 1 of a and 0 of a have the same returns throughout (2 such pairs): co" in page
    level = write_csv(tmp_path / "d.csv", rows.replace("4", "1").replace("9", "1"))
    page = compare(tmp_path, f"d={level}", f"b={second}")  # the highest possible returns, maybe
    assert "throughout" not in page


def test_steps_that_may_count_calls_of_wandb_are_told(tmp_path: Path) -> None:
    for name, step in (("a", "Step"), ("b", "global_step")):
        header = f"{step},0 - r,0 - r__MIN,0 - r__MAX"
        write_csv(tmp_path / name / "chart.csv", "1,2,2,2\n2,3,3,3", header)
    page = compare(tmp_path, f"a={tmp_path / 'a'}", f"b={tmp_path / 'b'}")
    assert "- a: taken as environment steps, Step may count the calls of wandb.log:" in page
    assert "- b: taken" not in page


def test_the_last_step_compared_is_one_that_was_evaluated(tmp_path: Path) -> None:
    rows = "\n".join(f"0,{step},{step}" for step in range(0, 101, 10))
    files = [write_csv(tmp_path / f"{name}.csv", rows) for name in "ab"]
    page = compare(tmp_path, *files, score="final", at=95)
    assert ["-", "a.csv", "1", "90.0", "90", "evaluations"] in cells(page)


@pytest.mark.parametrize("name", ["step", "_mine", "a$b", "a\nb"])
def test_names_that_tables_or_figures_cannot_show_are_refused(name: str, tmp_path: Path) -> None:
    ours, theirs = (their_runs(tmp_path / each, [1.0]) for each in ("ours", "theirs"))
    with pytest.raises(ConfigError, match="source must not be called step, nor begin with _, nor"):
        compare(tmp_path, f"{name}={ours}", theirs)


def test_a_single_run_has_no_interval_to_warn_of(tmp_path: Path) -> None:
    one = our_runs(tmp_path / "one", [1.5])
    page = compare(tmp_path, our_runs(tmp_path / "runs", [1.0, 2.0, 3.0]), f"one={one}")
    assert "runs against" not in page


def test_a_run_that_ends_early_is_named(tmp_path: Path) -> None:
    long = write_csv(tmp_path / "long/a.csv", "0,0,1\n0,100,2\n1,0,3\n2,0,1\n2,100,4")
    page = compare(tmp_path, f"a={long}", f"b={their_runs(tmp_path / 'b', [1.0])}")
    assert "- a goes on to step 100, but its run 1 only to 0; what is compared ends at 0." in page
    assert "- b goes on to step 100; what is compared ends at 0." in page
