"""The table of scores over all environments."""

from collections.abc import Sequence
from typing import Any

from numpy.random import default_rng

from benchmarks.analysis.comparisons import opponents
from benchmarks.analysis.coverage import MOST_SIMULATED, bootstrap_coverage, improvement_coverage
from benchmarks.analysis.load import Results, final_values, groups, unequal_steps
from benchmarks.analysis.statistics import (
    MIN_RUNS,
    Interval,
    Values,
    interquartile_mean,
    probability_of_improvement,
    stratified_bootstrap,
)
from benchmarks.table import Table, tabulate

SCORE = (
    "A score of 1 is the optimum V*, where it is known, else the best run's return; 0 is the mean"
    " return before training"
)


def aggregate(results: Results) -> Table | None:
    """Scores over the environments on which every implementation has one; None without any."""
    labels = sorted({label for _, label in groups(results)})
    env_ids = [
        str(env_id)
        for env_id, rows in results.finals.groupby("env_id")
        if rows["score"].notna().all() and rows["label"].nunique() == len(labels)
    ]
    if not env_ids:
        return None
    scores = {
        label: [final_values(results, env_id, label, "score") for env_id in env_ids]
        for label in labels
    }
    others = [label for label in opponents(results) if label in labels and len(labels) > 1]
    entries = []
    for label, samples in scores.items():
        middle = stratified_bootstrap(samples, interquartile_mean, default_rng(0))
        seeds = ", ".join(str(len(values)) for values in samples)
        entry: dict[str, Any] = {"implementation": label, "seeds": seeds, "IQM": middle}
        for other in others:
            chance = None if other == label else _chance_to_be_above(samples, scores[other])
            entry[f"above {other}"] = chance
        entries.append(entry)
    shapes = {
        tuple(min(len(sample), MOST_SIMULATED) for sample in samples) for samples in scores.values()
    }
    covered = [
        f"; in simulated experiments with {', '.join(map(str, shape))} normally distributed runs"
        f" that of the IQM covers the truth in {bootstrap_coverage(shape, default_rng(0)):.0%},"
        f" that of a chance of 0.5 in {improvement_coverage(shape, 0.5, default_rng(0)):.0%} and"
        f" of 0.9 in {improvement_coverage(shape, 0.9, default_rng(0)):.0%}"
        for shape in sorted(shapes)
        if min(shape) >= MIN_RUNS
    ]
    caption = (
        f"Of the final policies on {', '.join(env_ids)}. {SCORE}. IQM: interquartile mean over all"
        " runs. Above: chance that a run scores above one of the other implementation, mean over"
        " environments. In brackets, from three seeds on: 95% percentile bootstrap interval, seeds"
        f" resampled within environments{''.join(covered)}.{unequal_steps(results)}"
    )
    decimals = {"IQM": 3} | {f"above {other}": 2 for other in others}
    return tabulate("aggregate", "Over environments", caption, entries, decimals)


def _chance_to_be_above(first: Sequence[Values], second: Sequence[Values]) -> Interval:
    def statistic(*samples: Values) -> Values:
        return probability_of_improvement(samples[: len(first)], samples[len(first) :])

    return stratified_bootstrap([*first, *second], statistic, default_rng(0))
