"""A folder of runs -> a folder of tables and figures."""

from pathlib import Path

import pandas as pd

from benchmarks import tables
from benchmarks.plots import plot_learning_curves
from benchmarks.results import load_results


def write_report(root: Path, output: Path) -> str:
    """Write tables (CSV, Markdown) and figures (PNG), and return the tables as text.

    :param root: folder that holds the run directories
    :param output: folder for the report, made if need be
    :raises FileNotFoundError: if there is no complete run
    """
    results = load_results(root)
    output.mkdir(parents=True, exist_ok=True)
    curves = tables.learning_curve_table(results)
    summary = tables.summary_table(results)
    flat = curves.copy()
    flat.columns = [" ".join(names) for names in curves.columns]
    flat.to_csv(output / "learning_curves.csv")
    summary.to_csv(output / "summary.csv", index=False)
    texts = {
        "learning_curves.md": "Mean return ± standard deviation over seeds at each evaluation.\n\n"
        + tables.learning_curve_markdown(curves),
        "summary.md": _summary_text(summary, results.unfinished),
    }
    for name, text in texts.items():
        (output / name).write_text(text, encoding="utf-8")
    plot_learning_curves(results, output)
    return "\n".join(texts.values())


def _summary_text(summary: pd.DataFrame, unfinished: list[str]) -> str:
    text = (
        "Mean ± standard deviation over seeds of each score of a run. 'max of mean' and"
        " 'mean of max'\nare biased upwards; '100 further starts' scores the final policy on"
        " start states that no\ncheckpoint was scored on.\n\n" + tables.summary_markdown(summary)
    )
    if unfinished:
        text += f"\nLeft out, being incomplete: {', '.join(unfinished)}\n"
    return text
