"""SB3's Monitor files: training episodes, one file for each environment of a run."""

import json
from pathlib import Path

import pandas as pd

from benchmarks.analysis.sources.frame import ReadOptions, from_folder

PATTERNS = ("*monitor.csv",)
ACCEPTED = "*.monitor.csv of SB3's Monitor"


def read(files: list[Path], options: ReadOptions) -> pd.DataFrame | None:
    """A folder's episodes: numbered files are the environments of one run, as in SB3.

    Runs of this project have evaluations instead.
    """
    if (files[0].parent / "status.json").exists():
        return None
    parts: dict[str, list[pd.DataFrame]] = {}
    for file in files:
        with file.open(encoding="utf-8") as lines:
            start = json.loads(lines.readline().lstrip("#"))
            rows = pd.read_csv(lines)[["r", "l", "t"]]
        name = file.name.removesuffix("monitor.csv").strip(".")
        env_id = {"env_id": start["env_id"]} if start.get("env_id") else {}
        rows = rows.assign(time=rows["t"] + start["t_start"], file=str(file), **env_id)
        parts.setdefault("" if name.isdigit() else name, []).append(rows)
    runs = []
    for name, tables in parts.items():
        episodes = pd.concat(tables).sort_values("time", kind="stable")
        episodes["step"] = episodes["l"].cumsum()
        keys = from_folder(files[0].parent.absolute())
        run = {"run": f"{files[0].parent.name}/{name}"} if name else {}
        runs.append(episodes.rename(columns={"r": "mean_return"}).assign(**keys, **run))
    return pd.concat(runs).drop(columns=["l", "t", "time"])
