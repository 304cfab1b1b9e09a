"""Figures of a comparison: its learning curves, and all its differences at one glance."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np

from benchmarks.analysis.sides import Side
from benchmarks.analysis.statistics import Values, student_interval
from benchmarks.plot_style import (
    COLOURS,
    MIN_BAND,
    SETTINGS,
    SIZE,
    STYLES,
    Picture,
    about_band,
    finish,
)
from training.config import env_stem


def draw_curves(sides: Sequence[Side], grid: Values, name: str) -> Picture:
    """Mean over runs with its interval, at the common steps, for each side."""
    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
        for i, side in enumerate(sides):
            runs = side.on(grid)
            mean, low, high = np.array([student_interval(point) for point in runs.T]).T
            colour = COLOURS[i % len(COLOURS)]
            if len(runs) < MIN_BAND:
                axes.plot(grid, runs.T, color=colour, linewidth=0.6, alpha=0.7)
            else:
                axes.fill_between(grid, low, high, color=colour, alpha=0.2, linewidth=0)
            label = f"{side.name} (n = {len(runs)})"
            axes.plot(grid, mean, color=colour, linestyle=STYLES[i % len(STYLES)], label=label)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
        axes.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
        axes.set_xlabel("environment steps")
        axes.set_ylabel("return")
        caption = f"Mean {about_band(half_std=False)}."
        title = f"Learning curves: {name}"
        return finish(figure, f"learning_curves_{env_stem(name)}", title, caption)


def draw_forest(entries: Sequence[Mapping[str, Any]]) -> Picture:
    """A row for each comparison, its intervals as multiples of half the width of Yuen's."""
    rows = [entry for entry in entries if "95% (Welch)" in entry]
    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots(figsize=(8.6, 1.2 + 0.45 * len(rows)), layout="constrained")
        for i, entry in enumerate(rows):
            welch, yuen = entry["95% (Welch)"], entry["95% (Yuen)"]
            unit = (yuen.high - yuen.low) / 2.0 or max(abs(yuen.high), 1.0)
            for ends, place, colour, label in (
                (yuen, i - 0.12, COLOURS[0], "trimmed means (Yuen), which decide"),
                (welch, i + 0.12, COLOURS[1], "means (Welch)"),
            ):
                axes.plot(np.array(ends) / unit, [place, place], color=colour, linewidth=2)
                axes.plot(sum(ends) / 2.0 / unit, place, "o", color=colour, linestyle="none",
                          label=label if i == 0 else None)  # fmt: skip
            text = f"{entry['trimmed difference']:+,.4g} [{yuen.low:,.4g}, {yuen.high:,.4g}]"
            axes.text(1.01, i, text, transform=axes.get_yaxis_transform(), va="center",
                      fontsize="small")  # fmt: skip
            if entry.get("margin"):
                margin = entry["margin"] / unit
                axes.fill_between([-margin, margin], i - 0.4, i + 0.4, color="0.9", linewidth=0,
                                  zorder=0)  # fmt: skip
        axes.axvline(0.0, color="black", linewidth=0.8)
        names = [_name(entry) for entry in rows]
        axes.set_yticks(range(len(rows)), names, fontsize="small")
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(False, axis="y")
        axes.set_xlabel("difference, in half-widths of Yuen's 95% interval")
        caption = (
            "Differences, first minus second, with 95% intervals; grey: the margin. Each row has a"
            " unit of its own; the numbers on the right are in returns, of trimmed means, with"
            " Yuen's interval."
        )
        return finish(figure, "forest", "All differences", caption)


def _name(entry: Mapping[str, Any]) -> str:
    starts = " (starts allowed for)" if entry["start states"] == "allowed for" else ""
    return f"{entry['environment']}{starts}\n{entry['comparison']}"
