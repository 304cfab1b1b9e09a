"""The command line: ``python -m benchmarks {sweep,report,fidelity,speed}``."""

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from benchmarks.experiments import EXPERIMENTS, Experiment
from sb3_training.config import ConfigError, RunConfig

ExperimentName = Annotated[str, tyro.conf.Positional]


def sweep(
    experiment: ExperimentName,
    workers: int | None = None,
    root: Path = Path("runs"),
    compile: bool = False,
) -> None:
    """Carry out an experiment's runs, side by side; those already complete are not repeated.

    Args:
        experiment: quick, pendulum or smoke
        workers: worker processes; default: one for each processor
        root: the runs go to <root>/<experiment>/
        compile: compile the reference TD3: faster, equal up to rounding; needs a C++ compiler
    """
    runs = find_experiment(experiment).runs()
    if compile:
        runs = [compiled(run) for run in runs]
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


def fidelity(output: Path = Path("reports")) -> None:
    """Check that the reference TD3 is the published one, in less than a minute.

    Args:
        output: the page goes to <output>/fidelity.md too
    """
    import torch

    from benchmarks.fidelity_page import fidelity_page
    from benchmarks.report import FIDELITY_PAGE

    torch.set_num_threads(1)
    page, passed = fidelity_page()
    output.mkdir(parents=True, exist_ok=True)
    (output / FIDELITY_PAGE).write_text(page, encoding="utf-8")
    print(page)
    print(f"This page: {output / FIDELITY_PAGE}")
    sys.exit(0 if passed else 1)


def speed(what: Annotated[Literal["td3", "envs"], tyro.conf.Positional]) -> None:
    """Measure speeds side by side, in alternation, and print their medians and ratios.

    Args:
        what: td3, updates and whole loops of SB3 and the reference, eager and compiled; or envs,
            steps and frames of the rocket, single and in a batch, beside Pendulum
    """
    if what == "td3":
        from benchmarks.speed import speed_table
    else:
        from benchmarks.speed_envs import speed_table
    print(speed_table())


def compiled(run: RunConfig) -> RunConfig:
    """The run with a compiled reference, under a label of its own; SB3's runs as they are.

    :raises ConfigError: if there is no compiler
    """
    from benchmarks.run import REFERENCE
    from td3_reference.layers import require_compiler

    if run.algo != REFERENCE:
        return run
    try:
        require_compiler()
    except RuntimeError as error:
        raise ConfigError(str(error)) from error
    return replace(run, label=f"{run.label}_compiled", hyperparams={"compile": True})


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
        commands: dict[str, Callable[..., None]] = {
            "sweep": sweep,
            "report": report,
            "fidelity": fidelity,
            "speed": speed,
        }
        tyro.extras.subcommand_cli_from_dict(commands, prog="python -m benchmarks")
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command does what is missing", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
