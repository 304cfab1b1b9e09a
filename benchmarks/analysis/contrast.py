"""Two sides of a comparison -> a verdict: its numbers, and what to say against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.analysis.load import declared_experiment
from benchmarks.analysis.settings import differences, in_words
from benchmarks.analysis.sides import (
    HELD_OUT,
    Side,
    common_grid,
    common_step,
    scores,
    sides_on,
    usual_score,
    without_version,
)
from benchmarks.analysis.sources.source import Source
from benchmarks.analysis.starts import STARTS, UNKNOWN, best_returns, starts_of
from benchmarks.analysis.statistics import MIN_RUNS, Values
from benchmarks.analysis.verdict import MIN_TRIMMED, decide
from benchmarks.experiments import EXPERIMENT_FILE, MARGINS
from benchmarks.optimum.tasks import has_optimum
from benchmarks.table import NONE, Bounds
from training.config import margin_of
from training.provenance import mixture

RULE = (
    "The verdict is on the typical run: 20% trimmed means with Yuen's intervals (means with Welch's"
    " below five runs). Equivalent: the 90% interval lies within the margin; different: the 95%"
    " interval excludes zero. The difference of means, first minus second, and Welch's interval"
    " decide nothing. How often runs fail is not compared. Seeds needed: on each side, for 80%"
    " power to show equality if there is no difference"
)


@dataclass(frozen=True)
class Request:
    """What is asked of a comparison.

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
class Match:
    """What is compared on one environment.

    :param name: as asked for
    :param values: one score for each run, by side
    """

    name: str
    sides: list[Side]
    at: float
    grid: Values
    score: str
    values: list[Values]


def match_on(sources: Sequence[Source], name: str, request: Request) -> Match:
    """All sides on an environment, and their scores."""
    sides = sides_on(sources, name)
    at = common_step(sides, request.at)
    score = request.score or usual_score(sides, request.at)
    grid = common_grid(sides, at)
    return Match(name, sides, at, grid, score, [scores(side, score, grid) for side in sides])


def judge(first: Values, second: Values, margin: float | None) -> tuple[str, dict[str, Any]]:
    """The verdict's outcome and its row: with RULE, all that depends on the rule."""
    if min(len(first), len(second)) < MIN_RUNS:
        return "none", {"difference": float(first.mean() - second.mean())}
    result = decide(first, second, margin)
    typical, mean = result.typical, result.mean
    return str(result.outcome), {
        "trimmed difference": typical.difference,
        "90% (Yuen)": Bounds(*typical.within),
        "95% (Yuen)": Bounds(*typical.apart),
        "margin": margin,
        "seeds needed": typical.seeds_needed,
        "difference": mean.difference,
        "95% (Welch)": Bounds(*mean.apart),
    }


def compare_pair(
    match: Match, i: int, j: int, margin: float | None, declared: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of two sides, a second one where start states are allowed for; and caveats."""
    sides, values = (match.sides[i], match.sides[j]), (match.values[i], match.values[j])
    margin, origin = (margin, "as given") if margin else known_margin(match, sides)
    offsets, caveats = start_offsets(match, sides, declared)
    entries = []
    for starts in ("as measured", "allowed for")[: 1 + (offsets is not None)]:
        if starts == "allowed for" and offsets is not None:
            values = values[0] - offsets[0], values[1] - offsets[1]
        outcome, row = judge(*values, margin)
        if match.score == "max_of_mean" and outcome != "none":
            outcome = "describes only"
        names = f"{sides[0].name} - {sides[1].name}"
        entries.append({
            "environment": title_of(match.name, sides), "comparison": names,
            "runs": f"{len(values[0])}, {len(values[1])}", "start states": starts,
            "verdict": outcome, **row,
        })  # fmt: skip
    fewer, more = sorted(map(len, values))
    if MIN_RUNS <= fewer < MIN_TRIMMED:
        caveats.append(
            f"{fewer} runs: too few to trim, so that means are compared, which hang on every single"
            " run; ten or more of each make a verdict."
        )
    if more > 2 * fewer:
        caveats.append(
            f"{fewer} runs against {more}: where scores are skewed or some runs fail, intervals of"
            " such unequal numbers cover less than they say (5 against 20: 86% to 91%, not 95%)."
        )
    return entries, [f"Margin: {origin}.", *caveats]


def title_of(name: str, sides: Sequence[Side]) -> str:
    """An environment, with both versions where those differ; a dash where none is named."""
    env_ids = [side.env_id or name or NONE for side in sides]
    bases = {without_version(env_id) for env_id in env_ids}
    if len(set(env_ids)) == 1 or len(bases) > 1:
        return env_ids[0]
    versions = " against ".join(env_id.rpartition("-")[2] for env_id in env_ids)
    return f"{bases.pop()} ({versions})"


def known_margin(match: Match, sides: Sequence[Side]) -> tuple[float | None, str]:
    """The margin for an environment, None if there is none, and where it comes from."""
    env_id = sides[0].env_id or sides[1].env_id or match.name
    name = env_id.partition(" ")[0]  # without arguments, which the experiment gives to all runs
    for path in (side.source.path for side in sides if side.made_here):
        for root in (path, path.parent):
            experiment = declared_experiment(root)
            declared = margin_of(experiment["declaration"]["margins"], name) if experiment else None
            if declared is not None:
                return declared, f"declared in {root / EXPERIMENT_FILE}"
    if env_id in MARGINS:
        return MARGINS[env_id], "this project's, not declared before the runs"
    return None, "none is known, so that no runs could be called equal"


def start_offsets(
    match: Match, sides: Sequence[Side], declared: Mapping[str, str]
) -> tuple[tuple[Values, Values] | None, list[str]]:
    """What the best policy earns from the starts of each run, where those of the sides differ."""
    first, second = sides
    kinds = [starts_of(side, declared) for side in sides]
    if match.score in HELD_OUT or kinds == ["protocol", "protocol"]:
        return None, []
    told = " and ".join(
        f"{side.name} on {STARTS[kind]}" for side, kind in zip(sides, kinds, strict=True)
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
    unknown = [side.name for side in sides if not side.made_here]
    if unknown:
        return f"Settings: those of {' and '.join(unknown)} are not known."
    first, second = (side.made_here[0].settings() or {} for side in sides)
    return in_words(sides[0].name, sides[1].name, differences(first, second))


def caveats_of(match: Match) -> list[str]:
    """What makes the sides of a match unlike."""
    caveats = []
    sides = match.sides
    if len({side.env_id for side in sides if side.env_id}) > 1:
        caveats.append("The sides ran on different versions of the environment.")
    if not all((side.rows["env_id"] != "").all() for side in sides):
        caveats.append("Not all files name their environment: whether it is the same is not known.")
    mixed = mixture(run.provenance() for side in sides for run in side.made_here)
    caveats += [mixed] if mixed else []
    if match.score in HELD_OUT:
        if len({step for side in sides for step in side.last_steps}) > 1:
            ends = [f"{side.name} at {side.ends}" for side in sides]
            caveats.append(f"Runs end at different steps, {', '.join(ends)}: their lengths alone"
                           " can make a difference.")  # fmt: skip
        return caveats
    for side in sides:
        if side.source.kind.is_episodes:
            caveats.append(f"{side.name} is scored by training episodes, with exploration noise,"
                           " not by evaluations.")  # fmt: skip
        if max(side.last_steps) > match.at:
            caveats.append(
                f"{side.name} goes on to step {max(side.last_steps):,.0f}; what is compared ends at"
                f" {match.at:,.0f}."
            )
    return caveats
