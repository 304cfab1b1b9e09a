"""Two sides of a comparison -> a verdict: its numbers and its caveats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.analysis.comparisons import Comparison, settings_between
from benchmarks.analysis.load import KEYS, Results, declared_experiment, groups
from benchmarks.analysis.settings import differences_text
from benchmarks.analysis.sides import (
    HELD_OUT,
    Side,
    common_grid,
    common_step,
    default_score,
    environments,
    refuse_shared_files,
    scores,
    sides_on,
    spelled_alike,
    without_version,
)
from benchmarks.analysis.sources.source import Source, read_source
from benchmarks.analysis.starts import START_KINDS, UNKNOWN, best_returns, parse_starts, starts_of
from benchmarks.analysis.statistics import MIN_RUNS, Values
from benchmarks.analysis.verdict import MIN_TRIMMED, decide
from benchmarks.experiments import EXPERIMENT_FILE, MARGINS
from benchmarks.optimum.tasks import has_optimum
from benchmarks.table import NONE
from training.config import ConfigError, margin_of
from training.provenance import software_differences

MOST_NAMED = 6  # runs in a caveat
STARTS_ALLOWED_FOR = ", start states allowed for"  # after the name of a score


@dataclass(frozen=True)
class ComparisonRequest:
    """The options of a comparison.

    :param env_ids: names of environments, with or without version; empty for all common ones
    :param at: the last step to compare at; None for the largest common one
    :param score: one of SCORES; None for the one on held-out starts, else last_10
    :param margin: difference too small to matter; None for the declared one
    :param starts: words for :func:`parse_starts`
    """

    env_ids: tuple[str, ...] = ()
    at: int | None = None
    score: str | None = None
    margin: float | None = None
    starts: tuple[str, ...] = ()


@dataclass(frozen=True)
class MatchedSides:
    """What is compared on one environment.

    :param name: the environment's name, as requested
    :param at: the last step that is compared
    :param values: one score for each run, by side
    """

    name: str
    sides: list[Side]
    at: float
    grid: Values
    score: str
    values: list[Values]


def match_sides(sources: Sequence[Source], name: str, request: ComparisonRequest) -> MatchedSides:
    """All sides on an environment, and their scores."""
    sides = sides_on(sources, name)
    at = common_step(sides, request.at)
    score = request.score or default_score(sides, request.at)
    grid = common_grid(sides, at)
    return MatchedSides(
        name, sides, float(grid[-1]), grid, score, [scores(side, score, grid) for side in sides]
    )


def compare_pair(
    match: MatchedSides, i: int, j: int, margin: float | None, declared: Mapping[str, str]
) -> tuple[list[Comparison], list[str]]:
    """Compare two sides as measured and, where possible, with start states allowed for.

    :return: one or two comparisons, and sentences: the margin's origin and the caveats
    """
    sides, values = (match.sides[i], match.sides[j]), (match.values[i], match.values[j])
    margin, origin = (margin, "as given") if margin else known_margin(match, sides)
    offsets, caveats = start_offsets(match, sides, declared)
    measured = _comparison(match, sides, values, margin)
    comparisons = [measured]
    if offsets is not None:
        own = values[0] - offsets[0], values[1] - offsets[1]
        metric = f"{match.score}{STARTS_ALLOWED_FOR}"
        comparisons.append(replace(_comparison(match, sides, own, margin), metric=metric))
    fewer, more = sorted(map(len, values))
    if MIN_RUNS <= fewer < MIN_TRIMMED:
        caveats.append(
            f"{fewer} runs: too few to trim, so that means are compared, which hang on every single"
            " run; ten or more of each make a verdict."
        )
    if fewer >= MIN_RUNS and more > 2 * fewer:
        caveats.append(
            f"{fewer} runs against {more}: where scores are skewed or some runs fail, intervals of"
            " such unequal numbers cover less than they say (5 against 20: 86% to 91%, not 95%)."
        )
    return comparisons, [f"Margin: {origin}.", *caveats]


def _comparison(
    match: MatchedSides, sides: Sequence[Side], values: Sequence[Values], margin: float | None
) -> Comparison:
    first, second = sides
    enough = min(map(len, values)) >= MIN_RUNS
    ends = [
        tuple(sorted({int(step) for step in side.last_steps})) if match.score in HELD_OUT
        else (int(match.at),)
        for side in sides
    ]  # fmt: skip
    return Comparison(
        env_id=title_of(match.name, sides),
        first=first.name,
        second=second.name,
        metric=match.score,
        num_runs=(len(values[0]), len(values[1])),
        steps=(ends[0], ends[1]),
        verdict=decide(values[0], values[1], margin) if enough else None,
        settings=settings_between(first.settings, second.settings),
    )


def add_sources(
    results: Results, root: Path, sources: Sequence[Source], request: ComparisonRequest
) -> tuple[Results, list[Comparison]]:
    """Put curves from elsewhere beside an experiment's, and compare the two at matched steps.

    The added rows come last, without regrets and times. They have the experiment's env_id; if a
    source ran another version, its label says so. Settings that differ, and caveats, become notes.

    :param root: folder of the experiment's runs
    :raises ConfigError: if a source has the name of an implementation, or no environment in
        common
    """
    declared = parse_starts(request.starts)
    own, *sources = spelled_alike([read_source(root, root.name), *sources])
    if names := {source.name for source in sources} & {label for _, label in groups(results)}:
        raise ConfigError(f"{names.pop()} is an implementation's name: name it, LABEL=PATH")
    refuse_shared_files([own, *sources])
    curves, finals = [results.curves], [results.finals]
    comparisons: list[Comparison] = []
    notes: list[str] = []
    for name in environments([own, *sources], request.env_ids):
        match = match_sides([own, *sources], name, request)
        here = [i for i, side in enumerate(match.sides) if side.source is own]
        there = [i for i, side in enumerate(match.sides) if side.source is not own]
        if not here:
            continue
        env_id = match.sides[here[0]].env_id
        for i, side in enumerate(match.sides):
            version = f" on {side.env_id}" if side.env_id not in ("", env_id) else ""
            name = side.rows["label"].iloc[0] if i in here else f"{side.name}{version}"
            match.sides[i] = replace(side, name=name)
        for i, j in product(here, there):
            more, caveats = compare_pair(match, i, j, request.margin, declared)
            comparisons += [replace(each, env_id=env_id) for each in more]
            said = [settings_line([match.sides[i], match.sides[j]]), *caveats, *caveats_of(match)]
            notes += [f"{env_id}: {caveat}" for caveat in said]
        for j in there:
            curves.append(curve_rows(match, j, env_id))
            finals.append(final_rows(match, j, curves[-1]))
    labels = tuple(sorted({label for rows in curves[1:] for label in rows["label"]}))
    return results._replace(
        curves=pd.concat(curves, ignore_index=True), finals=pd.concat(finals, ignore_index=True),
        notes=[*results.notes, *dict.fromkeys(notes)], elsewhere=labels,
    ), comparisons  # fmt: skip


def curve_rows(match: MatchedSides, j: int, env_id: str) -> pd.DataFrame:
    """A side's curves at the common steps, as rows of :attr:`Results.curves`."""
    runs = match.sides[j].curves_at(match.grid)
    return pd.DataFrame({
        "env_id": env_id, "label": match.sides[j].name,
        "seed": np.repeat(np.arange(len(runs)), len(match.grid)),
        "timestep": np.tile(match.grid.astype(int), len(runs)), "mean_return": runs.ravel(),
        "n_episodes": 0, "success_rate": np.nan, "mean_regret": np.nan, "score": np.nan,
    })  # fmt: skip


def final_rows(match: MatchedSides, j: int, curves: pd.DataFrame) -> pd.DataFrame:
    """What a side's runs scored, as rows of :attr:`Results.finals`; NaN for what is not known.

    :param curves: its rows of :func:`curve_rows`
    """
    side = match.sides[j]
    held_out = pd.DataFrame([run[[*HELD_OUT]].iloc[0] for run in side.runs])
    late, final = (held_out[name].to_numpy() for name in HELD_OUT)
    rows = curves[[*KEYS, "n_episodes", "success_rate", "mean_regret", "score"]]
    return rows.drop_duplicates(KEYS).assign(
        mean_return=final, final_return=final, late_return=late,
        late_points=np.isfinite(late).astype(int),
        last_10=scores(side, "last_10", match.grid), auc=scores(side, "auc", match.grid),
    )  # fmt: skip


def title_of(name: str, sides: Sequence[Side]) -> str:
    """An environment, with both versions where those differ; a dash where none is named."""
    env_ids = [side.env_id or name or NONE for side in sides]
    bases = {without_version(env_id) for env_id in env_ids}
    if len(set(env_ids)) == 1 or len(bases) > 1:
        return env_ids[0]
    versions = " against ".join(env_id.rpartition("-")[2] for env_id in env_ids)
    return f"{bases.pop()} ({versions})"


def known_margin(match: MatchedSides, sides: Sequence[Side]) -> tuple[float | None, str]:
    """The margin for an environment, None if there is none, and where it comes from."""
    env_id = sides[0].env_id or sides[1].env_id or match.name
    name = env_id.partition(" ")[0]  # without arguments, which the experiment gives to all runs
    for path in (side.source.path for side in sides if side.run_directories):
        for root in (path, path.parent):
            experiment = declared_experiment(root)
            declared = margin_of(experiment["declaration"]["margins"], name) if experiment else None
            if declared is not None:
                return declared, f"declared in {root / EXPERIMENT_FILE}"
    if env_id in MARGINS:
        return MARGINS[env_id], "this project's, not declared before the runs"
    return None, "none is known, so that no runs could be called equal"


def start_offsets(
    match: MatchedSides, sides: Sequence[Side], declared: Mapping[str, str]
) -> tuple[tuple[Values, Values] | None, list[str]]:
    """The best policy's return from each run's starts, if the sides' starts differ; and caveats."""
    first, second = sides
    kinds = [starts_of(side, declared) for side in sides]
    if match.score in HELD_OUT or kinds == ["protocol", "protocol"]:
        return None, []
    told = " and ".join(
        f"{side.name} on {START_KINDS[kind]}" for side, kind in zip(sides, kinds, strict=True)
    )
    text = f"Evaluations: {told}."
    if kinds == [UNKNOWN, UNKNOWN]:
        return None, [text]
    if first.env_id != second.env_id or not has_optimum(first.env_id):
        return None, [f"{text} What that adds to the difference is not known."]
    offsets = best_returns(first, kinds[0]), best_returns(second, kinds[1])
    difference = offsets[0].mean() - offsets[1].mean()
    return offsets, [f"{text} Those alone are worth {difference:+.1f} to the best policy."]


def settings_line(sides: Sequence[Side]) -> str:
    """In which settings two sides differ, by the first run of each."""
    first, second = sides
    found = settings_between(first.settings, second.settings)
    if found is None:
        unknown = [side.name for side in sides if side.settings is None]
        return f"Settings: those of {' and '.join(unknown)} are not known."
    return differences_text(first.name, second.name, found)


def caveats_of(match: MatchedSides) -> list[str]:
    """Caveats: the ways in which the sides of a match differ."""
    caveats = []
    sides = match.sides
    if len({side.env_id for side in sides if side.env_id}) > 1:
        caveats.append("The sides ran on different versions of the environment.")
    if not all((side.rows["env_id"] != "").all() for side in sides):
        caveats.append("Not all files name their environment: whether it is the same is not known.")
    caveats += [told for side in sides for told in source_caveats(side)] + copies(sides)
    mixed = software_differences(run.provenance() for side in sides for run in side.run_directories)
    caveats += [mixed] if mixed else []
    if match.score in HELD_OUT:
        if len({step for side in sides for step in side.last_steps}) > 1:
            ends = [f"{side.name} at {side.last_steps_text}" for side in sides]
            caveats.append(f"Runs end at different steps, {', '.join(ends)}: their lengths alone"
                           " can make a difference.")  # fmt: skip
        return caveats
    for side in sides:
        if side.source.kind.is_episodes:
            caveats.append(f"{side.name} is scored by training episodes, with exploration noise,"
                           " not by evaluations.")  # fmt: skip
        shortest, longest = min(side.last_steps), max(side.last_steps)
        if longest > match.at:
            run = side.run_names[side.last_steps.index(shortest)]
            but = f", but its run {run} only to {shortest:,.0f}" if shortest < longest else ""
            caveats.append(
                f"{side.name} goes on to step {longest:,.0f}{but}; what is compared ends at"
                f" {match.at:,.0f}."
            )
        caveats += grid_caveats(side, match)
    return caveats


def source_caveats(side: Side) -> list[str]:
    """What the files of a side leave open."""
    caveats = [f"{side.name}: {told}." for told in side.rows["caution"].unique() if told]
    folders = [name for name in side.run_names if not name.isdigit()]
    if len(side.run_names) > 1 and folders and (side.rows["label"] == "").all():
        more = ", ..." * (len(folders) > MOST_NAMED)
        caveats.append(
            f"No file of {side.name} names its algorithm: {', '.join(folders[:MOST_NAMED])}{more}"
            " are taken as runs of one."
        )
    return caveats


def copies(sides: Sequence[Side]) -> list[str]:
    """Runs with the same returns throughout, unless these are hardly more than constant."""
    owners: dict[bytes, str] = {}
    found = []
    for side in sides:
        for name, rows in zip(side.run_names, side.runs, strict=True):
            returns = rows["mean_return"].to_numpy(float)
            run = f"{name} of {side.name}"
            owner = owners.setdefault(returns.tobytes(), run)
            if owner != run and len(np.unique(returns)) > 2:
                found.append(f"{run} and {owner}")
    if not found:
        return []
    more = f" ({len(found)} such pairs)" if len(found) > 1 else ""
    return [f"Runs {found[0]} have the same returns throughout{more}: copies, or the same seed, are"
            " no independent runs."]  # fmt: skip


def grid_caveats(side: Side, match: MatchedSides) -> list[str]:
    """How a side's evaluations differ from the steps that are compared."""
    evaluations = side.evaluations_before(match.at)
    most = max(map(len, evaluations), default=0)
    late = max(
        (
            float((match.grid - steps[np.searchsorted(steps, match.grid, side="right") - 1]).max())
            for steps in evaluations
        ),
        default=0.0,
    )
    caveats = []
    if most > len(match.grid):
        caveats.append(
            f"Of up to {most} evaluations of a run of {side.name}, the {len(match.grid)} at steps"
            " that are compared count; the others are left out."
        )
    if late:
        caveats.append(
            f"{side.name} was not evaluated at all steps that are compared: there its last"
            f" evaluation before counts, up to {late:,.0f} steps earlier."
        )
    return caveats
