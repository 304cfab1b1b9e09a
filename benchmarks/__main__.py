"""The command line: ``python -m benchmarks COMMAND``."""

import importlib
import shlex
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from benchmarks.choice import choose_experiment, find_experiment, recorded_experiment
from benchmarks.experiments import EXPERIMENT_FILE, EXPERIMENTS, Experiment
from benchmarks.request import ExperimentRequest, PaperOptions, RecordOptions
from benchmarks.sweep.options import DEFAULT_OPTIONS, SweepOptions
from training.command_line import OVERRIDES, RunOptions, prepare_process, print_loading, run_command
from training.config import ConfigError, RunConfig, cause_of, module_of, reading

ExperimentName = Annotated[str, tyro.conf.Positional]


def sweep(
    request: Annotated[ExperimentRequest, tyro.conf.arg(name="")],
    options: Annotated[SweepOptions, tyro.conf.arg(name="")] = DEFAULT_OPTIONS,
    dry_run: bool = False,
) -> None:
    """Carry out an experiment's runs in parallel; complete runs are not repeated.

    EXPERIMENT is a name of the catalogue, a file of yours, or, with --algos and --envs, a new name.

    Args:
        request: which experiment
        options: how it is carried out
        dry_run: only show what would be done, and how long it would take
    """
    chosen, name = choose_experiment(request)
    folder = request.root / name
    if options.workers is not None and options.workers < 1:
        raise ConfigError(f"workers must be 1 or more, got {options.workers}")
    if dry_run:
        show_overview(chosen, folder, options, request.extend)
        return
    from benchmarks.sweep.scheduler import sweep as carry_out

    failures = carry_out(chosen, folder, options, request.extend)
    if failures:
        print(f"{len(failures)} of {len(chosen.runs())} runs failed; log.txt in each has more:")
        print(*failures, sep="\n")
        sys.exit(1)


def run(options: Annotated[RunOptions, tyro.conf.arg(name="")]) -> None:
    """Carry out a single run, of SB3 or of the reference, with the options of train_sb3.py.

    Args:
        options: the run's options
    """
    run_command(options)


def status(experiment: ExperimentName, root: Path = Path("runs")) -> None:
    """Show the state of an experiment's runs, and estimate the time that the missing ones take.

    It only reads files. Where no run gives a speed yet, sweep --dry-run measures one.

    Args:
        experiment: its name, the folder below root
        root: the runs are in <root>/<experiment>/
    """
    from benchmarks.sweep.status import overview

    recorded = recorded_experiment(root / experiment) or find_experiment(experiment)
    with reading():
        print(overview(recorded.runs(), root / experiment, measured=False))


def show_overview(
    experiment: Experiment,
    root: Path,
    options: SweepOptions = DEFAULT_OPTIONS,
    extend: bool = False,
) -> None:
    """Print what is there, what is missing, and how long that will take."""
    from benchmarks.declaration import refuse_mismatch
    from benchmarks.sweep.scheduler import extended_runs_text, refuse_unworkable
    from benchmarks.sweep.status import overview

    refuse_mismatch(experiment, root, extend)
    refuse_unworkable(experiment.runs(), root, options.check)
    if told := extended_runs_text(experiment.runs(), root):
        print(told)
    print(overview(experiment.runs(), root, options.workers))


def report(
    experiment: ExperimentName,
    paper: Annotated[PaperOptions, tyro.conf.arg(name="")],
    root: Path = Path("runs"),
    output: Path = Path("reports"),
    compare_to: Literal["paper"] | None = None,
    half_std: bool = False,
    with_: Annotated[tuple[str, ...], tyro.conf.arg(name="with")] = (),
    env: tuple[str, ...] = (),
    starts: tuple[str, ...] = (),
    eval_freq: int = 5_000,
    trust: tuple[str, ...] = (),
) -> None:
    """Make tables, figures and a page of an experiment's runs, and print the verdicts.

    Args:
        experiment: its name, the folder below root; or a published one, such as results/quick
        paper: how figures and LaTeX tables are to look
        root: the runs are read from <root>/<experiment>/
        output: everything goes to <output>/<experiment>/; open report.html there
        compare_to: paper puts Table 1 of the TD3 paper beside the MuJoCo results
        half_std: shade half a standard deviation, as the TD3 paper does, not the 95% interval
        with_: learning curves from elsewhere, LABEL=PATH or PATH, to stand beside the experiment's
            own in tables, figures and verdicts
        env: environments on which these curves are compared; as in compare
        starts: start states of these curves; as in compare
        eval_freq: steps between the values of their .npy files; as in compare
        trust: modules of your own that the runs name, such as my_module; what needs a module that
            is not named here is left out
    """
    from benchmarks.analysis.contrast import ComparisonRequest
    from benchmarks.analysis.sources.frame import parse_columns
    from benchmarks.analysis.sources.published import is_published
    from benchmarks.appearance import appearance_of
    from benchmarks.report.compare import parse_sources
    from benchmarks.report.page import write_report

    folder = Path(experiment) if is_published(Path(experiment)) else root / experiment
    target = report_folder(output, Path(experiment))
    request = ComparisonRequest(env, starts=starts)
    options = parse_columns(eval_freq, tuple(each for each in paper.columns if "=" in each))
    appearance = appearance_of(paper)
    try:
        with reading(trust):
            others = parse_sources(with_, options, request)
            text = write_report(
                folder, target, compare_to == "paper", half_std,
                lambda line: print(line, file=sys.stderr, flush=True), others, request, appearance,
            )  # fmt: skip
    except FileNotFoundError as error:
        if error.filename:
            raise
        raise ConfigError(f"{error}; {advice_without_runs(experiment, root)}") from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    print(text)
    print(f"\nOn one page, with figures: {target / 'report.html'}")


def advice_without_runs(experiment: str, root: Path) -> str:
    """What to do about an experiment without runs."""
    if recorded_experiment(root / experiment) or experiment in EXPERIMENTS:
        return f"run: python -m benchmarks sweep {experiment}"
    return f"it must have runs in {root}, or be a published one, such as results/quick"


def report_folder(output: Path, experiment: Path) -> Path:
    """Where the report of an experiment goes, below the folder of reports wherever its path leads.

    :raises ConfigError: if runs are there, or a published experiment, whose files it would replace
    """
    is_below = experiment.name and not experiment.is_absolute() and ".." not in experiment.parts
    folder = output / (experiment if is_below else experiment.resolve().name)
    if (folder / EXPERIMENT_FILE).exists():
        raise ConfigError(f"output must be another folder: an experiment's results are in {folder}")
    return folder


def publish(
    experiments: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    root: Path = Path("runs"),
    results: Path = Path("results"),
) -> None:
    """Put complete experiments into results/, and rewrite what README and docs show of them.

    Args:
        experiments: their names, which are folders below root; without any, only rewrite the pages
        root: the runs are read from <root>/<experiment>/
        results: each goes to <results>/<experiment>/
    """
    from benchmarks.publish.folder import publish as write
    from benchmarks.publish.pages import around_part, write_pages

    around_part(results)  # refuse before anything is written
    for name in experiments:
        print(write(root / name, results / name))
    print(*write_pages(results), sep="\n")


def verify(
    experiment: ExperimentName, root: Path = Path("runs"), results: Path = Path("results")
) -> None:
    """Compare an experiment's runs with the published ones: identical, or as near as a new seed?

    Args:
        experiment: its name, the folder below root and results; or a published one, such as
            results/quick
        root: the runs are read from <root>/<experiment>/
        results: the published ones from <results>/<experiment>/
    """
    from benchmarks.analysis.sources.published import is_published
    from benchmarks.publish.verify import verify as hold_against

    given = Path(experiment)
    published = given if is_published(given) else results / experiment
    print(hold_against(root / published.resolve().name, published))


def compare(
    sources: Annotated[tuple[str, ...], tyro.conf.Positional],
    against: str | None = None,
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
            or openrlbenchmark write; CSV exports of Weights & Biases; other CSV files; experiments
            published here, such as results/quick
        against: one more source, as in mine=my_runs --against results/quick
        env: environments to compare on; default: all that two sources have. A name without its
            version, such as HalfCheetah, compares whichever version each source has
        at: compare at this environment step; default: the largest common one
        score: late_return, final_return (on held-out starts, of runs made here), final, last_10,
            auc, max or max_of_mean; default: the first held-out one that all runs have, if
            they end at the same step and --at is not given, else last_10
        margin: the difference of returns too small to matter; default: the declared one
        starts: start states of the evaluations: protocol if all used this project's ten, published
            if they were drawn after reset(seed=seed + 100); or LABEL=protocol, for one source
        eval_freq: environment steps between the values of a .npy file
        columns: names in CSV files, such as seed=run_id step=global_step return=reward env=task
            label=algo; if these name no seed, each file is one run
        output: all goes to a folder in <output>/compare
    """
    from benchmarks.analysis.contrast import ComparisonRequest
    from benchmarks.analysis.sources.frame import parse_columns
    from benchmarks.report.compare import write_comparison

    sources += () if against is None else (against,)
    request = ComparisonRequest(env, at, score, margin, starts)
    options = parse_columns(eval_freq, columns)
    with reading():
        print(write_comparison(sources, request, options, output / "compare", command_line()))


def command_line() -> str:
    """The command that is being carried out, as typed in a shell."""
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
        output: the page (fidelity.md) and its numbers (fidelity.json) go there, those of an
            adapter to <output>/<my_module>/
        full: follow 200 updates, not 10, and try all seeded bugs, in a minute or two
    """
    if adapter is None:
        import torch

        from benchmarks.fidelity.page import write_reference_page

        torch.set_num_threads(1)
        page, status = write_reference_page(output, full)
    else:
        from benchmarks.fidelity.report import write_findings

        try:
            page, status = write_findings(adapter, output, full)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    print(page)
    sys.exit(status)


def speed(
    what: Annotated[Literal["td3", "envs", "training", "sweep"], tyro.conf.Positional],
    output: Path = Path("reports"),
) -> None:
    """Measure speeds side by side, in alternation, and print their medians and ratios.

    Args:
        what: td3 (updates, whole loops and where their time goes, for SB3 and the reference, eager
            and compiled), envs (steps and frames of the rocket, single and in a batch, beside
            Pendulum), training (whole runs of train() beside SB3's plain learn()) or sweep (whole
            commands of many runs, in parallel and one after the other)
        output: the picture of td3 goes to <output>/speed_td3.png
    """
    speeds = importlib.import_module(f"benchmarks.speed.{what}")
    print(speeds.speed_table(output / "speed_td3.png") if what == "td3" else speeds.speed_table())


def record(
    policy: Annotated[tuple[str, ...], tyro.conf.Positional],
    options: Annotated[RecordOptions, tyro.conf.arg(name="")],
    trust: tuple[str, ...] = (),
) -> None:
    """Play an episode of policies from one start: an animation, a figure, what they achieved.

    The animation is a GIF, and also an MP4 where ffmpeg is on the path.

    Args:
        policy: one or more, each a run directory, a model.zip of SB3's, or a controller: random,
            zero, brake, pd, pid, lqr, bang-bang
        options: what is played, and what is made of it
        trust: modules of your own that the run names, such as my_module, or a model.zip to unpickle
    """
    from benchmarks.policies.record import record as play

    with reading(named(trust, options.env_id, options.algo)):
        print(play(policy, options))


def evaluate(
    policy: Annotated[str, tyro.conf.Positional],
    env_id: str = "rocket-v0",
    env_kwargs: dict[str, Any] = {},  # noqa: B006  (read only)
    label: str | None = None,
    seed: int = 0,
    root: Path = Path("runs"),
) -> None:
    """Play the evaluation protocol's 10 and 100 starts with any policy; writes a run directory.

    Args:
        policy: my_module:policy (an object with predict, a class that takes the environment, or a
            function of an observation), a run directory, a model.zip or a controller
        env_id: the environment
        env_kwargs: its arguments
        label: what to call the policy; default: its name
        seed: number in the run directory's name, to tell policies of several seeds apart
        root: the run directory is <root>/<label>/<env-id>_<seed>
    """
    from benchmarks.policies.evaluate import evaluate as play

    name = label or Path(policy.rpartition(":")[2]).stem.lower()
    config = RunConfig(label=name, algo=policy, env_id=env_id, env_kwargs=env_kwargs,
                       seed=seed, total_timesteps=1)  # fmt: skip
    print(play(policy, config, root))


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
    """Show how well the optimal return is known, and what a discount costs; takes ten minutes.

    Args:
        output: the page goes to <output>/optimum.md, its figure to <output>/optimum.png
    """
    from benchmarks.optimum.page import optimum_page

    output.mkdir(parents=True, exist_ok=True)
    write_page(optimum_page(output / "optimum.png"), output / "optimum.md")


def named(trust: tuple[str, ...], *names: str | None) -> list[str]:
    """Modules that are trusted: those of ``--trust``, and those that the command itself names."""
    return [*trust, *(module_of(name) for name in names if name and ":" in name)]


def write_page(page: str, file: Path) -> None:
    """Print a page, and write it to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")
    print(f"{page}\nThis page: {file}")


def announced(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that it first says, on a terminal, that it is loading."""

    @wraps(command)
    def run(*args: object, **options: object) -> None:
        print_loading()
        command(*args, **options)

    return run


def main() -> None:
    """The command line."""
    prepare_process()
    try:
        commands = (run, sweep, status, report, publish, verify, compare, fidelity, speed, record,
                    evaluate, scores, optimum)  # fmt: skip
        by_name = {command.__name__: announced(command) for command in commands}
        with OVERRIDES:
            tyro.extras.subcommand_cli_from_dict(by_name, prog="python -m benchmarks")
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a full disk, a file where a folder is expected
        print(f"error: {cause_of(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as error:
        print("interrupted; the same command does what is missing", file=sys.stderr)
        sys.exit(getattr(error, "exit_status", 130))  # 143 where SIGTERM stopped a sweep


if __name__ == "__main__":
    main()
