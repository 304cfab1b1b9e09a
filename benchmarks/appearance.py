"""How a report is to look in a paper: figures, names of implementations, columns of LaTeX."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from benchmarks.analysis.comparisons import Comparison
from benchmarks.analysis.load import Results
from benchmarks.plot_style import FORMATS, FigureStyle
from benchmarks.request import PaperOptions
from benchmarks.table import Table
from training.config import ConfigError

INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}
NARROWEST, WIDEST = 1.5, 20.0  # inches
SMALLEST, LARGEST = 4.0, 40.0  # points


class Appearance(NamedTuple):
    """What a paper asks for.

    :param labels: what an implementation is called instead of its label
    :param columns: those to keep in LaTeX tables that have all of them; empty: keep every column
    """

    figure_style: FigureStyle = FigureStyle()
    labels: Mapping[str, str] = {}
    columns: Sequence[str] = ()


def appearance_of(paper: PaperOptions) -> Appearance:
    """The appearance that the command-line options ask for.

    :raises ConfigError: if a value is not valid
    """
    if unknown := [each for each in paper.format if each not in FORMATS]:
        raise ConfigError(f"format must be {', '.join(FORMATS)}, got {', '.join(unknown)}")
    if paper.font_size is not None and not SMALLEST <= paper.font_size <= LARGEST:
        raise ConfigError(
            f"font-size must be from {SMALLEST:g} to {LARGEST:g} points, got {paper.font_size:g}"
        )
    names = {}
    for text in paper.labels:
        label, equals, name = text.partition("=")
        if not (label and equals and name.strip()):
            raise ConfigError(f"labels must be LABEL=NAME, such as td3='SB3 TD3', got {text!r}")
        names[label] = name.strip()
    width = None if paper.width is None else parse_width(paper.width)
    style = FigureStyle(paper.format, width, paper.font_size)
    return Appearance(style, names, tuple(each for each in paper.columns if "=" not in each))


def parse_width(text: str) -> float:
    """A width in inches.

    :raises ConfigError: if it is not a width in the allowed range
    """
    found = re.fullmatch(rf"([0-9]*\.?[0-9]+) ?({'|'.join(INCHES)})", text.strip())
    inches = float(found[1]) * INCHES[found[2]] if found else 0.0
    if not NARROWEST <= inches <= WIDEST:
        raise ConfigError(
            f"width must be from {NARROWEST:g}in to {WIDEST:g}in, in one of"
            f" {', '.join(INCHES)}, such as 3.3in; got {text!r}"
        )
    return inches


def rename_implementations(
    results: Results, comparisons: Sequence[Comparison], labels: Mapping[str, str]
) -> tuple[Results, list[Comparison]]:
    """Results and comparisons with implementations renamed.

    :param labels: new name by label
    :raises ConfigError: if a label does not exist, or two would have one name
    """
    present = {*results.finals["label"], *(label for _, label in results.failures)}
    present |= {*results.curves["label"]}
    if unknown := [label for label in labels if label not in present]:
        raise ConfigError(
            f"unknown labels: {', '.join(unknown)}; the results have {', '.join(sorted(present))}"
        )
    names = {label: labels.get(label, label) for label in present}
    if len({*names.values()}) < len(names):
        raise ConfigError(f"two implementations would have one name: {', '.join(names.values())}")
    frames = (results.curves, results.finals, results.timings)
    curves, finals, timings = (
        frame.assign(label=frame["label"].replace(labels)) for frame in frames
    )
    renamed = results._replace(
        curves=curves,
        finals=finals,
        timings=timings,
        settings={
            (env, names.get(label, label)): x for (env, label), x in results.settings.items()
        },
        failures={(env, names[label]): n for (env, label), n in results.failures.items()},
        elsewhere=tuple(names.get(label, label) for label in results.elsewhere),
    )
    return renamed, [
        replace(each, first=names.get(each.first, each.first),
                second=names.get(each.second, each.second))
        for each in comparisons
    ]  # fmt: skip


def select_columns(tables: Sequence[Table], columns: Sequence[str]) -> list[Table]:
    """Reduce the tables that have all of these columns to them, in this order; keep the others.

    :raises ConfigError: if no table has them
    """
    if not columns:
        return list(tables)
    known = list(dict.fromkeys(heading for table in tables for heading in table.header))
    if unknown := [name for name in columns if name not in known]:
        raise ConfigError(f"unknown columns: {', '.join(unknown)}; known are {', '.join(known)}")
    if not any({*columns} <= {*table.header} for table in tables):
        raise ConfigError(f"no table has all of the columns {', '.join(columns)}")
    return [
        _with_columns(table, columns) if {*columns} <= {*table.header} else table
        for table in tables
    ]


def _with_columns(table: Table, columns: Sequence[str]) -> Table:
    places = [table.header.index(name) for name in columns]
    bold = {(row, places.index(column)) for row, column in table.bold if column in places}
    rows = [[row[place] for place in places] for row in table.rows]
    return table._replace(header=list(columns), rows=rows, bold=frozenset(bold))
