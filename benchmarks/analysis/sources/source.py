"""Learning curves made anywhere -> rows of one kind.

A further format is a module with PATTERNS, ACCEPTED and ``read``, and an entry in FORMATS.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
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
from benchmarks.analysis.sources.frame import KEYS, CsvFile, ReadOptions
from benchmarks.analysis.sources.published import unpacked
from training.config import ConfigError, one_line

UNKNOWN = {"fixed_starts": np.nan, "final_return": np.nan, "late_return": np.nan}
DATABASES = ("*.sqlite", "*.sqlite3", "*.db")
MOST_DESCRIBED = 3  # files that an error describes, if none is recognised
MOST_NAMES = 12  # columns, arrays or tags of each


class Format(NamedTuple):
    """A kind of file.

    :param patterns: of the file's name
    :param accepted: the format in words
    :param read: rows of some files, None where they hold no curve: the columns step, mean_return,
        KEYS where known and, for runs of this project, fixed_starts, the number of start states
        that a mean is over, and final_return and late_return, means on held-out starts
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
    Format(wandb.PATTERNS, wandb.ACCEPTED, wandb.read, is_episodes=True),
    Format(monitor.PATTERNS, monitor.ACCEPTED, monitor.read, True, True),
    Format(cleanrl.PATTERNS, cleanrl.ACCEPTED, cleanrl.read, True, True),
]


@dataclass(frozen=True)
class Source:
    """The runs below a directory, or in a file.

    :param curves: a row for each evaluation or training episode: KEYS (empty where not known; a
        run is named by its seed or folder), step, mean_return, the columns of UNKNOWN, file
    :param left_out: files of the same kind without a curve, of incomplete runs, or damaged
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

    Training episodes are ignored if there are evaluations too. A damaged file of a format other
    than the one read is left out, like an unfinished run.

    :param path: a directory, with everything below it, or a file
    :param name: what to call the source; default: its path
    :raises ConfigError: if it holds no format or several, a file of the format is damaged, or
        its steps repeat or go back
    """
    if not path.exists():
        raise ConfigError(f"{path} must be a file or directory with results; there is none")
    root = path.parent if path.is_file() else unpacked(path)
    files = [path] if path.is_file() else sorted(_files(root))
    found: dict[Format, list[pd.DataFrame]] = {}
    damaged: dict[str, tuple[Format, ConfigError]] = {}
    read: set[Path] = set()
    named = bool(options and options.columns)  # then CSV files with these columns come first
    for kind in sorted(FORMATS, key=lambda kind: kind.read is not table.read or not named):
        for unit in _units(kind, [file for file in files if file not in read]):
            try:
                rows = _rows(kind, unit, root, options or ReadOptions())
            except ConfigError as error:
                damaged.setdefault(str(unit[0].relative_to(root)), (kind, error))
                continue
            if rows is not None:
                found.setdefault(kind, []).append(rows)
                read.update(unit)
    kinds = [kind for kind in found if not kind.is_episodes] or list(found)
    for kind, complaint in damaged.values():
        if not kinds or kind in kinds:
            raise complaint
    if len(kinds) != 1:
        raise ConfigError(f"{path} {_holds(kinds, files)}")
    (kind,) = kinds
    curves = pd.concat(found[kind], ignore_index=True)
    _refuse_doubles(curves, path)
    same = {file for pattern in kind.patterns for file in files if file.match(pattern)}
    left_out = sorted({str(file.relative_to(root)) for file in same - read} | damaged.keys())
    return Source(name or str(path), path, kind, curves.drop(columns="unit"), left_out)


def accepted() -> str:
    """All formats in words."""
    return "; ".join(kind.accepted for kind in FORMATS)


def _files(directory: Path) -> Iterator[Path]:
    """All files of FORMATS below a directory, without the copies in the checkpoints of our runs."""
    patterns = {pattern for kind in FORMATS for pattern in kind.patterns}
    patterns |= {"*.npz", *DATABASES}
    for file in directory.rglob("*"):
        if file.parts[-3:-2] != ("checkpoint",) and any(map(file.match, patterns)):
            yield file


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
    refuse_gaps(rows, files[0], kind.is_episodes)
    names = [str(Path(file).relative_to(root)) for file in rows["file"]]
    return rows.assign(file=names, unit=names[0])


def refuse_gaps(rows: pd.DataFrame, file: Path, is_episodes: bool) -> None:
    """Refuse rows that do not make a curve.

    :raises ConfigError: if a value is missing or not finite, or steps repeat or go back
    """
    if not len(rows) or rows[KEYS].isna().any(axis=None) or rows["step"].isna().any():
        raise ConfigError(f"{file} must have a seed, step and return in each row, and one or more")
    wrong = rows[~np.isfinite(rows["mean_return"].to_numpy(float))]
    if len(wrong):
        first = wrong.iloc[0]
        raise ConfigError(
            f"{file} must have finite returns, got {first['mean_return']} at step"
            f" {first['step']:g} ({len(wrong)} of {len(rows)} rows): did the run diverge?"
        )
    for keys, run in rows.groupby(KEYS, sort=False):
        steps = run["step"].to_numpy(float)
        moves = np.diff(steps)
        (wrong_moves,) = np.nonzero((moves < 0) | (moves == 0) & (not is_episodes))
        if len(wrong_moves):
            i = wrong_moves[0]
            how = "repeat" if moves[i] == 0 else "go back"
            raise ConfigError(
                f"{run['file'].iloc[i + 1]} must have rising steps in each run, but in run"
                f" {keys[2]} they {how} from {steps[i]:g} to {steps[i + 1]:g}: is it a run that was"
                " restarted, or does it hold several seeds, environments or algorithms?"
            )


def _refuse_doubles(curves: pd.DataFrame, path: Path) -> None:
    """Refuse a run that is in several files, unless these are read together as one folder."""
    for _, rows in curves.groupby(KEYS):
        if rows["unit"].nunique() > 1:
            first, second = rows.drop_duplicates("unit")["file"].iloc[:2]
            raise ConfigError(f"{path} must hold a run once, got {first} and {second}")


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
        else:
            what, names = "the tags", cleanrl.load(file).Tags()["scalars"]
    except Exception:
        return "content that cannot be read"
    return f"{what} {', '.join(names[:MOST_NAMES])}{', ...' * (len(names) > MOST_NAMES)}"
