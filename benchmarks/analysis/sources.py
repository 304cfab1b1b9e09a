"""Learning curves made anywhere -> rows of one kind.

A further format is one function, from a file to its rows, and one entry in FORMATS.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from training.config import ConfigError, RunConfig
from training.run_directory import EVALUATIONS, RunDirectory

KEYS = ["env_id", "label", "run"]  # what tells runs apart
EPISODES = "charts/episodic_return"


def read_evaluations(file: Path) -> pd.DataFrame | None:
    """What SB3's EvalCallback writes; None where a run of this project is not complete."""
    run = RunDirectory(file.parent)
    is_ours = run.read_json("status.json") is not None
    if is_ours and not run.is_done():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        results = arrays["results"]
        rows = pd.DataFrame({"step": arrays["timesteps"], "mean_return": results.mean(axis=1)})
        if not is_ours:
            return rows
        config = (run.settings() or {})["config"]
        if config.get("evaluation", "fixed") == "fixed":
            final = arrays["final_results"].mean()
            late = arrays["late_results"].mean() if "late_results" in arrays else np.nan
            rows = rows.assign(fixed_starts=results.shape[1], final_return=final, late_return=late)
    task = RunConfig.from_json(config).task
    return rows.assign(env_id=task, label=config["label"], run=str(config["seed"]))


def read_table(file: Path) -> pd.DataFrame | None:
    """A CSV file with the columns seed, step and return; None if it has not all of them."""
    columns = {"seed": str, "step": float, "return": float}
    if not columns.keys() <= set(pd.read_csv(file, nrows=0)):
        return None
    rows = pd.read_csv(file, dtype=columns)
    if not isinstance(rows.index, pd.RangeIndex):
        raise ValueError("its rows are longer than its header")
    rows = rows.rename(columns={"seed": "run", "return": "mean_return"})
    return rows[["run", "step", "mean_return"]]


def read_episodes(file: Path) -> pd.DataFrame | None:
    """Training episodes in TensorBoard events, as CleanRL logs them; None without any."""
    from tensorboard.backend.event_processing import (  # type: ignore[import-untyped]
        event_accumulator,
    )

    refuse_damaged_events(file)
    events = event_accumulator.EventAccumulator(str(file), size_guidance={"scalars": 0})
    events.Reload()
    if EPISODES not in events.Tags()["scalars"]:
        return None
    values = [(event.step, event.value) for event in events.Scalars(EPISODES)]
    rows = pd.DataFrame(values, columns=["step", "mean_return"])
    name = file.parent.name.split("__")  # environment, experiment, seed, time
    if len(name) != 4:
        return rows
    return rows.assign(env_id=name[0], label=name[1], run=name[2])


def refuse_damaged_events(file: Path) -> None:
    """Read all records: TensorBoard itself stops at a broken one without a word.

    :raises Exception: TensorBoard's own, if one is broken or there is none
    """
    from tensorboard.compat import tensorflow_stub  # type: ignore[import-untyped]

    records = tensorflow_stub.pywrap_tensorflow.PyRecordReader_New(str(file))
    records.GetNext()
    with suppress(tensorflow_stub.errors.OutOfRangeError):
        while True:
            records.GetNext()


class Format(NamedTuple):
    """A kind of file.

    :param pattern: of its name, anywhere below a directory
    :param read: a file's rows, None where it holds no curve: the columns step, mean_return, KEYS
        where known and, for runs of this project, fixed_starts, the number of start states that a
        mean is over, and final_return and late_return, the means on the 100 further starts of the
        final policy and, where there are such scores, of the last ten evaluation points
    :param accepted: the format in words
    :param last: a run's score is the mean over this part of its steps; 0 for the last one alone
    :param score: the same in words
    """

    pattern: str
    read: Callable[[Path], pd.DataFrame | None]
    accepted: str
    last: float = 0.0
    score: str = "last evaluation"


FORMATS = [
    Format(EVALUATIONS, read_evaluations, f"{EVALUATIONS} of SB3's EvalCallback"),
    Format(
        "*.csv",
        read_table,
        "CSV files with the columns seed, step, return",
        score="return at the last step",
    ),
    Format(
        "*tfevents*",
        read_episodes,
        f"TensorBoard event files with the tag {EPISODES}",
        last=0.1,
        score="training episodes in the last tenth of steps",
    ),
]


class Runs(NamedTuple):
    """The runs below a directory.

    :param curves: a row for each evaluation or training episode: KEYS (empty where not known; a
        run is named by its seed or folder), step, mean_return, fixed_starts, final_return,
        late_return, file
    :param left_out: files of the same kind without a curve, or of incomplete runs
    """

    name: str
    kind: Format
    curves: pd.DataFrame
    left_out: list[str]

    @property
    def scores(self) -> pd.DataFrame:
        """A row for each run: its last step, and the columns of ``curves`` that are numbers."""
        last_step = self.curves.groupby(KEYS)["step"].transform("max")
        end = self.curves[self.curves["step"] >= (1.0 - self.kind.last) * last_step]
        how = {"step": "max", "mean_return": "mean", "fixed_starts": "max"}
        how |= dict.fromkeys(("final_return", "late_return"), "max")
        return end.groupby(KEYS).agg(how)

    @property
    def are_ours(self) -> bool:
        """Whether this project made and scored them all, by its own protocol."""
        return bool(self.curves["final_return"].notna().all())


def read_runs(directory: Path) -> Runs:
    """Find out which of FORMATS a directory holds, and read it.

    A damaged file of another format than the one that is found is left out, like an unfinished one.

    :raises ConfigError: if it holds none or several, or a file of the format is damaged
    """
    if not directory.is_dir():
        raise ConfigError(f"{directory} must be a directory with results")
    found = []
    damaged: dict[str, tuple[Format, ConfigError]] = {}
    for kind in FORMATS:
        tables = {}
        for file in sorted(directory.rglob(kind.pattern)):
            if file.parts[-3:-2] == ("checkpoint",):  # a copy, in a run that is not complete
                continue
            name = str(file.relative_to(directory))
            try:
                tables[name] = _rows(kind, file, directory)
            except ConfigError as error:
                damaged[name] = kind, error
        left_out = [file for file, rows in tables.items() if rows is None]
        if len(left_out) < len(tables):
            curves = pd.concat(rows for rows in tables.values() if rows is not None)
            found.append(Runs(str(directory), kind, curves, left_out))
    for kind, complaint in damaged.values():
        if not found or found[0].kind is kind:
            raise complaint
    if len(found) != 1:
        holds = " and ".join(runs.kind.accepted for runs in found) or "no complete run"
        accepted = ", or ".join(kind.accepted for kind in FORMATS)
        raise ConfigError(f"{directory} holds {holds}: it must hold {accepted}")
    for files in found[0].curves.groupby(KEYS)["file"].unique():
        if len(files) > 1:
            raise ConfigError(f"{directory} must hold a run once, got {files[0]} and {files[1]}")
    return found[0]._replace(left_out=[*found[0].left_out, *damaged])


def _rows(kind: Format, file: Path, directory: Path) -> pd.DataFrame | None:
    """A file's rows, with all columns of :class:`Runs`.

    :raises ConfigError: if the file is damaged, or makes no curve
    """
    try:
        rows = kind.read(file)
    except Exception as error:  # whatever NumPy, pandas and TensorBoard make of a damaged file
        raise ConfigError(f"cannot read {file}: {' '.join(str(error).split())}") from error
    if rows is None:
        return None
    name = file.relative_to(directory)
    unknown = {"env_id": "", "label": "", "run": str(name.parent), "fixed_starts": np.nan,
               "final_return": np.nan, "late_return": np.nan}  # fmt: skip
    rows = pd.DataFrame({**unknown, **rows, "file": str(name)})
    numbers = rows[["step", "mean_return"]].to_numpy(float)
    if not len(rows) or not np.isfinite(numbers).all() or rows["run"].isna().any():
        raise ConfigError(f"{file} must have a number for each step and return, and one or more")
    if not kind.last and rows.duplicated(["run", "step"]).any():
        raise ConfigError(
            f"{file} must have one return for each seed and step; does it hold several"
            " environments or algorithms?"
        )
    return rows
