"""SB3's Monitor files: training episodes, one file for each environment of a run."""

import json
from pathlib import Path

import pandas as pd

from benchmarks.analysis.sources.frame import ReadOptions, from_folder

PATTERNS = ("*monitor.csv",)
ACCEPTED = "*.monitor.csv of SB3's Monitor"
NO_ENV_ID = (None, "", "None")  # of an environment that was not made by its name


def read(files: list[Path], options: ReadOptions) -> pd.DataFrame | None:
    """A folder's episodes: numbered files are the environments of one run, as in SB3.

    Runs of this project have evaluations instead. Files called eval, of an environment that was
    evaluated in, get that label.

    :raises ValueError: if times go back in a file, as where a restarted run was appended to it, or
        numbered files are not of one run
    """
    if (files[0].parent / "status.json").exists():
        return None
    parts: dict[str, list[pd.DataFrame]] = {}
    for file in files:
        with file.open(encoding="utf-8") as lines:
            start = json.loads(lines.readline().lstrip("#"))
            rows = pd.read_csv(lines)[["r", "l", "t"]].astype(float)  # also without any row
        if (rows["t"].diff() < 0).any():
            raise ValueError(f"times go back in {file.name}: was a restarted run appended to it?")
        name = file.name.removesuffix("monitor.csv").strip(".")
        env_id = "" if start.get("env_id") in NO_ENV_ID else start["env_id"]
        rows = rows.assign(
            start=start["t_start"], time=rows["t"] + start["t_start"], file=str(file), env_id=env_id
        )
        parts.setdefault("" if name.isdigit() else name, []).append(rows)
    runs = []
    for name, tables in parts.items():
        episodes = pd.concat(tables).sort_values("time", kind="stable")
        _refuse_several_runs(episodes)
        episodes["step"] = episodes["l"].cumsum()
        keys = from_folder(files[0].parent.absolute())
        run = {"run": f"{files[0].parent.name}/{name}"} if name else {}
        keys["label"] = "eval" if name.startswith("eval") else keys.get("label", "")
        runs.append(episodes.rename(columns={"r": "mean_return"}).assign(**keys | run))
    return pd.concat(runs).drop(columns=["l", "t", "start", "time"])


def _refuse_several_runs(episodes: pd.DataFrame) -> None:
    """Refuse files that are not of the environments of one run.

    :param episodes: of all its files, in the order in which they ended
    :raises ValueError: if they have several names, or one was made after an episode of another
    """
    env_ids = [env_id or "an unknown one" for env_id in episodes["env_id"].unique()]
    if len(env_ids) > 1:
        raise ValueError(f"the numbered files of one run are of {' and '.join(env_ids)}")
    if episodes["start"].max() > episodes["time"].min():
        raise ValueError(
            "an episode of one of its folder's numbered files ended before another began: put the"
            " files of each run in a folder of its own"
        )
