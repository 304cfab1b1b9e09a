"""Are a user's runs the published ones? Bit for bit, or as near as a further seed would be."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.analysis.comparisons import declaration
from benchmarks.analysis.load import Results, final_values, finals_of, load_results
from benchmarks.analysis.sources.evaluations import read_run
from benchmarks.analysis.sources.published import is_published, unpacked
from benchmarks.analysis.statistics import MIN_RUNS, Interval, Values
from benchmarks.report.terminal import WIDTH
from training.config import ConfigError, RunConfig, env_name
from training.provenance import differences, software_of
from training.run_directory import CONFIG, EVALUATIONS, PROVENANCE, RunDirectory

CONFIDENCE = 0.95
MOST_NAMED = 3  # runs that are not identical are named if they are no more than this


def verify(root: Path, published: Path) -> str:
    """Compare a user's runs with the published ones.

    :param root: folder of the user's run directories
    :param published: folder of the published experiment
    :return: lines to print
    :raises ConfigError: if nothing is published there, or none of these runs has begun
    """
    if not is_published(published):
        names = sorted(path.name for path in published.parent.glob("*") if is_published(path))
        raise ConfigError(
            f"{published} must be a published experiment: nothing is published there; published"
            f" are: {', '.join(names) or f'none in {published.parent.resolve()}'}"
        )
    theirs = unpacked(published)
    folders = sorted(file.parent.relative_to(theirs) for file in theirs.glob(f"*/*/{EVALUATIONS}"))
    if not any((root / folder / CONFIG).exists() for folder in folders):
        raise ConfigError(
            f"{root} must hold runs of {published.name}: there are none; to make them: python -m"
            f" benchmarks sweep {published.name}"
        )
    same = [folder for folder in folders if is_identical(root / folder, theirs / folder)]
    lines = [
        f"{len(same)} of {len(folders)} runs are bit-identical to the published ones ({published})."
    ]
    if len(same) < len(folders):
        others = [folder for folder in folders if folder not in same]
        lines += compared(root, theirs, others)
        lines += other_software(root, theirs, others)
    return "\n".join(textwrap.fill(line, WIDTH) for line in lines)


def is_identical(mine: Path, theirs: Path) -> bool:
    """Whether a run has the published settings, end and, bit for bit, arrays.

    A complete run must be as it was left: its policy too, which is not published with every run.
    """
    if settings(mine) != settings(theirs) or not ended_alike(mine, theirs):
        return False
    ours, others = arrays(mine), arrays(theirs)
    return others.keys() <= ours.keys() and all(
        ours[name].dtype == others[name].dtype
        and ours[name].shape == others[name].shape
        and ours[name].tobytes() == others[name].tobytes()
        for name in others
    )


def ended_alike(mine: Path, theirs: Path) -> bool:
    """Whether a run has the published one's state and, if complete, is as it was left."""
    run, state = RunDirectory(mine), RunDirectory(theirs).status()["state"]
    try:
        return bool(run.is_done() if state == "done" else run.status()["state"] == state)
    except ConfigError:
        return False


def arrays(folder: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a run's evaluations; empty where they cannot be read."""
    try:
        with np.load(folder / EVALUATIONS, allow_pickle=False) as kept:
            return dict(kept)
    except Exception:  # NumPy, zipfile and zlib may raise anything for a damaged file
        return {}


def settings(folder: Path) -> dict[str, object] | None:
    """A run's configuration, defaults included; None where it cannot be read."""
    try:
        content = RunDirectory(folder).read_json(CONFIG)
        return content and {**content, "config": RunConfig.from_json(content["config"]).to_json()}
    except ConfigError:
        return None


def compared(root: Path, theirs: Path, others: list[Path]) -> list[str]:
    """How many of the runs that are not identical are as near as a new seed, and which are not."""
    published = load_results(theirs)
    found = {folder: reason(root / folder, theirs / folder, published) for folder in others}
    outside = [f"{folder}: {why}" for folder, why in found.items() if why]
    told = f" ({', '.join(map(str, others))})" if len(others) <= MOST_NAMED else ""
    line = (
        f"Of the other {len(others)}{told}, {len(others) - len(outside)} lie within the"
        f" {CONFIDENCE:.0%} prediction interval of the published seeds (by chance 1 in 20 does"
        " not)."
    )
    return [line, *outside]


def reason(mine: Path, theirs: Path, published: Results) -> str | None:
    """Why a run is not within the prediction interval of the published seeds; None if it is.

    Each run is read by itself: what else lies beside it makes no difference.

    :param published: all published runs
    """
    if not (mine / CONFIG).exists():
        return "no such run"
    if settings(mine) != settings(theirs):
        return "other settings" if settings(mine) else f"its {CONFIG} is damaged"
    try:
        run = read_run(mine) if RunDirectory(mine).is_done() else None
    except ConfigError:
        run = None
    if run is None:
        return "not complete, or changed since it ended"
    names = arrays(theirs).keys()
    if missing := sorted(names - run.arrays.keys()):
        return f"made by an older version, without {', '.join(missing)}"
    metric = next(iter(declaration(published)["metrics"]))
    env_id, label = env_name(run.config["env_id"]), run.config["label"]
    values = final_values(published, env_id, label, metric)
    if len(values) < MIN_RUNS:
        return f"{len(values)} published seed{'s'[: len(values) != 1]} make no interval"
    run = run._replace(arrays={name: run.arrays[name] for name in names})
    value = float(finals_of([run])[metric].iloc[0])
    _, low, high = prediction_interval(values)
    if low <= value <= high:
        return None
    return f"{metric.replace('_', ' ')} {value:.1f}, not from {low:.1f} to {high:.1f}"


def prediction_interval(values: Values) -> Interval:
    """Mean, and prediction interval of one further value of the same normal distribution.

    :param values: shape (n,), two or more
    """
    n, mean = len(values), float(values.mean())
    quantile = stats.t.ppf((1.0 + CONFIDENCE) / 2.0, n - 1)
    half = float(quantile * values.std(ddof=1) * np.sqrt(1.0 + 1.0 / n))
    return Interval(mean, mean - half, mean + half)


def other_software(root: Path, theirs: Path, others: list[Path]) -> list[str]:
    """In what the software of a run that is not identical differs, the first that does; or none."""
    for folder in others:
        try:
            made_with = RunDirectory(root / folder).read_json(PROVENANCE)
        except ConfigError:  # it is named as changed
            continue
        before = software_of(RunDirectory(theirs / folder).provenance())
        found = [each for each in differences(before, software_of(made_with or {}))
                 if not each.startswith("git_")]  # fmt: skip
        if made_with and found:
            return [f"Made otherwise: {'; '.join(found)}."]
    return []
