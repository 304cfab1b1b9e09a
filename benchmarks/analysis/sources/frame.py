"""Shared by all readers: options, names taken from paths, and CSV files of several layouts."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from training.config import ConfigError

KEYS = ["env_id", "label", "run"]  # what tells runs apart
COLUMNS = {  # of CSV files: name on the command line -> column here
    "step": "step", "return": "mean_return", "seed": "run", "env": "env_id", "label": "label"
}  # fmt: skip
EVAL_FREQ = 5_000  # of the TD3 author's script
RUN_FOLDER = re.compile(r"(?P<env_id>.+-v\d+)_(?P<run>\d+)")  # rl-baselines3-zoo's, and ours
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
    :raises ConfigError: if a word has another form, or eval_freq is below 1
    """
    if eval_freq < 1:
        raise ConfigError(f"eval-freq must be 1 or more, got {eval_freq}")
    columns = dict(word.partition("=")[::2] for word in words)
    if not set(columns) <= set(COLUMNS) or not all(columns.values()):
        known = ", ".join(f"{name}=NAME" for name in COLUMNS)
        raise ConfigError(f"columns must be {known}, got {' '.join(words)}")
    return ReadOptions(eval_freq, columns)


def from_folder(folder: Path) -> dict[str, str]:
    """KEYS from a folder called ``<algo>/<env>_<n>/``; empty for any other name."""
    match = RUN_FOLDER.fullmatch(folder.name)
    return {**match.groupdict(), "label": folder.parent.name} if match else {}


def from_run_name(name: str) -> dict[str, str]:
    """KEYS from a name ``<env>__<experiment>__<seed>__<time>``; any other name is the run's."""
    match = RUN_NAME.fullmatch(name)
    return match.groupdict() if match else {"run": name}


class CsvFile:
    """A CSV file with commas, semicolons or tabs, maybe a byte order mark or an index column.

    :param columns: the file's column names; columns without a name are left out
    """

    def __init__(self, file: Path) -> None:
        self.text = file.read_text(encoding="utf-8-sig")
        header = self.text.partition("\n")[0]
        self.separator = max(",;\t", key=header.count)
        names = pd.read_csv(io.StringIO(header), sep=self.separator).columns
        self.columns = [name for name in map(str, names) if not name.startswith("Unnamed: ")]

    def rows(self) -> pd.DataFrame:
        """All cells as text, missing ones as NaN; a cell that says NaN stays text.

        :raises ValueError: if rows are longer than the header
        """
        rows = pd.read_csv(
            io.StringIO(self.text),
            sep=self.separator,
            dtype=str,
            keep_default_na=False,
            na_values="",
        )
        if not isinstance(rows.index, pd.RangeIndex):
            raise ValueError("its rows are longer than its header")
        return rows[self.columns]

    def numbers(self, cells: pd.Series) -> pd.Series:
        """Cells as numbers; if semicolons separate cells, a comma is a decimal point."""
        if self.separator == ";":
            cells = cells.str.replace(",", ".")
        return cells.astype(float)
