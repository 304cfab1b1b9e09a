"""Any CSV file whose columns are known: seed, step and return, and maybe env and label."""

from pathlib import Path

import pandas as pd

from benchmarks.analysis.sources.frame import (
    COLUMNS,
    IMPLEMENTATIONS,
    RUN_COLUMNS,
    CsvFile,
    ReadOptions,
    refuse_unread,
)
from training.config import env_name

PATTERNS = ("*.csv",)
ACCEPTED = "CSV files with the columns seed, step, return (or others, named by --columns)"


def read(files: list[Path], options: ReadOptions) -> pd.DataFrame | None:
    """A file's runs; None if a column is missing.

    Without a seed column it is one run, which is called as its folder; if that holds several files,
    as folder and file.

    :raises ValueError: if a column that tells implementations or runs apart is not named
    """
    (file,) = files
    table = CsvFile(file)
    columns = {name: options.columns.get(name, name) for name in COLUMNS}
    needed = options.columns.keys() | {"step", "return"} | (set() if options.columns else {"seed"})
    if not {columns[name] for name in needed} <= set(table.columns):
        return None
    rows = table.rows()
    found = {COLUMNS[name]: rows[there] for name, there in columns.items() if there in rows}
    apart = IMPLEMENTATIONS | (set() if "run" in found else RUN_COLUMNS)
    refuse_unread(rows, set(columns.values()), apart)
    if "env_id" in found:
        found["env_id"] = found["env_id"].map(env_name, na_action="ignore")
    if "run" not in found and len(list(file.parent.glob("*.csv"))) > 1:
        found["run"] = pd.Series(f"{file.absolute().parent.name}/{file.stem}", index=rows.index)
    found |= {name: table.numbers(found[name]) for name in ("step", "mean_return")}
    return pd.DataFrame(found)
