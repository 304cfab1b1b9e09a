"""Files of a report or recording: all of them appear, or none."""

from collections.abc import Mapping
from pathlib import Path


def write_all(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write all files under temporary names, then move them into place.

    :param folder: made if need be
    :param files: content by name; text is written as UTF-8
    :raises OSError: if one cannot be written, with its name; what was there before stays
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = ""
    try:
        for name, content in files.items():
            beside(folder / name).write_bytes(
                content.encode() if isinstance(content, str) else content
            )
        for name in files:
            beside(folder / name).replace(folder / name)
    except OSError as error:
        for each in files:
            beside(folder / each).unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(folder / name)) from error


def beside(file: Path) -> Path:
    """Where a file is written before it is moved to its place."""
    return file.with_name(f".{file.name}.part")
