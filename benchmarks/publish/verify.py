"""Are a user's runs the published ones? Bit for bit, or as near as a further seed would be."""

import textwrap
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.analysis.comparisons import declaration
from benchmarks.analysis.load import KEYS, load_results
from benchmarks.analysis.sources.published import is_published, unpacked
from benchmarks.analysis.statistics import MIN_RUNS, Interval, Values
from benchmarks.report.terminal import WIDTH
from training.config import ConfigError, RunConfig, env_name
from training.provenance import differences, software_of
from training.run_directory import CONFIG, EVALUATIONS, RunDirectory

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
            f" are: {', '.join(names) or 'none yet'}"
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
    """Whether all published arrays of a run are the same, bit for bit, and so are its settings."""
    if settings(mine) != settings(theirs):
        return False
    try:
        with np.load(mine / EVALUATIONS) as ours, np.load(theirs / EVALUATIONS) as others:
            return all(
                name in ours
                and ours[name].dtype == others[name].dtype
                and ours[name].shape == others[name].shape
                and ours[name].tobytes() == others[name].tobytes()
                for name in others
            )
    except (OSError, ValueError, BadZipFile):
        return False


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
    metric = declaration(published)["metrics"]
    name = next(iter(metric))
    try:
        finals = load_results(root).finals.set_index(KEYS)[name]
    except FileNotFoundError:
        finals = pd.Series(dtype=float)
    inside, outside = 0, []
    for folder in others:
        config = settings(theirs / folder)
        keys: tuple[str, str, int] = run_keys(config)
        values = published.finals.set_index(KEYS)[name].loc[keys[:2]].to_numpy()
        if settings(root / folder) is None:
            outside.append(f"{folder}: no such run")
        elif settings(root / folder) != config:
            outside.append(f"{folder}: other settings")
        elif keys not in finals.index:
            outside.append(f"{folder}: not complete, or changed since it ended")
        elif missing := missing_arrays(root / folder, theirs / folder):
            outside.append(f"{folder}: made by an older version, without {', '.join(missing)}")
        elif len(values) < MIN_RUNS:
            outside.append(f"{folder}: {len(values)} published seeds make no interval")
        else:
            value, (_, low, high) = float(finals.loc[keys]), prediction_interval(values)
            if low <= value <= high:
                inside += 1
            else:
                found = f"{name.replace('_', ' ')} {value:.1f}, not from {low:.1f} to {high:.1f}"
                outside.append(f"{folder}: {found}")
    told = f" ({', '.join(map(str, others))})" if len(others) <= MOST_NAMED else ""
    line = (
        f"Of the other {len(others)}{told}, {inside} lie within the {CONFIDENCE:.0%} prediction"
        " interval of the published seeds (by chance 1 in 20 does not)."
    )
    return [line, *outside]


def missing_arrays(mine: Path, theirs: Path) -> list[str]:
    """Names of what a published run's evaluations hold and this run's do not."""
    with np.load(mine / EVALUATIONS) as ours, np.load(theirs / EVALUATIONS) as others:
        return sorted(set(others) - set(ours))


def run_keys(config: dict[str, object] | None) -> tuple[str, str, int]:
    """What tells a published run from all others: environment, label, seed."""
    values = (config or {})["config"]
    assert isinstance(values, dict)
    return env_name(values["env_id"]), values["label"], values["seed"]


def prediction_interval(values: Values) -> Interval:
    """Mean, and prediction interval of one further value of the same normal distribution.

    :param values: shape (n,), two or more
    """
    n, mean = len(values), float(values.mean())
    quantile = stats.t.ppf((1.0 + CONFIDENCE) / 2.0, n - 1)
    half = float(quantile * values.std(ddof=1) * np.sqrt(1.0 + 1.0 / n))
    return Interval(mean, mean - half, mean + half)


def other_software(root: Path, theirs: Path, others: list[Path]) -> list[str]:
    """In what the software of the first run that is not identical differs; a line, or none."""
    for folder in others:
        made_with = RunDirectory(root / folder).read_json("provenance.json")
        if made_with:
            before = software_of(RunDirectory(theirs / folder).provenance())
            found = [each for each in differences(before, software_of(made_with))
                     if not each.startswith("git_")]  # fmt: skip
            return [f"Made otherwise: {'; '.join(found)}."] if found else []
    return []
