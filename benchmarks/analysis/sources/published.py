"""What ``publish`` writes to results/: run directories without models, in one file.

Once unpacked, they are read like any other run directories, and their digests are checked.
"""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from zipfile import ZipFile

from benchmarks.experiments import EXPERIMENT_FILE
from training.checkpoint import digest
from training.config import ConfigError, one_line
from training.run_directory import CONFIG, EVALUATIONS
from training.schemas import Json, read_json

SUMMARY = "published.json"  # the verdicts in words, and of each run the digests of its files
RUNS = "runs.zip"  # <label>/<env_id>_<seed>/ with evaluations, settings, status, provenance


def is_published(path: Path) -> bool:
    """Whether a folder holds a published experiment."""
    return (path / RUNS).is_file()


def summary_of(path: Path) -> Json:
    """Content of published.json.

    :raises ConfigError: if it is missing or damaged
    """
    try:
        content: Json = read_json(path / SUMMARY)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is not as it was published: it has no {SUMMARY}") from error
    return content


def unpacked(path: Path) -> Path:
    """The folder of a published experiment's run directories; any other path as it is.

    The folder has the same name, and is deleted when the process ends.

    :raises ConfigError: if the file is damaged, or does not hold the runs that were published
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
    except Exception as error:  # zipfile and zlib may raise anything for a damaged file
        raise ConfigError(f"{path / RUNS} is damaged: {one_line(error)}") from error
    if not (path / EXPERIMENT_FILE).is_file():
        raise ConfigError(f"{path} is not as it was published: it has no {EXPERIMENT_FILE}")
    shutil.copy(path / EXPERIMENT_FILE, folder)
    if other := _difference(folder, summary_of(path)["runs"]):
        raise ConfigError(f"{path / RUNS} is damaged: {other} is not as {SUMMARY} tells")
    return folder


def _difference(folder: Path, runs: Json) -> str | None:
    """The first run or file that is not the published one, or is missing; None if all are.

    :param runs: of published.json
    """
    found = {file.parent.relative_to(folder).as_posix() for file in folder.glob(f"*/*/{CONFIG}")}
    if others := sorted(found ^ runs.keys()):
        return others[0]
    for run, published in runs.items():
        for name, expected in published["sha256"].items():
            file = folder / run / name
            actual = digest(file.read_bytes()) if file.is_file() else None
            if actual != expected and (actual or name in (CONFIG, EVALUATIONS)):
                return f"{run}/{name}"
    return None
