"""CSV exports of Weights & Biases, and what openrlbenchmark caches of it.

Wide files, exported from a chart, have a column for each run, ``<run> - <metric>``, with its
``__MIN`` and ``__MAX``. Long files, from ``run.history()``, have a row for each step of one run
or, with a column of run names, of many.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.analysis.sources.frame import (
    IMPLEMENTATIONS,
    RUN_COLUMNS,
    CsvFile,
    ReadOptions,
    from_run_name,
    refuse_unread,
)

PATTERNS = ("*.csv",)
EVALUATIONS = "eval/mean_reward"
EVALUATED = ("eval", "test")  # how the names of charts of evaluations begin
ACCEPTED_EVALUATIONS = f"CSV exports of Weights & Biases with {EVALUATIONS}"
ACCEPTED = "CSV exports of Weights & Biases, or run_df.csv and run.json of openrlbenchmark's cache"
STEPS = ("global_step", "_step", "Step")  # the first one present is used
EPISODES = ("charts/episodic_return", "rollout/ep_rew_mean")
RUNS = ("run_name", "run_id", "Name", "name")
CAUTION = "taken as environment steps, {} may count the calls of wandb.log: export by global_step"
CONFIG = {"env_id": "env_id", "exp_name": "label", "seed": "run"}  # there -> here


def read(files: list[Path], options: ReadOptions) -> pd.DataFrame | None:
    """A file's training episodes by run; None for other CSV files."""
    return _read(files, EPISODES)


def read_evaluations(files: list[Path], options: ReadOptions) -> pd.DataFrame | None:
    """A file's evaluations by run; None for other CSV files."""
    return _read(files, (EVALUATIONS,))


def _read(files: list[Path], metrics: tuple[str, ...]) -> pd.DataFrame | None:
    """A file's runs by one of some metrics, or a chart's; if not of evaluations, it is of episodes.

    :raises ValueError: if a chart has several metrics, or a column that tells runs apart is not
        one of RUNS
    """
    (file,) = files
    table = CsvFile(file)
    step = next((name for name in STEPS if name in table.columns), None)
    if step is None:
        return None
    caution = "" if step == STEPS[0] else CAUTION.format(step)
    wide = [
        name
        for name in table.columns
        if f"{name}__MIN" in table.columns and " - " in name and not name.endswith(" - _step")
    ]
    if wide:
        shown = {name.rpartition(" - ")[2] for name in wide}
        if all(name.startswith(EVALUATED) for name in shown) != (EVALUATIONS in metrics):
            return None
        if len(shown) > 1:
            raise ValueError(f"it has the metrics {', '.join(sorted(shown))}: export one of them")
        return pd.concat(_column(table, step, name) for name in wide).assign(caution=caution)
    metric = next((name for name in metrics if name in table.columns), None)
    if metric is None:
        return None
    rows = table.rows().dropna(subset=[metric])  # steps at which other things were logged
    values = {
        "step": table.numbers(rows[step]), "mean_return": table.numbers(rows[metric]),
        "caution": caution,
    }  # fmt: skip
    runs = next((name for name in RUNS if name in table.columns), None)
    if runs is not None:
        keys = pd.DataFrame([from_run_name(name) for name in rows[runs]])
        return pd.DataFrame(values).assign(**{str(name): keys[name].to_numpy() for name in keys})
    refuse_unread(rows, {step, metric}, IMPLEMENTATIONS | RUN_COLUMNS)
    return pd.DataFrame(values).assign(
        **_config(file.with_name("run.json")) or from_run_name(file.stem)
    )


def _column(table: CsvFile, step: str, name: str) -> pd.DataFrame:
    """A chart's run.

    :raises ValueError: if it is a mean over a group of runs
    """
    rows = table.rows().dropna(subset=[name])
    value, low, high = (table.numbers(rows[name + end]) for end in ("", "__MIN", "__MAX"))
    if not (np.allclose(value, low, equal_nan=True) and np.allclose(value, high, equal_nan=True)):
        raise ValueError(f"{name!r} lies between other MIN and MAX: export runs, not group means")
    curve = pd.DataFrame({"step": table.numbers(rows[step]), "mean_return": value})
    return curve.assign(**from_run_name(name.rpartition(" - ")[0]))


def _config(file: Path) -> dict[str, str]:
    """KEYS from openrlbenchmark's ``run.json``, older or newer; empty without that file."""
    if not file.exists():
        return {}
    run = json.loads(file.read_text(encoding="utf-8"))
    config = run.get("_attrs", run).get("config", {})
    return {ours: str(config[name]) for name, ours in CONFIG.items() if name in config}
