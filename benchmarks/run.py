"""One configuration -> one run directory, whichever implementation it names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sb3_training.config import RunConfig
from sb3_training.run_directory import Progress

REFERENCE = "td3_reference"


def uses_reference(algo: str) -> bool:
    """Whether it is the reference, or a subclass of it: ``td3_reference:my_module:MyTD3``."""
    return algo.partition(":")[0] == REFERENCE


def run(
    config: RunConfig,
    root: str | Path = "runs",
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Carry out a run in this process, with the reference TD3 or with SB3.

    :param should_stop: asked at every step; once it says yes, the run is saved and stops
    :raises ConfigError: if the configuration cannot be run, before anything is written
    :raises sb3_training.stopping.RunStopped: if it was asked to stop
    """
    if uses_reference(config.algo):
        from benchmarks.reference import train_reference

        return train_reference(config, root, on_progress, should_stop)
    from sb3_training.training import train

    return train(config, root, on_progress, should_stop)


def hyperparameters_of(config: RunConfig) -> dict[str, Any]:
    """Every hyperparameter of a run as resolved.

    :raises ConfigError: if a name in the configuration does not exist
    """
    if uses_reference(config.algo):
        from benchmarks.reference import resolve_hyperparameters as resolve_reference

        return resolve_reference(config)
    from sb3_training.algorithms import resolve_hyperparameters

    return resolve_hyperparameters(config)


def refuse_impossible(config: RunConfig) -> None:
    """Refuse what can be seen not to work without training.

    :raises ConfigError: if there is no such environment, algorithm or hyperparameter, or they do
        not go together
    """
    from sb3_training.algorithms import check_spaces
    from sb3_training.environments import make_env

    env = make_env(config)
    hyperparameters = hyperparameters_of(config)
    if uses_reference(config.algo):
        from benchmarks.reference import build_agent

        build_agent(config, hyperparameters, env)
    else:
        check_spaces(config, env)
    env.close()
