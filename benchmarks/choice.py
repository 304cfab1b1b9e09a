"""The experiment that a command line asks for: a named one, a file's, or one made of options."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from math import inf
from pathlib import Path
from typing import Any

from benchmarks.experiments import (
    DEFAULT_LOOKS,
    EXPERIMENT_FILE,
    EXPERIMENT_SUFFIX,
    EXPERIMENTS,
    FINAL,
    MARGINS,
    Experiment,
    experiment_of,
    merge_settings,
    read_experiment,
    refuse_looks,
    refuse_unknown,
    validated,
)
from benchmarks.request import ExperimentRequest
from training.command_line import parse_overrides
from training.config import REFERENCE, ConfigError, RunConfig, refuse_name_clashes
from training.run_directory import RunDirectory

OLD_DEFAULTS = {"metrics": [FINAL], "failure_regrets": {}}  # in an older experiment.json
# Options that a named experiment or a file does not take, since it declares them itself.
DECLARED_OPTIONS = ("margin", "against", "baselines", "hyperparams", "preset", "env_kwargs",
                    "eval_freq", "n_envs", "normalize", "settings")  # fmt: skip


def choose_experiment(request: ExperimentRequest) -> tuple[Experiment, str]:
    """The experiment that a command line asks for, and the name of its folder.

    :raises ConfigError: if the options do not make a valid experiment
    """
    for option in ("seeds", "total_timesteps"):
        value = getattr(request, option)
        if value is not None and value < 1:
            raise ConfigError(f"{option} must be 1 or more, got {value}")
    if request.looks and not request.until_decided:
        raise ConfigError("--looks goes with --until-decided")
    if request.until_decided and request.seeds is not None:
        raise ConfigError("--until-decided runs as many seeds as its last look: leave out --seeds")
    refuse_looks(request.looks, max(request.looks, default=0))
    name, is_file = request.name, request.experiment.endswith(EXPERIMENT_SUFFIX)
    if request.extend:
        experiment = extended_experiment(request)
    elif is_file and (request.algos or request.envs):
        raise ConfigError(f"{request.experiment} has its algorithms and environments: change it")
    elif request.algos or request.envs:
        experiment = custom_experiment(request)
    else:
        experiment, name = named_experiment(request)
    if request.env_version:
        experiment, name = with_env_version(experiment, name, request.env_version)
    if request.compile:
        experiment, name = with_compiled_reference(experiment), f"{name}_compiled"
    if request.baselines:
        from envs.controllers import CONTROLLERS

        refuse_unknown("baselines", request.baselines, CONTROLLERS)
    limits = {"max_episode_steps": request.max_episode_steps, "eval_envs": request.eval_envs}
    return validated(with_settings(experiment, **limits)), name


def named_experiment(request: ExperimentRequest) -> tuple[Experiment, str]:
    """A named experiment or a file's, with the seeds and steps asked for, and its folder's name.

    :raises ConfigError: if there is none, or an option would change what it declares
    """
    full, name = find_experiment(request.experiment), request.name
    if given := [option for option in DECLARED_OPTIONS if getattr(request, option)]:
        options = ", ".join(f"--{option.replace('_', '-')}" for option in given)
        raise ConfigError(
            f"{name} has declared its margins and settings: {options} goes with --algos and --envs,"
            " or change a copy of the experiment's file"
        )
    experiment = full
    looks, number = full.looks, request.seeds or len(full.seeds)
    if request.until_decided:
        looks = request.looks or full.looks or DEFAULT_LOOKS
        number = looks[-1]
    looks = tuple(look for look in looks if look <= number)
    if number != len(full.seeds) or looks != full.looks:
        experiment = replace(full, seeds=more_seeds(full.seeds, number), looks=looks)
    steps = {env: request.total_timesteps or old for env, old in full.total_timesteps.items()}
    if number < len(full.seeds) or steps != full.total_timesteps:
        name = f"{name}_{number}x{max(steps.values())}"
    return replace(experiment, total_timesteps=steps), name


def more_seeds(seeds: Sequence[int], number: int) -> tuple[int, ...]:
    """The first ``number`` seeds: of these, then of those that follow the largest."""
    following = range(max(seeds, default=-1) + 1, max(seeds, default=-1) + 1 + number)
    return (*seeds, *following)[:number]


def custom_experiment(request: ExperimentRequest) -> Experiment:
    """An experiment made of options of the command line.

    :raises ConfigError: if something is missing or named twice, the margin is not valid, or the
        name is taken
    """
    looks = (request.looks or DEFAULT_LOOKS) if request.until_decided else ()
    seeds = looks[-1] if looks else request.seeds
    given = {"algos": request.algos, "envs": request.envs, "seeds": seeds,
             "total-timesteps": request.total_timesteps}  # fmt: skip
    if missing := [f"--{option}" for option, value in given.items() if not value]:
        raise ConfigError(f"a sweep of one's own needs {', '.join(missing)} too")
    if request.name in EXPERIMENTS:
        raise ConfigError(
            f"{request.name} is an experiment already: choose another name, or no --algos"
        )
    labels = implementations_of(request)
    refuse_name_clashes(request.envs)
    assert seeds is not None
    assert request.total_timesteps is not None
    return Experiment(
        description="composed on the command line",
        implementations=labels,
        total_timesteps=dict.fromkeys(request.envs, request.total_timesteps),
        seeds=tuple(range(seeds)),
        against=request.against or (REFERENCE if REFERENCE in labels else next(iter(labels))),
        margins=margins_of(request, request.envs, MARGINS),
        looks=looks,
        baselines=request.baselines,
        settings=shared_settings(request),
    )


def extended_experiment(request: ExperimentRequest) -> Experiment:
    """An experiment that has begun, or what its file says now, extended as the options ask.

    :raises ConfigError: if there is none, or it would shrink
    """
    root = request.root / request.name
    base = recorded_experiment(root)
    if request.experiment.endswith(EXPERIMENT_SUFFIX):
        base = find_experiment(request.experiment)
    if base is None:
        raise ConfigError(f"there is no experiment in {root} that could be extended")
    own = [option for option in DECLARED_OPTIONS if option not in ("margin", "settings", "against")]
    if given := [option for option in own if getattr(request, option)]:
        raise ConfigError(f"{', '.join(given)} cannot change in an experiment that has begun")
    number = len(base.seeds) if request.seeds is None else request.seeds
    if number < len(base.seeds):
        raise ConfigError(f"{root} has {len(base.seeds)} seeds already, got {number}")
    looks = (request.looks or DEFAULT_LOOKS) if request.until_decided else base.looks
    if request.until_decided:
        number = looks[-1]
    elif looks and number > looks[-1]:
        looks = (*looks, number)
    steps = extended_steps(request, base.total_timesteps)
    labels = implementations_of(request)
    return replace(
        base,
        implementations={**base.implementations, **labels},
        total_timesteps=steps,
        seeds=more_seeds(base.seeds, number),
        looks=looks,
        against=request.against or base.against,
        margins=margins_of(request, request.envs or tuple(steps), base.margins),
    )


def extended_steps(request: ExperimentRequest, steps: Mapping[str, int]) -> dict[str, int]:
    """Steps on each environment: as many as before or more, and those of new environments.

    :raises ConfigError: if an environment would get fewer steps than before
    """
    asked = request.total_timesteps
    extended = dict(steps)
    for env_id in request.envs or (steps if asked else ()):
        extended[env_id] = asked or steps.get(env_id, max(steps.values()))
        if extended[env_id] < steps.get(env_id, 0):
            raise ConfigError(
                f"{request.name} has {steps[env_id]} steps on {env_id} already, got {asked}"
            )
    return extended


def implementations_of(request: ExperimentRequest) -> dict[str, dict[str, Any]]:
    """Implementations by label: those of ``--algos`` with their ``--settings``.

    :raises ConfigError: if two have the same label, or a setting names none of the labels
    """
    labels: dict[str, dict[str, Any]] = {}
    for text in request.algos:
        given, equals, algo = text.rpartition("=")
        if equals and not given:
            raise ConfigError(f"{text!r} must be LABEL=ALGORITHM, such as slow=td3")
        run = RunConfig(label=given, algo=algo, env_id="any", total_timesteps=1)
        if run.label in labels:
            raise ConfigError(
                f"two of the algorithms would be called {run.label}: give one a label, as in"
                f" other={algo}"
            )
        labels[run.label] = {"algo": algo}
    for text in request.settings:
        label, _, setting = text.partition(":")
        refuse_unknown("label of --algos in --settings LABEL:NAME=VALUE", [label], labels)
        labels[label] = merge_settings(labels[label], parse_overrides([setting]))
    return labels


def shared_settings(request: ExperimentRequest) -> dict[str, Any]:
    """What a command line sets for all runs."""
    names = ("hyperparams", "preset", "env_kwargs", "eval_freq", "n_envs", "normalize")
    return {name: value for name in names if (value := getattr(request, name))}


def margins_of(
    request: ExperimentRequest, env_ids: Sequence[str], known: Mapping[str, float]
) -> Mapping[str, float]:
    """Margins by environment: the option's for all, if it is given, else the known ones."""
    margin = request.margin
    if margin is None:
        return known
    if not 0.0 < margin < inf:
        raise ConfigError(f"margin must be a number above 0, got {margin}")
    given = dict.fromkeys(env_ids, margin)
    return {**known, **given} if request.extend else given


def with_env_version(experiment: Experiment, name: str, version: str) -> tuple[Experiment, str]:
    """The experiment on another version of its environments, and its name.

    :raises ConfigError: if its environments have no such versions
    """
    steps = {
        f"{env_id.rpartition('-')[0]}-{version}": value
        for env_id, value in experiment.total_timesteps.items()
        if env_id.endswith(("-v4", "-v5"))
    }
    if len(steps) < len(experiment.total_timesteps):
        raise ConfigError(f"env-version is for MuJoCo's environments, such as paper's; not {name}")
    return replace(experiment, total_timesteps=steps), f"{name}_{version}"


def with_compiled_reference(experiment: Experiment) -> Experiment:
    """The experiment with a compiled reference, under a label of its own.

    :raises ConfigError: if there is no compiler
    """
    from td3_reference.networks import require_compiler

    try:
        require_compiler()
    except RuntimeError as error:
        raise ConfigError(str(error)) from error
    labels = {REFERENCE: f"{REFERENCE}_compiled"}
    implementations = {
        labels.get(name, name): merge_settings(own, {"hyperparams": {"compile": True}})
        if name in labels
        else own
        for name, own in experiment.implementations.items()
    }
    against = labels.get(experiment.against, experiment.against)
    return replace(experiment, implementations=implementations, against=against)


def with_settings(experiment: Experiment, **given: Any) -> Experiment:
    """The experiment with settings of the command line for all its runs; None changes nothing."""
    settings = {name: value for name, value in given.items() if value is not None}
    return replace(experiment, settings={**experiment.settings, **settings})


def find_experiment(name: str) -> Experiment:
    """The experiment of that name, or of that file.

    :raises ConfigError: if there is none
    """
    if name.endswith(EXPERIMENT_SUFFIX):
        return read_experiment(Path(name))
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise ConfigError(
            f"unknown experiment {name!r}: it must be one of {known}, a file"
            f" {name}{EXPERIMENT_SUFFIX}, or have --algos and --envs"
        )
    return EXPERIMENTS[name]


def recorded_experiment(root: Path) -> Experiment | None:
    """The experiment whose runs a folder holds; None if no sweep has written one."""
    recorded = RunDirectory(root).read_json(EXPERIMENT_FILE)
    if recorded is None:
        return None
    known = {each.name for each in fields(Experiment)}
    values = {name: value for name, value in recorded.items() if name in known}
    return experiment_of({**OLD_DEFAULTS, **values})
