"""Checkpoints that a crash at any moment cannot spoil.

A checkpoint is a folder ``<step>-<number>/`` of files with a manifest of their digests, written
last. The folder gets this name once all of it is on disk. The number distinguishes checkpoints of
the same step, so that none is removed before the next one is complete. The newest two are kept.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from training.schemas import read_json

GENERATIONS = 2
MANIFEST = "manifest.json"


def save_checkpoint(folder: Path, step: int, files: dict[str, bytes]) -> None:
    """Write a checkpoint and delete all but the newest two.

    :param folder: holds the checkpoints of one run; created if it does not exist
    :param files: content by name
    """
    temporary = folder / "unfinished"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, content in files.items():
        write_through(temporary / name, content)
    digests = {name: digest(content) for name, content in files.items()}
    write_through(temporary / MANIFEST, json.dumps(digests).encode())
    same_step = [int(path.name[13:] or 0) for path in folder.glob(f"{step:012d}*")]
    temporary.rename(folder / f"{step:012d}-{max(same_step, default=0) + 1:06d}")
    for old in _checkpoints(folder)[:-GENERATIONS]:
        shutil.rmtree(old)


def load_checkpoint(folder: Path, names: Collection[str] = ()) -> dict[str, bytes] | None:
    """Content of the newest checkpoint whose files are intact; None if there is none.

    :param names: read and check only these files; default: all
    """
    for checkpoint in reversed(_checkpoints(folder)):
        try:
            digests = read_json(checkpoint / MANIFEST)
            digests = {name: value for name, value in digests.items() if not names or name in names}
            files = {name: (checkpoint / name).read_bytes() for name in digests}
        except (OSError, ValueError):
            continue
        if all(digest(content) == digests[name] for name, content in files.items()):
            return files
    return None


def _checkpoints(folder: Path) -> list[Path]:
    """Folders of the checkpoints, oldest first."""
    return sorted(path for path in folder.glob("*") if path.name.replace("-", "").isdigit())


def write_through(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on disk.

    :raises OSError: naming the file, if it cannot be written
    """
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = str(path)  # not given if the disk is full
        raise


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
