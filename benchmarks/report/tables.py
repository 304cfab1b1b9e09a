"""Results -> tables that a paper could print."""

import json
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np

from benchmarks.analysis import statistics
from benchmarks.analysis.comparisons import Comparison, compare_all
from benchmarks.analysis.load import (
    KEYS,
    Results,
    curve_matrix,
    final_values,
    groups,
    unequal_steps,
)
from benchmarks.analysis.statistics import MIN_RUNS, over_runs, student_interval, welch_interval
from benchmarks.experiments import FINAL, LATE, METRICS
from benchmarks.optimum import values as optimal_returns
from benchmarks.optimum.tasks import FIRST_SEED
from benchmarks.report.scores import Standing, aggregate, paper_table, thresholds
from benchmarks.report.verdicts import describe, variant_verdict_table, verdict_table
from benchmarks.report.wording import captioned, words
from benchmarks.table import Bounds, Table

# Columns of finals that are not an environment's own measures.
STANDARD = {*KEYS, "mean_return", "n_episodes", "mean_regret", "success_rate", "score",
            "late_points", *METRICS, *(f"{name}_regret" for name in METRICS)}  # fmt: skip
HEADINGS = {  # column of finals -> heading, decimals
    "mean_regret": ("regret", 1),
    "success_rate": ("success rate", 2),
    "steady_state_error": ("steady-state error in m", 4),
    "jitter": ("jitter in m/s²", 3),
}
PRINTED_STEPS = 11  # of the learning curves on an environment
NOT_SETTINGS = ("label", "env_id", "seed", "hyperparams")  # overrides show in hyperparameters


def all_tables(
    results: Results,
    paper: bool = False,
    comparisons: Sequence[Comparison] | None = None,
    found: Sequence[Standing] | None = None,
) -> list[Table]:
    """The tables that these results allow, in the order of a report.

    :param paper: also Table 1 of the TD3 paper beside ours
    :param comparisons: by default those of the results
    :param found: the standings, by default those of the results
    :raises ConfigError: if none of the paper's environments is among the results
    """
    own = results.own
    makers: list[Callable[[Results], Table | None]] = [summary, learning_curves]
    makers += [lambda _: aggregate(own, found), lambda _: gaps(own), thresholds]
    makers += [lambda _: hyperparameters(own), timings, *([paper_table] if paper else [])]
    compared = compare_all(results) if comparisons is None else comparisons
    made = [verdict_table(results, compared), variant_verdict_table(results, compared)]
    made += [make(results) for make in makers]
    return [table for table in made if table is not None]


def _rows(results: Results) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(env_id, label, the beginning of a row) of each implementation and environment."""
    for env_id, label in groups(results):
        seeds = len(final_values(results, env_id, label))
        yield env_id, label, {"environment": env_id, "implementation": label, "seeds": seeds}


def summary(results: Results) -> Table:
    """Every score of each implementation and environment."""
    measures = [name for name in map(str, results.finals)
                if name in HEADINGS or name not in STANDARD]  # fmt: skip
    measures.sort(key=lambda name: [*HEADINGS, name].index(name))
    measures = [name for name in measures if results.finals[name].notna().any()]
    entries: list[dict[str, Any]] = []
    bold, partial = [], []
    for env_id, label, entry in _rows(results):
        if _is_among_best(results, env_id, label):
            bold.append((len(entries), "return"))
        if results.finals["late_points"].any():
            has_late = final_values(results, env_id, label, "late_points").all()
            late = over_runs(final_values(results, env_id, label, LATE))
            entry["late return"] = late if has_late else None
        if results.failures:
            entry["failed"] = results.failures.get((env_id, label), 0)
        entry |= _of_final_policies(results, env_id, label, measures)
        entries.append(entry | _of_curves(results, env_id, label))
        for name in measures:
            known = np.isfinite(final_values(results, env_id, label, name))
            if known.any() and not known.all():
                partial.append(f"{_heading(name)} of {label} on {env_id}: {known.sum()} of"
                               f" {len(known)} runs")  # fmt: skip
    entries += [
        {"environment": env_id, "implementation": label, "seeds": 0, "failed": failed}
        for (env_id, label), failed in sorted(results.failures.items())
        if (env_id, label) not in groups(results)
    ]
    fewest = min(entry["seeds"] for entry in entries[: len(groups(results))])
    decimals = {_heading(name): HEADINGS[name][1] for name in measures if name in HEADINGS}
    more = _more_notes(results, fewest, partial)
    final = describe(results, FINAL)
    return captioned("summary", entries, decimals, bold, more, final=final)


def _heading(name: str) -> str:
    """Heading of a column of finals in the summary."""
    return HEADINGS[name][0] if name in HEADINGS else name.replace("_", " ")


def _of_final_policies(
    results: Results, env_id: str, label: str, measures: Sequence[str]
) -> dict[str, Any]:
    """What the final policies scored on the held-out starts."""
    finals = final_values(results, env_id, label)
    entry: dict[str, Any] = {
        "return": over_runs(finals),
        "95% interval": Bounds(*student_interval(finals)[1:]),
        "IQM": float(statistics.interquartile_mean(finals)),
    }
    for name in measures:
        values = final_values(results, env_id, label, name)
        known = values[np.isfinite(values)]
        entry[_heading(name)] = over_runs(known) if len(known) else None
    return entry


def _of_curves(results: Results, env_id: str, label: str) -> dict[str, Any]:
    """Scores of the learning curves."""
    _, curves = curve_matrix(results, env_id, label)
    _, timesteps = curve_matrix(results, env_id, label, "timestep")
    return {
        "final": over_runs(statistics.final(curves)),
        "last-10": over_runs(statistics.last_10(curves)),
        "max of mean": statistics.max_of_mean(curves),
        "mean of max": over_runs(statistics.maximum(curves)),
        "AUC": over_runs(statistics.area_under_curve(curves, timesteps)),
    }


def _more_notes(results: Results, fewest: int, partial: Sequence[str]) -> str:
    """What the summary's notes add for these results.

    :param fewest: smallest number of seeds of an implementation on an environment
    :param partial: measures that not all runs have
    """
    late = describe(results, LATE)[1:]
    notes = f" L{late}." if results.finals["late_points"].any() else ""
    notes += unequal_steps(results)
    notes += words("summary", "few") if fewest < MIN_RUNS else ""
    notes += words("summary", "failures") if results.failures else ""
    return notes + (words("summary", "partial", partial="; ".join(partial)) if partial else "")


def _is_among_best(results: Results, env_id: str, label: str) -> bool:
    """Whether an implementation's mean return is the best, or not significantly below the best."""
    labels = [name for env, name in groups(results.own)
              if env == env_id and (env, name) not in results.failures]  # fmt: skip
    if label not in labels:
        return False
    returns = {name: final_values(results, env_id, name) for name in labels}
    best = max(labels, key=lambda name: returns[name].mean())
    if label == best or min(len(returns[label]), len(returns[best])) < MIN_RUNS:
        return label == best
    _, low, high = welch_interval(returns[best], returns[label])
    return low <= 0.0 <= high


def learning_curves(results: Results) -> Table:
    """Mean and standard deviation over seeds at each evaluation; not all of them are printed."""
    labels = dict.fromkeys(sorted({label for _, label in groups(results)}))
    points: dict[tuple[str, int], dict[str, Any]] = {}
    for env_id, label in groups(results):
        timesteps, curves = curve_matrix(results, env_id, label)
        for step, values in zip(timesteps.tolist(), curves.T, strict=True):
            start = {"environment": env_id, "step": step, **labels}
            points.setdefault((env_id, step), start)[label] = over_runs(values)
    printed: list[int] = []
    order = sorted(points)
    for env_id in dict(order):
        rows = [i for i, point in enumerate(order) if point[0] == env_id]
        ends = {max(i for i in rows if points[order[i]][label]) for label in labels
                if any(points[order[i]][label] for i in rows)}  # fmt: skip
        printed += sorted({*rows[:: ceil(len(rows) / PRINTED_STEPS)], *ends})
    seeds = sorted({str(entry["seeds"]) for _, _, entry in _rows(results)})
    episodes = map(str, sorted(set(results.own.curves["n_episodes"])))
    table = captioned("learning_curves", [points[key] for key in order], seeds="/".join(seeds),
                      episodes="/".join(episodes), printed=PRINTED_STEPS)  # fmt: skip
    return table._replace(rows=[table.rows[i] for i in printed])


def gaps(results: Results) -> Table | None:
    """A regret's two parts: what the discount costs, and what was not learned."""
    entries = []
    for env_id, label, entry in _rows(results):
        gamma = results.settings[env_id, label]["hyperparameters"].get("gamma")
        regrets = final_values(results, env_id, label, "mean_regret")
        if gamma is None or np.isnan(regrets).any():
            continue
        n = int(results.finals["n_episodes"].iloc[0])
        best = optimal_returns.mean_return(env_id, FIRST_SEED, n)
        gap = best - optimal_returns.mean_return(env_id, FIRST_SEED, n, gamma)
        parts = {"regret": over_runs(regrets), "objective gap": gap}
        entries.append(
            {**entry, "gamma": str(gamma), **parts, "learning gap": over_runs(regrets - gap)}
        )
    return captioned("gaps", entries) if entries else None


def hyperparameters(results: Results) -> Table:
    """Every setting of each implementation, as resolved."""
    labels = sorted({label for _, label in groups(results)})
    found: dict[str, dict[str, dict[str, str]]] = {}  # name -> env_id -> label -> value
    for (env_id, label), settings in sorted(results.settings.items()):
        config = {k: v for k, v in settings["config"].items() if k not in NOT_SETTINGS}
        for name, value in {**config, **settings["hyperparameters"]}.items():
            text = value if isinstance(value, str) else json.dumps(value)
            found.setdefault(name, {}).setdefault(env_id, {})[label] = text
    entries: list[dict[str, Any]] = []
    bold = []
    for name, by_env in sorted(found.items()):
        if any(len(set(values.values())) > 1 for values in by_env.values()):
            bold += [(len(entries), heading) for heading in ("setting", *labels)]
        entries.append({"setting": name} | {label: _values(by_env, label) for label in labels})
    return captioned("hyperparameters", entries, bold=bold)


def _values(by_env: dict[str, dict[str, str]], label: str) -> str | None:
    """An implementation's value of a setting; if it differs, each with its environments."""
    env_ids: dict[str, list[str]] = {}  # value -> where
    for env_id, values in by_env.items():
        if label in values:
            env_ids.setdefault(values[label], []).append(env_id)
    if len(env_ids) < 2:
        return next(iter(env_ids), None) or None
    return "; ".join(f"{text} ({', '.join(where)})" for text, where in env_ids.items())


def timings(results: Results) -> Table:
    """How long the runs took: the only table that changes if runs are repeated."""
    entries = []
    for (env_id, label), runs in results.timings.groupby(["env_id", "label"]):
        entries.append(
            {
                **{"environment": env_id, "implementation": label, "seeds": len(runs)},
                "seconds": over_runs(runs["seconds"].to_numpy()),
                "steps/s": over_runs(runs["steps_per_second"].to_numpy()),
                "continued": int((runs["continued_from_step"] > 0).sum()),
            }
        )
    return captioned("timings", entries, {"seconds": 0, "steps/s": 0})
