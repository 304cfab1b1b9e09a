"""Learning curves made anywhere -> rows of one kind.

A further format is a module with PATTERNS, ACCEPTED and ``read``, and an entry in FORMATS.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.analysis.sources import (
    author,
    cleanrl,
    evaluations,
    monitor,
    table,
    tianshou,
    wandb,
)
from benchmarks.analysis.sources.frame import CsvFile, ReadOptions
from benchmarks.analysis.sources.published import unpacked
from benchmarks.analysis.sources.refusals import (
    refuse_crossed_folders,
    refuse_doubles,
    refuse_missing,
    refuse_other_numbers,
    refuse_restarts,
)
from training.config import ConfigError, one_line

UNKNOWN = {
    "fixed_starts": np.nan, "final_return": np.nan, "late_return": np.nan, "caution": ""
}  # fmt: skip
DATABASES = ("*.sqlite", "*.sqlite3", "*.db")
MOST_DESCRIBED = 3  # files that an error describes, if none is recognised
MOST_NAMES = 12  # columns, arrays or tags of each


class Format(NamedTuple):
    """A kind of file.

    :param patterns: of the file's name
    :param accepted: the format in words
    :param read: rows of some files, None where they hold no curve: the columns step, mean_return,
        KEYS where known and, for runs of this project, fixed_starts, the number of start states
        that a mean is over, and final_return and late_return, means on held-out starts; and
        caution, what is not sure about the file, in words
    :param is_episodes: whether a row is a training episode, and not an evaluation
    :param whole_folder: whether a folder's files are read together
    """

    patterns: tuple[str, ...]
    accepted: str
    read: Callable[[list[Path], ReadOptions], pd.DataFrame | None]
    is_episodes: bool = False
    whole_folder: bool = False


FORMATS = [  # a CSV file is read by the first that knows its columns
    Format(evaluations.PATTERNS, evaluations.ACCEPTED, evaluations.read),
    Format(author.PATTERNS, author.ACCEPTED, author.read),
    Format(tianshou.PATTERNS, tianshou.ACCEPTED, tianshou.read),
    Format(table.PATTERNS, table.ACCEPTED, table.read),
    Format(wandb.PATTERNS, wandb.ACCEPTED_EVALUATIONS, wandb.read_evaluations),
    Format(wandb.PATTERNS, wandb.ACCEPTED, wandb.read, is_episodes=True),
    Format(monitor.PATTERNS, monitor.ACCEPTED, monitor.read, True, True),
    Format(cleanrl.PATTERNS, cleanrl.ACCEPTED, cleanrl.read, True, True),
]


@dataclass(frozen=True)
class Source:
    """The runs below a directory, or in a file.

    :param curves: a row for each evaluation or training episode: KEYS (empty where not known; a
        run is named by its seed or folder), step, mean_return, the columns of UNKNOWN, file
    :param left_out: files of the same kind without a curve, of incomplete runs, damaged, or of
        training episodes beside other runs' evaluations
    """

    name: str
    path: Path
    kind: Format
    curves: pd.DataFrame
    left_out: list[str]

    @property
    def root(self) -> Path:
        """The directory that names of files are relative to."""
        return self.path.parent if self.path.is_file() else unpacked(self.path)


def read_source(path: Path, name: str = "", options: ReadOptions | None = None) -> Source:
    """Find out which of FORMATS a path holds, and read it.

    Training episodes are ignored if there are evaluations too; those of runs without evaluations
    are left out. A damaged file of a format other than the one read is left out, like an unfinished
    run.

    :param path: a directory, with everything below it, or a file
    :param name: what to call the source; default: its path
    :raises ConfigError: if it holds no format or several, a file of the format is damaged, or
        its steps are not whole numbers, repeat or go back, or folders of unnamed algorithms cross
    """
    if not (path.is_file() or path.is_dir()):
        raise ConfigError(f"{path} must be a file or directory with results; there is none")
    root = path.parent if path.is_file() else unpacked(path)
    files = [path] if path.is_file() else sorted(_files(root))
    found: dict[Format, list[pd.DataFrame]] = {}
    damaged: dict[str, list[tuple[Format, ConfigError]]] = {}
    read: set[Path] = set()
    named = bool(options and options.columns)  # then CSV files with these columns come first
    for kind in sorted(FORMATS, key=lambda kind: kind.read is not table.read or not named):
        for unit in _units(kind, [file for file in files if file not in read]):
            try:
                rows = _rows(kind, unit, root, options or ReadOptions())
            except ConfigError as error:
                damaged.setdefault(str(unit[0].relative_to(root)), []).append((kind, error))
                continue
            if rows is not None:
                found.setdefault(kind, []).append(rows)
                read.update(unit)
    kinds = [kind for kind in found if not kind.is_episodes] or list(found)
    for kind, complaint in chain(*damaged.values()):
        if not kinds or kind in kinds:
            raise complaint
    if len(kinds) != 1:
        raise ConfigError(f"{path} {_holds(kinds, files)}")
    (kind,) = kinds
    curves = pd.concat(found[kind], ignore_index=True)
    refuse_doubles(curves, path)
    refuse_crossed_folders(curves, path)
    same = {file for pattern in kind.patterns for file in files if file.match(pattern)}
    names = {str(file.relative_to(root)) for file in same - read} | damaged.keys()
    ignored = (unit for each in found if each is not kind for unit in _units_of(found[each]))
    folders = {Path(unit).parent for unit in _units_of(found[kind])}
    left_out = sorted(names | {unit for unit in ignored if not _is_near(unit, folders)})
    return Source(name or str(path), path, kind, curves.drop(columns="unit"), left_out)


def _units_of(tables: list[pd.DataFrame]) -> Iterator[str]:
    return (str(rows["unit"].iloc[0]) for rows in tables)


def _is_near(unit: str, folders: set[Path]) -> bool:
    """Whether files are in one of these folders, or in one above or below it."""
    return any(_overlap(Path(unit).parent, each) for each in folders)


def _overlap(first: Path, second: Path) -> bool:
    """Whether one folder is the other or below it."""
    return first.is_relative_to(second) or second.is_relative_to(first)


def accepted() -> str:
    """All formats in words."""
    return "; ".join(kind.accepted for kind in FORMATS)


def _files(directory: Path) -> Iterator[Path]:
    """All files of FORMATS below a directory, without the copies in the checkpoints of our runs.

    Links to folders elsewhere are followed; those to folders in it are other names of the same.
    """
    patterns = {pattern for kind in FORMATS for pattern in kind.patterns}
    patterns |= {"*.npz", *DATABASES}
    for file in _below(directory, {directory.resolve()}):
        if file.parts[-3:-2] != ("checkpoint",) and any(map(file.match, patterns)):
            yield file


def _below(directory: Path, known: set[Path]) -> Iterator[Path]:
    """All files below a directory.

    :param known: where links lead that were followed, and the first directory; is added to
    """
    for path in sorted(directory.iterdir()):
        if not path.is_dir():
            yield path
        elif not path.is_symlink():
            yield from _below(path, known)
        elif not any(_overlap(path.resolve(), each) for each in known):
            known.add(path.resolve())
            yield from _below(path, known)


def _units(kind: Format, files: list[Path]) -> Iterator[list[Path]]:
    """The files that make a curve together."""
    mine = [file for file in files if any(map(file.match, kind.patterns))]
    if kind.whole_folder:
        yield from (list(unit) for _, unit in groupby(mine, key=lambda file: file.parent))
    else:
        yield from ([file] for file in mine)


def _rows(kind: Format, files: list[Path], root: Path, options: ReadOptions) -> pd.DataFrame | None:
    """The rows of some files, with all columns of :class:`Source`.

    :raises ConfigError: if a file is damaged, or makes no curve
    """
    try:
        rows = kind.read(files, options)
    except Exception as error:  # whatever NumPy, pandas and TensorBoard raise
        raise ConfigError(f"cannot read {files[0]}: {one_line(error)}") from error
    if rows is None:
        return None
    run = str(files[0].parent.relative_to(root))
    rows = pd.DataFrame({"env_id": "", "label": "", "run": run, **UNKNOWN, "file": files[0]} | {
        name: rows[name].to_numpy() for name in rows})  # fmt: skip
    refuse_missing(rows, files[0])
    refuse_other_numbers(rows, files[0])
    refuse_restarts(rows, kind.is_episodes)
    names = [str(Path(file).relative_to(root)) for file in rows["file"]]
    return rows.assign(file=names, unit=names[0])


def _holds(kinds: list[Format], files: list[Path]) -> str:
    """What was found instead of one format."""
    if kinds:
        found = " and ".join(kind.accepted for kind in kinds)
        return f"holds {found}: make each a source of its own"
    told = [f"{file.name} with {_describe(file)}" for file in files[:MOST_DESCRIBED]]
    more = f" and {len(files) - len(told)} more files" if len(files) > len(told) else ""
    found = f"{', '.join(told) or 'no file of any format'}{more}"
    return f"holds no complete run ({found}): it must hold one of {accepted()}"


def _describe(file: Path) -> str:
    """The content of a file in words, as far as its format is known."""
    try:
        if any(map(file.match, DATABASES)):
            return "a database: openrlbenchmark's has no curves, they are in its run_df.csv files"
        if file.suffix == ".csv":
            what, names = "the columns", CsvFile(file).columns
        elif file.suffix in (".npz", ".npy"):
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return f"an array of shape {content.shape}"
            what, names = "the arrays", list(content)
        elif file.match("*tfevents*"):
            what, names = "the tags", cleanrl.load(file).Tags()["scalars"]
        else:
            return f"content of another kind, {file.suffix or 'without a suffix'}"
    except Exception:
        return "content that cannot be read"
    return f"{what} {', '.join(names[:MOST_NAMES])}{', ...' * (len(names) > MOST_NAMES)}"
