"""What a command line takes from its surroundings, made fit for it: home, plots, text.

Libraries read such settings while they are imported, so that this comes first.
"""

import atexit
import os
import shutil
import sys
import tempfile
from io import TextIOWrapper
from pathlib import Path


def settle() -> None:
    """Let a command work without a home directory, on a read-only one, with any backend or locale.

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
    elif not os.access(Path.home(), os.W_OK):  # else matplotlib complains at each import
        os.environ.setdefault("MPLCONFIGDIR", _temporary_folder())


def announce() -> None:
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
    """A folder of this process, which goes at its end."""
    folder = tempfile.mkdtemp(prefix="td3-rocket-benchmark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
