"""A run in progress: one run directory, its lock, its states and its log."""

import json
import logging
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import Timeout

from training.checkpoint import load_checkpoint, save_checkpoint
from training.config import LINEAR, BrokenEnvironmentError, ConfigError, RunConfig, one_line
from training.endings import exits_as_errors, recording_hangs
from training.provenance import PARTS, History, describe_software, with_digest
from training.run_directory import (
    CONFIG,
    EVALUATIONS,
    LOG,
    MONITOR,
    PROVENANCE,
    RunDirectory,
    refuse_other_settings,
    settings_of,
)
from training.schemas import parsed

logger = logging.getLogger(__name__)

# Environment step, last mean evaluation return, return of the last training episode.
Progress = Callable[[int, float | None, float | None], None]
CHECKPOINT = "checkpoint"
BEST = ("best_model.zip", "best_normalization.npz")
GROWING = (EVALUATIONS, MONITOR, LOG, *BEST)  # written to throughout a run
LOCK_TIMEOUT = 1.0  # s: longer than a reader of the status holds the lock
STATUS_INTERVAL = 1.0  # s between two updates of status.json during a run


class RunBusyError(RuntimeError):
    """Another process is writing to the run directory."""


class OpenRun(RunDirectory):
    """The directory of a run in progress, written so that a crash spoils nothing.

    :param path: the folder
    :param on_progress: called at each reported step
    :param keep_checkpoint: whether the last checkpoint stays once the run is complete
    """

    def __init__(
        self, path: Path, on_progress: Progress | None = None, keep_checkpoint: bool = False
    ) -> None:
        super().__init__(path)
        self.was_done = False  # whether it was complete when it was opened
        self.step = 0  # environment steps so far
        self.first_step = 0  # from which this process goes on
        self._history = History({})
        self._on_progress = on_progress
        self._keep_checkpoint = keep_checkpoint
        self._status_written = 0.0
        self._save_failure = ""

    def log(self, line: str) -> None:
        """Append a line to log.txt."""
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def report(self, step: int, training_return: float | None = None) -> None:
        """Report that the run has reached an environment step.

        :param training_return: of the last training episode
        """
        self.step = step
        if self._on_progress is not None:
            self._on_progress(step, self.last_return, training_return)
        if time.monotonic() - self._status_written > STATUS_INTERVAL:
            self.write_status("running", step)
            self._status_written = time.monotonic()

    def resume_at(self, step: int) -> None:
        """Say that this process goes on from a checkpoint of that environment step."""
        self.step = self.first_step = step
        line = f"continued from step {step}"
        self.log(line)
        logger.info("%s: %s", self.path, line)

    def save_checkpoint(self, step: int, files: dict[str, bytes]) -> None:
        """Save what an exact continuation needs, with the files that have grown so far.

        :param files: content by name
        """
        grown = {
            name: (self.path / name).read_bytes() for name in (*GROWING, CONFIG) if self._has(name)
        }
        parts = json.dumps({"parts": self._history.parts(self.first_step, step)}).encode()
        save_checkpoint(self.path / CHECKPOINT, step, {**files, **grown, PARTS: parts})

    def try_to_save(self, step: int, save_state: Callable[[], dict[str, bytes]]) -> bool:
        """Save a checkpoint; a failure is logged, and the run goes on without it.

        :param save_state: returns what :meth:`save_checkpoint` takes
        :return: whether it is saved
        """
        try:
            self.save_checkpoint(step, save_state())
        except Exception as error:  # an environment or a disk may raise anything
            message = f"not saved: {type(error).__name__}: {one_line(error)}"
            logger.warning("step %d %s", step, message)
            if message != self._save_failure:  # once, not every minute
                self._save_failure = message
                with suppress(OSError):
                    self.log(f"step {step} {message}")
            return False
        return True

    def load_checkpoint(self) -> dict[str, bytes] | None:
        """Load the newest intact checkpoint, if there is one, and restore the files that had grown.

        :return: its files by name; None without a checkpoint
        :raises ConfigError: if other software made it
        """
        files = load_checkpoint(self.path / CHECKPOINT)
        self._follow(files)
        for name in GROWING:
            if files is not None and name in files:
                self.write_bytes(name, files[name])
        return files

    def begin(self, settings: dict[str, Any], history: History, notes: Sequence[str]) -> None:
        """Begin the run or go on with it, in this process.

        Deletes what a stopped run left, except its checkpoints.

        :param settings: content of config.json
        :param notes: for log.txt
        :raises ConfigError: as :meth:`attach_history` does
        """
        self.attach_history(history)
        if not can_resume(self, settings):
            shutil.rmtree(self.path / CHECKPOINT, ignore_errors=True)
        if not self._has(CHECKPOINT):
            shutil.rmtree(self.path / "tensorboard", ignore_errors=True)
        for file in self.path.iterdir():
            if file.name not in (".lock", CONFIG) and file.is_file():
                file.unlink()
        self.write_json(CONFIG, settings)
        self.write_status("running", 0)
        for note in notes:  # a resumed run finds them in its saved log
            self.log(note)

    def record_failure(self, error: BaseException) -> None:
        """Record in log.txt and status.json what ended the run."""
        state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(OSError):  # a full disk must not hide the error itself
            self.log(traceback.format_exc())
        with suppress(OSError):  # if the log cannot be written, the status perhaps can
            state = getattr(error, "run_state", state)
            self.write_status(state, self.step, message=repr(error))

    def attach_history(self, history: History) -> None:
        """Add this process to the history of the run that is there, if any.

        :raises ConfigError: if other software made that run, or config.json is not the one that
            it was stopped with
        """
        files = load_checkpoint(self.path / CHECKPOINT, [PARTS, CONFIG])
        self._history = history
        if files is None or not self._has(CONFIG):
            return
        now = (self.path / CONFIG).read_bytes()
        if files.get(CONFIG, now) != now and not _is_longer(files[CONFIG], now):
            raise ConfigError(
                f"{self.path / CONFIG} is not what the run was stopped with: put it back"
            )
        self._follow(files)

    def _follow(self, checkpoint: dict[str, bytes] | None) -> None:
        try:
            self._history.follow(checkpoint)
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from None

    def finish(self) -> None:
        """Mark the run as done, at the step it has reached.

        Records the digests of all files that contain no times.
        """
        timed = {"status.json", PROVENANCE, MONITOR, ".lock"}
        files = (path for path in self.path.iterdir() if path.is_file())
        made_with = self._history.provenance(self.first_step, self.step)
        self.write_json(PROVENANCE, with_digest(made_with))
        names = sorted(file.name for file in files if file.name not in timed)
        self.write_status("done", self.step, digests=self._digests(names))
        if not self._keep_checkpoint:
            shutil.rmtree(self.path / CHECKPOINT, ignore_errors=True)


def can_resume(run: RunDirectory, settings: dict[str, Any]) -> bool:
    """Whether a run may go on from the checkpoint that is there, if there is one.

    A run with a schedule cannot be extended: in a longer run it would have begun differently.

    :param settings: content of config.json that the run is to have
    """
    if not ((run.path / CHECKPOINT).exists() and (run.path / CONFIG).exists()):
        return False
    values = settings["hyperparameters"].values()
    has_schedule = any(isinstance(each, str) and each.startswith(LINEAR) for each in values)
    return not (has_schedule and run.is_shorter(settings["config"]["total_timesteps"]))


def _is_longer(saved: bytes, now: bytes) -> bool:
    """Whether config.json differs from the one in a checkpoint only by more steps."""
    before, after = (parsed(content, Path(CONFIG)) for content in (saved, now))
    steps = [each["config"].pop("total_timesteps") for each in (before, after)]
    return bool(before == after and steps[0] < steps[1])


@contextmanager
def open_run(
    config: RunConfig,
    hyperparameters: dict[str, Any],
    root: str | Path = "runs",
    on_progress: Progress | None = None,
    notes: Sequence[str] = (),
    allow_mixed: bool = False,
    extend: bool = False,
    keep_checkpoint: bool = False,
) -> Iterator[OpenRun]:
    """Lock the directory of a run, and record how the ``with`` block ends.

    A run that is already complete is opened with ``was_done``, and left as it is. A stopped run
    goes on from its checkpoint, or begins anew without one; so does a run that is to be extended.

    :param hyperparameters: as resolved, defaults included
    :param notes: what a reader of the results must know, for log.txt and provenance.json
    :param allow_mixed: whether to go on with a run that other software began
    :param extend: whether to extend a run of fewer steps, complete or not, that is there
    :param keep_checkpoint: whether the last checkpoint stays once the run is complete
    :raises ConfigError: if the directory holds a run with other settings, a run that other
        software began, or links
    :raises RunBusyError: if another process is at work there
    """
    run = OpenRun(Path(root) / config.directory, on_progress, keep_checkpoint)
    settings = settings_of(config, hyperparameters)
    with locked(run):
        refuse_other_settings(run, settings, extend)
        run.was_done = run.is_done() and not run.is_shorter(config.total_timesteps)
        if run.was_done:
            yield run
            return
        noted = {"notes": list(notes)} if notes else {}
        history = History({**describe_software(config.device), **noted}, allow_mixed)
        run.begin(settings, history, notes)
        try:
            with (
                recording_hangs(run),
                exits_as_errors(lambda: f"at step {run.step}", BrokenEnvironmentError),
            ):
                yield run
        except BaseException as error:
            run.record_failure(error)
            raise
        try:
            run.finish()
        except OSError as error:  # a disk that is full only now
            run.record_failure(error)
            raise


@contextmanager
def locked(run: RunDirectory) -> Iterator[None]:
    """Make the directory if needed, and keep other processes out of it.

    :raises ConfigError: if it cannot be written to, or holds links
    :raises RunBusyError: if another process is at work there
    """
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        refuse_links(run.path)
        lock = run.lock().acquire(timeout=LOCK_TIMEOUT)
    except Timeout:
        raise RunBusyError(f"another process is writing to {run.path}") from None
    except (OSError, NotImplementedError) as error:  # the latter on a disk without locks
        raise ConfigError(f"cannot write to, or lock, {run.path}: {error}") from error
    with lock:
        yield


def refuse_links(path: Path) -> None:
    """Refuse a run directory with links in it: files elsewhere would be written or deleted.

    :raises ConfigError: naming the first one
    """
    for entry in sorted(path.rglob("*")):
        if entry.is_symlink():
            raise ConfigError(
                f"{entry} is a link: a run directory must hold its own files; put there what the"
                " link points to"
            )
