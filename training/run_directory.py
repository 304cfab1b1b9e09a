"""A run directory: all that a run leaves, written so that a crash spoils nothing."""

import json
import logging
import shutil
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from training.checkpoint import digest, load_checkpoint, save_checkpoint, write_through
from training.config import ConfigError, RunConfig
from training.history import PARTS, History
from training.locks import is_held
from training.provenance import describe_software, is_whole, sealed
from training.schemas import parsed, read_json

logger = logging.getLogger(__name__)

logger = logging.getLogger(__name__)

# Environment step, last mean evaluation return, return of the last training episode.
Progress = Callable[[int, float | None, float | None], None]
EVALUATIONS = "evaluations.npz"
MONITOR = "train.monitor.csv"
LOG = "log.txt"
CONFIG = "config.json"
PROVENANCE = "provenance.json"
BEGINS_ANEW = "if stopped, this run begins anew"  # so a note begins that is of no account later
BEST = ("best_model.zip", "best_normalization.npz")
GROWING = (EVALUATIONS, MONITOR, LOG, *BEST)  # written to throughout a run
LOCK_TIMEOUT = 1.0  # s
STATUS_INTERVAL = 1.0  # s between two writings of a running run's step


class RunBusyError(RuntimeError):
    """Another process is writing to the run directory."""


class RunDirectory:
    """The files of one run; docs/file_formats.md says what each contains.

    :param path: the folder, which need not exist yet
    :param on_progress: called at each reported step
    """

    def __init__(self, path: Path, on_progress: Progress | None = None) -> None:
        self.path = path
        self.last_return: float | None = None
        self.last_training_return: float | None = None
        self.step = 0  # environment steps so far
        self.first_step = 0  # where this process took the run up
        self._history = History({})
        self._on_progress = on_progress
        self._status_written = 0.0
        self._save_failure = ""

    def write_bytes(self, name: str, content: bytes) -> None:
        """Put a file in place in one move, so that a reader sees the old or the new, whole."""
        temporary = self.path / f"{name}.tmp"
        write_through(temporary, content)
        temporary.replace(self.path / name)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file in one move."""
        self.write_bytes(name, (json.dumps(content, indent=2) + "\n").encode())

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The content of a JSON file; None where there is none.

        :raises ConfigError: if the file is damaged
        """
        try:
            content: dict[str, Any] = read_json(self.path / name)
        except FileNotFoundError:
            return None
        return content

    def log(self, line: str) -> None:
        """Append a line to log.txt."""
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def report(self, step: int) -> None:
        """Tell that the run has come to an environment step."""
        self.step = step
        if self._on_progress is not None:
            self._on_progress(step, self.last_return, self.last_training_return)
        if time.monotonic() - self._status_written > STATUS_INTERVAL:
            self.write_status("running", step)
            self._status_written = time.monotonic()

    def resume_at(self, step: int) -> None:
        """Note that this process goes on from a checkpoint of that environment step."""
        self.step = self.first_step = step

    def save_checkpoint(self, step: int, files: dict[str, bytes]) -> None:
        """Save what an exact continuation needs, with the files that have grown so far.

        :param files: content by name
        """
        grown = {
            name: (self.path / name).read_bytes() for name in (*GROWING, CONFIG) if self._has(name)
        }
        parts = json.dumps({"parts": self._history.parts(self.first_step, step)}).encode()
        save_checkpoint(self.path / "checkpoint", step, {**files, **grown, PARTS: parts})

    def try_to_save(self, step: int, take_down: Callable[[], dict[str, bytes]]) -> bool:
        """Save a checkpoint; a failure is logged, and the run goes on without.

        :param take_down: returns what :meth:`save_checkpoint` takes
        :return: whether it is saved
        """
        try:
            self.save_checkpoint(step, take_down())
        except Exception as error:  # whatever a stranger's environment, or a disk, may raise
            message = f"not saved: {type(error).__name__}: {' '.join(str(error).split())}"
            logger.warning("step %d %s", step, message)
            if message != self._save_failure:  # once, not every minute
                self._save_failure = message
                with suppress(OSError):
                    self.log(f"step {step} {message}")
            return False
        return True

    def load_checkpoint(self) -> dict[str, bytes] | None:
        """The newest checkpoint, None where there is none; puts back the files that had grown.

        :raises ConfigError: if other software made it: an older one, if the newest is damaged
        """
        files = load_checkpoint(self.path / "checkpoint")
        self._follow(files)
        for name in GROWING:
            if files is not None and name in files:
                self.write_bytes(name, files[name])
        return files

    def take_up(self, history: History) -> None:
        """Begin the run or go on with it, in this process.

        :raises ConfigError: if other software made what there is, or config.json is not the one
            that the run was stopped with
        """
        files = load_checkpoint(self.path / "checkpoint", [PARTS, CONFIG])
        self._history = history
        if files is None or not self._has(CONFIG):
            return
        if CONFIG in files and files[CONFIG] != (self.path / CONFIG).read_bytes():
            raise ConfigError(
                f"{self.path / CONFIG} is not what the run was stopped with: put it back"
            )
        self._follow(files)

    def _follow(self, checkpoint: dict[str, bytes] | None) -> None:
        try:
            self._history.follow(checkpoint)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from None

    def settings(self) -> dict[str, Any] | None:
        """Content of config.json; None where there is none.

        :raises ConfigError: if it is damaged
        """
        try:
            content = self.read_verified(CONFIG, say=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigError(f"{self.path / CONFIG} cannot be read: {error.strerror}") from error
        values: dict[str, Any] = parsed(content, self.path / CONFIG)
        return values

    def provenance(self) -> dict[str, Any]:
        """Content of provenance.json, empty where there is none.

        :raises ConfigError: if it is not what the run left
        """
        content = self.read_json(PROVENANCE) or {}
        if not is_whole(content):
            raise ConfigError(f"{self.path / PROVENANCE} is not what the run left: it is damaged")
        return content

    def read_verified(self, name: str, say: bool = True) -> bytes:
        """Content of a file, which must be the one that the run left.

        A file without a digest is taken as it is: the run is not complete, or from before.

        :param say: whether to say so
        :raises FileNotFoundError: if there is none
        :raises ConfigError: if it is another
        """
        content = (self.path / name).read_bytes()
        expected = (self.read_json("status.json") or {}).get("digests", {}).get(name)
        if expected is None and say:
            logger.warning("%s has no digest: it is taken as it is", self.path / name)
        if expected not in (None, digest(content)):
            raise ConfigError(
                f"{self.path / name} is not what the run left: it is damaged, or was changed"
            )
        return content

    def _has(self, name: str) -> bool:
        return (self.path / name).exists()

    def write_status(self, state: str, step: int, message: str = "", **details: Any) -> None:
        """Write status.json.

        :param state: running, done, failed, diverged or interrupted
        """
        status = {"state": state, "step": step, "last_return": self.last_return}
        self.write_json("status.json", {**status, "message": message, **details})

    def status(self) -> dict[str, Any]:
        """Content of status.json; ``running`` without a live lock reads ``interrupted``."""
        status = self.read_json("status.json") or {"state": "pending", "step": 0, "message": ""}
        if status["state"] == "running" and not self._is_locked():
            status["state"] = "interrupted"
        return status

    def is_done(self) -> bool:
        """Whether the run is complete, its files being those that it left."""
        status = self.read_json("status.json")
        if status is None or status["state"] != "done":
            return False
        with suppress(ConfigError, OSError):
            self.provenance()
            digests = status.get("digests", {})
            return CONFIG in digests and bool(self._digests(digests) == digests)
        return False

    def lock(self) -> FileLock:
        """The lock that a run holds as long as its process lives."""
        return FileLock(self.path / ".lock")

    def _is_locked(self) -> bool:
        return is_held(self.path / ".lock")

    def _digests(self, names: Any) -> dict[str, str | None]:
        """SHA-256 of each named file; None where it is missing."""
        digests: dict[str, str | None] = {}
        for name in names:
            file = self.path / name
            content = file.read_bytes() if file.parent == self.path and file.is_file() else None
            digests[name] = None if content is None else digest(content)
        return digests

    def finish(self) -> None:
        """Mark the run as done, at the step it has reached.

        With the digests of its files, of those without times in them.
        """
        timed = {"status.json", PROVENANCE, MONITOR, ".lock"}
        files = (path for path in self.path.iterdir() if path.is_file())
        made_with = self._history.provenance(self.first_step, self.step)
        self.write_json(PROVENANCE, sealed(made_with))
        names = sorted(file.name for file in files if file.name not in timed)
        self.write_status("done", self.step, digests=self._digests(names))
        shutil.rmtree(self.path / "checkpoint", ignore_errors=True)


def execute(
    config: RunConfig,
    hyperparameters: dict[str, Any],
    root: str | Path,
    body: Callable[[RunDirectory], None],
    on_progress: Progress | None = None,
    notes: Sequence[str] = (),
    allow_mixed: bool = False,
) -> Path:
    """Carry out a run in its directory, unless it is already there, complete.

    A run that was stopped begins anew, or goes on from its checkpoint where ``body`` makes any.

    :param hyperparameters: as resolved, defaults included
    :param body: does the work and leaves its files in the given directory
    :param notes: what a reader of the results must know, for log.txt and provenance.json
    :param allow_mixed: whether to go on with what other software began
    :return: the run directory
    :raises ConfigError: if the directory holds a run with other settings, or that other software
        began
    :raises RunBusyError: if another process is at work there
    """
    run = RunDirectory(Path(root) / config.directory, on_progress)
    settings = settings_of(config, hyperparameters)
    try:
        run.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write to {run.path}: {error.strerror}") from error
    try:
        # Longer than a reader of the status holds the lock to see whether a run is alive.
        lock = run.lock().acquire(timeout=LOCK_TIMEOUT)
    except Timeout:
        raise RunBusyError(f"another process is writing to {run.path}") from None
    except OSError as error:
        raise ConfigError(f"cannot write to {run.path}: {error.strerror}") from error
    with lock:
        refuse_other_settings(run, settings)
        if not run.is_done():
            noted = {"notes": list(notes)} if notes else {}
            history = History({**describe_software(config.device), **noted}, allow_mixed)
            run.take_up(history)
            _start_afresh(run, settings)
            for note in notes:  # a continued run finds them in its saved log
                run.log(note)
            _carry_out(run, config, body)
    return run.path


def settings_of(config: RunConfig, hyperparameters: dict[str, Any]) -> dict[str, Any]:
    """Content of config.json, as it reads back: tuples become lists."""
    settings = {"config": config.to_json(), "hyperparameters": hyperparameters}
    values: dict[str, Any] = json.loads(json.dumps(settings))
    return values


def refuse_other_settings(run: RunDirectory, settings: dict[str, Any]) -> None:
    """Refuse a directory that holds a run with other settings.

    :raises ConfigError: saying what differs
    """
    existing = run.read_json(CONFIG)
    if existing is None:
        return
    # A run from before a setting existed was made with what is now its default.
    defaults = {f.name: f.default for f in fields(RunConfig) if f.default is not MISSING}
    existing["config"] = {**defaults, **existing["config"]}
    settings = {**settings, "config": {**defaults, **settings["config"]}}
    if existing == settings:
        return
    differences = [
        f"{name} is {existing[part].get(name)!r} there and {settings[part].get(name)!r} here"
        for part in ("config", "hyperparameters")
        for name in {**existing[part], **settings[part]}
        if existing[part].get(name) != settings[part].get(name)
    ]
    raise ConfigError(
        f"{run.path} holds a run with other settings ({'; '.join(differences)}):"
        " remove it, or choose another label or root"
    )


def _start_afresh(run: RunDirectory, settings: dict[str, Any]) -> None:
    """Remove what a stopped run left, checkpoints excepted, and write down what is to run."""
    if run.read_json(CONFIG) is None:  # whose checkpoints these are, nobody knows
        shutil.rmtree(run.path / "checkpoint", ignore_errors=True)
    if not (run.path / "checkpoint").exists():
        shutil.rmtree(run.path / "tensorboard", ignore_errors=True)
    for file in run.path.iterdir():
        if file.name not in (".lock", CONFIG) and file.is_file():
            file.unlink()
    run.write_json(CONFIG, settings)
    run.write_status("running", 0)


def _carry_out(run: RunDirectory, config: RunConfig, body: Callable[[RunDirectory], None]) -> None:
    try:
        body(run)
    except BaseException as error:
        state = getattr(error, "run_state", "failed")
        if isinstance(error, KeyboardInterrupt):
            state = "interrupted"
        with suppress(OSError):  # a full disk must not hide the error itself
            run.log(traceback.format_exc())
            run.write_status(state, run.step, message=repr(error))
        raise
    run.finish()
