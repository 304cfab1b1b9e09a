"""A report as a paper wants it: formats and sizes of figures, names, columns of LaTeX tables."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.appearance import Appearance, appearance_of, parse_width, select_columns
from benchmarks.plot_style import DPI, FigureStyle
from benchmarks.report.page import write_report
from benchmarks.report.terminal import WIDTH, plain
from benchmarks.request import PaperOptions
from benchmarks.table import tabulate, to_latex
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError

pytestmark = pytest.mark.usefixtures("cheap_optimum")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs, made twice: as usual, and then for a paper."""
    root = tmp_path_factory.mktemp("paper")
    for label in ("a", "b"):
        made_up_run(root / "mine", label, 0, [-9.0, -2.0], algo="td3")
    write_report(root / "mine", root / "report")
    labels = {"a": "SB3 TD3 <1>", "b": "ours & theirs"}
    paper = Appearance(FigureStyle(("pdf", "png"), 3.3, 8.0), labels, ("implementation", "return"))
    write_report(root / "mine", root / "report", appearance=paper)
    return root / "report"


@pytest.mark.slow
def test_figures_have_the_formats_and_the_width_asked_for(folder: Path) -> None:
    figures = sorted(file.name for file in folder.glob("learning_curve_*"))
    assert figures == ["learning_curve_Pendulum-v1.pdf", "learning_curve_Pendulum-v1.png"]
    with Image.open(folder / figures[1]) as image:
        assert image.size[0] == round(3.3 * DPI)
    pdf = (folder / figures[0]).read_bytes()
    assert pdf.startswith(b"%PDF")
    assert b"/MediaBox [ 0 0 237.6 " in pdf  # 3.3 in of 72 points


@pytest.mark.slow
def test_names_take_the_place_of_labels_in_all_but_the_records(folder: Path) -> None:
    summary = (folder / "summary.csv").read_text()
    assert "SB3 TD3 <1>" in summary
    assert "ours & theirs" in summary
    assert r"ours \& theirs" in (folder / "summary.tex").read_text()
    assert "SB3 TD3 &lt;1&gt;" in (folder / "report.html").read_text()
    (record, *_) = json.loads((folder / "verdicts.json").read_text())
    assert {record["first"], record["second"]} == {"a", "b"}


def test_latex_tables_have_the_columns_asked_for_and_csv_has_all(folder: Path) -> None:
    assert "implementation & return" in (folder / "summary.tex").read_text()
    header = (folder / "summary.csv").read_text().splitlines()[0]
    assert "environment,implementation,seeds," in header
    assert "setting & " in (folder / "hyperparameters.tex").read_text()  # it has not all of them


def test_how_to_read_a_table_is_a_note_below_it() -> None:
    latex = to_latex(tabulate("t", "Title", "What.", [{"a": 1}], notes="How, in 50%."))
    assert r"\caption{Title. What.}" in latex
    assert latex.index(r"\end{tabular}") < latex.index(r"{\footnotesize How, in 50\%.\par}")


def test_a_table_on_a_terminal_fits_and_names_what_it_leaves_out() -> None:
    entry = {"environment": "E-v0", "implementation": "x" * 40, "seeds": 3, "return": -1.0}
    text = plain(tabulate("t", "", "", [{**entry, "something very long": 2.0}]))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "-1.0" in text
    assert text.endswith("Also on the page and in CSV: something very long.")


@pytest.mark.parametrize(("text", "inches"), [("3.3in", 3.3), ("84 mm", 84 / 25.4)])
def test_widths_have_units(text: str, inches: float) -> None:
    assert parse_width(text) == pytest.approx(inches, rel=1e-4)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"format": ("gif",)}, "format must be png, svg, pdf, got gif"),
        ({"width": "3.3"}, "such as 3.3in; got '3.3'"),
        ({"width": "900in"}, "width must be from 1.5in to 20in"),
        ({"font_size": 0.0}, "font-size must be from 4 to 40 points, got 0"),
        ({"labels": ("td3",)}, "labels must be LABEL=NAME"),
    ],
)
def test_what_no_figure_can_have_is_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError) as error:
        appearance_of(PaperOptions(**options))
    assert complaint in str(error.value)


def test_unknown_labels_and_columns_are_refused(tmp_path: Path) -> None:
    made_up_run(tmp_path / "mine", "a", 0, [-9.0, -2.0])
    made_up_run(tmp_path / "mine", "b", 0, [-9.0, -2.0])
    for labels, complaint in (
        ({"c": "x"}, "unknown labels: c; the results have a, b"),
        ({"a": "b"}, "two implementations would have one name"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            write_report(tmp_path / "mine", tmp_path / "r", appearance=Appearance(labels=labels))
    table = tabulate("t", "", "", [{"one": 1, "two": 2}])
    with pytest.raises(ConfigError, match="unknown columns: three; known are one, two"):
        select_columns([table], ["three"])
    assert select_columns([table], ["two", "one"])[0].rows == [["2", "1"]]
