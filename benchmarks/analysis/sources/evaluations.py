"""Files of SB3's EvalCallback: alone, in rl-baselines3-zoo's folders, in this project's runs."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.analysis.sources.frame import ReadOptions, from_folder
from training.checkpoint import digest
from training.config import ConfigError, RunConfig
from training.run_directory import CONFIG, EVALUATIONS, RunDirectory
from training.schemas import parsed, read_evaluations

PATTERNS = (EVALUATIONS,)
ACCEPTED = f"{EVALUATIONS} of SB3's EvalCallback, as in rl-baselines3-zoo's <algo>/<env>_<n>/"
CHANGED = "its files have changed since"
NOT_FINITE = "diverged: NaN or infinite returns in its evaluations"
Json = dict[str, Any]


class Run(NamedTuple):
    """A complete run of this project.

    :param settings: content of config.json
    :param arrays: content of evaluations.npz
    :param made_with: content of provenance.json
    """

    settings: Json
    arrays: dict[str, NDArray[Any]]
    made_with: Json

    @property
    def config(self) -> Json:
        """The fields of its RunConfig."""
        config: Json = self.settings["config"]
        return config

    @property
    def has_fixed_starts(self) -> bool:
        """Whether it was evaluated from the fixed starts, which are the same for all runs."""
        return bool(self.config.get("evaluation", "fixed") == "fixed")


class FailedRunError(ConfigError):
    """A run that failed or diverged.

    :param config: the fields of its RunConfig
    """

    def __init__(self, message: str, config: Json) -> None:
        super().__init__(message)
        self.config = config


def read_run(path: Path) -> Run:
    """Read a complete run.

    The files that are read are checked against the run's digests. Models are not: hashing them
    takes longer than everything else.

    :raises FailedRunError: if it failed or diverged
    :raises ConfigError: if it is not complete for another reason, or a file of it is damaged
    """
    run = RunDirectory(path)
    contents = _contents(run)
    made_with = run.provenance()
    problem = state = run.status()["state"]
    settings: Json = parsed(
        contents[CONFIG] if contents else _content(path / CONFIG), path / CONFIG
    )
    settings["config"] = RunConfig.from_json(settings["config"]).to_json()  # with defaults
    if contents is not None:
        arrays = read_evaluations(contents[EVALUATIONS], path / EVALUATIONS)
        returns = [array for name, array in arrays.items() if name.endswith("results")]
        if all(np.isfinite(each).all() for each in returns):
            return Run(settings, arrays, made_with)
    if state == "done":
        problem = CHANGED if contents is None else NOT_FINITE
    if problem in ("failed", "diverged", NOT_FINITE):
        raise FailedRunError(problem, settings["config"])
    raise ConfigError(problem)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error


def _contents(run: RunDirectory) -> dict[str, bytes] | None:
    """The files of a complete run; None if it is not complete, or one is missing or has changed."""
    status = run.read_json("status.json") or {"state": "pending"}
    if status["state"] != "done":
        return None
    if not all((run.path / name).exists() for name in (CONFIG, EVALUATIONS)):
        return None
    contents = {name: _content(run.path / name) for name in (CONFIG, EVALUATIONS)}
    known = status.get("digests", {})
    digest_matches = all(digest(contents[name]) == known.get(name) for name in contents)
    return contents if digest_matches else None


def read(files: list[Path], options: ReadOptions) -> pd.DataFrame | None:
    """A file's evaluations; None where a run of this project is not complete, or damaged."""
    (file,) = files
    if (file.parent / "status.json").exists():
        try:
            return _rows(read_run(file.parent))
        except ConfigError:
            return None
    with np.load(file, allow_pickle=False) as arrays:
        return _curve(arrays).assign(**from_folder(file.parent.absolute()))


def _curve(arrays: Any) -> pd.DataFrame:
    means = arrays["results"].mean(axis=1)
    return pd.DataFrame({"step": arrays["timesteps"], "mean_return": means})


def _rows(run: Run) -> pd.DataFrame:
    """Rows of a run of this project, which also tell its starts and held-out returns."""
    rows = _curve(run.arrays)
    if run.has_fixed_starts:
        held_out = {
            f"{name}_return": run.arrays[f"{name}_results"].mean()
            for name in ("final", "late")
            if f"{name}_results" in run.arrays
        }
        rows = rows.assign(fixed_starts=run.arrays["results"].shape[1], **held_out)
    task = RunConfig.from_json(run.config).task
    return rows.assign(env_id=task, label=run.config["label"], run=str(run.config["seed"]))
