"""Run directories -> tidy tables. Nothing here trains or needs torch."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from sb3_training.run_directory import EVALUATIONS, RunDirectory


class Results(NamedTuple):
    """What a folder of runs holds.

    curves has one row for each evaluation: env_id, label, seed, timestep, mean_return, n_episodes.
    finals has one row for each run: env_id, label, seed, mean_return and n_episodes on the
    further start states, and success_rate (NaN where the environment reports none).
    unfinished names the run directories that are not complete; they are left out.
    """

    curves: pd.DataFrame
    finals: pd.DataFrame
    unfinished: list[str]


def load_results(root: Path) -> Results:
    """Read all run directories ``<root>/<label>/<env_id>_<seed>/``.

    :raises FileNotFoundError: if there is no complete run
    :raises ValueError: if runs that should differ by their seed alone differ otherwise
    """
    curves, finals, unfinished = [], [], []
    settings: dict[tuple[str, str], str] = {}
    for path in sorted(root.glob("*/*/config.json")):
        run = RunDirectory(path.parent)
        if not run.is_done():
            unfinished.append(f"{path.parent.relative_to(root)} ({run.status()['state']})")
            continue
        config = json.loads(path.read_text())
        key = {name: config["config"][name] for name in ("env_id", "label", "seed")}
        _refuse_mixture(settings, config, path.parent)
        with np.load(path.parent / EVALUATIONS) as evaluations:
            returns = evaluations["results"]
            for timestep, episode_returns in zip(evaluations["timesteps"], returns, strict=True):
                curves.append(
                    {
                        **key,
                        "timestep": int(timestep),
                        "mean_return": episode_returns.mean(),
                        "n_episodes": len(episode_returns),
                    }
                )
            final = evaluations["final_results"]
            successes = evaluations.get("final_successes")
            finals.append(
                {
                    **key,
                    "mean_return": final.mean(),
                    "n_episodes": len(final),
                    "success_rate": np.nan if successes is None else successes.mean(),
                }
            )
    if not finals:
        raise FileNotFoundError(f"no complete run in {root}")
    return Results(pd.DataFrame(curves), pd.DataFrame(finals), unfinished)


def _refuse_mixture(
    settings: dict[tuple[str, str], str], config: dict[str, dict[str, object]], path: Path
) -> None:
    """Runs of one label and environment must be the same experiment, seeds apart."""
    values = config["config"]
    name = (str(values["label"]), str(values["env_id"]))
    rest = json.dumps({**config, "config": {**values, "seed": None}}, sort_keys=True)
    if settings.setdefault(name, rest) != rest:
        raise ValueError(f"{path} has other settings than its neighbours of other seeds")
