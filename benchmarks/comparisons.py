"""Tables that compare implementations: on each environment, and over all of them."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from numpy.random import default_rng

from benchmarks.coverage import MOST_SIMULATED, bootstrap_coverage, improvement_coverage
from benchmarks.experiments import DECLARED_FIRST, MARGINS, METRIC, PUBLISHED_METRIC
from benchmarks.markup import Bounds, Table, tabulate
from benchmarks.results import (
    Results,
    final_values,
    groups,
    steps_reached,
    steps_text,
    unequal_steps,
)
from benchmarks.statistics import (
    MIN_RUNS,
    Interval,
    Values,
    interquartile_mean,
    probability_of_improvement,
    stratified_bootstrap,
)
from benchmarks.verdict import decide
from sb3_training.config import margin_of

SCORE = (
    "A score of 1 is the optimum V*, where it is known, else the best run's return; 0 is the mean"
    " return before training"
)
RULE = (
    "Equivalent: the 90% Welch interval lies within the margin. Different: the 95% Welch interval"
    " excludes zero. Both: different but negligible. Neither: undecided, with the seeds of each"
    " that would show equivalence with 80% power if there were no difference"
)


def metric(results: Results) -> str:
    """What the runs are compared by: as declared, else as they were evaluated."""
    if results.experiment:
        return str(results.experiment["declaration"]["metric"])
    configs = (settings["config"] for settings in results.settings.values())
    published = any(config.get("evaluation") == "published" for config in configs)
    return PUBLISHED_METRIC if published else METRIC


def opponents(results: Results) -> list[str]:
    """What others are compared with: the declared implementation, all where none is declared."""
    if results.experiment:
        return [results.experiment["declaration"]["against"]]
    return sorted({label for _, label in groups(results)})


def comparisons(results: Results) -> list[tuple[str, str, str]]:
    """(env_id, first, second) of each comparison.

    Where an opponent was declared, it is the second of all, even if it has no runs yet; and who
    has none because all failed is compared too.
    """
    tried = sorted({*groups(results), *results.failures})
    if results.experiment:
        (opponent,) = opponents(results)
        return [(env_id, label, opponent) for env_id, label in tried if label != opponent]
    pairs = combinations(tried, 2)
    return [(env_id, a, b) for (env_id, a), (other, b) in pairs if env_id == other]


def verdicts(results: Results) -> Table | None:
    """What the runs show of each comparison; None where there is nothing to compare."""
    declaration = results.experiment["declaration"] if results.experiment else {}
    margins, seeds = declaration.get("margins", MARGINS), declaration.get("seeds")
    finals = results.finals if seeds is None else results.finals.query("seed in @seeds")
    declared, of_all = results._replace(finals=finals), f" of {len(seeds)}" if seeds else ""
    entries, complete = [], 0
    for env_id, first, second in comparisons(results):
        samples = [final_values(declared, env_id, label) for label in (first, second)]
        margin = margin_of(margins, env_id)
        fewest = min(map(len, samples))
        provisional = seeds is not None and fewest < len(seeds)
        complete += not provisional
        entry: dict[str, Any] = {
            "environment": env_id,
            "comparison": f"{first} - {second}",
            "seeds": ", ".join(f"{len(sample)}{of_all}" for sample in samples),
            **dict.fromkeys(("difference", "90% interval", "95% interval"), None),
            "margin": margin,
            "verdict": "none: needs three seeds of each",
            "seeds for 80% power": None,
        }
        failed = [
            f"{results.failures[env_id, label]} of {label} failed or diverged"
            for label in (first, second)
            if (env_id, label) in results.failures
        ]
        if failed:
            entry["verdict"] = f"none: {' and '.join(failed)}"
        elif fewest >= MIN_RUNS:
            verdict = decide(samples[0], samples[1], margin)
            entry |= {
                "difference": verdict.difference,
                "90% interval": Bounds(verdict.low_90, verdict.high_90),
                "95% interval": Bounds(verdict.low_95, verdict.high_95),
                "verdict": "provisional: " * provisional + verdict.outcome,
                "seeds for 80% power": verdict.seeds_needed,
            }
            if len(steps_reached(results, env_id, first, second)) > 1:
                texts = [steps_text(results, env_id, label) for label in (first, second)]
                entry["verdict"] += f" (at different steps: {' against '.join(texts)})"
        entries.append(entry)
    if not entries:
        return None
    origin = "There is no experiment.json: the margins were not declared before the runs."
    if results.experiment:
        when = "before the" if results.experiment.get(DECLARED_FIRST, True) else "after some of the"
        origin = (
            f"Metric, margins, seeds and opponent were declared {when} runs (sha256"
            f" {results.experiment['sha256']}). All {len(seeds or [])} declared seeds are complete"
            f" in {complete} of {len(entries)} comparisons; on fewer, a verdict is provisional."
            " Further seeds are left out."
        )
    caption = (
        f"Difference of means over seeds. Compared by: {metric(results)}. {RULE}."
        f" Comparisons made: {len(entries)}, with no correction for their number. {origin}"
    )
    return tabulate("verdicts", "Verdicts", caption, entries)


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
