"""Shared by all readers: options, names taken from paths, and CSV files of several layouts."""

import csv
import io
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from training.config import ConfigError

KEYS = ["env_id", "label", "run"]  # what tells runs apart
COLUMNS = {  # of CSV files: name on the command line -> column here
    "step": "step", "return": "mean_return", "seed": "run", "env": "env_id", "label": "label"
}  # fmt: skip
RUN_COLUMNS = {"seed", "run", "run_id", "run_name", "name"}  # usual names of what tells runs apart
IMPLEMENTATIONS = {  # and implementations or environments
    "algo", "algorithm", "agent", "method", "label", "exp_name", "experiment", "group",
    "env", "env_id", "env_name", "environment", "task",
}  # fmt: skip
EVAL_FREQ = 5_000  # of the TD3 author's script
RUN_NUMBER = r"\d+(_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?"  # maybe with a UUID
RUN_FOLDER = re.compile(rf"(?P<env_id>.+-v\d+)_(?P<run>{RUN_NUMBER})")  # its, and ours
DECIMAL_COMMA = re.compile(r'(^|[;"])\s*[-+]?\d+,\d+', re.MULTILINE)  # if semicolons separate cells
RUN_NAME = re.compile(r"(?P<env_id>.+?)__(?P<label>.+)__(?P<run>\d+)__\d+")  # CleanRL's


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about files that do not say it themselves.

    :param eval_freq: environment steps between the evaluations of a ``.npy`` file
    :param columns: of a CSV file: seed, step, return, env or label -> the name it has there
    """

    eval_freq: int = EVAL_FREQ
    columns: Mapping[str, str] = field(default_factory=dict)


def parse_columns(eval_freq: int, words: tuple[str, ...]) -> ReadOptions:
    """Options as given on a command line.

    :param words: ``seed=run_id`` and the like
    :raises ConfigError: if a word has another form, a column comes twice, or eval_freq is below 1
    """
    if eval_freq < 1:
        raise ConfigError(f"eval-freq must be 1 or more, got {eval_freq}")
    columns = dict(word.partition("=")[::2] for word in words)
    if not set(columns) <= set(COLUMNS) or not all(columns.values()):
        known = ", ".join(f"{name}=NAME" for name in COLUMNS)
        raise ConfigError(f"columns must be {known}, got {' '.join(words)}")
    if len(set(columns.values())) < len(words):
        raise ConfigError(f"columns must be named once each, got {' '.join(words)}")
    return ReadOptions(eval_freq, columns)


def from_folder(folder: Path) -> dict[str, str]:
    """KEYS from a folder called ``<algo>/<env>_<n>/``; empty for any other name.

    rl-baselines3-zoo writes the run's arguments to a folder in it that has the environment's name,
    so that names without a version are known too.
    """
    names = [re.escape(file.parent.name) for file in sorted(folder.glob("*/args.yml"))]
    known = (
        re.fullmatch(rf"(?P<env_id>{name})_(?P<run>{RUN_NUMBER})", folder.name) for name in names
    )
    match = next(filter(None, known), None) or RUN_FOLDER.fullmatch(folder.name)
    if match is None:
        return {}
    return {"env_id": match["env_id"], "label": folder.parent.name, "run": match["run"]}


def from_run_name(name: str) -> dict[str, str]:
    """KEYS from a name ``<env>__<experiment>__<seed>__<time>``; any other name is the run's."""
    match = RUN_NAME.fullmatch(name)
    return match.groupdict() if match else {"run": name}


class CsvFile:
    """A CSV file with commas, semicolons or tabs, maybe a byte order mark or an index column.

    Spaces around cells do not count.

    :param columns: the file's column names; columns without a name are left out
    :raises ValueError: if the file is empty
    """

    def __init__(self, file: Path) -> None:
        self.text = file.read_text(encoding="utf-8-sig").lstrip("\n")
        if not self.text:
            raise ValueError("it is empty")
        line = self.text.partition("\n")[0]
        self.separator = max(",;\t", key=re.sub('"[^"]*"', "", line).count)
        cells = csv.reader([line], delimiter=self.separator, skipinitialspace=True)
        self.header = [cell.strip() for cell in next(cells)]
        self.columns = [name for name in dict.fromkeys(self.header) if name]

    def rows(self) -> pd.DataFrame:
        """All cells as text, missing ones as NaN; a cell that says NaN stays text.

        :raises ValueError: if rows are longer than the header, or columns have the same name
        """
        twice = [name for name in self.columns if self.header.count(name) > 1]
        if twice:
            raise ValueError(f"it has {self.header.count(twice[0])} columns called {twice[0]}")
        rows = pd.read_csv(
            io.StringIO(self.text),
            sep=self.separator,
            dtype=str,
            keep_default_na=False,
            na_values="",
            skipinitialspace=True,
        )
        if not isinstance(rows.index, pd.RangeIndex):
            raise ValueError("its rows are longer than its header")
        rows.columns = pd.Index(self.header)
        cells: pd.DataFrame = rows[self.columns].apply(lambda column: column.str.strip())
        return cells

    def numbers(self, cells: pd.Series) -> pd.Series:
        """Cells as numbers; if semicolons separate cells, a comma is a decimal point.

        :raises ValueError: if a cell is no number, or a point may separate thousands
        """
        if self.separator == ";" and DECIMAL_COMMA.search(self.text):
            points = cells[cells.str.contains(".", regex=False, na=False)]
            if len(points):
                raise ValueError(f"its decimal sign is a comma, but {points.iloc[0]} has a point")
            cells = cells.str.replace(",", ".")
        return cells.astype(float)


def refuse_unread(rows: pd.DataFrame, read: Set[str], names: Set[str]) -> None:
    """Refuse a table if a column that is not read tells runs or implementations apart.

    :param read: the columns that are read
    :param names: columns that do so if they have several values, in lower case
    :raises ValueError: naming such a column
    """
    for name in rows.columns:
        values = sorted(rows[name].dropna().unique())
        if name.lower() in names and name not in read and len(values) > 1:
            what = "seed" if name.lower() in RUN_COLUMNS else "label or env"
            raise ValueError(
                f"its column {name} has several values, such as {values[0]} and {values[1]}: say"
                f" what it is by --columns, {what}={name}"
            )
