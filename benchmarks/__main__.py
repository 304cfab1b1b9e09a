"""The command line: ``python -m benchmarks {sweep,report}``."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.experiments import EXPERIMENTS, Experiment
from sb3_training.config import ConfigError

ExperimentName = Annotated[str, tyro.conf.Positional]


def sweep(
    experiment: ExperimentName, workers: int | None = None, root: Path = Path("runs")
) -> None:
    """Carry out an experiment's runs, side by side; those already complete are not repeated.

    Args:
        experiment: quick, pendulum or smoke
        workers: worker processes; default: one for each processor
        root: the runs go to <root>/<experiment>/
    """
    runs = find_experiment(experiment).runs()
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be 1 or more, got {workers}")
    from benchmarks.sweep import sweep as carry_out

    logging.getLogger("distributed").setLevel(logging.ERROR)
    failures = carry_out(runs, root / experiment, workers)
    if failures:
        print(f"{len(failures)} of {len(runs)} runs failed:", *failures, sep="\n  ")
        sys.exit(1)


def report(
    experiment: ExperimentName, root: Path = Path("runs"), output: Path = Path("reports")
) -> None:
    """Make tables and figures of an experiment's runs, and print the tables.

    Args:
        experiment: quick, pendulum or smoke
        root: the runs are read from <root>/<experiment>/
        output: tables and figures go to <output>/<experiment>/
    """
    find_experiment(experiment)
    from benchmarks.report import write_report

    try:
        text = write_report(root / experiment, output / experiment)
    except (FileNotFoundError, ValueError) as error:
        raise ConfigError(f"{error}; run: python -m benchmarks sweep {experiment}") from error
    print(text)
    print(f"Tables and figures: {output / experiment}")


def find_experiment(name: str) -> Experiment:
    """The experiment of that name.

    :raises ConfigError: if there is none
    """
    if name not in EXPERIMENTS:
        known = ", ".join(EXPERIMENTS)
        raise ConfigError(f"unknown experiment {name!r}: it must be one of {known}")
    return EXPERIMENTS[name]


def main() -> None:
    """The command line."""
    try:
        tyro.extras.subcommand_cli_from_dict({"sweep": sweep, "report": report})
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command does what is missing", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
