"""The forest plot: every comparison's parts at one glance, intervals against the margin's band."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from benchmarks.analysis.comparisons import Comparison
from benchmarks.analysis.verdict import Answer, Part, Verdict
from benchmarks.plot_style import COLOURS, SETTINGS, Picture, finish
from benchmarks.report.wording import at_steps, bounds, by, confidence, digits_of, parts_of

FARTHEST = 4.0  # margins from zero at which the axis ends
MARKS = {  # of an answer: colour, and whether the mark is filled
    Answer.EQUIVALENT: (COLOURS[0], True),
    Answer.NEGLIGIBLE: (COLOURS[2], True),
    Answer.DIFFERENT: (COLOURS[1], True),
    Answer.UNDECIDED: ("0.4", False),
}


def forest_plot(comparisons: Sequence[Comparison], folder: Path) -> Picture | None:
    """Draw a row for each comparison and part; None where no comparison has a verdict."""
    rows = [
        (each, each.verdict, name, part)
        for each in comparisons
        if each.verdict is not None
        for name, part in parts_of(each.verdict)
    ]
    if not rows:
        return None
    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots(figsize=(8.6, 1.1 + 0.36 * len(rows)), layout="constrained")
        names, shown = [], set()
        for i, (each, verdict, name, part) in enumerate(rows):
            answer = None if name == "mean" or not each.is_conclusive else part.answer
            _draw_row(axes, i, part, answer, answer not in shown)
            shown.add(answer)
            names.append(_name(each, verdict, name))
            axes.text(1.01, i, _numbers(part, name), transform=axes.get_yaxis_transform(),
                      va="center", fontsize="small")  # fmt: skip
            if part.margin is not None:
                axes.fill_between([-1, 1], i - 0.5, i + 0.5, color="0.9", linewidth=0, zorder=0)
        axes.axvline(0.0, color="black", linewidth=0.8)
        axes.set_yticks(range(len(rows)), names, fontsize="small")
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(-FARTHEST, FARTHEST)
        axes.grid(False, axis="y")
        axes.set_xlabel("difference, first minus second, in margins")
        level = rows[0][1].level
        caption = (
            "A row for each comparison and part. Thick: the interval that lies within the band"
            f" where the two are equivalent ({confidence(1 - 2 * level)}); thin: the one that"
            f" excludes zero where they differ ({confidence(1 - level)}), whose ends stand on the"
            " right. Grey band: the margin; a row without one has no band, and its thin interval"
            " reaches to 2. The mean decides nothing. An arrow: further out than is drawn."
        )
        unequal = [f" {each.env_id}, {each.first} against {each.second}{at_steps(each)}."
                   for each, *_ in rows if at_steps(each)]  # fmt: skip
        caption += "".join(dict.fromkeys(unequal))
        return finish(figure, folder, "verdicts_forest", "Verdicts", caption)


def _name(each: Comparison, verdict: Verdict, part: str) -> str:
    """A row's label: the comparison in the first of its rows, then the part alone."""
    if part == "failures" and verdict.failures:
        counts = zip(verdict.failures.counts, verdict.num_runs, strict=True)
        return f"failures, {' and '.join(f'{count} of {n}' for count, n in counts)}"
    if part != "typical run":
        return part
    seeds = "/".join(map(str, dict.fromkeys(verdict.num_runs)))
    return (
        f"{each.env_id}{by(each)} (n = {seeds})\n{each.first} \N{MINUS SIGN} {each.second}: {part}"
    )


def _numbers(part: Part, name: str) -> str:
    """A row's difference and the ends of its thin line."""
    factor, unit = (100.0, " points") if name == "failures" else (1.0, "")
    digits = digits_of(part, factor)
    ends = bounds([factor * end for end in part.apart], digits)
    return f"{factor * part.difference:+,.{digits}f} {ends}{unit}"


def _draw_row(axes: Axes, row: int, part: Part, answer: Answer | None, is_new: bool) -> None:
    unit = part.margin or max(map(abs, (*part.apart, part.difference))) / 2.0 or 1.0
    colour, filled = MARKS[answer] if answer else ("0.6", True)
    for ends, width in ((part.apart, 1.2), (part.within, 4.0)):
        drawn = np.clip(np.array(ends) / unit, -FARTHEST, FARTHEST)
        axes.plot(drawn, [row, row], color=colour, linewidth=width, solid_capstyle="butt")
    middle = float(np.clip(part.difference / unit, -FARTHEST, FARTHEST))
    label = (str(answer) if answer else "describes only") if is_new else None
    axes.plot(middle, row, "o", color=colour, markerfacecolor=colour if filled else "white",
              markersize=7, label=label, linestyle="none")  # fmt: skip
    for end, limit, mark in zip(part.apart, (-1, 1), ("<", ">"), strict=True):
        if limit * end / unit > FARTHEST:
            axes.plot(limit * FARTHEST, row, mark, color=colour, markersize=8, clip_on=False)
