"""A report with learning curves from elsewhere, on made-up runs whose scores are known."""

import json
from pathlib import Path

import pytest

from benchmarks.analysis.contrast import ComparisonRequest
from benchmarks.analysis.sources.frame import ReadOptions
from benchmarks.report.compare import parse_sources
from benchmarks.report.page import write_report
from tests.benchmarks.analysis.sources.test_source import write_csv
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError

OTHER = "Other-v0"  # neither a margin nor an optimum is known


@pytest.fixture(autouse=True)
def no_films(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about playing policies."""
    monkeypatch.setattr("benchmarks.report.gallery.policies", lambda *_: iter(()))


def their_runs(file: Path, env_id: str = OTHER, num_runs: int = 5) -> Path:
    """Evaluations 0, 10 + seed and 99 at steps 0, 100 and 200."""
    rows = [f"{env_id},{seed},{step},{value}" for seed in range(num_runs)
            for step, value in ((0, 0), (100, 10 + seed), (200, 99))]  # fmt: skip
    return write_csv(file, "\n".join(rows), "env,seed,step,return")


def report(folder: Path, theirs: Path, request: ComparisonRequest | None = None) -> str:
    """What is printed; files go to <folder>/report."""
    for seed in range(5):
        made_up_run(folder / "mine", "td3", seed, [0.0, 5.0], OTHER)
    request = request or ComparisonRequest()
    sources = parse_sources([f"lab={theirs}"], ReadOptions(), request)
    return write_report(folder / "mine", folder / "report", others=sources, request=request)


@pytest.mark.slow
def test_their_curves_stand_in_the_same_tables_figures_and_verdicts(tmp_path: Path) -> None:
    text = report(tmp_path, their_runs(tmp_path / "theirs.csv"))
    read = {name: (tmp_path / f"report/{name}.md").read_text() for name in
            ("summary", "learning_curves", "verdicts", "hyperparameters")}  # fmt: skip
    row = next(line for line in read["summary"].splitlines() if " lab " in line)
    # Of both the curve ends at step 100: 0 and 10 + seed have the mean 5 + seed / 2.
    assert "6.0 ± 0.8" in row
    assert "12.0 ± 1.6" in read["learning_curves"]
    assert "lab" not in read["hyperparameters"]
    (verdict,) = json.loads((tmp_path / "report/verdicts.json").read_text())
    assert [verdict[name] for name in ("env_id", "first", "second", "metric")] == [
        OTHER, "td3", "lab", "last_10"
    ]  # fmt: skip
    assert verdict["verdict"]["typical"]["difference"] == pytest.approx(2.5 - 6.0)
    assert f"{OTHER}, td3 against lab by last-10: different in typical return." in text
    assert "lab (n = 5)" in (tmp_path / f"report/learning_curve_{OTHER}.svg").read_text()


@pytest.mark.slow
def test_our_runs_from_elsewhere_have_their_returns_on_held_out_starts(tmp_path: Path) -> None:
    for seed in range(5):
        made_up_run(tmp_path / "theirs", "sac", seed, [0.0, 7.0 + seed], OTHER)
    report(tmp_path, tmp_path / "theirs")
    row = next(line for line in (tmp_path / "report/summary.md").read_text().splitlines()
               if " lab " in line)  # fmt: skip
    assert "90.0 ± 15.8" in row
    (verdict,) = json.loads((tmp_path / "report/verdicts.json").read_text())
    assert verdict["metric"] == "final_return"
    assert verdict["verdict"]["typical"]["difference"] == pytest.approx(50.0 - 90.0)


@pytest.mark.slow
def test_what_differs_in_how_they_were_made_is_named(tmp_path: Path) -> None:
    text = report(tmp_path, their_runs(tmp_path / "theirs.csv", num_runs=3))
    for note in (
        "Settings: those of lab are not known.",
        "Evaluations: td3 on the same starts for all runs",
        "lab goes on to step 200; what is compared ends at 100.",
        "Margin: none is known",
        "3 runs: too few to trim",
    ):
        assert f"Note: {OTHER}: {note}" in text


@pytest.mark.slow
def test_another_version_is_compared_where_it_is_named(tmp_path: Path) -> None:
    theirs = their_runs(tmp_path / "theirs.csv", "Other-v3", num_runs=4)
    with pytest.raises(ConfigError, match="Other-v0 in mine and Other-v3 in lab"):
        report(tmp_path, theirs)
    report(tmp_path, theirs, ComparisonRequest(env_ids=("Other",)))
    text = (tmp_path / "report/report.html").read_text()
    (verdict,) = json.loads((tmp_path / "report/verdicts.json").read_text())
    assert [verdict[name] for name in ("env_id", "second")] == [OTHER, "lab on Other-v3"]
    assert "4 of 4 runs of lab on Other-v3 end above where they began" in text
    assert "The sides ran on different versions of the environment." in text
    row = next(line for line in (tmp_path / "report/summary.md").read_text().splitlines()
               if " lab on Other-v3 " in line)  # fmt: skip
    assert row.startswith(f"|    {OTHER} ")


def test_a_label_that_is_taken_is_refused(tmp_path: Path) -> None:
    theirs = their_runs(tmp_path / "theirs.csv")
    made_up_run(tmp_path / "mine", "lab", 0, [0.0, 5.0], OTHER)
    with pytest.raises(ConfigError, match="lab is an implementation's name: name it, LABEL=PATH"):
        report(tmp_path, theirs)
