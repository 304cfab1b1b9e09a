"""From made-up runs to results/, back to the same report, and what verify says of other runs."""

import io
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from benchmarks import __main__ as command_line
from benchmarks.analysis.contrast import ComparisonRequest
from benchmarks.analysis.sources.published import RUNS, unpacked
from benchmarks.analysis.sources.source import read_source
from benchmarks.experiments import EXPERIMENT_FILE, Experiment
from benchmarks.publish.folder import publish
from benchmarks.publish.verify import prediction_interval, verify
from benchmarks.report.page import compared, write_report
from benchmarks.request import PaperOptions
from tests.helpers.made_up_runs import edit_provenance, made_up_run
from training.config import ConfigError
from training.run_directory import RunDirectory

MOST_BYTES = 1_000_000  # of a file in git


pytestmark = pytest.mark.usefixtures("cheap_optimum")


def sweep(root: Path, num_seeds: int = 5, **changes: Any) -> Path:
    """A sweep of two implementations, the first better by ten.

    :param num_seeds: with which there are runs
    :param changes: to the declaration, of which all runs are complete by default
    """
    declared = Experiment(
        description="a against b",
        implementations={"a": {"algo": "td3"}, "b": {"algo": "td3"}},
        total_timesteps={"Pendulum-v1": 100},
        seeds=tuple(range(num_seeds)),
        against="b",
        settings={"n_eval_episodes": 2},
    )
    for seed in range(num_seeds):
        made_up_run(root, "a", seed, [-9.0, -1.0 - seed])
        path = made_up_run(root, "b", seed, [-9.0, -2.0 - seed])
        command = ["/home/me/project/benchmarks/__main__.py", "sweep", "mine", "--root", "/tmp/x"]
        edit_provenance(path, command=command)
    for path in root.glob("*/*"):
        (path / "model.zip").write_bytes(b"a model that is not published")
        digest_again(path, "model.zip")
    RunDirectory(root).write_json(EXPERIMENT_FILE, replace(declared, **changes).to_json())
    return root


def digest_again(path: Path, name: str) -> None:
    """As if the run had left a file as it is."""
    run = RunDirectory(path)
    status = run.read_json("status.json") or {}
    status["digests"] |= run._digests([name])
    run.write_json("status.json", status)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``runs/mine`` and ``results/mine``; to be read only."""
    folder = tmp_path_factory.mktemp("published")
    publish(sweep(folder / "runs/mine"), folder / "results/mine")
    return folder


def test_what_is_published_is_complete_small_and_free_of_the_machine_s_paths(mine: Path) -> None:
    names = {file.name for file in (mine / "results/mine").iterdir()}
    assert {"verdicts.json", "verdicts.csv", "summary.md", "verdicts_forest.svg", RUNS,
            "verdicts_forest.png", "published.json", "experiment.json"} <= names  # fmt: skip
    for file in (mine / "results/mine").iterdir():
        assert file.stat().st_size < MOST_BYTES
        assert b"/home/me" not in file.read_bytes()
    with ZipFile(mine / "results/mine" / RUNS) as packed:
        assert len(packed.namelist()) == 10 * 4
        made_with = json.loads(packed.read("b/Pendulum-v1_0/provenance.json"))
    assert made_with["command"] == ["python", "-m", "benchmarks", "sweep", "mine", "--root", "x"]
    content = json.loads((mine / "results/mine/published.json").read_text())
    assert content["runs done"] == 10
    digests = json.loads((mine / "runs/mine/a/Pendulum-v1_0/status.json").read_text())["digests"]
    assert content["runs"]["a/Pendulum-v1_0"]["sha256"] == digests
    assert "model.zip" in digests
    assert content["findings"][0].startswith("Pendulum-v1, a against b: ")


@pytest.mark.slow
def test_a_published_experiment_makes_the_report_that_its_runs_make(
    mine: Path, tmp_path: Path
) -> None:
    text = write_report(mine / "runs/mine", tmp_path / "runs")
    assert write_report(mine / "results/mine", tmp_path / "published") == text
    tables = sorted(file.name for file in (tmp_path / "runs").glob("*.csv"))
    assert len(tables) > 5
    for name in tables:
        assert (tmp_path / "published" / name).read_bytes() == (
            tmp_path / "runs" / name
        ).read_bytes()


@pytest.mark.slow
def test_compare_takes_a_published_experiment(
    mine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(mine / "runs/mine/a", tmp_path / "new")
    shutil.copytree(mine / "results", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    words = ["compare", "new", "--against", "results/mine"]
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    command_line.main()
    page = capsys.readouterr().out
    assert "| new - mine:b |" in page
    assert "declared in results/mine/experiment.json" in page
    # Every return of a is 10 above b's: final returns are ten times the last mean.
    assert "|               10.0 |" in page


@pytest.mark.slow
def test_publishing_again_gives_the_same_bytes(mine: Path, tmp_path: Path) -> None:
    publish(mine / "runs/mine", tmp_path / "mine")
    for file in (mine / "results/mine").iterdir():
        assert file.read_bytes() == (tmp_path / "mine" / file.name).read_bytes(), file.name


def test_a_sweep_that_is_not_over_is_not_published(tmp_path: Path) -> None:
    root = sweep(tmp_path / "mine", 3)
    shutil.rmtree(root / "a/Pendulum-v1_2")
    with pytest.raises(ConfigError, match=r"1 of 6 runs are missing .* such as a/Pendulum-v1_2"):
        publish(root, tmp_path / "results")
    assert not (tmp_path / "results").exists()
    (root / EXPERIMENT_FILE).unlink()
    with pytest.raises(ConfigError, match=r"holds no experiment\.json"):
        publish(root, tmp_path / "results")


@pytest.mark.slow
def test_a_sweep_until_decided_is_published_after_any_look(tmp_path: Path) -> None:
    root = sweep(tmp_path / "mine", 6, seeds=tuple(range(10)), looks=(5, 10))
    publish(root, tmp_path / "results")
    content = json.loads((tmp_path / "results/published.json").read_text())
    assert content["findings"] == []
    assert "a against b: provisional: undecided. " in content["verdicts"][0]
    assert "planned after 5, 10 seeds: 5 seeds: undecided." in content["verdicts"][0]
    stopped = {"state": "interrupted", "step": 50, "message": ""}
    RunDirectory(root / "b/Pendulum-v1_5").write_json("status.json", stopped)
    with pytest.raises(ConfigError, match=r"1 of 12 runs are .* such as b/Pendulum-v1_5"):
        publish(root, tmp_path / "results")
    shutil.rmtree(root / "b/Pendulum-v1_5")
    publish(root, tmp_path / "results")
    shutil.rmtree(root / "b/Pendulum-v1_4")
    with pytest.raises(ConfigError, match=r"such as b/Pendulum-v1_4; .* --until-decided$"):
        publish(root, tmp_path / "results")


def test_the_same_runs_are_verified_as_identical(mine: Path) -> None:
    said = verify(mine / "runs/mine", mine / "results/mine")
    assert said.replace("\n", " ").startswith(
        "10 of 10 runs are bit-identical to the published ones"
    )


def change_a_digit(run: Path, by: float) -> None:
    """Another number in a run's evaluations, and digests as if the run had left it so."""
    with np.load(run / "evaluations.npz") as arrays:
        content = dict(arrays)
    content["final_results"] = content["final_results"] + by * (np.arange(100) == 0)
    write_evaluations(run, content)


def write_evaluations(run: Path, content: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    (run / "evaluations.npz").write_bytes(buffer.getvalue())
    digest_again(run, "evaluations.npz")


@pytest.mark.parametrize(("by", "inside"), [(1e-9, 1), (1e5, 0)])
def test_one_changed_digit_is_found_and_judged_by_the_published_seeds(
    by: float, inside: int, mine: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(mine / "runs/mine", tmp_path / "mine")
    change_a_digit(root / "a/Pendulum-v1_3", by)
    said = verify(root, mine / "results/mine").replace("\n", " ")
    assert said.startswith("9 of 10 runs are bit-identical")
    assert (
        f"Of the other 1 (a/Pendulum-v1_3), {inside} lie within the 95% prediction interval" in said
    )
    assert ("a/Pendulum-v1_3: late return 960.0, not from" in said) == (inside == 0)


def test_runs_of_an_older_version_are_not_judged_by_what_they_lack(
    mine: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(mine / "runs/mine", tmp_path / "mine")
    with np.load(root / "a/Pendulum-v1_3/evaluations.npz") as arrays:
        content = {name: values for name, values in arrays.items() if name != "ep_lengths"}
    write_evaluations(root / "a/Pendulum-v1_3", content)
    said = verify(root, mine / "results/mine").replace("\n", " ")
    assert said.startswith("9 of 10 runs are bit-identical")
    assert said.endswith("a/Pendulum-v1_3: made by an older version, without ep_lengths")


def test_what_cannot_be_verified_is_named_with_its_reason(mine: Path, tmp_path: Path) -> None:
    root = shutil.copytree(mine / "runs/mine", tmp_path / "mine")
    shutil.rmtree(root / "a/Pendulum-v1_0")
    (root / "a/Pendulum-v1_1/evaluations.npz").write_bytes(b"damaged")
    shutil.rmtree(root / "b")
    for seed in range(5):
        made_up_run(root, "b", seed, [-9.0, -2.0 - seed], gamma=0.5)
    said = verify(root, mine / "results/mine")
    assert said.startswith("3 of 10 runs are bit-identical")
    assert "a/Pendulum-v1_0: no such run" in said
    assert "a/Pendulum-v1_1: not complete, or changed since it ended" in said
    assert said.count(": other settings") == 5
    with pytest.raises(ConfigError, match=r"published there; published are: mine$"):
        verify(root, mine / "results/other")
    with pytest.raises(ConfigError, match=r"published there; published are: none in .*nothing$"):
        verify(root, tmp_path / "nothing/other")
    with pytest.raises(ConfigError, match=r"none; to make them: python -m benchmarks sweep mine$"):
        verify(tmp_path / "nowhere", mine / "results/mine")


def test_a_prediction_interval_is_that_of_the_textbook() -> None:
    # 0, 1, 2: mean 1, standard deviation 1, t(0.975, 2) = 4.3027, sqrt(1 + 1 / 3).
    mean, low, high = prediction_interval(np.array([0.0, 1.0, 2.0]))
    assert (mean, low, high) == pytest.approx((1.0, 1.0 - 4.96828, 1.0 + 4.96828), abs=1e-4)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / RUNS).write_bytes(b"no archive")
    with pytest.raises(ConfigError, match=r"runs\.zip is damaged"):
        unpacked(tmp_path)


@pytest.mark.parametrize("name", ["model.zip", "status.json", "provenance.json"])
def test_a_run_that_is_not_as_it_was_left_is_not_called_identical(
    name: str, mine: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(mine / "runs/mine", tmp_path / "mine")
    (root / "a/Pendulum-v1_3" / name).write_bytes(b"{ damaged")
    said = verify(root, mine / "results/mine").replace("\n", " ")
    assert said.startswith("9 of 10 runs are bit-identical")
    assert said.endswith("a/Pendulum-v1_3: not complete, or changed since it ended")


def test_each_run_is_judged_by_itself(mine: Path, tmp_path: Path) -> None:
    root = shutil.copytree(mine / "runs/mine", tmp_path / "mine")
    shutil.rmtree(root / "a/Pendulum-v1_0")
    made_up_run(root, "a", 0, [-9.0, -1.0], gamma=0.5)  # a published seed, of other settings
    made_up_run(root, "a", 8, [-9.0, -1.0], gamma=0.5)  # neither is published
    made_up_run(root, "other", 0, [-9.0, -1.0])
    change_a_digit(root / "a/Pendulum-v1_3", 1e-9)
    (root / EXPERIMENT_FILE).write_text("{ damaged")
    said = verify(root, mine / "results/mine").replace("\n", " ")
    assert said.startswith("8 of 10 runs are bit-identical")
    assert "Of the other 2 (a/Pendulum-v1_0, a/Pendulum-v1_3), 1 lie within" in said
    assert said.endswith("a/Pendulum-v1_0: other settings")


def test_a_difference_of_software_is_told_whichever_run_has_it(mine: Path, tmp_path: Path) -> None:
    root = shutil.copytree(mine / "runs/mine", tmp_path / "mine")
    for seed in (1, 3):
        change_a_digit(root / f"a/Pendulum-v1_{seed}", 1e-9)
    edit_provenance(root / "a/Pendulum-v1_3", cpu="another processor")
    said = verify(root, mine / "results/mine").replace("\n", " ")
    assert "2 lie within the 95% prediction interval" in said
    assert said.endswith("here it is another processor.")


def repacked(mine: Path, folder: Path, **changes: bytes | None) -> Path:
    """A copy of the published experiment, with other or no evaluations of a label's run."""
    published = shutil.copytree(mine / "results/mine", folder / "mine")
    with ZipFile(mine / "results/mine" / RUNS) as file:
        contents: dict[str, bytes | None] = {name: file.read(name) for name in file.namelist()}
    contents |= {f"{label}/Pendulum-v1_3/evaluations.npz": new for label, new in changes.items()}
    with ZipFile(published / RUNS, "w") as file:
        for name, content in contents.items():
            if content is not None:
                file.writestr(name, content)
    return published


def test_an_archive_that_lacks_or_adds_or_changes_a_run_is_refused(
    mine: Path, tmp_path: Path
) -> None:
    for number, content in enumerate((b"changed", None)):
        published = repacked(mine, tmp_path / str(number), a=content)
        with pytest.raises(ConfigError, match=r"a/Pendulum-v1_3/evaluations.npz is not as publish"):
            verify(mine / "runs/mine", published)
    published = repacked(mine, tmp_path / "more")
    with ZipFile(published / RUNS, "a") as file:
        file.writestr("c/Pendulum-v1_3/config.json", b"{}")
    with pytest.raises(ConfigError, match=r"c/Pendulum-v1_3 is not as published\.json tells$"):
        unpacked(published)


@pytest.mark.parametrize("name", ["published.json", EXPERIMENT_FILE])
def test_a_published_experiment_without_one_of_its_files_is_refused(
    name: str, mine: Path, tmp_path: Path
) -> None:
    published = repacked(mine, tmp_path)
    (published / name).unlink()
    with pytest.raises(ConfigError, match=rf"is not as it was published: it has no {name}$"):
        unpacked(published)


@pytest.mark.parametrize("damage", ["compression method", "compressed data"])
def test_an_archive_that_cannot_be_unpacked_is_refused_in_a_line(
    damage: str, mine: Path, tmp_path: Path
) -> None:
    published = shutil.copytree(mine / "results/mine", tmp_path / "mine")
    content = bytearray((published / RUNS).read_bytes())
    if damage == "compression method":
        content[content.index(b"PK\x01\x02") + 10] = 99  # zipfile raises NotImplementedError
    else:
        with ZipFile(published / RUNS) as file:
            first = file.infolist()[0]
        content[30 + len(first.filename)] = 255  # no kind of block: zlib raises an error
    (published / RUNS).write_bytes(content)
    with pytest.raises(ConfigError, match=r"^\S*runs\.zip is damaged: .*$"):
        unpacked(published)


def test_verify_takes_a_published_experiment_s_path_too(
    mine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(mine)
    for given in ("mine", "results/mine"):
        monkeypatch.setattr(sys, "argv", ["benchmarks", "verify", given])
        command_line.main()
        said = capsys.readouterr().out.replace("\n", " ")
        assert said.startswith("10 of 10 runs are bit-identical")


def test_runs_that_have_changed_since_they_ended_are_not_published(tmp_path: Path) -> None:
    root = sweep(tmp_path / "mine", 3)
    (root / "a/Pendulum-v1_2/model.zip").write_bytes(b"another model")
    with pytest.raises(ConfigError, match=r"1 of 6 runs .* changed, such as a/Pendulum-v1_2; run:"):
        publish(root, tmp_path / "results/mine")
    assert not (tmp_path / "results").exists()


def test_publishing_never_replaces_what_is_no_published_experiment(
    mine: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(mine / "runs/mine", tmp_path / "mine")
    with pytest.raises(ConfigError, match="mine must be a new folder or a published experiment"):
        publish(root, root)
    assert sorted(file.name for file in root.glob("*/*/config.json")) == 10 * ["config.json"]


def test_publishing_that_fails_leaves_what_was_published(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(mine / "results/mine", tmp_path / "results/mine")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("benchmarks.publish.folder.summary", fail)
    with pytest.raises(OSError, match="No space left"):
        publish(mine / "runs/mine", folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == {
        file.name: file.read_bytes() for file in (mine / "results/mine").iterdir()
    }
    assert [*folder.parent.iterdir()] == [folder]


def test_nothing_is_published_where_no_readme_has_a_place_for_it(
    mine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["benchmarks", "publish", "mine", "--root", str(mine / "runs")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    assert "README.md must have the lines" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_report_goes_below_the_folder_of_reports_wherever_its_experiment_is(
    mine: Path, tmp_path: Path
) -> None:
    output = tmp_path / "reports"
    for given, folder in {
        "mine": "mine",
        "results/mine": "results/mine",
        "../results/mine": "mine",
        str(mine / "results/mine"): "mine",
    }.items():
        assert command_line.report_folder(output, Path(given)) == output / folder
    for taken in ("runs", "results"):
        with pytest.raises(ConfigError, match="output must be another folder: an experiment's"):
            command_line.report_folder(mine / taken, Path("mine"))


@pytest.mark.parametrize(
    ("name", "advice"),
    [("quick", "sweep quick$"), ("results/quick", "published one, such as results/quick$")],
)
def test_a_report_without_runs_advises_what_can_be_done(
    name: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"^no complete run in runs/{name}; .*{advice}"):
        command_line.report(name, PaperOptions())


def test_a_report_names_the_published_folder_and_not_where_it_was_unpacked(
    mine: Path, tmp_path: Path
) -> None:
    results = mine / "results/mine"
    rows = "".join(f"{seed},{step},1\n" for seed in range(3) for step in (0, 100))
    (tmp_path / "runs.csv").write_text(f"seed,step,return\n{rows}")
    other = read_source(tmp_path / "runs.csv", "other")
    found, _ = compared(
        results, tmp_path / "none.json", [other], ComparisonRequest(("Pendulum-v1",))
    )
    assert f"declared in {results / 'experiment.json'}" in " ".join(found.notes)
