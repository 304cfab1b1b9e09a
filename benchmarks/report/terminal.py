"""What a report prints: verdicts and one table, on one screen of a terminal."""

import textwrap
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np

from benchmarks.analysis.comparisons import Comparison
from benchmarks.analysis.load import Results, final_values, groups
from benchmarks.analysis.statistics import over_runs
from benchmarks.experiments import LATE
from benchmarks.report.wording import command_for_more, short
from benchmarks.table import Table, tabulate

WIDTH = 80
MOST_IN_FULL = 3  # comparisons; if there are more, intervals are left out
MOST_TOLD = 10


def terminal_text(
    results: Results, comparisons: Sequence[Comparison], name: str, made: Iterable[Table] = ()
) -> str:
    """Notes on the runs, the verdicts, runs that were left out, and a table of scores.

    :param name: of the experiment
    :param made: further tables
    """
    head = [results.software_differences] if results.software_differences else []
    head += [f"Note: {note}" for note in results.notes]
    told = [short(each) for each in comparisons[:MOST_TOLD]]
    if len(comparisons) > MOST_IN_FULL:
        told = [text.partition(". ")[0].removesuffix(".") + "." for text in told]
    if len(comparisons) > MOST_TOLD:
        told.append(f"{len(comparisons) - MOST_TOLD} more comparisons are on the page.")
    lines = told or ["Nothing to compare: there is one implementation."]
    if comparisons and not any(each.is_conclusive for each in comparisons):
        lines.append(command_for_more(results, name).strip())
    lines = head + [textwrap.fill(line, WIDTH) for line in lines if line]
    if results.unfinished:
        lines.append(f"Left out, being incomplete: {', '.join(results.unfinished)}")
    return "\n\n".join(["\n".join(lines), *map(plain, [scores(results), *made])])


def scores(results: Results) -> Table:
    """What each implementation has learned: its late return on held-out starts, and V* there."""
    entries = []
    for env_id, label in groups(results):
        late = final_values(results, env_id, label, LATE)
        regrets = final_values(results, env_id, label, f"{LATE}_regret")
        curves = results.curves.query("env_id == @env_id and label == @label")
        entries.append(
            {
                **{"environment": env_id, "implementation": label, "seeds": len(late)},
                "untrained": float(curves.groupby("seed")["mean_return"].first().mean()),
                "late return": over_runs(late),
                "best possible": None if np.isnan(regrets).any() else float((late + regrets)[0]),
            }
        )
    decimals = {"untrained": 0, "best possible": 0}
    return tabulate("scores", "", "", entries, decimals)


def plain(table: Table) -> str:
    """A table in aligned columns, as many of the first ones as fit."""
    rows = [table.header, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ends = list(accumulate(width + 2 for width in widths))
    fitting = max(2, sum(end - 2 <= WIDTH for end in ends))
    left_out = table.header[fitting:]
    rows, widths = [row[:fitting] for row in rows], widths[:fitting]
    lines = [
        [cell.ljust(width) if i < 2 else cell.rjust(width)
         for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        for row in rows
    ]  # fmt: skip
    text = "\n".join("  ".join(line).rstrip() for line in lines)
    if left_out:
        text += "\n" + textwrap.fill(f"Also on the page and in CSV: {', '.join(left_out)}.", WIDTH)
    return text
