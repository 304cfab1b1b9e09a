"""One configuration -> one run directory, whichever implementation it names."""

from pathlib import Path
from typing import Any

from sb3_training.config import RunConfig
from sb3_training.run_directory import Progress

REFERENCE = "td3_reference"


def run(config: RunConfig, root: str | Path = "runs", on_progress: Progress | None = None) -> Path:
    """Carry out a run in this process, with the reference TD3 or with SB3.

    :raises ConfigError: if the configuration cannot be run, before anything is written
    """
    if config.algo == REFERENCE:
        from benchmarks.reference import train_reference

        return train_reference(config, root, on_progress)
    from sb3_training.training import train

    return train(config, root, on_progress)


def hyperparameters_of(config: RunConfig) -> dict[str, Any]:
    """Every hyperparameter of a run as resolved.

    :raises ConfigError: if a name in the configuration does not exist
    """
    if config.algo == REFERENCE:
        from benchmarks.reference import resolve_hyperparameters as resolve_reference

        return resolve_reference(config)
    from sb3_training.algorithms import resolve_hyperparameters

    return resolve_hyperparameters(config)
