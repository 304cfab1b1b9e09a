"""The verdict on learning curves that were made elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.analysis.load import FIRST_CURVE_SEED, declared_experiment
from benchmarks.analysis.settings import differences, in_words
from benchmarks.analysis.sources import FORMATS, KEYS, Runs, read_runs
from benchmarks.analysis.statistics import MIN_RUNS, Values, over_runs
from benchmarks.analysis.verdict import MIN_TRIMMED, Outcome, decide
from benchmarks.experiments import EXPERIMENT_FILE, FAILURE_REGRETS, MARGINS
from benchmarks.optimum import values as optimal_returns
from benchmarks.optimum.tasks import has_optimum, protocol_starts, solution
from benchmarks.report.wording import seeds_text
from benchmarks.table import Bounds, tabulate, to_markdown
from training.config import ConfigError, env_name, margin_of
from training.provenance import mixture
from training.run_directory import RunDirectory

MOST_ROWS = 20  # of the learning curves
MANY_STARTS = 10_000  # stand for all that an environment may start from
SENTENCES = {
    Outcome.EQUIVALENT: "{} equals {}{} within the margin",
    Outcome.TYPICAL: "{} differs from {}{}",
    Outcome.NEGLIGIBLE: "{} differs from {}{}, but by less than the margin",
    Outcome.UNDECIDED: "{} is shown neither to differ from {}{} nor to equal it",
    None: f"{{}} and {{}} cannot be compared{{}}, which takes {MIN_RUNS} runs of each",
}


def compare_page(
    directory: Path,
    against: str,
    env_id: str | None = None,
    root: Path = Path("runs/pendulum_verdict"),
    margin: float | None = None,
) -> str:
    """Compare the runs below a directory with others, as Markdown.

    :param directory: holds one of the FORMATS of :mod:`benchmarks.analysis.sources`
    :param against: a label below ``root``, or another such directory
    :param env_id: default: the only one that the files name
    :param margin: difference too small to matter; default: the declared one
    :raises ConfigError: if a side is missing, damaged or ambiguous
    """
    if margin is not None and not 0.0 < margin < np.inf:
        raise ConfigError(f"margin must be a number above 0, got {margin}")
    home = find_opponent(against, root)
    if home.resolve() == directory.resolve():
        raise ConfigError(f"{directory} must be compared with another directory than itself")
    env_id, sides = on_one_environment([read_runs(directory), read_runs(home)], env_id)
    origin = "as given"
    if margin is None:
        margin, origin = known_margin(env_id, home.parent if sides[1].are_ours else None)
    both_ours = all(side.are_ours for side in sides)
    late = all(side.scores["late_return"].notna().all() for side in sides)
    column = ("late_return" if late else "final_return") if both_ours else "mean_return"
    first, second = (side.scores[column].to_numpy() for side in sides)
    offset, caveats = (0.0, []) if both_ours else starts_offset(sides, env_id)
    outcome, row = verdict(first, second, margin)
    names = [f"`{side.name}`" for side in sides]
    place = f" on {env_id}" if env_id else ""
    text, rows = SENTENCES[outcome].format(*names, place), [row]
    if offset:
        corrected, row = verdict(first - offset, second, margin)
        rows = [{"start states": "ignored", **rows[0]}, {"start states": "allowed for", **row}]
        if corrected != outcome:
            text = (
                f"That depends on the start states: as measured, {text}; with the start states"
                f" allowed for, {SENTENCES[corrected].format(*names, place)}"
            )
    caveats += [
        f"{name} is scored by training episodes, with exploration noise, not by evaluations."
        for name, side in zip(names, sides, strict=True)
        if side.kind.last
    ]
    steps = [side.scores["step"] for side in sides]
    if len({*steps[0], *steps[1]}) > 1:
        caveats.append("Runs end at different steps: their lengths alone can make a difference.")
    fewer, more = sorted((len(first), len(second)))
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
    if env_id in FAILURE_REGRETS:
        caveats.append("How often runs fail is not compared: that takes scores on our own starts.")
    caveats += mixtures((directory, home), sides)
    if not all(side.curves["env_id"].all() for side in sides):
        caveats.append("Not all files name their environment: whether it is the same is not known.")
    caveats += [f"Left out of {side.name}: {', '.join(side.left_out)}."
                for side in sides if side.left_out]  # fmt: skip
    entries = [
        {
            "runs of": side.name,
            "number": len(scores),
            "mean return": over_runs(scores),
            "measured by": f"{'late policies, ' * late}100 further starts"
            if both_ours
            else side.kind.score,
            "last step": " to ".join(dict.fromkeys(f"{n:,.0f}" for n in (min(step), max(step)))),
        }
        for side, scores, step in zip(sides, (first, second), steps, strict=True)
    ]
    source = (
        f"Of 20% trimmed means (of means below {MIN_TRIMMED} runs). Margin: {origin}. Seeds needed:"
        " on each side, for 80 % power to show equality."
    )
    return "\n".join([
        f"# {' against '.join(names)}\n",
        f"**{text}.**\n",
        f"{compared_settings((directory, home), sides)}\n",
        to_markdown(tabulate("runs", "Runs", "Mean ± standard deviation over runs.", entries)),
        to_markdown(tabulate("verdict", "Verdict", source, rows)),
        "## Caveats\n",
        "".join(f"- {caveat}\n" for caveat in caveats or ["None known."]),
        curve_table(sides),
        "## Files\n",
        "".join(f"- {side.name}: {', '.join(side.curves['file'].unique())}\n" for side in sides),
    ])  # fmt: skip


def mixtures(homes: tuple[Path, Path], sides: list[Runs]) -> list[str]:
    """What the runs of ours were not all made with alike, in a line; none if they were."""
    files = {home / file for home, side in zip(homes, sides, strict=True) if side.are_ours
             for file in side.curves["file"].unique()}  # fmt: skip
    line = mixture(RunDirectory(file.parent).provenance() for file in sorted(files))
    return [line] if line else []


def compared_settings(homes: tuple[Path, Path], sides: list[Runs]) -> str:
    """A line that says in which settings two sides differ, by the first run of each."""
    unknown = [f"`{side.name}`" for side in sides if not side.are_ours]
    if unknown:
        return f"Settings: those of {' and '.join(unknown)} are not known."
    first, second = (
        RunDirectory((home / side.curves["file"].iloc[0]).parent).settings() or {}
        for home, side in zip(homes, sides, strict=True)
    )
    return in_words(sides[0].name, sides[1].name, differences(first, second))


def find_opponent(against: str, root: Path) -> Path:
    """The directory that ``against`` means.

    :raises ConfigError: if there is none with results
    """
    for home in (root / against, Path(against)):
        if any(True for kind in FORMATS for _ in home.rglob(kind.pattern)):
            return home
    labels = sorted({file.parts[-3] for file in root.glob("*/*/config.json")})
    raise ConfigError(
        f"against must be a directory of results, or a label in {root} (there:"
        f" {', '.join(labels) or 'none'}), got {against!r}"
    )


def on_one_environment(sides: list[Runs], env_id: str | None) -> tuple[str, list[Runs]]:
    """The environment to compare on, and the runs on it or on one that is not known.

    :return: the environment is empty where it is neither given nor named by a file
    :raises ConfigError: if there is not exactly one, or a side holds several implementations
    """
    known = [set(side.curves["env_id"]) - {""} for side in sides]
    choice = {env_name(env_id)} if env_id else known[0] | known[1] or {""}
    choice = choice.intersection(*filter(None, known))
    if len(choice) != 1:
        there = " and ".join(
            f"{', '.join(sorted(env_ids)) or 'something unknown'} in {side.name}"
            for env_ids, side in zip(known, sides, strict=True)
        )
        raise ConfigError(f"env-id must be one that both sides have, got {env_id}: it is {there}")
    chosen = choice.pop()
    for i, side in enumerate(sides):
        curves = side.curves[side.curves["env_id"].isin([chosen, ""])]
        labels = ", ".join(sorted(set(curves["label"])))
        if curves["label"].nunique() > 1:
            raise ConfigError(f"{side.name} holds several of {labels}: name the folder of one")
        sides[i] = side._replace(curves=curves)
    return chosen, sides


def known_margin(env_id: str, root: Path | None) -> tuple[float | None, str]:
    """The margin for an environment, None if there is none, and where it comes from.

    :param root: of runs of ours; None where they are others'
    """
    experiment = declared_experiment(root) if root else None
    name = env_id.partition(" ")[0]  # without arguments, which the experiment gives to all runs
    declared = margin_of(experiment["declaration"]["margins"], name) if experiment else None
    if declared is not None:
        return declared, f"declared in {root and root / EXPERIMENT_FILE}"
    if env_id in MARGINS:
        return MARGINS[env_id], "this project's, not declared before the runs"
    return None, "none is known, so that no runs could be called equal"


def starts_offset(sides: list[Runs], env_id: str) -> tuple[float, list[str]]:
    """What different start states add to the difference of two sides, not both ours.

    :return: how much more the best policy earns, 0 where not known; and what to say of it
    """
    ours, other = sorted(sides, key=lambda side: not side.are_ours)
    if not ours.are_ours:
        return 0.0, ["Which start states either side was scored on is not known."]
    n = int(ours.curves["fixed_starts"].max())
    text = (
        f"{ours.name} was scored on the same {n} start states in all runs; on which ones"
        f" {other.name} was, is not known."
    )
    if not has_optimum(env_id):
        return 0.0, [f"{text} Nor is what that adds to the difference."]
    overall = solution(env_id).start_values(protocol_starts(env_id, MANY_STARTS)).mean()
    offset = optimal_returns.mean_return(env_id, FIRST_CURVE_SEED, n) - float(overall)
    text += (
        f" Against ones drawn at random, those alone are worth {offset:+.1f} to the best policy."
    )
    return offset if ours is sides[0] else -offset, [text]


def verdict(
    first: Values, second: Values, margin: float | None
) -> tuple[Outcome | None, dict[str, Any]]:
    """The outcome, None for too few runs, and its row of the table."""
    if min(len(first), len(second)) < MIN_RUNS:
        difference = float(first.mean() - second.mean())
        return None, {"outcome": "none", "difference of means": difference}
    result = decide(first, second, margin)
    typical, seeds = result.typical, result.typical.seeds_needed
    return result.outcome, {
        "outcome": str(result.outcome),
        "trimmed difference": typical.difference,
        "90% interval": Bounds(*typical.within),
        "95% interval": Bounds(*typical.apart),
        "margin": margin,
        "seeds needed": None if seeds is None else seeds_text(seeds),
        "difference of means": result.mean.difference,
    }


def curve_table(sides: list[Runs]) -> str:
    """Mean and standard deviation over runs at the steps that all of them have, as Markdown."""
    curves = [side.curves.pivot_table("mean_return", "step", KEYS).dropna() for side in sides]
    steps = curves[0].index.intersection(curves[1].index)
    if steps.empty:
        return "No learning curves: there is no step at which all runs have a return.\n"
    shown = np.unique(np.linspace(0, len(steps) - 1, MOST_ROWS).round().astype(int))
    entries = [
        {"step": int(step)}
        | {
            side.name: over_runs(curve.loc[step].to_numpy())
            for side, curve in zip(sides, curves, strict=True)
        }
        for step in steps[shown]
    ]
    caption = "Mean ± standard deviation over runs at steps that all have, as measured."
    return to_markdown(tabulate("curves", "Learning curves", caption, entries))
