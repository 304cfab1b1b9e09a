"""Attempts of an environment to end the process, named and turned into errors of the run."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from training.config import BrokenEnvironmentError
from training.signals import RunStopped


@contextmanager
def escapes_named(where: Callable[[], str], error: type[Exception]) -> Iterator[None]:
    """Turn ``sys.exit``, ``os._exit`` and a KeyboardInterrupt that no key caused into an error.

    ``os._exit`` is replaced for this process and this thread alone.

    :param where: tells where the run is
    :param error: what is raised
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
