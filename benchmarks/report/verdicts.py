"""Comparisons -> the tables of verdicts, and the forest plot: all parts at one glance."""

from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from benchmarks.analysis.comparisons import Comparison
from benchmarks.analysis.load import Results
from benchmarks.analysis.statistics import Interval
from benchmarks.analysis.verdict import Answer, Verdict, VerdictPart
from benchmarks.experiments import DECLARED_FIRST, FINAL, LATE, METRICS, START_TEXTS
from benchmarks.fidelity.causes import CAUSES, update_deviation, variant_difference
from benchmarks.plot_style import COLOURS, FIGURE_STYLE, FONT_SIZE, SETTINGS, Picture, finish
from benchmarks.report.wording import (
    at_steps,
    by,
    caption,
    captioned,
    confidence,
    factor_of,
    interval_of,
    outcome,
    parts_of,
    seeds_text,
    words,
)
from benchmarks.table import Bounds, Table
from training.config import REFERENCE

# Reach of the axis, in margins: at least the first; whole intervals extend it up to the second.
NEAREST, FARTHEST = 2.5, 12.0
SHOWN = ("rocket_like", "pendulum_like", "saturated")  # cases: each difference shows in one
MARKS = {  # of an answer: colour, and whether the mark is filled
    Answer.EQUIVALENT: (COLOURS[0], True),
    Answer.NEGLIGIBLE: (COLOURS[2], True),
    Answer.DIFFERENT: (COLOURS[1], True),
    Answer.UNDECIDED: ("0.4", False),
}


def verdict_table(results: Results, comparisons: Sequence[Comparison]) -> Table | None:
    """A row for each comparison and part; None where there is nothing to compare."""
    if not comparisons:
        return None
    entries = [entry for each in comparisons for entry in _entries(each)]
    metrics = list(dict.fromkeys(each.metric for each in comparisons))
    if len(metrics) == 1:
        for entry in entries:
            del entry["metric"]
    compared = "; ".join(describe(results, metric) for metric in metrics)
    return captioned("verdicts", entries, more=_declared(results, comparisons), metrics=compared,
                     number=len(comparisons))  # fmt: skip


def _entries(each: Comparison) -> Iterator[dict[str, Any]]:
    of_all = f" of {each.seeds}" if each.seeds else ""
    num_runs = each.verdict.num_runs if each.verdict else each.num_runs
    start: dict[str, Any] = {
        "environment": each.env_id,
        "comparison": f"{each.first} - {each.second}",
        "metric": each.metric.replace("_", " "),
        "seeds": ", ".join(f"{number}{of_all}" for number in num_runs),
        "verdict": outcome(each),
    }
    if each.verdict is None:
        yield {**start, "part": None, "first": None, "second": None, "difference": None}
        return
    for name, part in parts_of(each.verdict):
        factor = factor_of(part)
        level = each.verdict.level
        decides = name != "mean" and each.is_conclusive
        needed = part.seeds_needed if decides else None
        yield {
            **start,
            "part": name + ", %" * (name == "failures"),
            "first": factor * part.estimates[0],
            "second": factor * part.estimates[1],
            "difference": factor * part.difference,
            f"{confidence(1 - 2 * level)} interval": Bounds(*(factor * x for x in part.within)),
            f"{confidence(1 - level)} interval": Bounds(*(factor * x for x in part.apart)),
            "margin": None if part.margin is None else factor * part.margin,
            "answer": str(part.answer) if decides else None,
            "seeds needed": None if needed is None else seeds_text(needed),
        }


def _declared(results: Results, comparisons: Sequence[Comparison]) -> str:
    """What was declared before the runs."""
    limits = sorted({f"{each.failure_regret:g} on {each.env_id}" for each in comparisons
                     if each.failure_regret is not None})  # fmt: skip
    failed = words("verdicts", "failed", limits=", ".join(limits)) if limits else ""
    if not results.experiment:
        return failed + words("verdicts", "undeclared")
    when = "before the" if results.experiment.get(DECLARED_FIRST, True) else "after some of the"
    complete = sum(not each.is_provisional for each in comparisons)
    return failed + words("verdicts", "declared", when=when, complete=complete,
                          sha256=results.experiment["sha256"], number=len(comparisons))  # fmt: skip


def describe(results: Results, metric: str) -> str:
    """A metric in words."""
    configs = (settings["config"] for settings in results.settings.values())
    protocols = {config.get("evaluation", "fixed") for config in configs}
    if metric == LATE and (results.finals["late_points"] == 0).all():
        metric = FINAL
    starts = START_TEXTS["fixed" if "fixed" in protocols else "published"]
    return METRICS.get(metric, metric.replace("_", " ")).format(starts=starts)


def forest_plot(comparisons: Sequence[Comparison]) -> Picture | None:
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
        line = (FIGURE_STYLE.get().font_size or FONT_SIZE) / FONT_SIZE
        size = 8.6, line * (1.1 + 0.36 * len(rows))
        figure, axes = plt.subplots(figsize=size, layout="constrained")
        shown: set[Answer | None] = set()
        reach = axis_reach([part for _, _, _, part in rows])
        for i, (each, _, name, part) in enumerate(rows):
            answer = None if name == "mean" or not each.is_conclusive else part.answer
            _draw_row(axes, i, part, answer, answer not in shown, reach)
            shown.add(answer)
            numbers = interval_of(part, part.apart, " points")
            axes.text(1.02, i, numbers, transform=axes.get_yaxis_transform(), va="center",
                      fontsize="small")  # fmt: skip
        axes.text(1.02, 1.0, f"difference [{confidence(1 - rows[0][1].level)} interval]",
                  transform=axes.transAxes, va="bottom", fontsize="small")  # fmt: skip
        axes.axvline(0.0, color="black", linewidth=0.8)
        names = [_row_name(each, verdict, name) for each, verdict, name, _ in rows]
        axes.set_yticks(range(len(rows)), names, fontsize="small")
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(-reach, reach)
        axes.grid(False, axis="y")
        axes.set_xlabel("difference, first minus second, in margins")
        return finish(figure, "verdicts_forest", *_forest_caption(comparisons, rows[0][1]))


def _forest_caption(comparisons: Sequence[Comparison], verdict: Verdict) -> tuple[str, str, str]:
    within, apart = (confidence(1 - factor * verdict.level) for factor in (2, 1))
    title, short, notes = caption("forest", within=within, apart=apart)
    unequal = [f" {each.env_id}, {each.first} against {each.second}{at_steps(each)}."
               for each in comparisons if each.verdict and at_steps(each)]  # fmt: skip
    return title, short, notes + "".join(dict.fromkeys(unequal))


def _row_name(each: Comparison, verdict: Verdict, part: str) -> str:
    """A row's label: the comparison and the part in its first row, only the part in others."""
    if part == "failures" and verdict.failures:
        counts = zip(verdict.failures.counts, verdict.num_runs, strict=True)
        return f"failures, {' and '.join(f'{count} of {n}' for count, n in counts)}"
    if part != "typical run":
        return part
    seeds = "/".join(map(str, dict.fromkeys(verdict.num_runs)))
    return (
        f"{each.env_id}{by(each)} (n = {seeds})\n{each.first} \N{MINUS SIGN} {each.second}: {part}"
    )


def _unit(part: VerdictPart) -> float:
    """The unit that a row is drawn in: its margin or, without one, half its interval's reach."""
    return part.margin or max(map(abs, (*part.apart, part.difference))) / 2.0 or 1.0


def axis_reach(parts: Sequence[VerdictPart]) -> float:
    """Where the axis ends: it shows each difference, and whole intervals up to FARTHEST."""
    differences = max(abs(part.difference) / _unit(part) for part in parts)
    ends = max(abs(end) / _unit(part) for part in parts for end in part.apart)
    return max(NEAREST, 1.1 * differences, min(1.1 * ends, FARTHEST))


def _draw_row(
    axes: Axes, row: int, part: VerdictPart, answer: Answer | None, is_new: bool, reach: float
) -> None:
    unit = _unit(part)
    colour, filled = MARKS[answer] if answer else ("0.6", True)
    if part.margin is not None:
        axes.fill_between([-1, 1], row - 0.5, row + 0.5, color="0.9", linewidth=0, zorder=0)
    for ends, width in ((part.apart, 1.2), (part.within, 4.0)):
        drawn = np.clip(np.array(ends) / unit, -reach, reach)
        axes.plot(drawn, [row, row], color=colour, linewidth=width, solid_capstyle="butt")
    label = (str(answer) if answer else "describes only") if is_new else None
    axes.plot(part.difference / unit, row, "o", color=colour, markersize=7, linestyle="none",
              markerfacecolor=colour if filled else "white", label=label)  # fmt: skip
    for end, limit, mark in zip(part.apart, (-1, 1), ("<", ">"), strict=True):
        if limit * end / unit > reach:
            axes.plot(limit * reach, row, mark, color=colour, markersize=8, clip_on=False)


def variant_verdict_table(results: Results, comparisons: Sequence[Comparison]) -> Table | None:
    """A row for each variant that was compared with the reference; None where none was."""
    entries = []
    for each in comparisons:
        first, second = (_algo(results, each, label) for label in (each.first, each.second))
        difference = variant_difference(first)
        if difference is None or second != REFERENCE:
            continue
        entry: dict[str, Any] = {
            "environment": each.env_id,
            "variant": each.first,
            "what differs": CAUSES[difference],
            **{f"update, {case}": f"{update_deviation(difference, case):.0e}" for case in SHOWN},
        }
        entries.append({**entry, **_of_returns(each), "verdict": outcome(each)})
    return captioned("wild", entries) if entries else None


def _algo(results: Results, each: Comparison, label: str) -> str:
    """The algorithm of a side; empty if it has no complete run."""
    settings = results.settings.get((each.env_id, label))
    return str(settings["config"]["algo"]) if settings else ""


def _of_returns(each: Comparison) -> dict[str, Any]:
    """The two differences that a verdict rests on, with the intervals that may exclude zero."""
    parts = {"return": None, "failures, points": None}
    if each.verdict is None:
        return parts
    found = {"return": each.verdict.typical, "failures, points": each.verdict.failures}
    return {
        name: part and Interval(*(factor_of(part) * x for x in (part.difference, *part.apart)))
        for name, part in found.items()
    }
