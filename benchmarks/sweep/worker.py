"""What happens on a worker of a sweep: one run at a time, until the sweep is over."""

import ctypes
import gc
import platform
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.sweep.options import DEFAULT_OPTIONS, SweepOptions
from training.config import RunConfig
from training.endings import RunStopped, watching
from training.environments import silence_remarks
from training.open_run import RunBusyError
from training.provenance import git_changes, git_commit, package_versions
from training.run import run

SESSION = ".session"  # in the sweep's folder: the name of the sweep that is going on there
STOP_INTERVAL = 0.5  # s between two looks at that file
BUSY_PATIENCE = 60.0  # s for a run of an earlier sweep to notice that its sweep is over


class RunOutcome(NamedTuple):
    """How a run ended: done, failed, diverged, interrupted or busy; and a message."""

    state: str
    message: str = ""


@contextmanager
def releasing_memory() -> Iterator[None]:
    """Give memory that a run no longer uses back to the system, if the C library can.

    Without it a worker grows by some 2 MB a run: models sit in reference cycles, and glibc keeps
    the gaps between what is still in use.
    """
    try:
        yield
    finally:
        gc.collect()
        with suppress(OSError, AttributeError, TypeError):  # other systems have no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)


@releasing_memory()
def run_on_worker(
    config: RunConfig, root: Path, session: str, options: SweepOptions = DEFAULT_OPTIONS
) -> RunOutcome:
    """Carry out a run; whatever happens to it is returned, never raised.

    :param root: folder that holds the run directories, the same on all machines
    :param session: the sweep's name; once the folder holds another, or none, the run is saved
        and stops
    :param options: of the sweep; those that concern a single run are used
    """
    should_stop = SessionOver(root, session)
    deadline = time.monotonic() + BUSY_PATIENCE
    while True:
        try:
            # The sweep has had SB3's checker look at each environment before the first run, and
            # has looked whether runs may be extended.
            with watching(options.step_timeout):
                run(
                    config, root, should_stop=should_stop, check=False, extend=True,
                    allow_mixed=options.allow_mixed, keep_checkpoint=options.keep_checkpoints,
                )  # fmt: skip
        except RunStopped as error:
            return RunOutcome("interrupted", str(error))
        except RunBusyError as error:  # by a run that a killed sweep has left on another worker
            if time.monotonic() > deadline:
                return RunOutcome("busy", str(error))
            if should_stop():
                return RunOutcome("interrupted", "asked to stop before it began")
        except Exception as error:
            message = " ".join(f"{type(error).__name__}: {error}".split())
            return RunOutcome(getattr(error, "run_state", "failed"), message)
        else:
            return RunOutcome("done")


class SessionOver:
    """Whether the sweep that a run belongs to is over, read from a file that all machines see.

    :param root: the sweep's folder
    :param session: the sweep's name
    """

    def __init__(self, root: Path, session: str) -> None:
        self._file = root / SESSION
        self._session = session
        self._looked = -STOP_INTERVAL
        self._over = False

    def __call__(self) -> bool:
        """Look at the file, though not at every step."""
        now = time.monotonic()
        if not self._over and now - self._looked >= STOP_INTERVAL:
            self._looked = now
            self._over = read_session(self._file.parent) != self._session
        return self._over


def read_session(root: Path) -> str | None:
    """The name of the sweep that is going on in a folder; None if there is none."""
    try:
        return (root / SESSION).read_text()
    except OSError:
        return None


def software() -> dict[str, str | None]:
    """What must be the same on all workers for results not to depend on them."""
    versions = {**package_versions(), "distributed": version("distributed")}
    code = {"git commit": git_commit(), "git changes": git_changes()}
    return {"python": platform.python_version(), **versions, **code}


def describe_worker(root: Path, dask_worker: Any) -> dict[str, Any]:
    """What a sweep needs to know about a worker before it sends runs there.

    :param dask_worker: the worker, filled in by Dask
    """
    threads = dask_worker.state.nthreads
    return {"threads": threads, "software": software(), "session": read_session(root)}


def reason_unfit(worker: dict[str, Any], session: str, root: Path) -> str | None:
    """Why a worker cannot take runs, None if it can.

    :param worker: from :func:`describe_worker`
    """
    if worker["threads"] != 1:
        return f"it has {worker['threads']} threads; start it with --nthreads 1"
    ours, theirs = software(), worker["software"]
    for name in {**ours, **theirs}:
        if theirs.get(name) != ours.get(name):
            return f"its {name} is {theirs.get(name)}, here it is {ours.get(name)}"
    if worker["session"] != session:
        return f"it does not see this machine's folder {root}; the results must be shared"
    return None


def dask_setup(worker: object) -> None:
    """Ignore Ctrl-C, on which the sweep stops its runs, and log no remarks: the sweep has done so.

    Dask calls this in new workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence_remarks()
