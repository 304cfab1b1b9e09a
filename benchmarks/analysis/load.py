"""Run directories -> tidy tables. Nothing here trains or needs torch."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.analysis.sources.evaluations import FailedRunError, Json, Run, read_run
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
from training.config import FIRST_SEED as FIRST_CURVE_SEED
from training.config import ConfigError, RunConfig, env_name, refuse_name_clashes
from training.provenance import software_differences
from training.run_directory import BEGINS_ANEW, RunDirectory

KEYS = ["env_id", "label", "seed"]
TIMES = ("seconds", "steps_per_second", "continued_from_step")
SOFTWARE = ("packages", "python", "git_commit", "git_changes",
            "cpu", "device", "torch_threads", "platform")  # fmt: skip
ROCKET_MEASURES = ("steady_state_error", "jitter")  # have a column for every environment
NOT_MEASURES = ("timesteps", "results", "ep_lengths", "successes")  # of evaluations.npz


class Results(NamedTuple):
    """What a folder of runs holds. Each frame has the keys env_id (the
    environment's name, without a module), label and seed.

    :param curves: a row for each evaluation: timestep, mean_return, n_episodes, success_rate,
        mean_regret, score
    :param finals: a row for each run, on the held-out start states: mean_return, n_episodes,
        success_rate, mean_regret, score; of each of the environment's ``episode_measures``, such
        as a rocket's steady_state_error (m) and jitter (m/s^2), the mean over the episodes that
        have one; late_points, the evaluation points in its late return, 0 where the final policy's
        return takes its place; and for each of :data:`benchmarks.experiments.METRICS` its value and
        ``<metric>_regret``
    :param timings: a row for each run: seconds, steps_per_second, continued_from_step
    :param settings: by (env_id, label), the config.json of its lowest seed
    :param provenance: what the runs were made with: each kind once, with the number of runs
        ``num_runs`` and their ``commands``
    :param unfinished: run directories that are not complete; they are left out
    :param notes: what a reader must know about the runs, such as that starts do not follow from
        seeds
    :param failures: by (env_id, label), the number of runs that failed or diverged, if above 0
    :param experiment: content of experiment.json, None where there is none
    :param mixture: in what software or hardware the runs differ; None if in nothing
    :param elsewhere: labels of curves that come from further sources, see
        :func:`benchmarks.analysis.contrast.add_sources`

    A value that is not known is NaN. A score is 1 for the optimum and 0 for an untrained policy:
    one minus the regret divided by the mean regret at step 0. Where V* is not known, the best
    run's return on the held-out starts takes its place.
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
    software_differences: str | None = None
    elsewhere: tuple[str, ...] = ()

    @property
    def own(self) -> "Results":
        """These results without the curves that come from further sources."""
        frames = (rows[~rows["label"].isin(self.elsewhere)] for rows in (self.curves, self.finals))
        curves, finals = frames
        return self._replace(curves=curves, finals=finals, elsewhere=())


def load_results(root: Path) -> Results:
    """Read all run directories ``<root>/<label>/<env_id>_<seed>/``.

    :raises FileNotFoundError: if there is no complete run
    :raises ConfigError: if runs of one label and environment differ in more than their
        seed, two environments have the same name, or the experiment's declaration is not the one
        that was hashed
    """
    runs, unfinished = [], []
    failures: Counter[tuple[str, str]] = Counter()
    settings: dict[tuple[str, str], Json] = {}
    experiment = declared_experiment(root)
    declared = {env_name(name): steps for name, steps in
                (experiment or {}).get("total_timesteps", {}).items()}  # fmt: skip
    for path in sorted(file.parent for file in root.glob("*/*/config.json")):
        try:
            run = read_run(path)
        except ConfigError as error:
            unfinished.append(f"{path.relative_to(root)} ({error})")
            if isinstance(error, FailedRunError):
                failures[env_name(error.config["env_id"]), error.config["label"]] += 1
            continue
        steps, wanted = (
            run.config["total_timesteps"],
            declared.get(env_name(run.config["env_id"]), 0),
        )
        if steps < wanted:  # it is complete, but has yet to be extended
            unfinished.append(f"{path.relative_to(root)} ({steps:,} of {wanted:,} steps)")
            continue
        _refuse_other_settings(settings, run.settings, path)
        runs.append(run)
    if not runs:
        left_out = f": left out are {', '.join(unfinished)}" if unfinished else ""
        raise FileNotFoundError(f"no complete run in {root}{left_out}")
    refuse_name_clashes(sorted({run.config["env_id"] for run in runs}))
    curves, finals = _frames(runs)
    origins = [run.made_with for run in runs]
    notes = {note for made_with in origins for note in made_with.get("notes", ())}
    timings = pd.DataFrame([
        _keys(run) | {name: run.made_with.get(name, np.nan) for name in TIMES} for run in runs
    ]).sort_values(KEYS, ignore_index=True)  # fmt: skip
    return Results(
        curves, finals, timings, settings, _distinct_origins(origins), unfinished,
        sorted(note for note in notes if not note.startswith(BEGINS_ANEW)),
        failures, experiment, software_differences(origins),
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
    "timestep" has each run's own. Where runs have different numbers of evaluations (points passed
    in one step are evaluated once), each keeps its first n - 1 and its last, with n the smallest
    number.
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
    """A column of finals, shape (num_runs,): what each run got on the held-out starts."""
    rows = results.finals.query("env_id == @env_id and label == @label")
    return rows[column].to_numpy()


def _distinct_origins(origins: list[Json]) -> list[Json]:
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
    """The software and steps of a run's parts; empty if all were made with the same software."""
    parts = [{**part, "seconds": None} for part in made_with.get("parts", ())]
    alike = all(part["software"] == parts[0]["software"] for part in parts)
    return {} if alike else {"parts": parts}


def _keys(run: Run) -> Json:
    return {name: run.config[name] for name in KEYS} | {"env_id": env_name(run.config["env_id"])}


def finals_of(runs: Iterable[Run]) -> pd.DataFrame:
    """The frame ``finals`` of :class:`Results`, of runs that are read already."""
    return _frames(runs)[1]


def _frames(runs: Iterable[Run]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The frames ``curves`` and ``finals`` of :class:`Results`."""
    curves, finals = [], []
    for run in runs:
        curve, final = _evaluations(run)
        curves.append(pd.DataFrame({**_keys(run), **curve}))
        finals.append({**_keys(run), **final})
    curve_rows = pd.concat(curves).sort_values([*KEYS, "timestep"], ignore_index=True)
    final_rows = pd.DataFrame(finals).sort_values(KEYS, ignore_index=True)
    _add_scores(curve_rows, final_rows)
    _drop_partial_late_returns(final_rows)
    return curve_rows, final_rows


def _scored(run: Run, prefix: str, first_seed: int) -> Json:
    """Mean return, success rate and regret of one kind of evaluation, one value for each."""
    returns, successes = run.arrays[f"{prefix}results"], run.arrays.get(f"{prefix}successes")
    known = has_optimum(run.config["env_id"]) and RunConfig.from_json(run.config).is_as_registered
    optimum = np.nan
    if known and run.has_fixed_starts:
        optimum = optimal_returns.mean_return(run.config["env_id"], first_seed, returns.shape[-1])
    return {
        "mean_return": returns.mean(axis=-1),
        "n_episodes": returns.shape[-1],
        "success_rate": np.nan if successes is None else successes.mean(axis=-1),
        "mean_regret": optimum - returns.mean(axis=-1),
    }


def _evaluations(run: Run) -> tuple[Json, Json]:
    """A run's columns of ``curves`` and row of ``finals``, without keys."""
    measured: Json = dict.fromkeys(ROCKET_MEASURES, np.nan)
    for name in (name.removeprefix("final_") for name in run.arrays if name.startswith("final_")):
        values = run.arrays[f"final_{name}"]
        if name not in NOT_MEASURES and np.isfinite(values).any():
            measured[name] = values[np.isfinite(values)].mean()
    curve = {"timestep": run.arrays["timesteps"], **_scored(run, "", FIRST_CURVE_SEED)}
    final = _scored(run, "final_", FIRST_SEED)
    late = _scored(run, "late_", FIRST_SEED) if "late_results" in run.arrays else {}
    metrics: Json = {"late_points": len(late.get("mean_return", ()))}
    for name, columns in ((LATE, late or final), (FINAL, final), (LAST_10, curve)):
        metrics[name] = np.mean(np.atleast_1d(columns["mean_return"])[-10:])
        metrics[f"{name}_regret"] = np.mean(np.atleast_1d(columns["mean_regret"])[-10:])
    steps, returns = curve["timestep"], curve["mean_return"]
    span = steps[-1] - steps[0]
    metrics[AUC] = np.trapezoid(returns, steps) / span if span else returns[0]
    metrics[f"{AUC}_regret"] = np.nan
    return curve, {**measured, **final, **metrics}


def _refuse_other_settings(settings: dict[tuple[str, str], Json], config: Json, path: Path) -> None:
    """Refuse a run whose settings differ from those of its label and environment's other seeds.

    Keeps the settings of the lowest seed.

    :raises ConfigError: naming the run
    """
    values = config["config"]
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
    """Content of experiment.json; None without one.

    :raises ConfigError: if its declaration does not match its hash
    """
    experiment = RunDirectory(root).read_json(EXPERIMENT_FILE)
    if experiment and declaration_hash(experiment["declaration"]) != experiment["sha256"]:
        raise ConfigError(
            f"the declaration in {root / EXPERIMENT_FILE} was changed after the runs began:"
            " its sha256 is another; put back the file as the sweep wrote it"
        )
    return experiment
