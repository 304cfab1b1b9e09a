"""Run directories -> tidy tables. Nothing here trains or needs torch."""

import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import optimal_returns
from benchmarks.experiments import EXPERIMENT_FILE, declaration_hash
from benchmarks.optimal_control import FIRST_SEED, has_optimum
from sb3_training.checkpoint import digest
from sb3_training.config import ConfigError, RunConfig
from sb3_training.run_directory import BEGINS_ANEW, EVALUATIONS, RunDirectory

FIRST_CURVE_SEED = 10_000  # of the learning curve's evaluations
KEYS = ["env_id", "label", "seed"]
TIMES = ("seconds", "steps_per_second", "continued_from_step")
SOFTWARE = ("packages", "python", "git_commit", "git_clean",
            "cpu", "device", "torch_threads", "platform")  # fmt: skip
Json = dict[str, Any]


class Results(NamedTuple):
    """What a folder of runs holds. Each frame has the keys env_id, label and seed.

    :param curves: a row for each evaluation: timestep, mean_return, n_episodes, success_rate,
        mean_regret, score
    :param finals: a row for each run, on the further start states: mean_return, n_episodes,
        success_rate, mean_regret, steady_state_error (m), jitter (m/s^2), score
    :param timings: a row for each run: seconds, steps_per_second, continued_from_step
    :param settings: by (env_id, label), the config.json of its lowest seed
    :param provenance: what the runs were made with: each kind once, with the number of runs
        ``num_runs`` and their ``commands``
    :param unfinished: run directories that are not complete; they are left out
    :param notes: what must be known of the runs, such as that starts do not follow seeds
    :param failures: by (env_id, label), how many of these failed or diverged, where any did
    :param experiment: content of experiment.json, None where there is none

    A value that is not known is NaN. A score is 1 for the optimum and 0 for an untrained policy:
    the regret's part of the mean regret at the first evaluation, taken from 1. Where V* is not
    known, the best run's return on the further starts stands for it.
    """

    curves: pd.DataFrame
    finals: pd.DataFrame
    timings: pd.DataFrame
    settings: dict[tuple[str, str], Json]
    provenance: list[Json]
    unfinished: list[str]
    notes: list[str]
    failures: Mapping[tuple[str, str], int]
    experiment: Json | None


def load_results(root: Path) -> Results:
    """Read all run directories ``<root>/<label>/<env_id>_<seed>/``.

    :raises FileNotFoundError: if there is no complete run
    :raises ConfigError: if runs that should differ by their seed alone differ otherwise, or the
        experiment's declaration is not the one that was hashed
    """
    curves, finals, timings, unfinished = [], [], [], []
    failures: Counter[tuple[str, str]] = Counter()
    settings: dict[tuple[str, str], Json] = {}
    software: dict[str, list[str]] = {}
    notes: set[str] = set()
    for path in sorted(file.parent for file in root.glob("*/*/config.json")):
        run = RunDirectory(path)
        config, arrays = _read(run)
        if arrays is None:
            state = run.status()["state"]
            state = "its files have changed since" if state == "done" else state
            unfinished.append(f"{path.relative_to(root)} ({state})")
            if state in ("failed", "diverged"):
                left = json.loads((path / "config.json").read_bytes())["config"]
                failures[left["env_id"], left["label"]] += 1
            continue
        _refuse_mixture(settings, config, path)
        keys = {name: config["config"][name] for name in KEYS}
        curve, final = _evaluations(arrays, config["config"])
        curves.append(pd.DataFrame({**keys, **curve}))
        finals.append({**keys, **final})
        made_with = run.read_json("provenance.json") or {}
        notes |= {note for note in made_with.get("notes", ()) if not note.startswith(BEGINS_ANEW)}
        timings.append({**keys, **{name: made_with.get(name, np.nan) for name in TIMES}})
        kind = json.dumps({name: made_with.get(name) for name in SOFTWARE})
        software.setdefault(kind, []).append(" ".join(made_with.get("command", [])))
    if not finals:
        raise FileNotFoundError(f"no complete run in {root}")
    provenance = [
        {**json.loads(kind), "num_runs": len(commands), "commands": sorted(set(commands))}
        for kind, commands in sorted(software.items())
    ]
    curve_rows = pd.concat(curves).sort_values([*KEYS, "timestep"], ignore_index=True)
    final_rows = pd.DataFrame(finals).sort_values(KEYS, ignore_index=True)
    _add_scores(curve_rows, final_rows)
    timing_rows = pd.DataFrame(timings).sort_values(KEYS, ignore_index=True)
    experiment = _experiment(root)
    return Results(
        curve_rows,
        final_rows,
        timing_rows,
        settings,
        provenance,
        unfinished,
        sorted(notes),
        failures,
        experiment,
    )


def groups(results: Results) -> list[tuple[str, str]]:
    """(env_id, label) of each implementation and environment, in alphabetical order."""
    pairs = results.finals[["env_id", "label"]].drop_duplicates()
    return sorted(pairs.itertuples(index=False, name=None))


def curve_matrix(
    results: Results, env_id: str, label: str, column: str = "mean_return"
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Evaluation steps (num_evaluations,) and a column of curves (num_runs, num_evaluations)."""
    rows = results.curves.query("env_id == @env_id and label == @label")
    pivot = rows.pivot(index="seed", columns="timestep", values=column)
    return pivot.columns.to_numpy(), pivot.to_numpy()


def final_values(
    results: Results, env_id: str, label: str, column: str = "mean_return"
) -> NDArray[np.float64]:
    """A column of finals, shape (num_runs,): what each run got on the further starts."""
    rows = results.finals.query("env_id == @env_id and label == @label")
    return rows[column].to_numpy()


def _read(run: RunDirectory) -> tuple[Json, dict[str, NDArray[Any]] | None]:
    """A run's settings and evaluations; None for these if it is not complete.

    Whether a file is still the one that the run left is checked of what is read, not of models:
    hashing those takes longer than all the rest.
    """
    status = run.read_json("status.json") or {"state": "pending"}
    if status["state"] != "done":
        return {}, None
    contents = {}
    for name in ("config.json", EVALUATIONS):
        try:
            contents[name] = (run.path / name).read_bytes()
        except FileNotFoundError:
            return {}, None
        if digest(contents[name]) != status["digests"][name]:
            return {}, None
    with np.load(io.BytesIO(contents[EVALUATIONS])) as arrays:
        return json.loads(contents["config.json"]), dict(arrays)


def _evaluations(arrays: Mapping[str, NDArray[Any]], config: Json) -> tuple[Json, Json]:
    """A run's columns of ``curves`` and row of ``finals``, without keys."""

    def scored(prefix: str, first_seed: int) -> Json:
        returns = arrays[f"{prefix}results"]
        successes = arrays.get(f"{prefix}successes")
        known = has_optimum(config["env_id"]) and not config["env_kwargs"]
        optimum = np.nan
        if known and config.get("evaluation", "fixed") == "fixed":
            n = returns.shape[-1]
            optimum = optimal_returns.mean_return(config["env_id"], first_seed, n)
        return {
            "mean_return": returns.mean(axis=-1),
            "n_episodes": returns.shape[-1],
            "success_rate": np.nan if successes is None else successes.mean(axis=-1),
            "mean_regret": optimum - returns.mean(axis=-1),
        }

    measures = {}
    for name in ("steady_state_error", "jitter"):
        values = arrays.get(f"final_{name}", np.array([]))
        values = values[np.isfinite(values)]
        measures[name] = values.mean() if len(values) else np.nan
    curve = {"timestep": arrays["timesteps"], **scored("", FIRST_CURVE_SEED)}
    return curve, {**scored("final_", FIRST_SEED), **measures}


def _refuse_mixture(settings: dict[tuple[str, str], Json], config: Json, path: Path) -> None:
    """Runs of one label and environment must be the same experiment, seeds apart.

    Keeps the settings of the lowest seed.
    """
    values = RunConfig.from_json(config["config"]).to_json()  # with defaults, if it is an old one
    config = {**config, "config": values}
    name = values["env_id"], values["label"]
    kept = settings.setdefault(name, config)
    if kept != {**config, "config": {**values, "seed": kept["config"]["seed"]}}:
        raise ConfigError(
            f"{path} has other settings than its neighbours of other seeds: remove it"
        )
    if values["seed"] < kept["config"]["seed"]:
        settings[name] = config


def _add_scores(curves: pd.DataFrame, finals: pd.DataFrame) -> None:
    """Add the column ``score``, see :class:`Results`."""
    curves["score"] = finals["score"] = np.nan
    for env_id in finals["env_id"].unique():
        rows, final_rows = curves["env_id"] == env_id, finals["env_id"] == env_id
        losses, final_losses = curves["mean_regret"][rows], finals["mean_regret"][final_rows]
        if final_losses.isna().any():
            best = finals["mean_return"][final_rows].max()
            losses = best - curves["mean_return"][rows]
            final_losses = best - finals["mean_return"][final_rows]
        untrained = losses[curves["timestep"] == 0].mean()
        if untrained > 0:
            curves.loc[rows, "score"] = 1 - losses / untrained
            finals.loc[final_rows, "score"] = 1 - final_losses / untrained


def _experiment(root: Path) -> Json | None:
    """Content of experiment.json, once its declaration is known to be the one that was hashed."""
    experiment = RunDirectory(root).read_json(EXPERIMENT_FILE)
    if experiment and declaration_hash(experiment["declaration"]) != experiment["sha256"]:
        raise ConfigError(
            f"the declaration in {root / EXPERIMENT_FILE} was changed after the runs began:"
            " its sha256 is another; put back the file as the sweep wrote it"
        )
    return experiment
