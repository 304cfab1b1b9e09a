"""What is refused although its format is known: rows that make no curve, runs that are not one."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.analysis.sources.frame import KEYS
from training.config import ConfigError

NEEDED = {  # in each row: column -> what it is
    "env_id": "name of the environment", "label": "name of the algorithm", "run": "seed",
    "step": "step",
}  # fmt: skip


def refuse_missing(rows: pd.DataFrame, file: Path) -> None:
    """Refuse a file without rows, or with keys or steps in some of them only.

    :raises ConfigError: naming what is missing
    """
    if not len(rows):
        raise ConfigError(f"{file} must have a row for each evaluation or episode, but has none")
    for name, what in NEEDED.items():
        missing = int(rows[name].isna().sum())
        if missing:
            raise ConfigError(
                f"{file} must have a {what} in each row, but {missing} of {len(rows)} have none"
            )


def refuse_other_numbers(rows: pd.DataFrame, file: Path) -> None:
    """Refuse steps that are not whole numbers from 0, and returns that are not finite.

    :raises ConfigError: naming the first one
    """
    for name in ("step", "mean_return"):
        if rows[name].to_numpy().dtype.kind not in "iuf":
            raise ConfigError(
                f"{file} must have numbers as steps and returns, got a {name} of"
                f" {rows[name].iloc[0]!r}"
            )
    steps = rows["step"].to_numpy(float)
    odd = steps[~np.isfinite(steps) | (steps != np.floor(steps)) | (steps < 0)]
    if len(odd):
        raise ConfigError(
            f"{file} must count whole environment steps from 0, got {odd[0]:g}: are they in"
            " thousands or millions?"
        )
    wrong = rows[~np.isfinite(rows["mean_return"].to_numpy(float))]
    if len(wrong):
        first = wrong.iloc[0]
        raise ConfigError(
            f"{file} must have finite returns, got {first['mean_return']} at step"
            f" {first['step']:g} ({len(wrong)} of {len(rows)} rows): did the run diverge, or is a"
            " cell empty?"
        )


def refuse_restarts(rows: pd.DataFrame, is_episodes: bool) -> None:
    """Refuse runs whose steps go back or, but for episodes, repeat.

    :raises ConfigError: naming where
    """
    for keys, run in rows.groupby(KEYS, sort=False):
        steps = run["step"].to_numpy(float)
        moves = np.diff(steps)
        (wrong,) = np.nonzero((moves < 0) | (moves == 0) & (not is_episodes))
        if len(wrong):
            i = wrong[0]
            how = "repeat" if moves[i] == 0 else "go back"
            raise ConfigError(
                f"{run['file'].iloc[i + 1]} must have rising steps in each run, but in run"
                f" {keys[2]} they {how} from {steps[i]:g} to {steps[i + 1]:g}: is it a run that was"
                " restarted, or does it hold several seeds, environments or algorithms?"
            )


def refuse_doubles(curves: pd.DataFrame, path: Path) -> None:
    """Refuse a run that is in several files, unless these are read together as one folder."""
    for _, rows in curves.groupby(KEYS):
        if rows["unit"].nunique() > 1:
            first, second = rows.drop_duplicates("unit")["file"].iloc[:2]
            raise ConfigError(f"{path} must hold a run once, got {first} and {second}")


def refuse_crossed_folders(curves: pd.DataFrame, path: Path) -> None:
    """Refuse runs whose folders cross, as in ``td3/0``, ``td3/1``, ``sac/0``, ``sac/1``.

    Files that do not tell their algorithm would be pooled.
    """
    runs = [run.split("/") for run in curves["run"][curves["label"] == ""].unique()]
    levels = [dict.fromkeys(level) for level in zip(*runs, strict=False)]
    crossed = [level for level in levels if 1 < len(level) < len(runs)]
    if len(crossed) > 1:
        first, second = list(crossed[0])[:2]
        raise ConfigError(
            f"{path} must hold runs of one algorithm where files do not name it, got folders that"
            f" cross, such as {first} and {second}: make each a source of its own"
        )
