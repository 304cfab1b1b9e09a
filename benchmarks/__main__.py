"""The command line: ``python -m benchmarks COMMAND``."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import tyro

from benchmarks.choice import (
    CUSTOM,
    choose,
    compiled,
    find_experiment,
    recorded_experiment,
    with_env_version,
    with_settings,
)
from benchmarks.experiments import Experiment
from training.config import ConfigError
from training.surroundings import settle
from training.trust import module_of, reading

ExperimentName = Annotated[str, tyro.conf.Positional]


def sweep(
    experiment: ExperimentName = CUSTOM,
    algos: tuple[str, ...] = (),
    envs: tuple[str, ...] = (),
    seeds: int | None = None,
    total_timesteps: int | None = None,
    margin: float | None = None,
    until_decided: bool = False,
    looks: tuple[int, ...] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    root: Path = Path("runs"),
    compile: bool = False,
    max_episode_steps: int | None = None,
    eval_envs: int | None = None,
    check: bool = True,
    env_version: Literal["v4", "v5"] | None = None,
    allow_mixed: bool = False,
    dry_run: bool = False,
) -> None:
    """Carry out an experiment's runs, side by side; those already complete are not repeated.

    Without --algos, EXPERIMENT is one of: quick, pendulum_verdict, standard, action_scale,
    rocket_early, algorithms, sb3_defaults, warmup, gamma, paper, smoke. With --algos and --envs it
    is a new name.

    Args:
        experiment: which one; with --algos, what to call it
        algos: algorithms to compare, such as td3 td3_reference sac my.module:Algo; the first is
            what the others are compared with, unless td3_reference is among them
        envs: environments, such as rocket-v0 my_module:My-v0
        seeds: how many, from 0 on; of a named experiment: its first ones, or more than it has
        total_timesteps: environment steps of each run, also of a named experiment
        margin: with --algos and --envs, the difference of mean returns that is too small to matter,
            declared before the runs; default: 10 on Pendulum-v1, 20 on the rockets, else none, and
            then nothing can be called equivalent
        until_decided: run seeds in stages, and no more of a comparison that is decided; standard
            does so anyway
        looks: with --until-decided, the numbers of seeds after which verdicts are looked at;
            default: 5 10 20 40, and standard's own 5 10 20
        workers: worker processes on this machine; default: one for each processor
        scheduler: tcp://host:port of an existing Dask cluster to use instead
        root: the runs go to <root>/<experiment>/, shortened ones of a named experiment to
            <root>/<experiment>_<seeds>x<steps>/, compiled ones to <root>/<experiment>_compiled/
        compile: compile the reference TD3: faster, equal up to rounding; needs a C++ compiler
        max_episode_steps: time limit of every run's episodes; default: each environment's own
        eval_envs: evaluation episodes played side by side, 1 or more; default: all of them
        check: let SB3's checker look at each environment before the first run
        allow_mixed: go on with runs that were begun with other software; provenance.json tells
        env_version: of the paper's environments, in a folder <root>/paper_<version>/; default: v4,
            in <root>/paper/
        dry_run: only show what would be done, and how long it would take
    """
    if looks and not until_decided:
        raise ConfigError("--looks goes with --until-decided")
    asked = looks if until_decided else None
    chosen, name = choose(experiment, algos, envs, seeds, total_timesteps, margin, asked)
    if env_version:
        chosen, name = with_env_version(chosen, name, env_version)
    if compile:
        chosen, name = compiled(chosen), f"{name}_compiled"
    chosen = with_settings(chosen, max_episode_steps=max_episode_steps, eval_envs=eval_envs)
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be 1 or more, got {workers}")
    if dry_run:
        show_overview(chosen, root / name, workers, check)
        return
    from benchmarks.sweep.scheduler import sweep as carry_out

    failures = carry_out(chosen, root / name, workers, scheduler, check, allow_mixed)
    if failures:
        print(f"{len(failures)} of {len(chosen.runs())} runs failed; log.txt in each has more:")
        print(*failures, sep="\n")
        sys.exit(1)


def status(experiment: ExperimentName, root: Path = Path("runs")) -> None:
    """Show what an experiment's runs have come to, and how long the missing ones will take.

    It only reads: how fast a run is that none was complete of, sweep --dry-run measures.

    Args:
        experiment: its name, the folder below root
        root: the runs are in <root>/<experiment>/
    """
    from benchmarks.sweep.status import overview

    recorded = recorded_experiment(root / experiment) or find_experiment(experiment)
    with reading():
        print(overview(recorded.runs(), root / experiment, measured=False))


def show_overview(
    experiment: Experiment, root: Path, workers: int | None = None, check: bool = True
) -> None:
    """Print what is there, what is missing, and how long that will take."""
    from benchmarks.sweep.scheduler import refuse_mismatch, refuse_unworkable
    from benchmarks.sweep.status import overview

    refuse_mismatch(experiment, root)
    refuse_unworkable(experiment.runs(), root, check)
    print(overview(experiment.runs(), root, workers))


def report(
    experiment: ExperimentName,
    root: Path = Path("runs"),
    output: Path = Path("reports"),
    compare_to: Literal["paper"] | None = None,
    half_std: bool = False,
    with_: Annotated[tuple[str, ...], tyro.conf.arg(name="with")] = (),
    env: tuple[str, ...] = (),
    starts: tuple[str, ...] = (),
    eval_freq: int = 5_000,
    columns: tuple[str, ...] = (),
    trust: tuple[str, ...] = (),
) -> None:
    """Make tables, figures and a page of an experiment's runs, and print the main tables.

    Args:
        experiment: its name, the folder below root
        root: the runs are read from <root>/<experiment>/
        output: everything goes to <output>/<experiment>/; open report.html there
        compare_to: paper puts Table 1 of the TD3 paper beside the MuJoCo results
        half_std: shade half a standard deviation, as the TD3 paper does, not the 95% interval
        with_: learning curves from elsewhere, LABEL=PATH or PATH, to stand beside the experiment's
            own in tables, figures and verdicts
        env: of these; this and what follows is as in compare
        starts: of these
        eval_freq: of these
        columns: of these
        trust: modules of your own, such as my_module, that the runs name: without, what needs
            them is left out
    """
    from benchmarks.analysis.contrast import Request
    from benchmarks.analysis.sources.frame import parse_columns
    from benchmarks.report.compare import parse_sources
    from benchmarks.report.page import write_report

    request = Request(env, starts=starts)
    options = parse_columns(eval_freq, columns)
    try:
        with reading(trust):
            others = parse_sources(with_, options, request)
            text = write_report(
                root / experiment, output / experiment, compare_to == "paper", half_std,
                lambda line: print(line, file=sys.stderr, flush=True), others, request,
            )  # fmt: skip
    except FileNotFoundError as error:
        if error.filename:
            raise
        raise ConfigError(f"{error}; run: python -m benchmarks sweep {experiment}") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    print(text)
    print(f"On one page, with figures: {output / experiment / 'report.html'}")


def compare(
    sources: Annotated[tuple[str, ...], tyro.conf.Positional],
    env: tuple[str, ...] = (),
    at: int | None = None,
    score: str | None = None,
    margin: float | None = None,
    starts: tuple[str, ...] = (),
    eval_freq: int = 5_000,
    columns: tuple[str, ...] = (),
    output: Path = Path("reports"),
) -> None:
    """Compare learning curves made anywhere, by the same verdict.

    Args:
        sources: two or more, LABEL=PATH or PATH, a file or folder: run directories; what SB3's
            EvalCallback or Monitor, rl-baselines3-zoo, CleanRL, the TD3 author's script, Tianshou
            or openrlbenchmark write; CSV exports of Weights & Biases; other CSV files
        env: on which environments; default: all that two sources have. A name without its version,
            such as HalfCheetah, compares whatever version each source has
        at: compare at this environment step; default: the largest common one
        score: late_return, final_return (on held-out starts, of runs made here), final, last_10,
            auc, max or max_of_mean; default: the first that all have, else last_10
        margin: the difference of returns too small to matter; default: the declared one
        starts: protocol, where all used this project's ten start states, published, where they were
            drawn after reset(seed=seed + 100); or LABEL=protocol, of one source
        eval_freq: environment steps between the values of a .npy file
        columns: names in CSV files, such as seed=run_id step=global_step return=reward env=task
            label=algo; without a seed a file is a run
        output: all goes to a folder in <output>/compare
    """
    from benchmarks.analysis.contrast import Request
    from benchmarks.analysis.sources.frame import parse_columns
    from benchmarks.report.compare import write_comparison

    request = Request(env, at, score, margin, starts)
    options = parse_columns(eval_freq, columns)
    with reading():
        print(write_comparison(sources, request, options, output / "compare", command_line()))


def command_line() -> str:
    """The command that is being carried out, as it would be typed."""
    return shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])


def fidelity(
    adapter: Annotated[str | None, tyro.conf.Positional] = None,
    output: Path = Path("reports"),
    full: bool = False,
) -> None:
    """Compare a TD3 with the published one; without ADAPTER, the reference and SB3's.

    The exit status is 0 if it is equal, 1 if it differs, 2 if the adapter is broken.

    Args:
        adapter: my_module:Adapter, see docs/fidelity.md
        output: the page goes to <output>/fidelity.md, of an adapter with its numbers
            (fidelity.json) to <output>/<my_module>/
        full: follow 200 updates, not 10, and try all seeded bugs, in about a minute
    """
    from benchmarks.fidelity.report import write

    if adapter is not None:
        folder = output / adapter.partition(":")[0]
        try:
            page, status = write(adapter, folder, full)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        print(f"{page}\nThis page: {folder / 'fidelity.md'}")
        sys.exit(status)
    import torch

    from benchmarks.fidelity.page import fidelity_page
    from benchmarks.fidelity.report import FIDELITY_PAGE

    torch.set_num_threads(1)
    page, passed = fidelity_page(full)
    write_page(page, output / FIDELITY_PAGE)
    sys.exit(0 if passed else 1)


def speed(
    what: Annotated[Literal["td3", "envs", "training", "sweep"], tyro.conf.Positional],
) -> None:
    """Measure speeds side by side, in alternation, and print their medians and ratios.

    Args:
        what: td3, updates and whole loops of SB3 and the reference, eager and compiled; or envs,
            steps and frames of the rocket, single and in a batch, beside Pendulum; or training,
            whole runs of train() beside SB3's plain learn(); or sweep, whole commands of many
            runs side by side and one after the other
    """
    if what == "td3":
        from benchmarks.speed.td3 import speed_table
    elif what == "envs":
        from benchmarks.speed.envs import speed_table
    elif what == "training":
        from benchmarks.speed.training import speed_table
    else:
        from benchmarks.speed.sweep import speed_table
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
    trust: tuple[str, ...] = (),
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
        trust: modules of your own that the run names, such as my_module, or a model.zip to unpickle
    """
    from benchmarks.policies.record import record as play

    with reading(named(trust, env_id, algo)):
        text = play(
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
    print(text)


def scores(
    policies: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    env_id: tuple[str, ...] = ("rocket-v0", "rocket-landing-v0"),
    episodes: int = 1_000,
    output: Path = Path("reports"),
    trust: tuple[str, ...] = (),
) -> None:
    """Score policies on many starts: return, regret and its gaps, success, steady-state error.

    Args:
        policies: run directories, model.zip files or controllers; default: all controllers
        env_id: the environments
        episodes: starts, from reset(seed=20000) on
        output: the tables go to <output>/scores.md too
        trust: modules of your own that the runs name, such as my_module, or a model.zip to unpickle
    """
    from benchmarks.policies.score import scores_page

    with reading(named(trust, *env_id)):
        page = scores_page(policies, env_id, episodes)
    write_page(page, output / "scores.md")


def optimum(output: Path = Path("reports")) -> None:
    """Show how well the optimal return is known, and what a discount costs, in ten minutes.

    Args:
        output: the page goes to <output>/optimum.md, its figure to <output>/optimum.png
    """
    from benchmarks.optimum.page import optimum_page

    output.mkdir(parents=True, exist_ok=True)
    write_page(optimum_page(output / "optimum.png"), output / "optimum.md")


def named(trust: tuple[str, ...], *names: str | None) -> list[str]:
    """What is trusted: ``--trust``, and whatever module the command itself names."""
    return [*trust, *(module_of(name) for name in names if name and ":" in name)]


def write_page(page: str, file: Path) -> None:
    """Print a page, and keep it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")
    print(f"{page}\nThis page: {file}")


def main() -> None:
    """The command line."""
    settle()
    try:
        commands: dict[str, Callable[..., None]] = {
            "sweep": sweep,
            "status": status,
            "report": report,
            "compare": compare,
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
    except OSError as error:  # a full disk, a file where a folder is expected
        cause = f"{error.strerror}: {error.filename}" if error.strerror else str(error)
        print(f"error: {cause}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted; the same command does what is missing", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
