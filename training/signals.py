"""Stopping a run from outside: Ctrl-C and SIGTERM leave a checkpoint; a second Ctrl-C does not."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
        """What a shell expects of a process that a signal has ended; 130 for Ctrl-C."""
        return 128 + (self.received or signal.SIGINT)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a request; a second one stops at once.

    Outside the main thread, where Python allows no handlers, no signal makes a request.
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
