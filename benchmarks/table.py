"""A table for people, the numbers behind it, and its forms as Markdown, CSV and LaTeX."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.analysis.statistics import Interval, MeanAndStd

NONE = "-"
FORMULA = ("=", "+", "-", "@")  # a spreadsheet runs a text that begins with one of these
WIDE = 100  # characters in a line beyond which a table is shrunk to the width of the text
# Characters that are special in LaTeX, or missing in its standard font encoding. LaTeX would read
# a bracket at the beginning of a row as an argument of the line break before it.
ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "[": "{[}", "]": "{]}",
    "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\(<\)", ">": r"\(>\)",
    "|": r"\(|\)", "±": r"\(\pm\)", "²": r"\(^2\)",
}  # fmt: skip


class Table(NamedTuple):
    """What a paper would print, and the numbers behind it.

    :param name: file name without extension
    :param short: what is shown, in at most two sentences
    :param rows: cells as plain text, one list for each row
    :param bold: (row, column) of the cells to print bold
    :param data: the same unrounded
    :param notes: how to read it
    """

    name: str
    title: str
    short: str
    header: list[str]
    rows: list[list[str]]
    bold: frozenset[tuple[int, int]]
    data: pd.DataFrame
    notes: str = ""

    @property
    def caption(self) -> str:
        """What is shown, and how to read it."""
        return f"{self.short} {self.notes}".strip()


class Bounds(NamedTuple):
    """The ends of an interval, without its estimate."""

    low: float
    high: float


def tabulate(
    name: str,
    title: str,
    short: str,
    entries: Sequence[Mapping[str, Any]],
    decimals: Mapping[str, int] | None = None,
    bold: Collection[tuple[int, str]] = (),
    notes: str = "",
) -> Table:
    """Make a table from its rows.

    :param entries: each row's values by heading: text, numbers, MeanAndStd, Interval or Bounds;
        one that is missing, None or NaN is printed as a dash
    :param decimals: of some columns; elsewhere three where all numbers of an environment are
        below ten, else one
    :param bold: (row, heading) of cells
    :raises TypeError: if a value is none of these
    """
    fixed = decimals or {}
    header = list(dict.fromkeys(heading for entry in entries for heading in entry))
    sizes: dict[Any, list[float]] = {}
    for entry in entries:
        values = (x for h, value in entry.items() if h not in fixed for x in _numbers(value))
        sizes.setdefault(entry.get("environment"), []).extend(values)
    digits = {env_id: digits_for(*values) for env_id, values in sizes.items()}
    rows = [
        [_text(entry.get(h), fixed.get(h, digits[entry.get("environment")])) for h in header]
        for entry in entries
    ]
    cells = frozenset((row, header.index(heading)) for row, heading in bold)
    data = pd.DataFrame([dict(_columns(entry)) for entry in entries])
    return Table(name, title, short, header, rows, cells, data, notes)


def digits_for(*values: float) -> int:
    """Decimals of numbers shown together: three if all are below ten, else one."""
    return 3 if all(abs(value) < 10.0 for value in values if math.isfinite(value)) else 1


def number(value: float, digits: int | None = None) -> str:
    """A number with commas and no negative zero; a dash for what is not finite.

    :param digits: after the point; default: as many as :func:`digits_for` says
    """
    if not math.isfinite(value):
        return NONE
    return f"{value:z,.{digits_for(value) if digits is None else digits}f}"


def bounds(ends: Sequence[float], digits: int) -> str:
    """An interval; a dash where an end is not finite."""
    low, high = (number(end, digits) for end in ends)
    return NONE if NONE in (low, high) else f"[{low}, {high}]"


def _numbers(value: Any) -> Iterator[float]:
    parts = value if isinstance(value, tuple) else (value,)
    return (part for part in parts if isinstance(part, float))


def _text(value: Any, digits: int) -> str:
    if isinstance(value, MeanAndStd):
        parts = [number(part, digits) for part in value]
        return " ± ".join(part for part in parts if part != NONE) or NONE
    if isinstance(value, Interval):
        ends = bounds(value[1:], digits)
        return number(value.estimate, digits) + (f" {ends}" if ends != NONE else "")
    if isinstance(value, Bounds):
        return bounds(value, digits)
    if isinstance(value, float):
        return number(value, digits)
    if value is None:
        return NONE
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str):
        return printable(value)
    raise TypeError(f"{value!r} cannot be printed in a table")


def _columns(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A row's values, each part of a tuple in a column of its own."""
    for heading, value in entry.items():
        if isinstance(value, tuple):
            names = value._fields  # type: ignore[attr-defined]
            yield from ((f"{heading} {name}", x) for name, x in zip(names, value, strict=True))
        else:
            yield heading, value


def printable(text: str, kept: str = "") -> str:
    """Text without control characters, which a terminal would obey: they are written as escapes.

    :param kept: control characters to keep, such as line ends
    """
    return "".join(
        x if x.isprintable() or x in kept else ascii(x)[1:-1].replace("\\\\", "\\") for x in text
    )


def to_markdown(table: Table) -> str:
    """Title, caption and table."""
    rows = [
        [f"**{cell}**" if (i, j) in table.bold else cell for j, cell in enumerate(row)]
        for i, row in enumerate(table.rows)
    ]
    title, caption = (printable(text).replace("<", r"\<") for text in (table.title, table.caption))
    return f"## {title}\n\n{caption}\n\n{markdown(table.header, rows)}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with its columns padded, so that it reads well as plain text too.

    What Markdown would take for HTML or for the end of a cell is escaped.
    """
    lines = [
        [printable(cell).replace("|", r"\|").replace("<", r"\<") for cell in line]
        for line in (header, *rows)
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
              for line in lines]  # fmt: skip
    text = [f"| {' | '.join(line)} |\n" for line in padded]
    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|\n"
    return "".join([text[0], rule, *text[1:]])


def to_csv(table: Table) -> str:
    """The unrounded numbers; a text that a spreadsheet would run starts with a quote."""
    data = table.data.rename(columns=_inert).map(lambda x: _inert(x) if isinstance(x, str) else x)
    text: str = data.to_csv(index=False)
    return text


def _inert(text: str) -> str:
    text = printable(text)
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.startswith(FORMULA) else text
    return text


def to_latex(table: Table) -> str:
    r"""A ``table`` environment, for a document with ``\usepackage{booktabs,graphicx}``.

    Notes on how to read it are below the table, not in the caption.
    """
    columns = list(zip(table.header, *table.rows, strict=True))
    cells = pd.DataFrame(table.rows, columns=table.header).map(escape)
    bold = pd.DataFrame("", cells.index, cells.columns)
    for i, j in table.bold:
        bold.iloc[i, j] = "textbf:--rwrap;"
    latex: str = (
        cells.style.hide(axis="index")
        .format_index(lambda name: escape(str(name)), axis="columns")
        .apply(lambda _: bold, axis=None)
        .to_latex(
            # Names to the left, numbers to the right.
            column_format="".join(
                "l" if any(cell[:1].isalpha() for cell in column[1:]) else "r" for column in columns
            ),
            hrules=True,
            position_float="centering",
            caption=f"{escape(table.title)}. {escape(table.short)}",
            label=f"tab:{table.name}",
        )
    )
    if sum(max(map(len, column)) + 2 for column in columns) > WIDE:
        latex = latex.replace(r"\begin{tabular}", "\\resizebox{\\textwidth}{!}{%\n\\begin{tabular}")
        latex = latex.replace(r"\end{tabular}", "\\end{tabular}\n}")
    if table.notes:
        note = f"\n\\par\\smallskip\n{{\\footnotesize {escape(table.notes)}\\par}}\n"
        latex = latex.replace(r"\end{table}", note.lstrip("\n") + r"\end{table}")
    return "% needs booktabs and graphicx\n" + latex.replace(r"\centering", "\\centering\n\\small")


def escape(text: str) -> str:
    """Plain text as LaTeX; the hyphen before a number becomes a minus sign."""
    escaped = "".join(ESCAPES.get(letter, letter) for letter in printable(text))
    return re.sub(r"(?<![\w.)-])-(?=\d)", r"\(-\)", escaped)
