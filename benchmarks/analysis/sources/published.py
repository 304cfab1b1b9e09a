"""What ``publish`` writes to results/: run directories without models, in one file.

Once unpacked, they are read like any other run directories, and their digests are checked.
"""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from benchmarks.experiments import EXPERIMENT_FILE
from training.config import ConfigError

RUNS = "runs.zip"  # <label>/<env_id>_<seed>/ with evaluations, settings, status, provenance


def is_published(path: Path) -> bool:
    """Whether a folder holds a published experiment."""
    return (path / RUNS).is_file()


def unpacked(path: Path) -> Path:
    """The folder of a published experiment's run directories; any other path as it is.

    The folder has the same name, and is deleted when the process ends.

    :raises ConfigError: if the file is damaged
    """
    return _unpack(path.resolve()) if is_published(path) else path


@cache
def _unpack(path: Path) -> Path:
    temporary = Path(tempfile.mkdtemp(prefix="td3-rocket-benchmark-"))
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    folder = temporary / path.name
    try:
        with ZipFile(path / RUNS) as file:
            file.extractall(folder)
    except (BadZipFile, OSError) as error:
        raise ConfigError(f"{path / RUNS} is damaged: {error}") from error
    if (path / EXPERIMENT_FILE).exists():
        shutil.copy(path / EXPERIMENT_FILE, folder)
    return folder
