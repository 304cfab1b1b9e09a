"""A folder of runs -> a folder of tables and figures."""

import shutil
from pathlib import Path

import pandas as pd

from benchmarks import tables
from benchmarks.plots import plot_learning_curves
from benchmarks.results import load_results

FIDELITY_PAGE = "fidelity.md"  # beside the reports, where python -m benchmarks fidelity leaves it


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
    comparison = tables.comparison_table(results)
    comparison.to_csv(output / "comparison.csv", index=False)
    texts = {
        "learning_curves.md": "Mean return ± standard deviation over seeds at each evaluation.\n\n"
        + tables.learning_curve_markdown(curves),
        "summary.md": _summary_text(summary, results.unfinished),
        "comparison.md": _comparison_text(comparison),
    }
    for name, text in texts.items():
        (output / name).write_text(text, encoding="utf-8")
    plot_learning_curves(results, output)
    fidelity_page = output.parent / FIDELITY_PAGE
    if fidelity_page.exists():
        shutil.copy(fidelity_page, output / FIDELITY_PAGE)
    return "\n".join(texts.values())


def _comparison_text(comparison: pd.DataFrame) -> str:
    if comparison.empty:
        return "No comparison: it needs at least three seeds of two implementations.\n"
    return (
        "Difference of the mean returns on the 100 further starts, with Welch's interval over"
        " seeds.\nAn interval that holds zero does not show that there is no difference.\n\n"
        + tables.comparison_markdown(comparison)
    )


def _summary_text(summary: pd.DataFrame, unfinished: list[str]) -> str:
    text = (
        "Mean ± standard deviation over seeds of each score of a run. 'max of mean' and"
        " 'mean of max'\nare biased upwards; '100 further starts' scores the final policy on"
        " start states that no\ncheckpoint was scored on.\n\n" + tables.summary_markdown(summary)
    )
    if unfinished:
        text += f"\nLeft out, being incomplete: {', '.join(unfinished)}\n"
    return text
