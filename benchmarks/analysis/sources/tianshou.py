"""Tianshou's benchmark: ``test_rew_10seeds.csv`` of many seeds, and a file for each seed.

Newer versions say ``reward`` where older ones say ``rew``.
"""

import re
from pathlib import Path

import pandas as pd

from benchmarks.analysis.sources.frame import CsvFile, ReadOptions

PATTERNS = ("*.csv",)
ACCEPTED = "test_rew_<n>seeds.csv or test_rew.csv of Tianshou's benchmark, or test_reward*.csv"
ENV_ID = re.compile(r"\w+-v\d+")
LOG_FOLDER = re.compile(r"seed_(?P<run>\d+)_.*-(?P<name>\w+)_v(?P<version>\d+)_(?P<label>\w+)")


def read(files: list[Path], options: ReadOptions) -> pd.DataFrame | None:
    """One or many seeds' evaluations; None for other CSV files, and of training episodes.

    :raises ValueError: if the file has a mean over seeds, but no column for each seed
    """
    (file,) = files
    table = CsvFile(file)
    word = next((word for word in ("rew", "reward") if word in table.columns), None)
    if "env_step" not in table.columns or word is None or file.name.startswith("train"):
        return None
    rows = table.rows()
    seeds = [name for name in table.columns if name.startswith(f"{word}:") and "/" in name]
    if not seeds and f"{word}:shaded" in table.columns:
        raise ValueError(f"{word} is a mean over seeds, and none has a column {word}:<folder>/")
    runs = []
    for name in seeds or [word]:
        log = Path(name.removeprefix(f"{word}:") if seeds else file.name)
        values = {"step": table.numbers(rows["env_step"]), "mean_return": table.numbers(rows[name])}
        runs.append(pd.DataFrame({**values, **_keys(file, log)}))
    return pd.concat(runs)


def _keys(file: Path, log: Path) -> dict[str, str]:
    """KEYS from the folder ``seed_0_<time>-<env>_td3/``, or ``<env>/<algo>/<seed>/<time>/``.

    :param log: one seed's file, relative to the folder of ``file``
    """
    match = LOG_FOLDER.fullmatch((file.absolute().parent / log).parent.name)
    if match:
        env_id = f"{match['name']}-v{match['version']}"
        return {"env_id": env_id, "label": match["label"], "run": match["run"]}
    folders = (file.absolute().parent / log).parent.parts
    for place in range(len(folders) - 1, -1, -1):
        if ENV_ID.fullmatch(folders[place]):
            keys = zip(("env_id", "label", "run"), folders[place : place + 3], strict=False)
            return {"run": str(log.parent), **dict(keys)}
    return {"run": str(log.parent)} if log.parent.name else {}
