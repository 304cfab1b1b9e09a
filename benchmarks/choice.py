"""Which experiment a command line means: a named one, a shortened one, or one of its own."""

from collections.abc import Sequence
from dataclasses import fields, replace
from math import inf
from pathlib import Path
from typing import Any

from benchmarks.experiments import (
    EXPERIMENT_FILE,
    EXPERIMENTS,
    FINAL,
    LOOKS,
    MARGINS,
    MIN_VERDICT,
    MUJOCO,
    Experiment,
)
from training.config import REFERENCE, ConfigError, RunConfig, refuse_alike
from training.run_directory import RunDirectory

CUSTOM = "custom"  # what an experiment of the command line is called by default
TUPLES = ("seeds", "metrics", "looks", "baselines")  # fields that JSON knows as lists
UNDECLARED = {"metrics": (FINAL,), "failure_regrets": {}}  # in an older experiment.json


def choose(
    name: str,
    algos: Sequence[str],
    env_ids: Sequence[str],
    seeds: int | None,
    total_timesteps: int | None,
    margin: float | None = None,
    looks: Sequence[int] | None = None,
) -> tuple[Experiment, str]:
    """The experiment that a command line asks for, and the name of its folder.

    :param name: of the experiment
    :param algos: algorithms to compare; none for an experiment that has a name already
    :param env_ids: environments, likewise
    :param seeds: how many, from 0 on; None for all of a named experiment
    :param total_timesteps: of each run; None for those of a named experiment
    :param margin: difference of returns too small to matter; None for the known ones
    :param looks: numbers of seeds after which to look, until decided; none of them for the
        experiment's own, else the usual ones; None to run all seeds
    :raises ConfigError: if that does not make an experiment
    """
    for option, value in (("seeds", seeds), ("total_timesteps", total_timesteps)):
        if value is not None and value < 1:
            raise ConfigError(f"{option} must be 1 or more, got {value}")
    if looks is not None:
        refuse_looks(looks, seeds)
        known = EXPERIMENTS.get(name)
        looks = tuple(looks) or (known.looks if known else ()) or LOOKS
        seeds = looks[-1]
    if algos or env_ids:
        own = compose(name, algos, env_ids, seeds, total_timesteps, margin)
        return replace(own, looks=looks or ()), name
    experiment = find_experiment(name)
    if margin is not None:
        raise ConfigError(f"{name} has declared its margins: --margin goes with --algos and --envs")
    number = len(experiment.seeds) if seeds is None else seeds
    chosen = experiment.looks if looks is None else looks
    chosen = tuple(look for look in chosen if look <= number)
    steps = {env: total_timesteps or steps for env, steps in experiment.total_timesteps.items()}
    if number != len(experiment.seeds) or looks is not None:
        experiment = replace(experiment, seeds=tuple(range(number)), looks=chosen)
    is_short = number < len(find_experiment(name).seeds) or steps != experiment.total_timesteps
    if is_short:
        name = f"{name}_{number}x{max(steps.values())}"
    return replace(experiment, total_timesteps=steps), name


def refuse_looks(looks: Sequence[int], seeds: int | None) -> None:
    """Refuse numbers of seeds that cannot be looked at one after another.

    :raises ConfigError: saying why
    """
    if seeds is not None:
        raise ConfigError("--until-decided runs as many seeds as its last look: leave out --seeds")
    if list(looks) != sorted(set(looks)) or (looks and looks[0] < MIN_VERDICT):
        raise ConfigError(
            f"looks must be numbers of seeds from {MIN_VERDICT} on, each above the one before,"
            f" got {' '.join(map(str, looks))}"
        )


def compose(
    name: str,
    algos: Sequence[str],
    env_ids: Sequence[str],
    seeds: int | None,
    total_timesteps: int | None,
    margin: float | None,
) -> Experiment:
    """An experiment of the command line.

    :raises ConfigError: if something is missing, named twice, no margin, or the name is taken
    """
    if margin is not None and not 0.0 < margin < inf:
        raise ConfigError(f"margin must be a number above 0, got {margin}")
    given = {
        "algos": algos, "envs": env_ids, "seeds": seeds, "total-timesteps": total_timesteps
    }  # fmt: skip
    missing = [f"--{option}" for option, value in given.items() if not value]
    if missing:
        raise ConfigError(f"a sweep of one's own needs {', '.join(missing)} too")
    if name in EXPERIMENTS:
        raise ConfigError(f"{name} is an experiment already: choose another name, or no --algos")
    assert seeds is not None
    assert total_timesteps is not None
    labels = {}
    for algo in algos:
        run = RunConfig(algo=algo, env_id=env_ids[0], total_timesteps=total_timesteps)
        if run.label in labels:
            raise ConfigError(f"two of the algorithms would be called {run.label}")
        labels[run.label] = {"algo": algo}
    refuse_alike(env_ids)
    return Experiment(
        description="composed on the command line",
        implementations=labels,
        total_timesteps=dict.fromkeys(env_ids, total_timesteps),
        seeds=tuple(range(seeds)),
        against=REFERENCE if REFERENCE in labels else next(iter(labels)),
        margins=MARGINS if margin is None else dict.fromkeys(env_ids, margin),
    )


def with_env_version(experiment: Experiment, name: str, version: str) -> tuple[Experiment, str]:
    """The experiment on another version of its environments, and what it is called then.

    :raises ConfigError: if its environments have no such versions
    """
    steps = {
        f"{env_id.rpartition('-')[0]}-{version}": value
        for env_id, value in experiment.total_timesteps.items()
        if env_id in MUJOCO
    }
    if len(steps) < len(experiment.total_timesteps):
        raise ConfigError(f"env-version is for the experiment paper, not for {name}")
    return replace(experiment, total_timesteps=steps), f"{name}_{version}"


def compiled(experiment: Experiment) -> Experiment:
    """The experiment with a compiled reference, under a label of its own.

    :raises ConfigError: if there is no compiler
    """
    from td3_reference.networks import require_compiler

    try:
        require_compiler()
    except RuntimeError as error:
        raise ConfigError(str(error)) from error
    label = f"{REFERENCE}_compiled"
    implementations = {
        (label if name == REFERENCE else name): (
            {**settings, "hyperparams": {**settings.get("hyperparams", {}), "compile": True}}
            if name == REFERENCE
            else settings
        )
        for name, settings in experiment.implementations.items()
    }
    against = label if experiment.against == REFERENCE else experiment.against
    return replace(experiment, implementations=implementations, against=against)


def with_settings(experiment: Experiment, **given: Any) -> Experiment:
    """The experiment with settings of the command line for all its runs; None leaves them be."""
    settings = {name: value for name, value in given.items() if value is not None}
    return replace(experiment, settings={**experiment.settings, **settings})


def find_experiment(name: str) -> Experiment:
    """The experiment of that name.

    :raises ConfigError: if there is none
    """
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise ConfigError(
            f"unknown experiment {name!r}: it must be one of {known}, or have --algos and --envs"
        )
    return EXPERIMENTS[name]


def recorded_experiment(root: Path) -> Experiment | None:
    """The experiment whose runs a folder holds; None where no sweep has been."""
    recorded = RunDirectory(root).read_json(EXPERIMENT_FILE)
    if recorded is None:
        return None
    values = {
        each.name: recorded[each.name] for each in fields(Experiment) if each.name in recorded
    }
    values |= {name: tuple(values[name]) for name in TUPLES if name in values}
    return Experiment(**(UNDECLARED | values))
