"""A run directory: the files that a run leaves, and how to read them."""

import errno
import json
import logging
import os
import stat
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from training.checkpoint import digest, write_through
from training.config import ConfigError, RunConfig
from training.provenance import digest_matches
from training.schemas import parsed, read_json

try:
    import fcntl
except ImportError:  # Windows, where filelock uses another call
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

EVALUATIONS = "evaluations.npz"
MONITOR = "train.monitor.csv"
LOG = "log.txt"
CONFIG = "config.json"
PROVENANCE = "provenance.json"
BEGINS_ANEW = "if stopped, this run begins anew"  # the first words of such a note


class RunDirectory:
    """The files of one run; docs/file_formats.md says what each contains.

    :param path: the folder, which need not exist yet
    """

    last_return: float | None = None  # last mean evaluation return, of a run in progress

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file atomically: a reader sees either the old or the new one, complete."""
        temporary = self.path / f"{name}.tmp"
        write_through(temporary, content)
        temporary.replace(self.path / name)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file atomically."""
        self.write_bytes(name, (json.dumps(content, indent=2) + "\n").encode())

    def read_json(self, name: str) -> dict[str, Any] | None:
        """The content of a JSON file; None where there is none.

        :raises ConfigError: if the file is damaged
        """
        try:
            content: dict[str, Any] = read_json(self.path / name)
        except FileNotFoundError:
            return None
        return content

    def settings(self) -> dict[str, Any] | None:
        """Content of config.json; None where there is none.

        :raises ConfigError: if it is damaged
        """
        try:
            content = self.read_verified(CONFIG, say=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigError(f"{self.path / CONFIG} cannot be read: {error.strerror}") from error
        values: dict[str, Any] = parsed(content, self.path / CONFIG)
        return values

    def provenance(self) -> dict[str, Any]:
        """Content of provenance.json, empty where there is none.

        :raises ConfigError: if it is not what the run left
        """
        content = self.read_json(PROVENANCE) or {}
        if not digest_matches(content):
            raise ConfigError(f"{self.path / PROVENANCE} is not what the run left: it is damaged")
        return content

    def read_verified(self, name: str, say: bool = True) -> bytes:
        """Content of a file, which must be the one that the run left.

        A file without a digest is accepted: the run is not complete, or is older than digests.

        :param say: whether to log a warning in that case
        :raises FileNotFoundError: if the file does not exist
        :raises ConfigError: if it is not the one that the run left
        """
        content = (self.path / name).read_bytes()
        expected = (self.read_json("status.json") or {}).get("digests", {}).get(name)
        if expected is None and say:
            logger.warning("%s has no digest: it is taken as it is", self.path / name)
        if expected not in (None, digest(content)):
            raise ConfigError(
                f"{self.path / name} is not what the run left: it is damaged, or was changed"
            )
        return content

    def _has(self, name: str) -> bool:
        return (self.path / name).exists()

    def write_status(self, state: str, step: int, message: str = "", **details: Any) -> None:
        """Write status.json.

        :param state: running, done, failed, diverged or interrupted
        """
        status = {"state": state, "step": step, "last_return": self.last_return}
        self.write_json("status.json", {**status, "message": message, **details})

    def status(self) -> dict[str, Any]:
        """Content of status.json; ``running`` without a live lock reads ``interrupted``."""
        status = self.read_json("status.json") or {"state": "pending", "step": 0, "message": ""}
        if status["state"] == "running" and not is_held(self.path / ".lock"):
            status["state"] = "interrupted"
        return status

    def is_done(self) -> bool:
        """Whether the run is complete, and its files are those that it left."""
        status = self.read_json("status.json")
        if status is None or status["state"] != "done":
            return False
        with suppress(ConfigError, OSError):
            self.provenance()
            digests = status.get("digests", {})
            return CONFIG in digests and bool(self._digests(digests) == digests)
        return False

    def is_shorter(self, total_timesteps: int) -> bool:
        """Whether there is a run that was configured for fewer steps than ``total_timesteps``.

        :raises ConfigError: if config.json is damaged
        """
        settings = self.read_json(CONFIG)
        return settings is not None and settings["config"]["total_timesteps"] < total_timesteps

    def lock(self) -> FileLock:
        """The lock that a run holds as long as its process lives."""
        return FileLock(self.path / ".lock")

    def _digests(self, names: Any) -> dict[str, str | None]:
        """SHA-256 of each named file; None where it is missing."""
        digests: dict[str, str | None] = {}
        for name in names:
            file = self.path / name
            content = file.read_bytes() if file.parent == self.path and file.is_file() else None
            digests[name] = None if content is None else digest(content)
        return digests


def settings_of(config: RunConfig, hyperparameters: dict[str, Any]) -> dict[str, Any]:
    """Content of config.json, as it reads back: tuples become lists."""
    settings = {"config": config.to_json(), "hyperparameters": hyperparameters}
    values: dict[str, Any] = json.loads(json.dumps(settings))
    return values


def refuse_other_settings(
    run: RunDirectory, settings: dict[str, Any], extend: bool = False
) -> None:
    """Refuse a directory that holds a run with other settings.

    :param extend: whether that run may have fewer steps
    :raises ConfigError: saying what differs
    """
    existing = run.read_json(CONFIG)
    if existing is None:
        return
    # A run from before a setting existed was made with what is now its default.
    defaults = {f.name: f.default for f in fields(RunConfig) if f.default is not MISSING}
    existing["config"] = {**defaults, **existing["config"]}
    settings = {**settings, "config": {**defaults, **settings["config"]}}
    steps = settings["config"]["total_timesteps"]
    if extend and existing["config"]["total_timesteps"] < steps:
        existing["config"]["total_timesteps"] = steps
    if existing == settings:
        return
    differences = [
        f"{name} is {existing[part].get(name)!r} there and {settings[part].get(name)!r} here"
        for part in ("config", "hyperparameters")
        for name in {**existing[part], **settings[part]}
        if existing[part].get(name) != settings[part].get(name)
    ]
    raise ConfigError(
        f"{run.path} holds a run with other settings ({'; '.join(differences)}):"
        " choose another label or root"
    )


def is_held(file: Path) -> bool:
    """Whether a living process holds a lock of filelock; False if it is not a regular file.

    Except on Windows, nothing is created, so that results on a read-only disk can be read.
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
    except OSError as error:  # without such locks, filelock's file is there as long as it is held
        return error.errno == errno.ENOSYS
    finally:
        os.close(descriptor)
    return False
