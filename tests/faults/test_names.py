"""Names that a spreadsheet, a browser, LaTeX or a terminal would take for a command."""

import csv
import io
from pathlib import Path

import pytest

from benchmarks.report.page import template
from benchmarks.table import printable, tabulate, to_csv, to_latex, to_markdown

NAMES = {
    "formula": '=HYPERLINK("http://x","y")',
    "sum": "+1+1",
    "call": "@SUM(1)",
    "script": "<script>alert(1)</script>",
    "image": '<img src=x onerror="alert(1)">',
    "colour": "\x1b[31mred",
    "title": "\x1b]0;owned\x07",
    "line end": "a\r\nb",
    "cell": "a|b",
    "LaTeX": r"\input{/etc/passwd}",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_in_every_form(name: str) -> None:
    bad = NAMES[name]
    table = tabulate("t", "title", "caption", [{"label": bad, "n": 1.5}])
    plain, markdown, latex = to_csv(table), to_markdown(table), to_latex(table)
    page = template("report").environment.from_string("{{ name }}").render(name=bad)
    (row,) = csv.DictReader(io.StringIO(plain))
    assert row["label"][0] not in "=+-@\t\r"
    assert "<script" not in markdown.replace(r"\<", "") + latex + page
    assert "<img" not in markdown.replace(r"\<", "") + latex + page
    assert r"\input{" not in latex
    for form in (plain, markdown, latex, printable(bad)):
        assert not any(letter in form for letter in "\x1b\x07\r")
    assert all(line.count("|") - line.count(r"\|") == 3 for line in markdown.splitlines()[4:])


def test_such_a_label_never_comes_from_a_configuration(tmp_path: Path) -> None:
    from training.config import ConfigError, RunConfig

    for bad in NAMES.values():
        with pytest.raises(ConfigError, match="label"):
            RunConfig(algo="td3", env_id="rocket-v0", total_timesteps=1, label=bad)
