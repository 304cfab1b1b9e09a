"""One run from a command line: its options, each defined once, and its output on a terminal.

Also prepares what every command line depends on: home directory, plotting backend, text encoding.
"""

import ast
import atexit
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from io import TextIOWrapper
from pathlib import Path
from typing import Any, get_origin

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from training.config import (
    BrokenEnvironmentError,
    ConfigError,
    DivergedError,
    RunConfig,
    cause_of,
    reading,
)
from training.endings import StopRequest, stop_on_signals, watching
from training.open_run import Progress, RunBusyError
from training.run import run
from training.run_directory import RunDirectory


@dataclass(frozen=True, kw_only=True)
class RunOptions(RunConfig):
    """The options of a single run; RunConfig documents those of its configuration.

    :param checkpoint_freq: environment steps between checkpoints; default: one a minute
    :param root: folder for the run directories
    :param resume: a run directory: go on with that run as it is configured there; root and the
        options of the configuration are ignored
    :param allow_mixed: go on with a run that was begun with other software (packages, Python,
        commit, processor), and say so in provenance.json
    :param trust: with resume: modules of your own that the run names, such as my_module
    :param step_timeout: seconds after which an environment that does not return ends the run;
        default: no limit
    :param check: let SB3's checker look at the environment first
    """

    algo: str = "td3"
    env_id: str = "rocket-v0"
    total_timesteps: int = 20_000
    checkpoint_freq: int | None = None
    root: Path = Path("runs")
    resume: Path | None = None
    allow_mixed: bool = False
    trust: tuple[str, ...] = ()
    step_timeout: float | None = None
    check: bool = True

    def __post_init__(self) -> None:
        """Check nothing yet: :meth:`configured` does so once all options are parsed."""

    def configured(self) -> tuple[RunConfig, Path]:
        """The requested run, and the root folder of its directory.

        :raises ConfigError: if an option is not acceptable
        """
        if self.resume is None:
            names = [field.name for field in fields(RunConfig)]
            return RunConfig(**{name: getattr(self, name) for name in names}), self.root
        path = self.resume.resolve()
        try:
            settings = RunDirectory(path).settings() or {}
            config = RunConfig.from_json(settings.get("config", {}))
        except ConfigError as error:
            raise ConfigError(f"{self.resume} is not a run directory: {error}") from error
        if path.parents[1] / config.directory != path:
            raise ConfigError(f"{self.resume} must be named {config.directory}, as it began")
        return config, path.parents[1]


OVERRIDES = ConstructorRegistry()  # lets tyro read dictionaries as name=value


@OVERRIDES.primitive_rule
def read_overrides(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[dict[str, Any]] | None:
    """How tyro reads dictionaries: ``--hyperparams learning_rate=1e-3 batch_size=64``."""

    def read(texts: list[str]) -> dict[str, Any]:
        with errors_printed():
            return parse_overrides(texts)

    if get_origin(info.type) is not dict:
        return None
    return PrimitiveConstructorSpec(
        nargs="*",
        metavar="[NAME=VALUE ...]",
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda values: [f"{name}={value}" for name, value in values.items()],
    )


def parse_overrides(texts: list[str]) -> dict[str, Any]:
    """Parse what a user typed into nested values.

    ``learning_rate=1e-3``, ``policy_kwargs.net_arch=[64,64]``, ``learning_rate=linear:1e-3``:
    values are Python literals, or else text.

    :raises ConfigError: for text without a name and a value, or a name given twice
    """
    overrides: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        parts = name.split(".")
        if not equals or not value or not all(part.isidentifier() for part in parts):
            raise ConfigError(f"{text!r} must be name=value, such as learning_rate=1e-3")
        place = overrides
        for part in parts[:-1]:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict) or parts[-1] in place:
            raise ConfigError(f"{name} is given twice")
        try:
            place[parts[-1]] = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            place[parts[-1]] = value
    try:
        values: dict[str, Any] = json.loads(json.dumps(overrides))  # as config.json will hold them
    except TypeError as error:
        raise ConfigError(
            f"values must be numbers, text, lists or dictionaries: {error}"
        ) from error
    return values


def run_command(options: RunOptions) -> None:
    """Carry out a run with a progress bar, and print where its result is.

    If the run does not complete, the process ends with a message of one line and with exit status
    2 if the run was refused, 1 if it diverged or failed, or that of the signal that stopped it.
    """
    logging.basicConfig(format="%(message)s")
    logging.getLogger("training").setLevel(logging.INFO)
    sys.path.append("")  # the working folder, for the user's own environments and algorithms
    # A run directory from elsewhere may name any code; a command names code that its user knows.
    careful = nullcontext() if options.resume is None else reading(options.trust)
    with stop_on_signals() as stop, errors_printed(stop), careful, watching(options.step_timeout):
        config, root = options.configured()
        directory = RunDirectory(root / config.directory)
        was_done = directory.is_done()
        with progress_bar(config) as on_progress:
            run(
                config,
                root,
                on_progress,
                should_stop=stop,
                checkpoint_freq=options.checkpoint_freq,
                check=options.check,
                allow_mixed=options.allow_mixed,
            )
    outcome = "was already complete" if was_done else "is complete"
    last_return = directory.status().get("last_return")
    told = "not known" if last_return is None else f"{last_return:.2f}"
    print(f"{directory.path} {outcome}; last mean evaluation return {told}")


@contextmanager
def errors_printed(stop: StopRequest | None = None) -> Iterator[None]:
    """End the process with one line if a run is refused, diverges, fails or is stopped."""
    try:
        yield
    except (ConfigError, RunBusyError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except DivergedError as error:
        print(f"diverged: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenEnvironmentError as error:
        print(f"failed: {error}; log.txt has more", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a full disk, a limit on the size of files
        print(f"failed: {cause_of(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt as error:
        print(f"interrupted {error}; the same command goes on with the run", file=sys.stderr)
        sys.exit((stop or StopRequest()).exit_status)


@contextmanager
def progress_bar(config: RunConfig) -> Iterator[Progress]:
    """Show step, speed, time left and last return; yields the function to call at each step."""
    # Imported here: loading it takes a tenth of the time of --help.
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as ProgressBar

    bar = ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]} steps/s"),
        TimeRemainingColumn(),
        TextColumn("return {task.fields[last_return]}, training {task.fields[training]}"),
    )
    description = f"{config.label} on {config.env_id}, seed {config.seed}"
    unknown: dict[str, Any] = dict.fromkeys(("speed", "last_return", "training"), "-")
    task = bar.add_task(description, total=config.total_timesteps, **unknown)

    def text(value: float | None, digits: int) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    def on_progress(step: int, last_return: float | None, training: float | None) -> None:
        bar.start()  # not before the first step, so that a refused run shows no bar
        bar.update(
            task,
            completed=min(step, config.total_timesteps),
            speed=text(bar.tasks[task].speed, 0),
            last_return=text(last_return, 1),
            training=text(training, 1),
        )

    try:
        yield on_progress
    finally:
        if bar.live.is_started:
            bar.stop()


def prepare_process() -> None:
    """Make a command work without a writable home directory, and with any backend or locale.

    To be called at the start of a command line, before libraries are imported; processes that it
    starts inherit what is set here.
    """
    os.environ["MPLBACKEND"] = "Agg"  # matplotlib refuses an unknown one; no display is needed
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a ± that a terminal cannot show
    if not _has_home():
        folder = _temporary_folder()
        os.environ["HOME"] = folder
        print(f"no home directory: caches are in {folder} and go with it", file=sys.stderr)
    elif not os.access(Path.home(), os.W_OK):  # otherwise matplotlib warns at each import
        os.environ.setdefault("MPLCONFIGDIR", _temporary_folder())


def print_loading() -> None:
    """Say on a terminal that a command has begun: its libraries take seconds to load."""
    if sys.stderr.isatty():
        print("loading ...", file=sys.stderr, flush=True)


def _has_home() -> bool:
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor an entry in the password database
        return False
    return home.is_absolute() and home.is_dir()


def _temporary_folder() -> str:
    """Create a folder that is deleted when this process ends."""
    folder = tempfile.mkdtemp(prefix="td3-rocket-benchmark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
