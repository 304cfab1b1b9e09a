"""A table for people, the numbers behind it, and its form as Markdown."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from benchmarks.analysis.statistics import Interval, MeanAndStd

NONE = "-"


class Table(NamedTuple):
    """What a paper would print, and the numbers behind it.

    :param name: file name without extension
    :param caption: what is shown, of how many runs and starts, and which intervals
    :param rows: cells as plain text, one list for each row
    :param bold: (row, column) of the cells to print bold
    :param data: the same unrounded
    """

    name: str
    title: str
    caption: str
    header: list[str]
    rows: list[list[str]]
    bold: frozenset[tuple[int, int]]
    data: pd.DataFrame


class Bounds(NamedTuple):
    """The ends of an interval whose estimate stands elsewhere."""

    low: float
    high: float


def tabulate(
    name: str,
    title: str,
    caption: str,
    entries: Sequence[Mapping[str, Any]],
    decimals: Mapping[str, int] | None = None,
    bold: Collection[tuple[int, str]] = (),
) -> Table:
    """Make a table of its rows.

    :param entries: each row's values by heading: text, numbers, MeanAndStd, Interval or Bounds;
        one that is missing, None or NaN is printed as a dash
    :param decimals: of some columns; elsewhere three where all numbers of an environment are
        below ten, else one
    :param bold: (row, heading) of cells
    :raises TypeError: if a value is none of these
    """
    fixed = decimals or {}
    header = list(dict.fromkeys(heading for entry in entries for heading in entry))
    sizes: dict[Any, float] = {}
    for entry in entries:
        values = (x for h, value in entry.items() if h not in fixed for x in _numbers(value))
        env_id = entry.get("environment")
        sizes[env_id] = max(sizes.get(env_id, 0.0), *map(abs, values), 0.0)
    rows = [
        [
            _text(entry.get(h), fixed.get(h, 3 if sizes[entry.get("environment")] < 10 else 1))
            for h in header
        ]
        for entry in entries
    ]
    cells = frozenset((row, header.index(heading)) for row, heading in bold)
    data = pd.DataFrame([dict(_columns(entry)) for entry in entries])
    return Table(name, title, caption, header, rows, cells, data)


def _numbers(value: Any) -> Iterator[float]:
    parts = value if isinstance(value, tuple) else (value,)
    return (part for part in parts if isinstance(part, float) and math.isfinite(part))


def _text(value: Any, digits: int) -> str:
    if isinstance(value, MeanAndStd):
        mean, std = (_text(part, digits) for part in value)
        return mean if std == NONE else f"{mean} ± {std}"
    if isinstance(value, Interval):
        bounds = _text(Bounds(value.low, value.high), digits)
        return _text(value.estimate, digits) + (f" {bounds}" if bounds != NONE else "")
    if isinstance(value, Bounds):
        low, high = (_text(part, digits) for part in value)
        return NONE if low == NONE else f"[{low}, {high}]"
    if isinstance(value, float):
        return f"{value:z,.{digits}f}" if math.isfinite(value) else NONE
    if value is None:
        return NONE
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{value!r} cannot be printed in a table")


def _columns(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """A row's values, each part of a tuple in a column of its own."""
    for heading, value in entry.items():
        if isinstance(value, tuple):
            names = value._fields  # type: ignore[attr-defined]
            yield from ((f"{heading} {name}", x) for name, x in zip(names, value, strict=True))
        else:
            yield heading, value


def to_markdown(table: Table) -> str:
    """Title, caption and table."""
    rows = [
        [
            f"**{cell}**" if (i, j) in table.bold else cell
            for j, cell in enumerate(cell.replace("|", "\\|") for cell in row)
        ]
        for i, row in enumerate(table.rows)
    ]
    return f"## {table.title}\n\n{table.caption}\n\n{markdown(table.header, rows)}"


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table with its columns padded, so that it reads well as plain text too."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join(padded)} |\n"

    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|\n"
    return line(header) + rule + "".join(line(row) for row in rows)
