"""Train a Stable-Baselines3 algorithm on a Gymnasium environment.

    python train_sb3.py --algo td3 --env-id rocket-v0 --total-timesteps 20000 --seed 0

As a library: ``from train_sb3 import RunConfig, train``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from training.command_line import OVERRIDES, RunOptions, prepare_process, print_loading, run_command
from training.config import ConfigError, RunConfig, uses_reference
from training.open_run import Progress
from training.run import run

__all__ = ["RunConfig", "main", "train"]


def train(
    config: RunConfig,
    root: str | Path = "runs",
    on_progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Train as configured and return the run directory.

    :param options: ``should_stop``, ``checkpoint_freq``, ``check`` and ``allow_mixed``, as
        :func:`training.run.run` describes them
    :raises ConfigError: if the algorithm is the reference, which is not SB3's, or as
        :func:`training.run.run` does
    """
    refuse_reference(config)
    return run(config, root, on_progress, **options)


def refuse_reference(config: RunConfig) -> None:
    """Refuse the reference, which another command trains.

    :raises ConfigError: if the configuration names it; gives that command
    """
    if uses_reference(config.algo):
        raise ConfigError(
            f"{config.algo} is not an algorithm of SB3; train it with: python -m benchmarks run"
            f" --algo {config.algo} --env-id {config.env_id} --seed {config.seed}"
        )


@dataclass(frozen=True, kw_only=True)
class Arguments(RunOptions):
    """Train a Stable-Baselines3 algorithm on a Gymnasium environment.

    The run directory <root>/<label>/<env-id>_<seed>/ receives model.zip, best_model.zip,
    evaluations.npz, train.monitor.csv, tensorboard/ and the settings. A run that is already
    complete is not repeated; a run that was stopped goes on.

    :param list_algos: list the algorithms with the action spaces that they take, and exit
    """

    list_algos: bool = False

    def configured(self) -> tuple[RunConfig, Path]:
        """The requested run, and the root folder of its directory.

        :raises ConfigError: if an option is not acceptable, or the algorithm is not SB3's
        """
        config, root = super().configured()
        refuse_reference(config)
        return config, root


def main() -> None:
    """The command line."""
    prepare_process()
    arguments = tyro.cli(Arguments, registry=OVERRIDES)
    print_loading()
    if arguments.list_algos:
        from training.sb3.algorithms import list_algorithms

        print(list_algorithms())
        return
    run_command(arguments)


if __name__ == "__main__":
    main()
