"""Run directories -> a folder and a page, on made-up runs whose scores are known."""

import errno
import html.parser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from benchmarks.experiments import EXPERIMENT_FILE, Experiment
from benchmarks.report.page import write_report
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError
from training.run_directory import RunDirectory

TABLES = ("verdicts", "summary", "learning_curves", "hyperparameters", "timings")


pytestmark = pytest.mark.usefixtures("cheap_optimum")


def make_runs(root: Path) -> Path:
    """Five seeds of two implementations, the first better by ten, and one elsewhere."""
    for seed, last in enumerate([-1.0, -2.0, -2.0, -2.0, -3.0]):
        made_up_run(root, "a", seed, [-9.0, last])
        made_up_run(root, "b", seed, [-9.0, last - 1.0], algo="td3_reference")
    made_up_run(root, "a", 0, [-9.0, -7.0], env_id="my:env-v3")
    return root


class Report(NamedTuple):
    folder: Path
    text: str

    @property
    def page(self) -> str:
        return (self.folder / "report.html").read_text()


FIDELITY = "# Is it?\n\n## Checks\n\n| check | value |\n|---:|---:|\n| <b> | 0.001 * |\n"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of the runs above; to be read only."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "fidelity.md").write_text(FIDELITY)
    text = write_report(make_runs(folder / "mine"), folder / "report")
    return Report(folder / "report", text)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """One run."""
    made_up_run(tmp_path / "small", "a", 0, [-9.0, -1.0])
    return tmp_path / "small"


def contents(folder: Path) -> dict[str, bytes]:
    """All files but those that hold times."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.stem not in ("timings", "report")
    }


@pytest.mark.slow
def test_every_table_is_written_for_people_for_programs_and_for_papers(report: Report) -> None:
    for name in TABLES:
        for suffix in ("csv", "md", "tex"):
            assert (report.folder / f"{name}.{suffix}").stat().st_size > 0
    summary = pd.read_csv(report.folder / "summary.csv")
    assert summary["return mean"].tolist() == [-20.0, -30.0, -70.0]


@pytest.mark.slow
def test_the_terminal_gets_the_verdicts_and_one_table_on_one_screen(report: Report) -> None:
    lines = report.text.splitlines()
    assert lines[0].startswith("Pendulum-v1, a against b: different in typical return.")
    assert lines[-2].split() == ["Pendulum-v1", "b", "5", "-9", "-30.0", "±", "7.1", "0"]
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 80


def test_the_page_stands_alone_and_gives_the_verdict_before_anything_else(report: Report) -> None:
    page = report.page
    # Of five runs the middle three are left, which are equal: no spread, no width.
    text = "Pendulum-v1, a against b: different in typical return. Typical run: the difference of"
    assert page.index(text) < page.index("<h2")
    assert "trimmed means is +10.0, 95% interval [10.0, 10.0], margin 10: different" in page
    assert "score the same, which makes intervals too narrow" in page
    assert page.index('alt="Verdicts"') < page.index('alt="Pendulum-v1: return"')
    assert re.findall(r"""(?:src|href)=["'](?!data:|#)([^"']*)""", page) == ["fidelity.html"]
    assert not re.findall(r"<(?:script|link|iframe)|@import|url\(", page)
    assert 'alt="Pendulum-v1: return"' in page


@pytest.mark.slow
def test_many_verdicts_take_a_line_for_each_environment(tmp_path: Path) -> None:
    root = tmp_path / "many"
    for env_id in ("Pendulum-v1", "rocket-v0"):
        for label, level in (("a", -2.0), ("b", -2.1), ("c", -7.0), ("d", -90.0)):
            for seed in range(5):
                made_up_run(root, label, seed, [-95.0, level + seed / 10], env_id=env_id)
    write_report(root, tmp_path / "report")
    page = (tmp_path / "report/report.html").read_text()
    said = re.findall(r'<p class="verdict">(.*?)</p>', page)
    # Final returns are ten times the last means: five with steps of 1, so trimmed as in
    # test_verdict, with intervals of 2.46 and 3.21 each way. V* is 0.
    assert said[0].startswith("Pendulum-v1, differences of typical returns and their 95% int")
    assert said[1].startswith("rocket-v0, differences of typical returns and their 95% int")
    assert "a against b (+1.0 [-2.2, 4.2]): equivalent where they succeed" in said[0]
    assert "c against d (+830.0 [826.8, 833.2])" in said[1]
    assert "[-2.2, 4.2]" in page  # 1 -+ t(0.975, 4) sqrt(4 / 3), in the table


def test_the_page_is_well_formed_and_its_contents_lead_somewhere(report: Report) -> None:
    open_tags: list[str] = []
    ids, links = set(), set()

    class Checker(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "img", "link", "br"):
                open_tags.append(tag)
            values = dict(attrs)
            if values.get("id"):
                assert values["id"] not in ids
                ids.add(values["id"])
            if tag == "a":
                links.add(str(values["href"]).removeprefix("#"))

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Checker().feed(report.page)
    assert open_tags == []
    assert links - {"fidelity.html"} <= ids
    assert {"verdicts", "summary", "figures", "provenance"} <= links


@pytest.mark.slow
def test_a_name_is_text_and_not_markup(tmp_path: Path) -> None:
    root = tmp_path / "<b>bold"
    made_up_run(root, "a", 0, [-9.0, -1.0])
    write_report(root, tmp_path / "report")
    page = (tmp_path / "report/report.html").read_text()
    assert "&lt;b&gt;bold" in page
    assert "<b>" not in page


def test_the_same_runs_give_the_same_bytes(report: Report, tmp_path: Path) -> None:
    (tmp_path / "fidelity.md").write_text(FIDELITY)
    write_report(make_runs(tmp_path / "mine"), tmp_path / "report")
    assert len(contents(report.folder)) > 20
    assert contents(report.folder) == contents(tmp_path / "report")


@pytest.mark.slow
def test_what_an_earlier_report_showed_does_not_stay(small: Path, tmp_path: Path) -> None:
    """Nor does anything else go."""
    other = made_up_run(small, "b", 0, [-9.0, -1.0], env_id="my:env-v3")
    made_up_run(small, "b", 0, [-9.0, -1.0])
    (tmp_path / "mine.csv").write_text("mine")
    write_report(small, tmp_path)
    gone = ("learning_curve_env-v3.png", "verdicts.csv", "verdicts.md", "verdicts.tex")
    assert json.loads((tmp_path / "verdicts.json").read_text())[0]["num_runs"] == [1, 1]
    assert all((tmp_path / name).exists() for name in gone)
    shutil.rmtree(other.parent)
    write_report(small, tmp_path)
    assert not any((tmp_path / name).exists() for name in gone)
    assert (tmp_path / "summary.md").exists()
    assert (tmp_path / "mine.csv").read_text() == "mine"


@pytest.mark.slow
def test_seeds_added_after_a_verdict_are_looks_and_the_report_says_so(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    pages = []
    for seeds in (range(3), range(3, 5), range(5, 5), range(5, 7)):
        for seed in seeds:
            made_up_run(root, "a", seed, [-9.0, -1.0 - seed / 10])
            made_up_run(root, "b", seed, [-9.0, -1.0 - seed / 9])
        write_report(root, tmp_path / "report")
        pages.append((tmp_path / "report/report.html").read_text())
    assert ["Seeds were added" in page for page in pages] == [False, False, False, True]
    assert "had been written on 5: 2 looks at 5%" in pages[-1]
    (record,) = json.loads((tmp_path / "report/verdicts.json").read_text())
    assert record["earlier"] == [5]
    assert record["verdict"]["num_runs"] == [7, 7]


@pytest.mark.slow
def test_incomplete_runs_are_left_out_and_named(small: Path, tmp_path: Path) -> None:
    RunDirectory(made_up_run(small, "a", 1, [-9.0, -1.0])).write_status("interrupted", 100)
    text = write_report(small, tmp_path)
    assert "Left out, being incomplete: a/Pendulum-v1_1 (interrupted)" in text
    assert "a/Pendulum-v1_1 (interrupted)" in (tmp_path / "report.html").read_text()


def declare(root: Path, description: str = "a against b") -> dict[str, Any]:
    """Write an experiment.json beside the runs of a and b, and return its content."""
    declared = Experiment(
        description=description,
        implementations={"a": {"algo": "td3"}, "b": {"algo": "td3"}},
        total_timesteps={"Pendulum-v1": 100},
        seeds=(0, 1, 2),
        against="b",
    ).to_json()
    RunDirectory(root).write_json(EXPERIMENT_FILE, declared)
    return declared


@pytest.mark.slow
def test_the_declaration_and_its_hash_stand_in_the_page(small: Path, tmp_path: Path) -> None:
    declared = declare(small)
    write_report(small, tmp_path)
    assert declared["sha256"] in (tmp_path / "report.html").read_text()
    declared["declaration"]["margins"]["Pendulum-v1"] = 100.0
    RunDirectory(small).write_json(EXPERIMENT_FILE, declared)
    with pytest.raises(ConfigError, match="sha256"):
        write_report(small, tmp_path)


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no complete run"):
        write_report(tmp_path, tmp_path / "report")


@pytest.mark.slow
def test_reporting_does_not_load_what_trains() -> None:
    code = (
        "import sys, benchmarks.report.page\n"
        "assert not {'torch', 'stable_baselines3', 'distributed'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_fidelity_page_is_linked_where_the_reference_takes_part(
    report: Report, small: Path, tmp_path: Path
) -> None:
    assert (report.folder / "fidelity.md").read_text() == FIDELITY
    page = (report.folder / "fidelity.html").read_text()
    assert re.findall(r"<h[23]>.*</h[23]>", page) == ["<h2>Is it?</h2>", "<h3>Checks</h3>"]
    assert "&lt;b&gt;" in page  # HTML in it is text
    (tmp_path / "fidelity.md").write_text(FIDELITY)
    write_report(small, tmp_path / "report")
    assert not list((tmp_path / "report").glob("fidelity*"))
    assert "fidelity.html" not in (tmp_path / "report/report.html").read_text()


def test_the_forest_plot_is_the_first_picture_and_notes_are_behind_a_click(report: Report) -> None:
    pictures = re.findall(r'<img src="[^"]*" alt="([^"]*)"', report.page)
    assert pictures[0] == "Verdicts"
    assert report.page.index('alt="Verdicts"') < report.page.index("<nav")
    caption = report.page.partition("<figcaption>")[2].partition("</figcaption>")[0]
    note = "<p>Thick: the 90% interval"
    assert f'<details class="notes"><summary>How to read this</summary>{note}' in caption
    assert note.replace("<p>", '<p class="printed">') in caption  # closed details are not printed


@pytest.mark.slow
def test_a_report_that_cannot_be_written_leaves_the_last_one(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "report"
    write_report(small, output)
    before = {file.name: file.read_bytes() for file in output.iterdir()}
    made_up_run(small, "b", 0, [-9.0, -1.0])
    write = Path.write_bytes

    def fill_up(file: Path, content: bytes) -> int:
        if "summary.md" in file.name:
            raise OSError(errno.ENOSPC, "No space left on device")  # as from file.write
        return write(file, content)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_report(small, output)
    assert caught.value.filename == str(output / "summary.md")
    assert {file.name: file.read_bytes() for file in output.iterdir()} == before


@pytest.mark.slow
def test_a_report_where_a_file_is_takes_one_line(small: Path) -> None:
    (small.parent / "taken").write_text("")
    command = [sys.executable, "-m", "benchmarks", "report", "small", "--root", str(small.parent)]
    command += ["--output", str(small.parent / "taken")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "taken" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_description_that_is_a_question_ends_with_its_question_mark(
    small: Path, tmp_path: Path
) -> None:
    declare(small, "is it chance?")
    write_report(small, tmp_path / "report")
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "<p>Is it chance?</p>" in page
