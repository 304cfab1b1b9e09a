"""Comparisons -> the table of verdicts."""

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.analysis.comparisons import Comparison
from benchmarks.analysis.load import Results
from benchmarks.experiments import DECLARED_FIRST, FINAL, LATE, METRICS, STARTS
from benchmarks.report.wording import confidence, outcome, parts_of, seeds_text
from benchmarks.table import Bounds, Table, tabulate

RULE = (
    "Typical run: 20% trimmed means, Yuen's interval (means and Welch's below five runs). Failures:"
    " rates in percent, Newcombe's interval. Mean: Welch's interval; it decides nothing."
    " Equivalent: the narrower interval lies within the margin; different: the wider one excludes"
    " zero; both: different but negligible. Seeds needed: of each, to show equivalence with 80%"
    " power if there is no difference"
)


def verdict_table(results: Results, comparisons: Sequence[Comparison]) -> Table | None:
    """A row for each comparison and part; None where there is nothing to compare."""
    if not comparisons:
        return None
    entries = [entry for each in comparisons for entry in _entries(each)]
    metrics = list(dict.fromkeys(each.metric for each in comparisons))
    if len(metrics) == 1:
        for entry in entries:
            del entry["metric"]
    return tabulate("verdicts", "Verdicts", _caption(results, comparisons, metrics), entries)


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
        factor = 100.0 if name == "failures" else 1.0
        level = each.verdict.level
        yield {
            **start,
            "part": name + ", %" * (name == "failures"),
            "first": factor * part.estimates[0],
            "second": factor * part.estimates[1],
            "difference": factor * part.difference,
            f"{confidence(1 - 2 * level)} interval": Bounds(*(factor * x for x in part.within)),
            f"{confidence(1 - level)} interval": Bounds(*(factor * x for x in part.apart)),
            "margin": None if part.margin is None else factor * part.margin,
            "answer": str(part.answer) if name != "mean" and each.is_conclusive else None,
            "seeds needed": None
            if name == "mean" or part.seeds_needed is None or not each.is_conclusive
            else seeds_text(part.seeds_needed),
        }


def _caption(results: Results, comparisons: Sequence[Comparison], metrics: list[str]) -> str:
    origin = "There is no experiment.json: nothing was declared before the runs."
    if results.experiment:
        when = "before the" if results.experiment.get(DECLARED_FIRST, True) else "after some of the"
        complete = sum(not each.is_provisional for each in comparisons)
        origin = (
            f"Metrics, margins, thresholds, seeds, looks and opponent were declared {when} runs"
            f" (sha256 {results.experiment['sha256']}). The declared seeds, or as many as it took"
            f" to decide, are complete in {complete} of {len(comparisons)} comparisons; on fewer,"
            " a verdict is provisional. Further seeds are left out."
        )
    limits = sorted({f"{each.failure_regret:g} on {each.env_id}" for each in comparisons
                     if each.failure_regret is not None})  # fmt: skip
    failed = f" A run has failed if its regret is above {', '.join(limits)}." if limits else ""
    compared = "; ".join(describe(results, metric) for metric in metrics)
    return (
        f"First minus second. Compared by: {compared}. {RULE}.{failed}"
        f" Comparisons made: {len(comparisons)}, with no correction for their number. {origin}"
    )


def describe(results: Results, metric: str) -> str:
    """What a metric is."""
    configs = (settings["config"] for settings in results.settings.values())
    protocols = {config.get("evaluation", "fixed") for config in configs}
    if metric == LATE and (results.finals["late_points"] == 0).all():
        metric = FINAL
    return METRICS.get(metric, metric.replace("_", " ")).format(
        starts=STARTS["fixed" if "fixed" in protocols else "published"]
    )
