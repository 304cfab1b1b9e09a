"""Sources -> the sides of a comparison: on one environment, at the same steps, by one score."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.analysis.sources.source import Source
from benchmarks.analysis.statistics import (
    Values,
    area_under_curve,
    final,
    last_10,
    maximum,
)
from training.config import ConfigError, env_name
from training.run_directory import RunDirectory

HELD_OUT = ("late_return", "final_return")  # scores that only runs of this project have
SCORES = {  # name -> what it is; each is one number for a run
    "late_return": "mean of the late policies on held-out starts",
    "final_return": "mean of the final policy on held-out starts",
    "final": "the last evaluation",
    "last_10": "mean of the last ten evaluations (all, when fewer)",
    "auc": "area under the learning curve divided by its steps",
    "max": "each run's highest evaluation, biased upwards",
    "max_of_mean": "the evaluation at the step where the mean over runs is highest, biased upwards",
}
EPISODE_POINTS = 100  # steps compared where all sources log training episodes
NEAR_THE_END = 0.9  # fraction of the last step that a common step must reach to end a comparison


@dataclass(frozen=True)
class Side:
    """Runs of one implementation on one environment.

    :param env_id: the name in the files; empty if they name none
    :param rows: its rows of :attr:`Source.curves`
    """

    name: str
    env_id: str
    source: Source
    rows: pd.DataFrame

    @property
    def runs(self) -> list[pd.DataFrame]:
        """The rows of each run."""
        return [rows for _, rows in self.rows.groupby(["env_id", "run"])]

    @property
    def run_names(self) -> list[str]:
        """What the runs are called, mostly by their seeds."""
        return [str(rows["run"].iloc[0]) for rows in self.runs]

    @property
    def last_steps(self) -> list[float]:
        """The last step of each run."""
        return [float(rows["step"].max()) for rows in self.runs]

    @property
    def last_steps_text(self) -> str:
        """The last steps of all runs in words."""
        steps = self.last_steps
        return " to ".join(dict.fromkeys(f"{step:,.0f}" for step in (min(steps), max(steps))))

    @cached_property
    def run_directories(self) -> list[RunDirectory]:
        """Run directories of the runs; empty unless this project made all of them."""
        folders = dict.fromkeys((self.source.root / file).parent for file in self.rows["file"])
        runs = [RunDirectory(folder) for folder in folders]
        return runs if all(run.read_json("status.json") and run.settings() for run in runs) else []

    @cached_property
    def settings(self) -> dict[str, Any] | None:
        """Content of config.json of the first run; None unless this project made the runs."""
        return self.run_directories[0].settings() if self.run_directories else None

    def evaluations_before(self, at: float) -> list[Values]:
        """The steps at which each run was evaluated, up to a last one; none of episodes."""
        steps = (
            [] if self.source.kind.is_episodes else [run["step"].to_numpy() for run in self.runs]
        )
        return [each[each <= at] for each in steps]

    def curves_at(self, grid: Values) -> Values:
        """The curves at the steps of a grid, shape (num_runs, num_points).

        A value is the last evaluation at or before the step. For training episodes it is the mean
        of those that ended since the previous step of the grid or, if none did, the value there.

        :param grid: steps in increasing order, the first not before that of any run
        """
        return np.array([self._curve_at(rows, grid) for rows in self.runs])

    def _curve_at(self, rows: pd.DataFrame, grid: Values) -> Values:
        steps, returns = rows["step"].to_numpy(float), rows["mean_return"].to_numpy(float)
        if not self.source.kind.is_episodes:
            values: Values = returns[np.searchsorted(steps, grid, side="right") - 1]
            return values
        means = pd.Series(returns).groupby(np.searchsorted(grid, steps)).mean()
        return means.reindex(range(len(grid))).ffill().to_numpy()


def spelled_alike(sources: Sequence[Source]) -> list[Source]:
    """The sources, with a slash in names of environments where one of them has it.

    A folder's name has a hyphen in its place: rl-baselines3-zoo's ``ALE-Pong-v5_1`` is of
    ``ALE/Pong-v5``.
    """
    known = {env_id for source in sources for env_id in source.curves["env_id"] if "/" in env_id}
    full = {env_id.replace("/", "-"): env_id for env_id in known}
    return [
        replace(source, curves=source.curves.assign(env_id=source.curves["env_id"].replace(full)))
        for source in sources
    ]


def refuse_shared_files(sources: Sequence[Source]) -> None:
    """Refuse sources that have files in common: their runs are not independent samples.

    :raises ConfigError: naming one of the files
    """
    owners: dict[Path, Source] = {}
    for source in sources:
        for file in sorted({(source.root / name).resolve() for name in source.curves["file"]}):
            owner = owners.setdefault(file, source)
            if owner is not source:
                raise ConfigError(
                    f"{source.path} must be compared with another source than itself, but"
                    f" {owner.name} and {source.name} both hold {file}"
                )


def environments(sources: Sequence[Source], names: Sequence[str]) -> list[str]:
    """The environments to compare on, as named or, without names, all that two sources have.

    :return: one empty name if no file names an environment
    :raises ConfigError: if there is none, or it is not clear which
    """
    for source in sources:
        silent_files = source.curves["file"][source.curves["env_id"] == ""]
        if 0 < len(silent_files) < len(source.curves):
            raise ConfigError(
                f"{source.path} must name the environment of all its runs, or of none, but"
                f" {silent_files.iloc[0]} names none: make it a source of its own"
            )
    if names:
        if not all(names):
            raise ConfigError(f"env must be names of environments, got {names}")
        return list(dict.fromkeys(map(env_name, names)))
    known = [set(source.curves["env_id"]) for source in sources]
    silent = sum("" in env_ids for env_ids in known)
    counts = Counter(env_id for env_ids in known for env_id in env_ids if env_id)
    shared = sorted(env_id for env_id, count in counts.items() if count + silent > 1)
    if not counts:
        return [""]
    if not shared or (silent and len(shared) > 1):
        raise ConfigError(
            "env must be one that two sources have, or a name without its version to compare"
            f" versions of it: {environments_text(sources)}"
        )
    return shared


def sides_on(sources: Sequence[Source], name: str) -> list[Side]:
    """The runs of each source on an environment, or in files that name none.

    A source of several implementations is split into as many sides.

    :param name: with or without version
    :raises ConfigError: if fewer than two have it, a source has several versions of it, or two
        sides have the same name
    """
    sides = []
    for source in sources:
        env_ids = {env_id for env_id in source.curves["env_id"] if env_id}
        chosen = {each for each in env_ids if name in ("", each, without_version(each))}
        if len(chosen) > 1:
            raise ConfigError(
                f"env must be one of {', '.join(sorted(chosen))}, all in {source.name}, got {name}"
            )
        rows = source.curves[source.curves["env_id"].isin([*chosen, ""])]
        labels = sorted(set(rows["label"]))
        for label in labels:
            title = source.name if len(labels) == 1 else f"{source.name}:{label}"
            sides.append(Side(title, "".join(chosen), source, rows[rows["label"] == label]))
    if twice := [name for name, count in Counter(side.name for side in sides).items() if count > 1]:
        raise ConfigError(f"two sides are called {twice[0]}: name the sources, LABEL=PATH")
    if len(sides) < 2:
        raise ConfigError(
            f"env must be one that two sources have, got {name}: {environments_text(sources)}"
        )
    return sides


def environments_text(sources: Sequence[Source]) -> str:
    """The environments of each source."""
    return " and ".join(
        f"{', '.join(sorted(set(source.curves['env_id']) - {''})) or 'something unknown'} in"
        f" {source.name}"
        for source in sources
    )


def without_version(env_id: str) -> str:
    """An environment's name without its version."""
    return re.sub(r"-v\d+$", "", env_id)


def common_step(sides: Sequence[Side], at: int | None) -> float:
    """Where the comparison ends: at a given step, else the largest that all have in common.

    If evaluations have no step in common, or only early ones, it is where the shortest run ends.

    :raises ConfigError: if a run does not reach the given step, or begins after it or another's end
    """
    shortest, side = min((min(side.last_steps), side.name) for side in sides)
    begin, late = _begin(sides)
    if begin > shortest:
        raise ConfigError(
            f"runs must have steps in common, but one of {late} begins at {begin:,.0f}, and one of"
            f" {side} ends at {shortest:,.0f}"
        )
    if at is None:
        common = set.intersection(*_steps(sides, shortest) or [set()])
        return max((step for step in common if step >= NEAR_THE_END * shortest), default=shortest)
    if not begin <= at <= shortest:
        raise ConfigError(
            f"at must be a step from {begin:,.0f} to {shortest:,.0f}, where a run of {side} ends,"
            f" got {at:,}"
        )
    return float(at)


def common_grid(sides: Sequence[Side], at: float) -> Values:
    """The steps to compare at, up to a last one; the first is one that all runs have reached.

    These are the steps common to all runs or, if they end too early, those of the run with the
    fewest evaluations. If all sources log training episodes, they are hundredths of the last step.

    :raises ConfigError: if a run was not evaluated near the last step
    """
    steps = _steps(sides, at)
    begin, _ = _begin(sides)
    grid = at * np.arange(1.0, EPISODE_POINTS + 1.0) / EPISODE_POINTS
    if steps:
        common = set.intersection(*steps)
        shared = max(common, default=0.0)
        least = max(begin, NEAR_THE_END * at)
        if shared < least:
            common = min(steps, key=lambda run: (len(run), -max(run)))
        last = min(max(run) for run in [common, *steps])
        if last < least:
            hint = f", such as {shared:,.0f}" if shared else ""
            raise ConfigError(
                f"at must be a step at which all were evaluated{hint}, got {at:,.0f}: a run was"
                f" last evaluated at {last:,.0f} before"
            )
        grid = np.array(sorted(common))
    return grid[grid >= begin]


def _begin(sides: Sequence[Side]) -> tuple[float, str]:
    """The step from which on all runs have values, and the side that begins there."""
    return max((float(rows["step"].min()), side.name) for side in sides for rows in side.runs)


def _steps(sides: Sequence[Side], at: float) -> list[set[float]]:
    """The steps at which each run was evaluated, up to a last one."""
    return [set(map(float, steps)) for side in sides for steps in side.evaluations_before(at)]


def default_score(sides: Sequence[Side], at: int | None) -> str:
    """The score on held-out starts if all runs have it, at the same step; else last_10."""
    ends = {step for side in sides for step in side.last_steps}
    for name in HELD_OUT if at is None and len(ends) == 1 else ():
        if all(side.rows[name].notna().all() for side in sides):
            return name
    return "last_10"


def scores(side: Side, score: str, grid: Values) -> Values:
    """One number for each run, shape (num_runs,).

    :raises ConfigError: if the runs do not have it
    """
    if score in HELD_OUT:
        if side.rows[score].isna().any():
            raise ConfigError(f"score must be another than {score}, which {side.name} has not")
        return np.array([rows[score].iloc[0] for rows in side.runs])
    curves = side.curves_at(grid)
    if score == "max_of_mean":
        return np.asarray(curves[:, curves.mean(axis=0).argmax()])
    if score == "auc":
        return area_under_curve(curves, grid) if len(grid) > 1 else curves[:, 0]
    return {"final": final, "last_10": last_10, "max": maximum}[score](curves)
