"""One configuration -> one run directory, whichever implementation it names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sb3_training.config import RunConfig
from sb3_training.run_directory import Progress

REFERENCE = "td3_reference"


def run(
    config: RunConfig,
    root: str | Path = "runs",
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    check: bool = True,
) -> Path:
    """Carry out a run in this process, with the reference TD3 or with SB3.

    :param should_stop: asked at every step; once it says yes, the run is saved and stops
    :param check: whether SB3's checker is to look at the environment first
    :raises ConfigError: if the configuration cannot be run, before anything is written
    :raises sb3_training.stopping.RunStopped: if it was asked to stop
    """
    if config.algo == REFERENCE:
        from benchmarks.reference import train_reference

        return train_reference(config, root, on_progress, should_stop, check)
    from sb3_training.training import train

    return train(config, root, on_progress, should_stop, check=check)


def hyperparameters_of(config: RunConfig) -> dict[str, Any]:
    """Every hyperparameter of a run as resolved.

    :raises ConfigError: if a name in the configuration does not exist
    """
    if config.algo == REFERENCE:
        from benchmarks.reference import resolve_hyperparameters as resolve_reference

        return resolve_reference(config)
    from sb3_training.algorithms import resolve_hyperparameters

    return resolve_hyperparameters(config)


def refuse_impossible(config: RunConfig, check: bool = True) -> None:
    """Refuse what training would refuse, by the same gate.

    :param check: whether SB3's checker is to look at the environment
    :raises ConfigError: if there is no such environment, algorithm or hyperparameter, or they do
        not go together
    """
    if config.algo == REFERENCE:
        from benchmarks.reference import inspect as inspect_reference

        inspect_reference(config, check)
    else:
        from sb3_training.training import inspect

        inspect(config, check)
