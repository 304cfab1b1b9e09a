"""Run directories -> tidy tables. Nothing here trains or needs torch."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.experiments import (
    AUC,
    EXPERIMENT_FILE,
    FINAL,
    LAST_10,
    LATE,
    declaration_hash,
)
from benchmarks.optimum import values as optimal_returns
from benchmarks.optimum.tasks import FIRST_SEED, has_optimum
from training.checkpoint import digest
from training.config import FIRST_SEED as FIRST_CURVE_SEED
from training.config import ConfigError, RunConfig, env_name, refuse_alike
from training.provenance import mixture
from training.run_directory import BEGINS_ANEW, EVALUATIONS, RunDirectory
from training.schemas import parsed, read_evaluations

KEYS = ["env_id", "label", "seed"]
TIMES = ("seconds", "steps_per_second", "continued_from_step")
SOFTWARE = ("packages", "python", "git_commit", "git_clean", "git_changes",
            "cpu", "device", "torch_threads", "platform")  # fmt: skip
CHANGED = "its files have changed since"
NOT_FINITE = "diverged: NaN or infinite returns in its evaluations"
Json = dict[str, Any]


class Results(NamedTuple):
    """What a folder of runs holds. Each frame has the keys env_id (the
    environment's name, without a module), label and seed.

    :param curves: a row for each evaluation: timestep, mean_return, n_episodes, success_rate,
        mean_regret, score
    :param finals: a row for each run, on the further start states: mean_return, n_episodes,
        success_rate, mean_regret, score; what the environment's ``episode_measures`` say, such as
        a rocket's steady_state_error (m) and jitter (m/s^2); late_points, the
        evaluation points in its late return, 0 where the final policy's return stands for it; and
        for each of :data:`benchmarks.experiments.METRICS` its value and ``<metric>_regret``
    :param timings: a row for each run: seconds, steps_per_second, continued_from_step
    :param settings: by (env_id, label), the config.json of its lowest seed
    :param provenance: what the runs were made with: each kind once, with the number of runs
        ``num_runs`` and their ``commands``
    :param unfinished: run directories that are not complete; they are left out
    :param notes: what must be known of the runs, such as that starts do not follow seeds
    :param failures: by (env_id, label), how many of these failed or diverged, where any did
    :param experiment: content of experiment.json, None where there is none
    :param mixture: what the runs were not all made with alike, None if they were

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
    mixture: str | None = None


def load_results(root: Path) -> Results:
    """Read all run directories ``<root>/<label>/<env_id>_<seed>/``.

    :raises FileNotFoundError: if there is no complete run
    :raises ConfigError: if runs that should differ by their seed alone differ otherwise, two
        environments are called alike, or the experiment's declaration is not the one that was
        hashed
    """
    curves, finals, timings, unfinished = [], [], [], []
    failures: Counter[tuple[str, str]] = Counter()
    settings: dict[tuple[str, str], Json] = {}
    env_ids: set[str] = set()
    origins: list[Json] = []
    notes: set[str] = set()
    for path in sorted(file.parent for file in root.glob("*/*/config.json")):
        run = RunDirectory(path)
        try:
            config, arrays = _read(run)
            made_with = run.provenance()
            state = run.status()["state"]
            ran = RunConfig.from_json((run.settings() or config).get("config", {}))
        except ConfigError as error:  # which names the damaged file
            unfinished.append(f"{path.relative_to(root)} ({error})")
            continue
        if arrays is None or not _is_finite(arrays):
            if state == "done":
                state = CHANGED if arrays is None else NOT_FINITE
            unfinished.append(f"{path.relative_to(root)} ({state})")
            if state in ("failed", "diverged", NOT_FINITE):
                failures[env_name(ran.env_id), ran.label] += 1
            continue
        _refuse_mixture(settings, config, path)
        env_ids.add(config["config"]["env_id"])
        keys = {name: config["config"][name] for name in KEYS}
        keys["env_id"] = env_name(keys["env_id"])
        curve, final = _evaluations(arrays, config["config"])
        curves.append(pd.DataFrame({**keys, **curve}))
        finals.append({**keys, **final})
        origins.append(made_with)
        notes |= {note for note in made_with.get("notes", ()) if not note.startswith(BEGINS_ANEW)}
        timings.append({**keys, **{name: made_with.get(name, np.nan) for name in TIMES}})
    if not finals:
        left_out = f": left out are {', '.join(unfinished)}" if unfinished else ""
        raise FileNotFoundError(f"no complete run in {root}{left_out}")
    refuse_alike(sorted(env_ids))
    curve_rows = pd.concat(curves).sort_values([*KEYS, "timestep"], ignore_index=True)
    final_rows = pd.DataFrame(finals).sort_values(KEYS, ignore_index=True)
    _add_scores(curve_rows, final_rows)
    _drop_partial_late_returns(final_rows)
    timing_rows = pd.DataFrame(timings).sort_values(KEYS, ignore_index=True)
    return Results(
        curve_rows, final_rows, timing_rows, settings, _kinds(origins), unfinished,
        sorted(notes), failures, declared_experiment(root), mixture(origins),
    )  # fmt: skip


def groups(results: Results) -> list[tuple[str, str]]:
    """(env_id, label) of each implementation and environment, in alphabetical order."""
    pairs = results.finals[["env_id", "label"]].drop_duplicates()
    return sorted(pairs.itertuples(index=False, name=None))


def curve_matrix(
    results: Results, env_id: str, label: str, column: str = "mean_return"
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Evaluation steps (num_evaluations,) and a column of curves (num_runs, num_evaluations).

    Where runs were evaluated at different steps, the evaluation steps are their means; the column
    "timestep" has each run's own. A run with more evaluations than another (points that are passed
    together are one) is read at the evaluations that both have, and at its last.
    """
    rows = results.curves.query("env_id == @env_id and label == @label")
    order = rows.groupby("seed").cumcount()
    last = order.groupby(rows["seed"]).transform("max")
    rows = rows.assign(evaluation=order.mask(order == last, last.min()))
    rows = rows[(order < last.min()) | (order == last)]
    steps = np.rint(rows.groupby("evaluation")["timestep"].mean().to_numpy()).astype(np.int64)
    return steps, rows.pivot(index="seed", columns="evaluation", values=column).to_numpy()


def steps_reached(results: Results, env_id: str, *labels: str) -> list[int]:
    """The different last steps of these implementations' runs, in increasing order."""
    rows = results.curves.query("env_id == @env_id and label in @labels")
    return sorted(set(rows.groupby(["label", "seed"])["timestep"].max().tolist()))


def steps_text(reached: Sequence[int]) -> str:
    """Last steps of runs, in increasing order, such as ``5,000`` or ``5,003 to 5,110``."""
    return " to ".join(f"{step:,}" for step in dict.fromkeys([*reached[:1], *reached[-1:]]))


def unequal_steps(results: Results) -> str:
    """A sentence on each environment where runs reached different steps; empty if none did."""
    sentences = []
    for env_id in dict.fromkeys(env_id for env_id, _ in groups(results)):
        labels = [label for name, label in groups(results) if name == env_id]
        if len(steps_reached(results, env_id, *labels)) > 1:
            each = [f"{label} {steps_text(steps_reached(results, env_id, label))}"
                    for label in labels]  # fmt: skip
            sentences.append(f" Steps reached on {env_id} differ: {', '.join(each)}.")
    return "".join(sentences)


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
        except OSError as error:
            raise ConfigError(f"{name} cannot be read: {error.strerror}") from error
        if digest(contents[name]) != status.get("digests", {}).get(name):
            return {}, None
    config = parsed(contents["config.json"], run.path / "config.json")
    config["config"] = RunConfig.from_json(config["config"]).to_json()  # with defaults
    return config, read_evaluations(contents[EVALUATIONS], run.path / EVALUATIONS)


def _is_finite(arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether all returns are: runs of before this was a reason to end may hold others."""
    names = [name for name in arrays if name.endswith("results")]
    return all(np.isfinite(arrays[name]).all() for name in names)


def _kinds(origins: list[Json]) -> list[Json]:
    """What runs were made with, each kind once, with the number of its runs and their commands.

    :param origins: content of provenance.json of each run
    """
    commands: dict[str, list[str]] = {}
    for content in origins:
        kind = {name: content.get(name) for name in SOFTWARE} | _mixed_parts(content)
        commands.setdefault(json.dumps(kind), []).append(" ".join(content.get("command", [])))
    return [
        {**json.loads(kind), "num_runs": len(of_kind), "commands": sorted(set(of_kind))}
        for kind, of_kind in sorted(commands.items())
    ]


def _mixed_parts(made_with: Json) -> Json:
    """The software and steps of each part of a run that was not all made with the same."""
    parts = [{**part, "seconds": None} for part in made_with.get("parts", ())]
    alike = all(part["software"] == parts[0]["software"] for part in parts)
    return {} if alike else {"parts": parts}


def _evaluations(arrays: Mapping[str, NDArray[Any]], config: Json) -> tuple[Json, Json]:
    """A run's columns of ``curves`` and row of ``finals``, without keys."""

    def scored(prefix: str, first_seed: int) -> Json:
        returns = arrays[f"{prefix}results"]
        successes = arrays.get(f"{prefix}successes")
        known = has_optimum(config["env_id"]) and RunConfig.from_json(config).is_as_registered
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

    measures: Json = {"steady_state_error": np.nan, "jitter": np.nan}
    for name in (name.removeprefix("final_") for name in arrays if name.startswith("final_")):
        values = arrays[f"final_{name}"]
        values = values[np.isfinite(values)]
        measures[name] = values.mean() if len(values) else np.nan
    for name in ("results", "ep_lengths", "successes"):
        measures.pop(name, None)
    curve = {"timestep": arrays["timesteps"], **scored("", FIRST_CURVE_SEED)}
    final = scored("final_", FIRST_SEED)
    late = scored("late_", FIRST_SEED) if "late_results" in arrays else {}
    metrics: Json = {"late_points": len(late.get("mean_return", ()))}
    for name, columns in ((LATE, late or final), (FINAL, final), (LAST_10, curve)):
        metrics[name] = np.mean(np.atleast_1d(columns["mean_return"])[-10:])
        metrics[f"{name}_regret"] = np.mean(np.atleast_1d(columns["mean_regret"])[-10:])
    steps, returns = curve["timestep"], curve["mean_return"]
    span = steps[-1] - steps[0]
    metrics[AUC] = np.trapezoid(returns, steps) / span if span else returns[0]
    metrics[f"{AUC}_regret"] = np.nan
    return curve, {**measures, **final, **metrics}


def _refuse_mixture(settings: dict[tuple[str, str], Json], config: Json, path: Path) -> None:
    """Runs of one label and environment must be the same experiment, seeds apart.

    Keeps the settings of the lowest seed.
    """
    values = RunConfig.from_json(config["config"]).to_json()  # with defaults, if it is an old one
    config = {**config, "config": values}
    name = env_name(values["env_id"]), values["label"]
    kept = settings.setdefault(name, config)
    if kept != {**config, "config": {**values, "seed": kept["config"]["seed"]}}:
        raise ConfigError(f"{path} has other settings than its neighbours of other seeds")
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


def _drop_partial_late_returns(finals: pd.DataFrame) -> None:
    """Compare all runs on an environment by the final policy if one of them has no late scores."""
    for _, rows in finals.groupby("env_id"):
        if (rows["late_points"] == 0).any():
            finals.loc[rows.index, "late_points"] = 0
            for old, new in ((FINAL, LATE), (f"{FINAL}_regret", f"{LATE}_regret")):
                finals.loc[rows.index, new] = finals.loc[rows.index, old]


def declared_experiment(root: Path) -> Json | None:
    """Content of experiment.json, once its declaration is known to be the one that was hashed."""
    experiment = RunDirectory(root).read_json(EXPERIMENT_FILE)
    if experiment and declaration_hash(experiment["declaration"]) != experiment["sha256"]:
        raise ConfigError(
            f"the declaration in {root / EXPERIMENT_FILE} was changed after the runs began:"
            " its sha256 is another; put back the file as the sweep wrote it"
        )
    return experiment
