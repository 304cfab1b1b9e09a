"""One configuration -> one run directory, whichever implementation it names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.config import RunConfig
from training.run_directory import Progress

REFERENCE = "td3_reference"


def uses_reference(algo: str) -> bool:
    """Whether it is the reference, or a subclass of it: ``td3_reference:my_module:MyTD3``."""
    return algo.partition(":")[0] == REFERENCE


def run(
    config: RunConfig,
    root: str | Path = "runs",
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    check: bool = True,
    allow_mixed: bool = False,
) -> Path:
    """Carry out a run in this process, with the reference TD3 or with SB3.

    :param should_stop: asked at every step; once it says yes, the run is saved and stops
    :param check: whether SB3's checker is to look at the environment first
    :param allow_mixed: whether to go on with what other software began
    :raises ConfigError: if the configuration cannot be run, before anything is written
    :raises training.signals.RunStopped: if it was asked to stop
    """
    if uses_reference(config.algo):
        from training.reference import train_reference

        return train_reference(config, root, on_progress, should_stop, check, allow_mixed)
    from training.sb3.train import train

    return train(config, root, on_progress, should_stop, check=check, allow_mixed=allow_mixed)


def hyperparameters_of(config: RunConfig) -> dict[str, Any]:
    """Every hyperparameter of a run as resolved.

    :raises ConfigError: if a name in the configuration does not exist
    """
    if uses_reference(config.algo):
        from training.reference import resolve_hyperparameters as resolve_reference

        return resolve_reference(config)
    from training.sb3.algorithms import resolve_hyperparameters

    return resolve_hyperparameters(config)


def refuse_impossible(config: RunConfig, check: bool = True) -> None:
    """Refuse what training would refuse, by the same gate.

    :param check: whether SB3's checker is to look at the environment
    :raises ConfigError: if there is no such environment, algorithm or hyperparameter, or they do
        not go together
    """
    if uses_reference(config.algo):
        from training.reference import inspect as inspect_reference

        inspect_reference(config, check)
    else:
        from training.sb3.train import inspect

        inspect(config, check)
