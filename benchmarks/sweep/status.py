"""Overview of a sweep: which runs are complete, failed or missing, and the time still needed."""

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.progress import track

from benchmarks.sweep.cluster import available_processors
from benchmarks.sweep.display import format_time
from benchmarks.table import markdown
from training.config import ConfigError, RunConfig, one_line
from training.endings import RunStopped
from training.open_run import can_resume
from training.run import hyperparameters_of, run
from training.run_directory import RunDirectory, settings_of

MEASURING_TIME = 3.0  # s for each implementation on each environment
PATIENCE = 60.0  # s to wait for the first timed steps
DAMAGED = "damaged"  # a run whose state is not known
SHORTER = "shorter"  # a complete run that is to have more steps
WARM_UP = 100  # random steps before the first update when only the speed matters


def overview(
    configs: Sequence[RunConfig], root: Path, workers: int | None = None, measured: bool = True
) -> str:
    """The state of an experiment's runs, and an estimate of the time that the missing ones take.

    Speeds are those of complete runs of the same implementation and environment. Without one, a few
    seconds of training are measured on this machine, one run at a time. A run that fails then, or
    is too short to be timed, has no estimate.

    :param root: folder that holds the run directories
    :param workers: number of workers that share the work; by default one for each processor
    :param measured: whether to measure speeds that no complete run gives; this runs code that the
        runs name
    """
    groups: dict[tuple[str, str], list[RunConfig]] = {}
    for config in configs:
        groups.setdefault((config.env_id, config.label), []).append(config)
    shown = track(groups.values(), "measuring speeds", transient=True)
    found = [group_status(runs, root, measured) for runs in shown]
    missing = sum(each.missing for each in found)
    count = workers or available_processors()
    left = sum(each.seconds for each in found) / max(1, min(count, missing))
    wait = max([left, *(each.longest for each in found)])
    header = ["environment", "implementation", "runs", "state", "steps/s", "work left"]
    longest = max((run.total_timesteps for run in configs), default=0)
    lines = [
        markdown(header, [each.row for each in found]),
        f"{len(configs)} runs of up to {longest:,} steps in {root}; about"
        f" {format_time(wait)} left with {count} workers.",
        *(f"Not counted, since its speed is not known: {each.unknown}"
          for each in found if each.unknown),
    ]  # fmt: skip
    return "\n".join([*lines, *(line for each in found for line in each.failures)])


class GroupStatus(NamedTuple):
    """State of the runs of an implementation on an environment.

    :param row: its row of the table
    :param failures: a line for each failed, diverged or damaged run
    :param unknown: why there is no speed, empty if there is one
    :param missing: runs that are not complete
    :param seconds: estimate for the missing runs, one after another
    :param longest: estimate for the longest of them
    """

    row: list[str]
    failures: list[str]
    unknown: str
    missing: int
    seconds: float
    longest: float


def group_status(runs: Sequence[RunConfig], root: Path, measured: bool) -> GroupStatus:
    """The state of the runs of one implementation on one environment."""
    states = {run.directory: _state(root / run.directory, run) for run in runs}
    steps = [
        max(0, run.total_timesteps - states[run.directory]["step"])
        for run in runs
        if states[run.directory]["state"] != "done"
    ]
    speed, unknown = _recorded_speed(runs, root), ""
    env_id, label = runs[0].env_id, runs[0].label
    if steps and speed is None and not measured:
        unknown = f"{label} on {env_id}: no run of it is complete"
    elif steps and speed is None:
        try:
            speed = measure_speed(runs[0])
        except Exception as error:  # whatever a run may raise
            unknown = f"{label} on {env_id}: {one_line(error)}"
    seconds = [each / speed if speed else 0.0 for each in steps]
    failures = [
        f"{name} {state['state']}: {state.get('message', '')}"
        for name, state in states.items()
        if state["state"] in ("failed", "diverged", DAMAGED)
    ]
    counts = Counter(state["state"] for state in states.values())
    what = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    per_second = "" if speed is None else f"{speed:.0f}"
    row = [env_id, label, str(len(runs)), what, per_second, format_time(sum(seconds))]
    return GroupStatus(row, failures, unknown, len(steps), sum(seconds), max(seconds, default=0.0))


def _state(path: Path, run: RunConfig) -> dict[str, Any]:
    """Content of a run's status.json, or what is wrong with it."""
    directory = RunDirectory(path)
    try:
        status = directory.status()
        if status["state"] != "done" or not directory.is_shorter(run.total_timesteps):
            return status
        settings = settings_of(run, hyperparameters_of(run))
        step = status["step"] if can_resume(directory, settings) else 0
        return {**status, "state": SHORTER, "step": step}
    except ConfigError as error:
        return {"state": DAMAGED, "step": 0, "message": str(error)}


def measure_speed(config: RunConfig) -> float:
    """Steps per second of a run after its warm-up, mostly without evaluations; takes seconds.

    :raises ValueError: if the run is too short to be timed
    """
    if hyperparameters_of(config).get("learning_starts", 0) > WARM_UP:
        config = replace(config, hyperparams={**config.hyperparams, "learning_starts": WARM_UP})
    seen: list[tuple[int, float]] = []

    def note(step: int, evaluation: float | None, episode: float | None) -> None:
        if step > WARM_UP:
            seen.append((step, time.monotonic()))

    def is_enough() -> bool:
        if len(seen) > 1:
            return seen[-1][1] - seen[0][1] > MEASURING_TIME
        return time.monotonic() - began > PATIENCE  # a first evaluation may be long

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, suppress(RunStopped):
        run(config, folder, note, is_enough, check=False)
    if len(seen) < 2:
        if is_enough():
            raise ValueError(f"not one step was timed within {PATIENCE:.0f} s")
        raise ValueError(f"{config.total_timesteps} steps are too few to be timed")
    steps, times = np.transpose(seen)
    return float((steps[-1] - steps[0]) / (times[-1] - times[0]))


def _recorded_speed(runs: Sequence[RunConfig], root: Path) -> float | None:
    """Median steps per second of the complete runs; None without any."""
    speeds = []
    for config in runs:
        with suppress(ConfigError):  # a damaged file; its run is not complete
            speed = RunDirectory(root / config.directory).provenance().get("steps_per_second")
            speeds += [speed] if speed and 0 < speed < np.inf else []
    return float(np.median(speeds)) if speeds else None
