"""What ends a run early: a signal, or an environment that ends the process or hangs.

Ctrl-C and SIGTERM leave a checkpoint; a second Ctrl-C does not. If an environment tries to end the
process, the run fails with an error; if it does not return in time, the process is ended.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from training.config import BrokenEnvironmentError

if TYPE_CHECKING:
    from training.open_run import OpenRun

HUNG = "hung in"  # begins the message of a run whose environment does not return
CHECKS_WITHIN_TIMEOUT = 20  # of the watchdog, within the timeout
_exit = os._exit  # os._exit itself is replaced while an environment could call it
_runs: list["OpenRun"] = []  # in progress in this process, the innermost last


class RunStopped(KeyboardInterrupt):
    """The run has stopped because it was asked to; its directory says ``interrupted``.

    :param exit_status: what a command line should end with
    """

    def __init__(self, message: str = "", exit_status: int = 128 + signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class StopRequest:
    """Whether, and by which signal, the run was asked to stop."""

    received: signal.Signals | None = None

    def __call__(self) -> bool:
        """Whether the run was asked to stop."""
        return self.received is not None

    @property
    def exit_status(self) -> int:
        """The exit status by which shells report a signal; 130 for Ctrl-C."""
        return 128 + (self.received or signal.SIGINT)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a request; a second one stops at once.

    Outside the main thread Python allows no signal handlers, so no request is made there.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        request.received = signal.Signals(number)
        # Not the handlers from before: a shell starts background jobs with SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    for number in before:
        signal.signal(number, ask)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def exits_as_errors(where: Callable[[], str], error: type[Exception]) -> Iterator[None]:
    """Turn an environment's ``sys.exit``, ``os._exit`` or KeyboardInterrupt into an error.

    A KeyboardInterrupt from the keyboard is let through. ``os._exit`` is replaced only for this
    process and this thread; it raises a BrokenEnvironmentError.

    :param where: returns where the run is, for the message
    :param error: class of the error to raise
    """
    own, really = (os.getpid(), threading.get_ident()), os._exit

    def refuse(status: int) -> NoReturn:
        if (os.getpid(), threading.get_ident()) != own:
            really(status)
        raise BrokenEnvironmentError(f"the environment called os._exit({status})")

    os._exit = refuse
    try:
        yield
    except RunStopped:
        raise
    except SystemExit as exit:
        raise error(f"the environment called sys.exit({exit.code!r}) {where()}") from exit
    except KeyboardInterrupt as interrupt:
        if is_from_keyboard():
            raise
        raise error(f"the environment raised KeyboardInterrupt {where()}") from interrupt
    finally:
        os._exit = really


def is_from_keyboard() -> bool:
    """Whether Ctrl-C could have raised a KeyboardInterrupt here."""
    if threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


@contextmanager
def watching(timeout: float | None) -> Iterator[None]:
    """Within this context, end the process once a call of an environment takes too long.

    Nothing can interrupt such a call: the process ends with status 1, and its children with it.
    A call that never releases Python's global interpreter lock is not noticed.

    :param timeout: seconds; None or 0 for no limit
    """
    if not timeout:
        yield
        return
    from envs.step_check import CLOCK

    over, thread_id = threading.Event(), threading.get_ident()
    CLOCK.leave()

    def watch() -> None:
        while not over.wait(min(1.0, timeout / CHECKS_WITHIN_TIMEOUT)):
            what, since = CLOCK.what, CLOCK.since
            if what is not None and time.monotonic() - since > timeout:
                _give_up(what, timeout, thread_id)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        CLOCK.leave()


@contextmanager
def recording_hangs(run: "OpenRun") -> Iterator[None]:
    """Within this context, a hang is recorded in this run's directory."""
    _runs.append(run)
    try:
        yield
    finally:
        _runs.remove(run)


def _give_up(what: str, timeout: float, thread_id: int) -> None:
    message = f"{HUNG} {what}: it did not return within {timeout:g} s"
    with suppress(Exception):  # nothing may keep the process from ending
        frame = sys._current_frames().get(thread_id)
        for run in _runs:
            message = f"{HUNG} {what} at step {run.step}: it did not return within {timeout:g} s"
            run.log("".join(traceback.format_stack(frame)) + message)
            run.write_status("failed", run.step, message=message)
        print(f"failed: {message}", file=sys.stderr, flush=True)
    for child in multiprocessing.active_children():
        child.kill()
    _exit(1)
