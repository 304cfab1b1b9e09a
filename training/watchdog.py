"""Ends a process whose environment does not return, and says in the run directory where it hung."""

import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.open_run import OpenRun

HUNG = "hung in"  # so the message of such a run begins
LOOKS = 20  # within the timeout
_exit = os._exit  # which is replaced while an environment could call it
_runs: list["OpenRun"] = []  # under way in this process, the innermost last


@contextmanager
def watching(timeout: float | None) -> Iterator[None]:
    """Within this context, end the process once a call of an environment takes too long.

    Nothing can interrupt such a call: the process ends with status 1, and its children with it.
    Code that keeps Python's global lock all the while is not noticed.

    :param timeout: seconds; None or 0 for no limit
    """
    if not timeout:
        yield
        return
    from envs.step_check import CLOCK

    over, thread_id = threading.Event(), threading.get_ident()
    CLOCK.leave()

    def watch() -> None:
        while not over.wait(min(1.0, timeout / LOOKS)):
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
def told_of_hangs(run: "OpenRun") -> Iterator[None]:
    """Within this context, a hang is written into this run's directory."""
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
