"""What SB3's EvalCallback writes: its own, rl-baselines3-zoo's folders and this project's runs."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.analysis.sources.frame import Options, from_folder
from training.config import ConfigError, RunConfig
from training.run_directory import EVALUATIONS, RunDirectory
from training.schemas import read_evaluations

PATTERNS = (EVALUATIONS,)
ACCEPTED = f"{EVALUATIONS} of SB3's EvalCallback, as in rl-baselines3-zoo's <algo>/<env>_<n>/"


def read(files: list[Path], options: Options) -> pd.DataFrame | None:
    """A file's evaluations; None where a run of this project is not complete, or damaged."""
    (file,) = files
    run = RunDirectory(file.parent)
    try:
        is_ours = run.read_json("status.json") is not None
        if is_ours and not (run.is_done() and read_evaluations(file.read_bytes(), file)):
            return None
        settings = run.settings() if is_ours else None
        config = RunConfig.from_json(settings["config"]).to_json() if settings else {}
    except ConfigError:  # a file of it is damaged, or of another shape
        return None
    with np.load(file, allow_pickle=False) as arrays:
        means = arrays["results"].mean(axis=1)
        rows = pd.DataFrame({"step": arrays["timesteps"], "mean_return": means})
        if not is_ours:
            return rows.assign(**from_folder(file.parent.absolute()))
        if config.get("evaluation", "fixed") == "fixed":
            held_out = {
                f"{name}_return": arrays[f"{name}_results"].mean()
                for name in ("final", "late")
                if f"{name}_results" in arrays
            }
            rows = rows.assign(fixed_starts=arrays["results"].shape[1], **held_out)
    task = RunConfig.from_json(config).task
    return rows.assign(env_id=task, label=config["label"], run=str(config["seed"]))
