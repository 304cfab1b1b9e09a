"""Comparisons -> words: the head of a report, and the command for more seeds."""

import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.analysis.comparisons import Comparison
from benchmarks.analysis.load import Results, curve_matrix, groups, steps_text
from benchmarks.analysis.sequential import ALPHA, overall_error
from benchmarks.analysis.settings import differences_text
from benchmarks.analysis.verdict import MOST_SEEDS, Answer, Failures, Outcome, Verdict, VerdictPart
from benchmarks.experiments import ADVISED_SEEDS, METRICS, MIN_VERDICT_SEEDS
from benchmarks.table import Table, bounds, digits_for, number, tabulate

CAPTIONS = tomllib.loads(
    (Path(__file__).parent / "templates/captions.toml").read_text(encoding="utf-8")
)
MOST_SENTENCES = 6  # more comparisons than this are told in short at the head of a report
NUMBERS = ("no", "one", "two", "three", "four")


def words(name: str, part: str, **values: Any) -> str:
    """A text of captions.toml.

    :param values: to fill in
    """
    text: str = CAPTIONS[name][part].format(**values)
    return text


def caption(name: str, **values: Any) -> tuple[str, str, str]:
    """A figure's title, short caption and notes."""
    title, short, notes = (words(name, part, **values) for part in ("title", "short", "notes"))
    return title, short, notes


def captioned(
    name: str,
    entries: Sequence[Mapping[str, Any]],
    decimals: Mapping[str, int] | None = None,
    bold: Collection[tuple[int, str]] = (),
    more: str = "",
    **values: Any,
) -> Table:
    """A table with its caption; see :func:`benchmarks.table.tabulate`.

    :param more: notes to add to the caption's own
    :param values: to fill into the caption
    """
    title, short, notes = caption(name, **values)
    return tabulate(name, title, short, entries, decimals, bold, (notes + more).strip())


def sentences(
    results: Results, comparisons: Sequence[Comparison], name: str
) -> list[tuple[str, str]]:
    """The head of a report: a paragraph for each comparison, or environment if there are many.

    Each comes with a line on the settings in which the sides differ, which may be empty.

    :param name: of the experiment
    """
    told = [each for each in comparisons if each.is_conclusive or any(each.failed_runs)]
    parts = [(sentence(each), settings_line([each])) for each in told]
    if len(told) > MOST_SENTENCES:
        parts = [(environment_summary(env_id, group), settings_line(group))
                 for env_id, group in by_environment(told)]  # fmt: skip
    untold = [each for each in comparisons if each not in told]
    if untold:
        few = min(min(each.num_runs) for each in untold)
        count = NUMBERS[few] if few < len(NUMBERS) else str(few)
        parts += [(first_impression(results, env_id, group), settings_line(group))
                  for env_id, group in by_environment(untold)]  # fmt: skip
        text = (
            f"With {count} seed{'s' * (few != 1)} of each that is all there is to say: a verdict"
            f" needs ten seeds or more.{command_for_more(results, name)}"
        )
        parts.append((text, ""))
    if any(not each.late_scores for each in comparisons):
        parts.append((words("warnings", "late"), ""))
    return parts


def by_environment(comparisons: Sequence[Comparison]) -> list[tuple[str, list[Comparison]]]:
    """Successive comparisons on one environment as a group, with the environment's name."""
    grouped = groupby(comparisons, key=lambda each: each.env_id)
    return [(env_id, list(group)) for env_id, group in grouped]


def settings_line(comparisons: Sequence[Comparison]) -> str:
    """In which settings the sides of comparisons differ; empty where sides have no runs."""
    alike: dict[str, dict[str, None]] = {}  # the second of each comparison: the first ones
    lines = []
    for each in comparisons:
        if each.settings:
            lines.append(differences_text(each.first, each.second, each.settings))
        elif each.settings is not None:
            alike.setdefault(each.second, {})[each.first] = None
    same = [differences_text(", ".join(first), second, ()) for second, first in alike.items()]
    return " ".join(dict.fromkeys([*same, *lines]))


def at_steps(each: Comparison) -> str:
    """At which steps the sides ended, as an addition in brackets; empty if at the same."""
    if each.is_at_equal_steps or not all(each.steps):
        return ""
    return f" (at different steps: {' against '.join(map(steps_text, each.steps))})"


def first_impression(results: Results, env_id: str, comparisons: Sequence[Comparison]) -> str:
    """What a few seeds can show: whether each implementation learns."""
    lines = []
    for label in (label for env, label in groups(results) if env == env_id):
        _, curves = curve_matrix(results, env_id, label)
        better = int((curves[:, -1] > curves[:, 0]).sum())
        means = curves.mean(axis=0)
        lines.append(
            f"{better} of {len(curves)} runs of {label} end above where they began (mean return"
            f" {number(means[0], 0)} before training, {number(means[-1], 0)} at the end)"
        )
    row = results.curves.query("env_id == @env_id").iloc[0]
    best = row["mean_return"] + row["mean_regret"]
    end = f"; the best possible is {number(best, 0)}." if best == best else "."
    unequal = [f" {each.first} against {each.second}{at_steps(each)}."
               for each in comparisons if at_steps(each)]  # fmt: skip
    return f"{env_id}: {', '.join(lines)}{end}{''.join(dict.fromkeys(unequal))}"


def command_for_more(results: Results, name: str) -> str:
    """The command that runs enough seeds, as the end of a paragraph; empty if not known."""
    if results.experiment is None:
        return ""
    return f" To get them: python -m benchmarks sweep {name} --extend --seeds {ADVISED_SEEDS}"


def sentence(each: Comparison) -> str:
    """What the runs show of one comparison, in full."""
    text = f"{each.env_id}, {each.first} against {each.second}{by(each)}: {outcome(each)}."
    verdict = each.verdict
    if verdict is None:
        return text
    text += f" {typical(verdict)} {failures(each, verdict)} {on_average(verdict)}"
    text += f" Judged on {number_of_runs(verdict)}."
    needed = {name: part.seeds_needed for name, part in parts_of(verdict)
              if name != "mean" and part.seeds_needed}  # fmt: skip
    if needed and not verdict.is_settled:
        takes = [f"{seeds_text(seeds)} seeds of each ({name})" for name, seeds in needed.items()]
        text += f" If there is no difference, it takes {' and '.join(takes)} to show that."
    return " ".join([text, *caveats(each, verdict)])


def short(each: Comparison) -> str:
    """A comparison's outcome; if it is conclusive, with the typical run's difference."""
    text = f"{each.env_id}, {each.first} against {each.second}{by(each)}: {outcome(each)}."
    if each.verdict is None or not each.is_conclusive:
        return text
    return f"{text} {typical(each.verdict)} Judged on {number_of_runs(each.verdict)}."


def environment_summary(env_id: str, comparisons: Sequence[Comparison]) -> str:
    """An environment's comparisons by outcome; the table has the rest."""
    told: dict[str, list[str]] = {}
    for each in comparisons:
        text = f"{each.first} against {each.second}{by(each)}"
        if each.verdict:
            part = each.verdict.typical
            text += f" ({interval_of(part, part.apart, '')})"
        told.setdefault(outcome(each), []).append(text)
    lines = " ".join(f"{', '.join(of)}: {what}." for what, of in told.items())
    verdicts = [each.verdict for each in comparisons if each.verdict]
    judged = dict.fromkeys(map(number_of_runs, verdicts))
    levels = " and ".join(dict.fromkeys(confidence(1 - each.level) for each in verdicts))
    intervals = f" and their {levels} intervals" if levels else ""
    planned = ", ".join(map(str, comparisons[0].planned_looks))
    looks = f" (planned: after {planned})" if planned else ""
    basis = f" Judged on {' or '.join(judged)}{looks}." if judged else ""
    return f"{env_id}, differences of typical returns{intervals} in brackets. {lines}{basis}"


def by(each: Comparison) -> str:
    """The metric, after ``by``; empty for a mean return on held-out starts."""
    if each.metric.endswith("_return"):
        return ""
    return f" by {METRICS.get(each.metric, each.metric).split(':')[0]}"


def outcome(each: Comparison) -> str:
    """The verdict in words, or why there is none."""
    if any(each.failed_runs):
        pairs = zip(each.failed_runs, (each.first, each.second), strict=True)
        failed = [f"{count} of {label}" for count, label in pairs if count]
        return f"none: {' and '.join(failed)} failed or diverged"
    if not each.is_conclusive or each.verdict is None:
        needed = each.planned_looks[0] if each.planned_looks else MIN_VERDICT_SEEDS
        return f"none: needs {needed} seeds of each, better {max(needed, ADVISED_SEEDS)}"
    found, failures = str(each.verdict.outcome), each.verdict.failures
    if each.verdict.outcome is Outcome.FAILS_MORE and failures:
        found = f"{each.first if failures.difference > 0 else each.second} {found}"
    if each.verdict.outcome is Outcome.WHERE_THEY_SUCCEED:
        found += ", failure rates not settled"
    return "provisional: " * each.is_provisional + found + at_steps(each)


def typical(verdict: Verdict) -> str:
    """A sentence on the typical run."""
    name = "trimmed means" if verdict.trimmed else "means (too few runs to trim)"
    return f"Typical run: the difference of {name} is {numbers(verdict, verdict.typical)}."


def failures(each: Comparison, verdict: Verdict) -> str:
    """A sentence on failures."""
    part = verdict.failures
    if part is None:
        return "Failures are not compared: there is no threshold for this environment or metric."
    (one, other), (n, m) = part.counts, verdict.num_runs
    return (
        f"Failures (a regret above {each.failure_regret:g}): {one} of {n} against {other} of {m},"
        f" a difference of {numbers(verdict, part)}."
    )


def on_average(verdict: Verdict) -> str:
    """A sentence on the means, which decide nothing."""
    part = verdict.mean
    digits = digits_of(part)
    first, second = (number(estimate, digits) for estimate in part.estimates)
    return (
        f"On average: {first} against {second}, {confidence(1 - verdict.level)} interval of the"
        f" difference {bounds(part.apart, digits)}."
    )


def numbers(verdict: Verdict, part: VerdictPart) -> str:
    """A part's difference, the interval that its answer rests on, its margin and the answer."""
    differs = part.answer in (Answer.DIFFERENT, Answer.NEGLIGIBLE)
    ends, level = (part.apart, 1.0) if differs or part.margin is None else (part.within, 2.0)
    between = f", {confidence(1 - level * verdict.level)} interval"
    text = interval_of(part, ends, " percentage points", between)
    if part.margin is None:
        return f"{text}, without a margin: {part.answer}"
    return f"{text}, margin {factor_of(part) * part.margin:g}: {part.answer}"


def interval_of(part: VerdictPart, ends: Sequence[float], unit: str, between: str = "") -> str:
    """A part's difference and an interval of it, rates as percentages.

    :param unit: of rates
    :param between: text between the two
    """
    factor, digits = factor_of(part), digits_of(part)
    scaled = bounds([factor * end for end in ends], digits)
    unit = unit if isinstance(part, Failures) else ""
    return f"{signed(factor * part.difference, digits)}{unit}{between} {scaled}"


def signed(value: float, digits: int) -> str:
    """A number with its sign; that of zero is +."""
    return ("" if value < 0 else "+") + number(value, digits)


def factor_of(part: VerdictPart) -> float:
    """What a part's numbers are multiplied by: rates are shown as percentages."""
    return 100.0 if isinstance(part, Failures) else 1.0


def digits_of(part: VerdictPart) -> int:
    """Digits after the decimal point: none for percentages."""
    return 0 if isinstance(part, Failures) else digits_for(*part.estimates, *part.apart)


def as_sentence(text: str) -> str:
    """A description as a sentence; nothing without one."""
    return text[:1].upper() + text[1:] + ("." if text and not text.endswith(("?", ".")) else "")


def confidence(value: float) -> str:
    """A confidence as a percentage."""
    return f"{100 * value:.4g}%"


def number_of_runs(verdict: Verdict) -> str:
    """How many runs a verdict rests on."""
    first, second = verdict.num_runs
    return f"{first} seeds of each" if first == second else f"{first} and {second} seeds"


def seeds_text(seeds: int) -> str:
    """A number of seeds; of a large one, only that it is above MOST_SEEDS."""
    return f"{seeds:,}" if seeds <= MOST_SEEDS else f"more than {MOST_SEEDS:,}"


def parts_of(verdict: Verdict) -> Iterator[tuple[str, VerdictPart]]:
    """A verdict's parts by name, in the order of tables and figures."""
    yield "typical run", verdict.typical
    if verdict.failures:
        yield "failures", verdict.failures
    yield "mean", verdict.mean


def caveats(each: Comparison, verdict: Verdict) -> list[str]:
    """Sentences on what limits the trust in a verdict: its scores, and repeated looks."""
    lines = warnings(verdict)
    if each.planned_looks:
        seen = "; ".join(f"{look.seeds} seeds: {look.verdict.outcome}" for look in each.looks)
        planned = ", ".join(map(str, each.planned_looks))
        lines.append(words("warnings", "looks", planned=planned, seen=seen))
    elif each.earlier:
        numbers = (*each.earlier, min(verdict.num_runs))
        earlier, error = " and on ".join(map(str, each.earlier)), overall_error(numbers, ALPHA)
        lines.append(words("warnings", "earlier", earlier=earlier, number=len(numbers),
                           level=ALPHA, error=error))  # fmt: skip
    return lines


def warnings(verdict: Verdict) -> list[str]:
    """Warnings on cases in which docs/calibration.md finds errors of more than 5%."""
    part, found = verdict.failures, {"tied": verdict.tied}
    if part:
        equal = part.answer is Answer.EQUIVALENT and 0 in part.counts
        found = {
            "failures": max(part.estimates) >= 0.15,
            "rates": equal and max(verdict.num_runs) < 40,
        } | found
    return [words("warnings", name) for name, applies in found.items() if applies]
