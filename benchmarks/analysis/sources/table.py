"""Any CSV file whose columns are known: seed, step and return, and maybe env and label."""

from pathlib import Path

import pandas as pd

from benchmarks.analysis.sources.frame import COLUMNS, CsvFile, ReadOptions
from training.config import env_name

PATTERNS = ("*.csv",)
ACCEPTED = "CSV files with the columns seed, step, return (or others, named by --columns)"


def read(files: list[Path], options: ReadOptions) -> pd.DataFrame | None:
    """A file's runs; None if a column is missing. Without a seed column it is one run."""
    (file,) = files
    table = CsvFile(file)
    columns = {name: options.columns.get(name, name) for name in COLUMNS}
    needed = options.columns.keys() | {"step", "return"} | (set() if options.columns else {"seed"})
    if not {columns[name] for name in needed} <= set(table.columns):
        return None
    rows = table.rows()
    found = {COLUMNS[name]: rows[there] for name, there in columns.items() if there in rows}
    if "env_id" in found:
        found["env_id"] = found["env_id"].map(env_name, na_action="ignore")
    found |= {name: table.numbers(found[name]) for name in ("step", "mean_return")}
    return pd.DataFrame(found)
