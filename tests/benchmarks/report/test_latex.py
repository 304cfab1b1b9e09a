"""Tables as LaTeX."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.analysis.statistics import MeanAndStd
from benchmarks.table import Bounds, Table, escape, tabulate, to_latex


@pytest.fixture
def table() -> Table:
    entries: list[dict[str, Any]] = [
        {
            "name_of it": "a_b",
            "return in m/s²": MeanAndStd(-149.0, 0.9),
            "at 95%": Bounds(-1.0, 2.0),
        },
        {"name_of it": "[c]", "return in m/s²": MeanAndStd(1000.0, 2.0), "at 95%": None},
    ]
    caption = r"50% of #1 & $2, {x} < y^2 ~ \z ± 1 > V*"
    return tabulate("some", "A_title", caption, entries, bold=[(0, "return in m/s²")])


def test_a_table_has_the_rules_of_booktabs_and_a_line_for_each_row(table: Table) -> None:
    lines = to_latex(table).splitlines()
    start, end = lines.index(r"\toprule"), lines.index(r"\bottomrule")
    assert lines[start - 1] == r"\begin{tabular}{lrr}"
    assert lines[start + 1 : end] == [
        r"name\_of it & return in m/s\(^2\) & at 95\% \\",
        r"\midrule",
        r"a\_b & \textbf{\(-\)149.0 \(\pm\) 0.9} & {[}\(-\)1.0, 2.0{]} \\",
        r"{[}c{]} & 1,000.0 \(\pm\) 2.0 & - \\",
    ]


def test_what_latex_would_read_as_commands_is_escaped(table: Table) -> None:
    assert (
        r"\caption{A\_title. 50\% of \#1 \& \$2, \{x\} \(<\) y\textasciicircum{}2"
        r" \textasciitilde{} \textbackslash{}z \(\pm\) 1 \(>\) V*}"
    ) in to_latex(table)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-3 and [-2.5, -1]", r"\(-\)3 and {[}\(-\)2.5, \(-\)1{]}"),
        ("last-10", "last-10"),
        ("1e-05", "1e-05"),
        ("Pendulum-v1 - td3", "Pendulum-v1 - td3"),
        ("mean |x|", r"mean \(|\)x\(|\)"),  # a bar alone would be printed as a dash
    ],
)
def test_only_the_sign_of_a_number_is_a_minus(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_braces_and_environments_are_balanced(table: Table) -> None:
    latex = to_latex(table._replace(header=["x" * 60, "y" * 60, "z"]))
    assert r"\resizebox{\textwidth}{!}{%" in latex
    plain = re.sub(r"\\[{}]", "", latex)
    assert plain.count("{") == plain.count("}")
    opened = re.findall(r"\\begin{(\w+)}", latex)
    assert opened == ["table", "tabular"]
    assert re.findall(r"\\end{(\w+)}", latex) == opened[::-1]
    assert r"\resizebox" not in to_latex(table)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_a_document_of_it_compiles(table: Table, tmp_path: Path) -> None:
    tables = to_latex(table) + to_latex(table._replace(header=["x" * 60, "y" * 60, "z"]))
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs,graphicx}\n"
        f"\\begin{{document}}\n{tables}\\end{{document}}\n"
    )
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
