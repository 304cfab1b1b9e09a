"""How often the verdicts are wrong, by simulation on scores whose truth is known.

python -m tests.calibration [FOLDER OF PUBLISHED CURVES] > docs/calibration.md
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from scipy import stats

from benchmarks.analysis.sequential import ALPHA, nominal_level
from benchmarks.analysis.statistics import Values, newcombe_intervals, welch_intervals
from benchmarks.analysis.verdict import MIN_TRIMMED, TRIM
from benchmarks.experiments import DEFAULT_LOOKS, RATE_MARGIN
from benchmarks.table import markdown

MARGIN = 2.0  # in standard deviations of runs that do not fail
DEPTH = 20.0  # how far below the others failed runs score, in the same unit
TRIALS = 20_000
MANY = 1_000_000  # runs stand for a population
Flags = NDArray[np.bool_]
INTRODUCTION = """# How often verdicts are wrong

Made by `python -m tests.calibration`, in half a minute: {trials:,} simulated experiments for each
cell, so that 5% is known to 0.3 points. *False equivalent*: where the true difference is the
margin (2 standard deviations of runs that do not fail; 20 points for rates of failure). *False
different*: where there is none. Both should be at most 5%. Failed runs score 20 standard deviations
below the others. *Until decided*: looks after 5, 10, 20 and 40 seeds at a level of {level:.2%};
an error at any of them counts. The *old rule* is Welch's interval of the means, at 5% at each look.
Where 5% of the runs of one side fail and 30% of the other's, trimmed means are made equal, or a
margin apart, in the whole population; rates lie 25 points apart, so that *equivalent* is false.
"""
READING = """All are at most 5.4%, which is 5% but for chance, except

- rates of failure, none against one in five: with 20 seeds they pass for equal in 7% of
  experiments;
- 30% failures: there is more to trim than a fifth, and a difference that is not there is found in
  up to 6%, as it is in rates of failure with 5 seeds;
- 5% against 30% failures: whether more or fewer than the trimmed fifth fail in an experiment
  decides what the trimmed mean is of, so that it says little about the population's. That the two
  sides differ is true.

The text of a verdict warns where one side never fails, and where 15% or more of a side do.
"""
PUBLISHED = """## Published runs

Both sides are drawn with replacement from the ten published runs of one task (mean of the last ten
evaluations; the command takes their folder), so that there is no difference: false equivalent at a
margin of 2 standard deviations, then false different, in percent. Most runs of InvertedPendulum
reach exactly 1,000, the most that is possible: without spread among them an interval is too narrow,
and the text of a verdict warns of such ties.
"""


@dataclass(frozen=True)
class Population:
    """Where the scores of runs come from: rates of failure of both sides, and the others' shape."""

    name: str
    rates: tuple[float, float] = (0.0, 0.0)
    skewed: bool = False

    def draw(self, rng: Generator, side: int, shape: tuple[int, ...]) -> tuple[Values, Flags]:
        """Scores, of standard deviation 1 but for the failures, and which runs have failed."""
        scores = 1.0 - rng.standard_exponential(shape) if self.skewed else rng.normal(size=shape)
        failed = rng.random(shape) < self.rates[side]
        return scores - DEPTH * failed, failed


POPULATIONS = (
    Population("normal"),
    Population("skewed", skewed=True),
    Population("5% fail", (0.05, 0.05)),
    Population("15% fail", (0.15, 0.15)),
    Population("30% fail", (0.30, 0.30)),
    Population("5% and 30% fail", (0.05, 0.30)),
)


@dataclass(frozen=True)
class Errors:
    """How often a rule says what is not so, at the worst place: at the margin, and at zero.

    :param false_equivalent: fraction of experiments, where the true difference is the margin
    :param false_different: where there is none; NaN where the population has one
    """

    false_equivalent: float
    false_different: float


def answers(
    first: Values, second: Values, designs: Sequence[int], level: float, trim: float, margin: float
) -> tuple[Flags, Flags]:
    """Whether any look finds equivalence, and a difference, each shape (trials,).

    :param first: scores of shape (trials, at least max(designs)), as the second
    :param designs: numbers of runs to look at one after another
    """
    equivalent = different = np.zeros(len(first), bool)
    for n in designs:
        cut = trim if n >= MIN_TRIMMED else 0.0
        x, y = first[:, :n], second[:, :n]
        _, low, high = welch_intervals(x, y, 1.0 - 2.0 * level, cut)
        equivalent = equivalent | ((low > -margin) & (high < margin))
        _, low, high = welch_intervals(x, y, 1.0 - level, cut)
        different = different | (low > 0.0) | (high < 0.0)
    return equivalent, different


def rate_answers(
    first: Flags, second: Flags, designs: Sequence[int], level: float
) -> tuple[Flags, Flags]:
    """The same of the rates at which runs fail."""
    equivalent = different = np.zeros(len(first), bool)
    for n in designs:
        counts = [side[:, :n].sum(axis=1).astype(float) for side in (first, second)]
        _, low, high = newcombe_intervals(counts[0], counts[1], n, n, 1.0 - 2.0 * level)
        equivalent = equivalent | ((low > -RATE_MARGIN) & (high < RATE_MARGIN))
        _, low, high = newcombe_intervals(counts[0], counts[1], n, n, 1.0 - level)
        different = different | (low > 0.0) | (high < 0.0)
    return equivalent, different


def errors_of_means(
    population: Population,
    designs: Sequence[int],
    level: float,
    trim: float,
    rng: Generator,
    trials: int = TRIALS,
) -> Errors:
    """Errors of the part about the typical run, or with no trimming of the mean's old rule."""
    shape = trials, max(designs)
    (first, _), (second, _) = (population.draw(rng, side, shape) for side in (0, 1))
    if population.rates[0] != population.rates[1]:  # then their means differ as they are
        truths = [stats.trim_mean(population.draw(rng, side, (MANY,))[0], trim) for side in (0, 1)]
        second = second + truths[0] - truths[1]
    at_edges = [
        answers(first + edge, second, designs, level, trim, MARGIN)[0].mean()
        for edge in (-MARGIN, MARGIN)
    ]
    different = answers(first, second, designs, level, trim, MARGIN)[1]
    return Errors(float(max(at_edges)), float(different.mean()))


def errors_of_rates(
    population: Population,
    designs: Sequence[int],
    level: float,
    rng: Generator,
    trials: int = TRIALS,
) -> Errors:
    """Errors of the part about failures; the edge is the lower rate and the margin above it."""
    shape = trials, max(designs)
    low, high = population.rates
    is_equal = low == high
    edge = low + RATE_MARGIN if is_equal else high
    first, second, third = (rng.random(shape) < rate for rate in (low, high, edge))
    equivalent = rate_answers(first, third, designs, level)[0].mean()
    different = rate_answers(first, second, designs, level)[1].mean() if is_equal else np.nan
    return Errors(float(equivalent), float(different))


def seeds_taken(
    difference: float, failures: bool, rng: Generator, looks: Sequence[int] = DEFAULT_LOOKS
) -> tuple[float, float]:
    """Seeds of each until decided, on average, and the fraction decided in the end.

    :param difference: of normal scores, in standard deviations
    :param failures: whether failure rates, which are zero, must be settled too
    """
    first, second = rng.normal(size=(2, TRIALS, max(looks)))
    level, none = nominal_level(looks), np.zeros((1, max(looks)), bool)
    taken, is_open = np.zeros(TRIALS), np.ones(TRIALS, bool)
    for n in looks:
        taken[is_open] = n
        equivalent, different = answers(first + difference, second, [n], level, TRIM, MARGIN)
        settled = rate_answers(none, none, [n], level)[0] if failures else True
        is_open = is_open & ~(different | (equivalent & settled))
    return float(taken.mean()), 1.0 - float(is_open.mean())


def published_scores(folder: Path) -> dict[str, Values]:
    """Last-10 scores of published learning curves, by task, each shape (num_runs,).

    :param folder: of npy files with one curve each, in a folder for each task
    """
    scores = {}
    for task in sorted(path for path in folder.iterdir() if path.is_dir()):
        curves = [np.load(file) for file in sorted(task.glob("*.npy"))]
        scores[task.name] = np.array([curve[-10:].mean() for curve in curves])
    return scores


def errors_on_runs(
    scores: Values, n: int, level: float, trim: float, rng: Generator, trials: int = TRIALS
) -> Errors:
    """Errors where both sides are drawn, with replacement, from the runs of one implementation.

    The margin is 2 of their standard deviations.
    """
    margin = MARGIN * float(scores.std(ddof=1))
    first, second = rng.choice(scores, size=(2, trials, n))
    equivalent = answers(first + margin, second, [n], level, trim, margin)[0]
    different = answers(first, second, [n], level, trim, margin)[1]
    return Errors(float(equivalent.mean()), float(different.mean()))


def calibration_page(curves: Path | None = None) -> str:
    """All tables, as Markdown.

    :param curves: folder of published learning curves, for the table on real runs
    """
    parts = [
        INTRODUCTION.format(trials=TRIALS, level=nominal_level(DEFAULT_LOOKS)),
        _errors(),
        READING,
        "## How often equal implementations are called equivalent\n",
        markdown(
            ["scores", *(f"{rule}, {n} seeds" for n in DEFAULT_LOOKS
                         for rule in ("typical", "old rule"))],
            [[each.name, *_power(each, default_rng(2))]
             for each in POPULATIONS if each.rates[0] == each.rates[1]],
        ),
        "## Seeds that a sweep until decided takes\n",
        "Normal scores, no failures, looks after 5, 10, 20 and 40 seeds: mean number of seeds of"
        " each, and how many comparisons are decided by the last look.\n",
        markdown(
            ["true difference", "seeds, typical run alone", "decided", "seeds, failures too",
             "decided"],
            [[case, *_taken(difference)]
             for case, difference in (("none", 0.0), ("2 standard deviations", 2.0))],
        ),
    ]  # fmt: skip
    if curves is not None:
        parts += [PUBLISHED, _published(published_scores(curves))]
    return "\n".join(parts)


def _errors() -> str:
    designs: list[tuple[str, tuple[int, ...]]] = [(f"{n} seeds", (n,)) for n in DEFAULT_LOOKS]
    designs.append((f"up to {DEFAULT_LOOKS[-1]}, until decided", DEFAULT_LOOKS))
    rows = []
    for population in POPULATIONS:
        for name, looks in designs:
            level = nominal_level(looks)
            cells = [
                errors_of_means(population, looks, level, TRIM, default_rng(0)),
                errors_of_rates(population, looks, level, default_rng(1)),
                errors_of_means(population, looks, ALPHA, 0.0, default_rng(0)),
            ]
            values = [
                each for cell in cells for each in (cell.false_equivalent, cell.false_different)
            ]
            rows.append([population.name, name, *map(percent, values)])
    return markdown(
        ["scores", "design", "typical: false equivalent", "typical: false different",
         "failures: false equivalent", "failures: false different",
         "old rule: false equivalent", "old rule: false different"],
        rows,
    )  # fmt: skip


def _taken(difference: float) -> list[str]:
    found = [seeds_taken(difference, failures, default_rng(3)) for failures in (False, True)]
    return [text for seeds, decided in found for text in (f"{seeds:.1f}", percent(decided))]


def _power(population: Population, rng: Generator) -> list[str]:
    (first, _), (second, _) = (
        population.draw(rng, side, (TRIALS, max(DEFAULT_LOOKS))) for side in (0, 1)
    )
    return [
        percent(answers(first, second, [n], ALPHA, trim, MARGIN)[0].mean())
        for n in DEFAULT_LOOKS
        for trim in (TRIM, 0.0)
    ]


def _published(scores: dict[str, Values]) -> str:
    rows = []
    for task, values in scores.items():
        found = [errors_on_runs(values, n, ALPHA, trim, default_rng(4), TRIALS // 4)
                 for n in (5, 10, 20) for trim in (TRIM, 0.0)]  # fmt: skip
        rows.append([task, *(f"{percent(each.false_equivalent)} {percent(each.false_different)}"
                             for each in found)])  # fmt: skip
    return markdown(["task", *(f"{rule}, {n} seeds" for n in (5, 10, 20)
                               for rule in ("typical", "old rule"))], rows)  # fmt: skip


def percent(value: float) -> str:
    """A fraction in percent; a dash for NaN."""
    return "-" if np.isnan(value) else f"{100 * value:.1f}%"


if __name__ == "__main__":
    print(calibration_page(*map(Path, sys.argv[1:2])), end="")
