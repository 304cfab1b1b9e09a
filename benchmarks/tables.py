"""Results -> tables."""

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import statistics
from benchmarks.results import Results
from benchmarks.statistics import MeanAndStd

SCORES = ("final", "last-10", "max of mean", "mean of max", "AUC", "100 further starts")


def groups(results: Results) -> list[tuple[str, str]]:
    """(env_id, label) of each implementation and environment, in alphabetical order."""
    pairs = results.curves[["env_id", "label"]].drop_duplicates()
    return sorted(pairs.itertuples(index=False, name=None))


def curve_matrix(
    results: Results, env_id: str, label: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Evaluation steps (num_evaluations,) and mean returns (num_runs, num_evaluations)."""
    rows = results.curves.query("env_id == @env_id and label == @label")
    pivot = rows.pivot(index="seed", columns="timestep", values="mean_return")
    return pivot.columns.to_numpy(), pivot.to_numpy()


def final_returns(results: Results, env_id: str, label: str) -> NDArray[np.float64]:
    """Each run's mean return on the further starts, shape (num_runs,)."""
    rows = results.finals.query("env_id == @env_id and label == @label")
    return rows["mean_return"].to_numpy()


def learning_curve_table(results: Results) -> pd.DataFrame:
    """Mean and standard deviation over seeds at each evaluation step.

    The index is the step; columns are (environment, implementation, mean or std). A cell is NaN
    where a shorter experiment was no longer evaluated.
    """
    columns = {}
    for env_id, label in groups(results):
        timesteps, curves = curve_matrix(results, env_id, label)
        scores = [statistics.over_runs(point) for point in curves.T]
        for name in MeanAndStd._fields:
            values = [getattr(score, name) for score in scores]
            columns[env_id, label, name] = pd.Series(values, index=timesteps)
    table = pd.DataFrame(columns)
    table.index.name = "step"
    table.columns.names = ["environment", "implementation", None]
    return table


def summary_table(results: Results) -> pd.DataFrame:
    """Each score of each implementation and environment, mean and standard deviation over seeds.

    Columns: environment, implementation, seeds, and mean and std of each score in SCORES.
    """
    rows = []
    for env_id, label in groups(results):
        timesteps, curves = curve_matrix(results, env_id, label)
        scores = {
            "final": statistics.over_runs(statistics.final(curves)),
            "last-10": statistics.over_runs(statistics.last_10(curves)),
            "max of mean": statistics.max_of_mean(curves),
            "mean of max": statistics.over_runs(statistics.maximum(curves)),
            "AUC": statistics.over_runs(statistics.area_under_curve(curves, timesteps)),
            "100 further starts": statistics.over_runs(final_returns(results, env_id, label)),
        }
        row = {"environment": env_id, "implementation": label, "seeds": len(curves)}
        for name, score in scores.items():
            row |= {f"{name} mean": score.mean, f"{name} std": score.std}
        rows.append(row)
    return pd.DataFrame(rows)


def comparison_table(results: Results) -> pd.DataFrame:
    """Difference of mean returns on the further starts, for each pair of implementations.

    Columns: environment, first, second, seeds, difference (first minus second), and low and high
    end of the 95% Welch interval. Pairs with fewer than three runs on a side are left out.
    """
    rows = []
    for (env_id, first), (other_env_id, second) in combinations(groups(results), 2):
        pair = final_returns(results, env_id, first), final_returns(results, env_id, second)
        if env_id == other_env_id and min(map(len, pair)) >= 3:
            row = {"environment": env_id, "first": first, "second": second}
            seeds = f"{len(pair[0])}, {len(pair[1])}"
            rows.append({**row, "seeds": seeds, **statistics.welch_interval(*pair)._asdict()})
    return pd.DataFrame(rows)


def comparison_markdown(table: pd.DataFrame) -> str:
    """The comparison table, each interval in brackets."""
    rows = [
        [
            str(row["environment"]),
            f"{row['first']} - {row['second']}",
            str(row["seeds"]),
            f"{row['difference']:.1f}",
            f"[{row['low']:.1f}, {row['high']:.1f}]",
        ]
        for _, row in table.iterrows()
    ]
    return markdown(["environment", "difference", "seeds", "of means", "95% interval"], rows)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table with its columns padded, so that it reads well as plain text too."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: list[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join(padded)} |\n"

    rule = "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|\n"
    return line(header) + rule + "".join(line(row) for row in rows)


def learning_curve_markdown(table: pd.DataFrame) -> str:
    """The learning-curve table, one column for each implementation and environment."""
    env_ids, labels = (table.columns.get_level_values(level) for level in (0, 1))
    pairs = list(dict.fromkeys(zip(env_ids, labels, strict=True)))
    header = ["step", *(f"{env_id} {label}" for env_id, label in pairs)]
    rows = [
        [str(step), *(mean_and_std(values[env_id, label]) for env_id, label in pairs)]
        for step, values in table.iterrows()
    ]
    return markdown(header, rows)


def summary_markdown(table: pd.DataFrame) -> str:
    """The summary table, each score as mean +- std."""
    rows = [
        [
            str(row["environment"]),
            str(row["implementation"]),
            str(row["seeds"]),
            *(mean_and_std({s: row[f"{name} {s}"] for s in ("mean", "std")}) for name in SCORES),
        ]
        for _, row in table.iterrows()
    ]
    return markdown(["environment", "implementation", "seeds", *SCORES], rows)


def mean_and_std(score: "pd.Series[float] | dict[str, float]") -> str:
    """``mean +- std`` with one decimal; without the std of a single run, empty for no value."""
    if np.isnan(score["mean"]):
        return ""
    spread = "" if np.isnan(score["std"]) else f" ± {score['std']:.1f}"
    return f"{score['mean']:.1f}{spread}"
