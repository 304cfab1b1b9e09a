"""Results -> tables that a paper could print."""

import json
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.analysis import statistics
from benchmarks.analysis.comparisons import Comparison, compare
from benchmarks.analysis.load import Results, curve_matrix, final_values, groups, unequal_steps
from benchmarks.analysis.statistics import MIN_RUNS, over_runs, student_interval, welch_interval
from benchmarks.experiments import FINAL, LATE
from benchmarks.latex import to_latex
from benchmarks.optimum import values as optimal_returns
from benchmarks.optimum.tasks import FIRST_SEED
from benchmarks.report.aggregate import SCORE, aggregate
from benchmarks.report.paper_results import paper_table
from benchmarks.report.verdict_table import describe, verdict_table
from benchmarks.table import Bounds, Table, markdown, tabulate, to_markdown

__all__ = [
    "Table", "all_tables", "curve_matrix", "groups", "markdown", "normalised_scores",
    "to_latex", "to_markdown",
]  # fmt: skip
MEASURES = {  # heading -> column of finals, decimals
    "regret": ("mean_regret", 1),
    "success rate": ("success_rate", 2),
    "steady-state error in m": ("steady_state_error", 4),
    "jitter in m/s²": ("jitter", 3),
}
THRESHOLDS = (0.5, 0.9)
PRINTED_STEPS = 11  # of the learning curves on an environment
NOT_SETTINGS = ("label", "env_id", "seed", "hyperparams")  # overrides show in hyperparameters


def all_tables(
    results: Results, paper: bool = False, comparisons: Sequence[Comparison] | None = None
) -> list[Table]:
    """The tables that these results allow, in the order of a report.

    :param paper: also Table 1 of the TD3 paper beside ours
    :param comparisons: by default those of the results
    :raises ConfigError: if none of the paper's environments is among the results
    """
    own = results.own
    makers: list[Callable[[Results], Table | None]]
    makers = [summary, learning_curves, lambda _: aggregate(own), lambda _: gaps(own), thresholds]
    makers += [lambda _: hyperparameters(own), timings, *([paper_table] if paper else [])]
    verdicts = verdict_table(results, compare(results) if comparisons is None else comparisons)
    made = [verdicts, *(make(results) for make in makers)]
    return [table for table in made if table is not None]


def normalised_scores(results: Results, env_id: str, label: str) -> NDArray[np.float64]:
    """Each run's score on the held-out starts, shape (num_runs,); see :class:`Results`."""
    return final_values(results, env_id, label, "score")


def _rows(results: Results) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(env_id, label, the beginning of a row) of each implementation and environment."""
    for env_id, label in groups(results):
        seeds = len(final_values(results, env_id, label))
        yield env_id, label, {"environment": env_id, "implementation": label, "seeds": seeds}


def summary(results: Results) -> Table:
    """Every score of each implementation and environment."""
    entries: list[dict[str, Any]] = []
    bold, partial = [], []
    reported = [name for name in MEASURES if results.finals[MEASURES[name][0]].notna().any()]
    for env_id, label, entry in _rows(results):
        _, curves = curve_matrix(results, env_id, label)
        _, timesteps = curve_matrix(results, env_id, label, "timestep")
        finals = final_values(results, env_id, label)
        late = final_values(results, env_id, label, LATE)
        if results.finals["late_points"].any():
            points = final_values(results, env_id, label, "late_points")
            entry["late return"] = over_runs(late) if points.all() else None
        if _is_among_best(results, env_id, label):
            bold.append((len(entries), "return"))
        measures: dict[str, Any] = dict.fromkeys(reported)
        for name in reported:
            values = final_values(results, env_id, label, MEASURES[name][0])
            if not np.isnan(values).all():
                measures[name] = over_runs(values[~np.isnan(values)])
                if np.isnan(values).any():
                    known = int((~np.isnan(values)).sum())
                    partial.append(f"{name} of {label} on {env_id}: {known} of {len(values)} runs")
        if results.failures:
            entry["failed"] = results.failures.get((env_id, label), 0)
        entries.append(
            {
                **entry,
                "return": over_runs(finals),
                "95% interval": Bounds(*student_interval(finals)[1:]),
                "IQM": float(statistics.interquartile_mean(finals)),
                **measures,
                "final": over_runs(statistics.final(curves)),
                "last-10": over_runs(statistics.last_10(curves)),
                "max of mean": statistics.max_of_mean(curves),
                "mean of max": over_runs(statistics.maximum(curves)),
                "AUC": over_runs(statistics.area_under_curve(curves, timesteps)),
            }
        )
    caption = (
        f"Mean ± standard deviation over seeds. Return: {describe(results, FINAL)}; its interval is"
        " Student's, of the mean; IQM is its interquartile mean; regret and what follows up to"
        " 'final' are of the same episodes, the steady-state error and jitter of those that came"
        " to the time limit. Of the learning curve: final, last-10 (mean of the"
        " last ten evaluations), max of mean and mean of max (biased upwards), and AUC. Bold: the"
        " best return, and returns whose 95% Welch interval of the difference to it holds zero."
    )
    if results.finals["late_points"].any():
        caption += f" L{describe(results, LATE)[1:]}."
    caption += unequal_steps(results)
    if min(entry["seeds"] for entry in entries) < MIN_RUNS:
        caption += " Below three seeds there is no interval, and bold is only the best."
    if results.failures:
        caption += (
            " Failed: further runs that failed or diverged; means are over the others alone, which"
            " flatters, so that such a row is never bold."
        )
        entries += [
            {"environment": env_id, "implementation": label, "seeds": 0, "failed": number}
            for (env_id, label), number in sorted(results.failures.items())
            if (env_id, label) not in groups(results)
        ]
    if partial:
        caption += (
            f" Where no episode came to the time limit a run does not count: {'; '.join(partial)}."
        )
    decimals = {name: MEASURES[name][1] for name in reported}
    return tabulate("summary", "Summary", caption, entries, decimals, bold)


def _is_among_best(results: Results, env_id: str, label: str) -> bool:
    """Whether an implementation's mean return is the best, or cannot be told from it."""
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
    caption = (
        f"Mean return ± standard deviation over seeds (n = {'/'.join(seeds)}) of"
        f" {'/'.join(episodes)} episodes. Of many evaluations about {PRINTED_STEPS} are printed."
    )
    table = tabulate("learning_curves", "Learning curves", caption, [points[key] for key in order])
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
    if not entries:
        return None
    caption = (
        "Mean ± standard deviation over seeds, on the held-out starts. Regret, V* - return, is the"
        " sum of the objective gap, which even the best policy for the discounted objective loses"
        " as dynamic programming shows, and the learning gap, the rest. V* of rocket-v0 is without"
        " the extra reward at its goal, so that a regret can be below zero."
    )
    return tabulate("gaps", "Gaps to the optimum", caption, entries)


def thresholds(results: Results) -> Table | None:
    """Environment steps until a score is first reached."""
    entries = []
    for env_id, label, entry in _rows(results):
        _, curves = curve_matrix(results, env_id, label, "score")
        _, timesteps = curve_matrix(results, env_id, label, "timestep")
        if np.isnan(curves).any():
            continue
        for threshold in THRESHOLDS:
            steps = statistics.steps_to_threshold(curves, timesteps, threshold)
            reached = np.isfinite(steps)
            median = float(np.median(np.where(reached, steps, np.inf)))
            entry |= {f"steps to {threshold}": median, f"runs at {threshold}": int(reached.sum())}
        entries.append(entry)
    if not entries:
        return None
    caption = (
        "Environment steps to the first evaluation with a score: median over seeds, a dash where"
        f" half of them or more never get there, and the number that do. {SCORE}."
    )
    decimals = {f"steps to {threshold}": 0 for threshold in THRESHOLDS}
    return tabulate("thresholds", "Steps to a score", caption, entries, decimals)


def hyperparameters(results: Results) -> Table:
    """Every setting of each implementation, as resolved."""
    labels = sorted({label for _, label in groups(results)})
    found: dict[str, dict[str, dict[str, str]]] = {}  # name -> env_id -> label -> value
    for (env_id, label), settings in sorted(results.settings.items()):
        config = {k: v for k, v in settings["config"].items() if k not in NOT_SETTINGS}
        for name, value in {**config, **settings["hyperparameters"]}.items():
            text = value if isinstance(value, str) else json.dumps(value)
            found.setdefault(name, {}).setdefault(env_id, {})[label] = text
    entries: list[dict[str, str | None]] = []
    bold = []
    for name, by_env in sorted(found.items()):
        if any(len(set(values.values())) > 1 for values in by_env.values()):
            bold += [(len(entries), heading) for heading in ("setting", *labels)]
        entries.append({"setting": name})
        for label in labels:
            env_ids: dict[str, list[str]] = {}  # value -> where
            for env_id, values in by_env.items():
                if label in values:
                    env_ids.setdefault(values[label], []).append(env_id)
            texts = [f"{text} ({', '.join(where)})" for text, where in env_ids.items()]
            entries[-1][label] = "; ".join(texts if len(texts) > 1 else env_ids) or None
    caption = (
        "Settings of the runs, seeds apart, and every hyperparameter as resolved. Bold: values"
        " that differ between implementations on the same environment."
    )
    return tabulate("hyperparameters", "Settings", caption, entries, bold=bold)


def timings(results: Results) -> Table:
    """How long the runs took: the one table that is another each time."""
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
    caption = (
        "Mean ± standard deviation over runs of the time and speed of a run, evaluations included;"
        " of one that was stopped and continued, over all its parts. Runs side by side slow"
        " each other down. These numbers differ each time, and with the processor."
    )
    decimals = {"seconds": 0, "steps/s": 0}
    return tabulate("timings", "Times", caption, entries, decimals)
