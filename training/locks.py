"""Whether a lock is held, found out without writing anything."""

import os
import stat
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # Windows, where filelock uses another call
    fcntl = None  # type: ignore[assignment]


def is_held(file: Path) -> bool:
    """Whether a living process holds a lock of filelock's; of what is no plain file, nobody does.

    Only looks: nothing is created, so that results on a read-only disk can be read.
    """
    if fcntl is None:
        try:
            with FileLock(file).acquire(timeout=0):
                return False
        except Timeout:
            return True
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: nobody can hold one there
        return False
    finally:
        os.close(descriptor)
    return False
