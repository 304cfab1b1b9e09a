"""SB3's Monitor files: training episodes, one file for each environment of a run."""

import json
from pathlib import Path

import pandas as pd

from benchmarks.analysis.sources.frame import Options, from_folder

PATTERNS = ("*monitor.csv",)
ACCEPTED = "*.monitor.csv of SB3's Monitor"


def read(files: list[Path], options: Options) -> pd.DataFrame | None:
    """A folder's episodes: numbered files are the environments of one run, as in SB3.

    Runs of this project have evaluations instead. Files called eval, of an environment that was
    evaluated in, get that label.

    :raises ValueError: if times go back in a file, as where a restarted run was appended to it, or
        a run's files are of several environments
    """
    if (files[0].parent / "status.json").exists():
        return None
    parts: dict[str, list[pd.DataFrame]] = {}
    for file in files:
        with file.open(encoding="utf-8") as lines:
            start = json.loads(lines.readline().lstrip("#"))
            rows = pd.read_csv(lines)[["r", "l", "t"]]
        if (rows["t"].diff() < 0).any():
            raise ValueError(f"times go back in {file.name}: was a restarted run appended to it?")
        name = file.name.removesuffix("monitor.csv").strip(".")
        env_id = start.get("env_id") or ""
        rows = rows.assign(time=rows["t"] + start["t_start"], file=str(file), env_id=env_id)
        parts.setdefault("" if name.isdigit() else name, []).append(rows)
    runs = []
    for name, tables in parts.items():
        episodes = pd.concat(tables).sort_values("time", kind="stable")
        env_ids = [env_id or "an unknown one" for env_id in episodes["env_id"].unique()]
        if len(env_ids) > 1:
            raise ValueError(f"the numbered files of one run are of {' and '.join(env_ids)}")
        episodes["step"] = episodes["l"].cumsum()
        keys = from_folder(files[0].parent.absolute())
        run = {"run": f"{files[0].parent.name}/{name}"} if name else {}
        keys["label"] = "eval" if name.startswith("eval") else keys.get("label", "")
        runs.append(episodes.rename(columns={"r": "mean_return"}).assign(**keys, **run))
    return pd.concat(runs).drop(columns=["l", "t", "time"])
