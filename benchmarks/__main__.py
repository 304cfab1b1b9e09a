"""The command line: ``python -m benchmarks COMMAND``."""

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
        experiment: quick, pendulum_verdict or smoke
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
        experiment: quick, pendulum_verdict or smoke
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
    write_page(page, output / FIDELITY_PAGE)
    sys.exit(0 if passed else 1)


def speed(what: Annotated[Literal["td3", "envs", "training"], tyro.conf.Positional]) -> None:
    """Measure speeds side by side, in alternation, and print their medians and ratios.

    Args:
        what: td3, updates and whole loops of SB3 and the reference, eager and compiled; or envs,
            steps and frames of the rocket, single and in a batch, beside Pendulum; or training,
            whole runs of train() beside SB3's plain learn()
    """
    if what == "td3":
        from benchmarks.speed import speed_table
    elif what == "envs":
        from benchmarks.speed_envs import speed_table
    else:
        from benchmarks.speed_training import speed_table
    print(speed_table())


def record(
    policy: Annotated[str, tyro.conf.Positional],
    env_id: str | None = None,
    algo: str | None = None,
    seed: int = 10_000,
    initial_state: tuple[float, ...] | None = None,
    extra_steps: int = 0,
    noise: float = 0.0,
    speed: float = 1.0,
    output: Path | None = None,
) -> None:
    """Play one episode of a policy: an animation (GIF), a figure, and what it achieved.

    Args:
        policy: a run directory, a model.zip of SB3's, or a controller: random, zero, brake, pd,
            pid, lqr, bang-bang
        env_id: default: what the run was trained on, rocket-v0 for a controller
        algo: the algorithm of a model.zip that lies in no run directory
        seed: the episode starts from reset(seed=SEED)
        initial_state: where it starts instead, such as 1 0 for a rocket's x = 1 m, v = 0
        extra_steps: how far the episode may go beyond the time limit
        noise: exploration noise, as a fraction of the action's half-width
        speed: of the animation; 1 is real time
        output: path of the files, without suffix; default: recordings/<policy>_<environment>
    """
    from benchmarks.record import record as play

    print(
        play(
            policy,
            env_id=env_id,
            output=output,
            algo=algo,
            seed=seed,
            initial_state=initial_state,
            extra_steps=extra_steps,
            noise=noise,
            speed=speed,
        )
    )


def scores(
    policies: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    env_id: tuple[str, ...] = ("rocket-v0", "rocket-landing-v0"),
    episodes: int = 1_000,
    output: Path = Path("reports"),
) -> None:
    """Score policies on many starts: return, regret and its gaps, success, steady-state error.

    Args:
        policies: run directories, model.zip files or controllers; default: all controllers
        env_id: the environments
        episodes: starts, from reset(seed=20000) on
        output: the tables go to <output>/scores.md too
    """
    from benchmarks.scores import scores_page

    page = scores_page(policies, env_id, episodes)
    write_page(page, output / "scores.md")


def optimum(output: Path = Path("reports")) -> None:
    """Show how well the optimal return is known, and what a discount costs, in ten minutes.

    Args:
        output: the page goes to <output>/optimum.md, its figure to <output>/optimum.png
    """
    from benchmarks.optimum_page import optimum_page

    output.mkdir(parents=True, exist_ok=True)
    write_page(optimum_page(output / "optimum.png"), output / "optimum.md")


def write_page(page: str, file: Path) -> None:
    """Print a page, and keep it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")
    print(f"{page}\nThis page: {file}")


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
            "record": record,
            "scores": scores,
            "optimum": optimum,
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
