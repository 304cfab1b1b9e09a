"""Scores over all environments, steps to thresholds, and scores beside the TD3 paper's Table 1."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.random import default_rng

from benchmarks.analysis.comparisons import against_labels
from benchmarks.analysis.load import Results, curve_matrix, final_values, groups, unequal_steps
from benchmarks.analysis.statistics import (
    MIN_RUNS,
    Interval,
    MeanAndStd,
    Values,
    interquartile_mean,
    probability_of_improvement,
    steps_to_threshold,
    stratified_bootstrap,
)
from benchmarks.report.wording import captioned, words
from benchmarks.table import Table
from training.config import ConfigError, env_name

THRESHOLDS = (0.5, 0.9)
# Runs on one environment -> how often, in simulations with normal scores, the intervals of an IQM
# and of chances of 0.5 and 0.9 cover the truth; tests/helpers/coverage.py simulates it.
COVERAGE = {3: (0.74, 0.82, 0.45), 5: (0.90, 0.91, 0.68), 10: (0.94, 0.94, 0.86),
            20: (0.94, 0.94, 0.91)}  # fmt: skip
# Fujimoto, van Hoof and Meger (2018), "Addressing function approximation error in actor-critic
# methods", Table 1, column TD3: maximum over time of the mean return over seeds, and the standard
# deviation (ddof=0) over seeds at that point.
TABLE_1 = {
    "HalfCheetah": MeanAndStd(9636.95, 859.065),
    "Hopper": MeanAndStd(3564.07, 114.74),
    "Walker2d": MeanAndStd(4682.82, 539.64),
    "Ant": MeanAndStd(4372.44, 1000.33),
    "Reacher": MeanAndStd(-3.60, 0.56),
    "InvertedPendulum": MeanAndStd(1000.00, 0.00),
    "InvertedDoublePendulum": MeanAndStd(9337.47, 14.96),
}


class Standing(NamedTuple):
    """An implementation's scores over all environments.

    :param seeds: number of runs on each environment
    :param above: chance that a run scores above one of another implementation, by its label
    """

    label: str
    seeds: tuple[int, ...]
    iqm: Interval
    above: dict[str, Interval]


def common_environments(results: Results) -> list[str]:
    """Environments on which every implementation has a score."""
    labels = {label for _, label in groups(results)}
    return [
        str(env_id)
        for env_id, rows in results.finals.groupby("env_id")
        if rows["score"].notna().all() and rows["label"].nunique() == len(labels)
    ]


def standings(results: Results) -> list[Standing]:
    """Scores over the common environments, of each implementation; empty without any."""
    env_ids = common_environments(results)
    if not env_ids:
        return []
    labels = sorted({label for _, label in groups(results)})
    scores = {
        label: [final_values(results, env_id, label, "score") for env_id in env_ids]
        for label in labels
    }
    others = [label for label in against_labels(results) if label in labels]
    return [
        Standing(
            label,
            tuple(map(len, samples)),
            stratified_bootstrap(samples, interquartile_mean, default_rng(0)),
            {other: _above(samples, scores[other]) for other in others if other != label},
        )
        for label, samples in scores.items()
    ]


def _above(first: Sequence[Values], second: Sequence[Values]) -> Interval:
    def statistic(*samples: Values) -> Values:
        return probability_of_improvement(samples[: len(first)], samples[len(first) :])

    return stratified_bootstrap([*first, *second], statistic, default_rng(0))


def aggregate(results: Results, found: Sequence[Standing] | None = None) -> Table | None:
    """The table of scores over environments; None without any.

    :param found: by default the standings of the results
    """
    found = standings(results) if found is None else found
    if not found:
        return None
    others = list(dict.fromkeys(other for each in found for other in each.above))
    entries = [
        {"implementation": each.label, "seeds": ", ".join(map(str, each.seeds)), "IQM": each.iqm}
        | {f"above {other}": each.above.get(other) for other in others}
        for each in found
    ]
    decimals = {"IQM": 3} | {f"above {other}": 2 for other in others}
    more = _coverage(found) + unequal_steps(results)
    env_ids = ", ".join(common_environments(results))
    return captioned("aggregate", entries, decimals, more=more, env_ids=env_ids)


def _coverage(found: Sequence[Standing]) -> str:
    """How often such intervals cover the truth, as simulated for so many runs or fewer.

    Of the simulated numbers of runs, it takes the largest that is not above the smallest one here.
    """
    fewest = min(number for each in found for number in each.seeds)
    if fewest < MIN_RUNS:
        return ""
    n = max(number for number in COVERAGE if number <= fewest)
    iqm, even, high = COVERAGE[n]
    return words("aggregate", "coverage", n=n, iqm=iqm, even=even, high=high)


def thresholds(results: Results) -> Table | None:
    """Environment steps until a score is first reached."""
    entries = []
    for env_id, label in groups(results):
        _, curves = curve_matrix(results, env_id, label, "score")
        _, timesteps = curve_matrix(results, env_id, label, "timestep")
        if np.isnan(curves).any():
            continue
        entry: dict[str, Any] = {"environment": env_id, "implementation": label}
        entry["seeds"] = len(curves)
        for threshold in THRESHOLDS:
            steps = steps_to_threshold(curves, timesteps, threshold)
            reached = np.isfinite(steps)
            median = float(np.median(np.where(reached, steps, np.inf)))
            entry |= {f"steps to {threshold}": median, f"runs at {threshold}": int(reached.sum())}
        entries.append(entry)
    decimals = {f"steps to {threshold}": 0 for threshold in THRESHOLDS}
    return captioned("thresholds", entries, decimals) if entries else None


def paper_table(results: Results) -> Table:
    """The paper's score of each environment, with ours computed in the same way.

    :raises ConfigError: if none of the paper's environments is among the results
    """
    ours = [pair for pair in groups(results) if _name(pair[0]) in TABLE_1]
    if not ours:
        raise ConfigError(f"no complete run on an environment of the paper: {', '.join(TABLE_1)}")
    entries = []
    for name, published in TABLE_1.items():
        for env_id in sorted({env_id for env_id, _ in ours if _name(env_id) == name}) or [name]:
            entry: dict[str, object] = {"environment": env_id, "TD3 paper": published}
            for label in sorted({label for _, label in ours}):
                entry |= {label: None, f"seeds of {label}": None}
                if (env_id, label) in ours:
                    _, curves = curve_matrix(results, env_id, label)
                    best = curves[:, curves.mean(axis=0).argmax()]
                    entry[label] = MeanAndStd(float(best.mean()), float(best.std()))
                    entry[f"seeds of {label}"] = len(best)
            entries.append(entry)
    configs = [results.settings[pair]["config"] for pair in ours if pair in results.settings]
    presets = sorted({
        f"{pair[1]}: {results.settings[pair]['config'].get('preset') or 'released'}"
        for pair in ours if pair in results.settings
    })  # fmt: skip
    protocols = sorted(set(map(_protocol, configs)))
    return captioned("paper", entries, dict.fromkeys(entries[0], 2), protocols="; ".join(protocols),
                     presets=", ".join(presets))  # fmt: skip


def _name(env_id: str) -> str:
    """An environment's name without module and version."""
    return env_name(env_id).rpartition("-v")[0]


def _protocol(config: dict[str, Any]) -> str:
    """How long a run was, and how it was evaluated."""
    starts = {"fixed": "the same starts for every run", "published": "the paper's protocol"}
    return (
        f"{config['total_timesteps']:,} steps, {config['n_eval_episodes']} episodes every"
        f" {config['eval_freq']:,} steps, {starts[config.get('evaluation', 'fixed')]}"
    )
