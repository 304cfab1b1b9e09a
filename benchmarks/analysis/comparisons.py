"""Comparisons of implementations: what the runs show of each, as a record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from benchmarks.analysis.load import Results, groups, steps_reached
from benchmarks.analysis.settings import Difference, differences
from benchmarks.analysis.statistics import MIN_RUNS, Values
from benchmarks.analysis.verdict import Verdict, decide
from benchmarks.experiments import FAILURE_REGRETS, LATE, MARGINS, MIN_VERDICT_SEEDS, RATE_MARGIN
from training.config import margin_of


@dataclass(frozen=True)
class Look:
    """The verdict on the first seeds of both implementations.

    :param seeds: how many of each
    """

    seeds: int
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two implementations on one environment by one metric.

    :param num_runs: complete runs of the first and the second, of declared seeds
    :param steps: the different last steps of these runs, in increasing order
    :param failed_runs: runs that ended in an error or diverged, with which there is no
        verdict: the remaining runs would look better than the implementation is
    :param seeds: declared seeds of each (with looks, the most); None if nothing was declared
    :param failure_regret: regret above which a run has failed; None: failures are not compared
    :param planned_looks: declared numbers of seeds; empty for a single look at all seeds
    :param looks: those taken so far; none follows once the comparison is settled
    :param verdict: that of the last look or, without looks, of all runs; None if runs failed, if
        a side has fewer than three complete runs, and before the first look
    :param late_scores: whether late returns are of the late policies; False if a run has only its
        final policy's, as old runs do
    :param settings: those in which the two differ, apart from the algorithm: name, value of
        the first, value of the second; None where a side has no complete run
    :param earlier: with no looks declared, numbers of runs on which verdicts had been written
        before seeds were added
    """

    env_id: str
    first: str
    second: str
    metric: str
    num_runs: tuple[int, int]
    steps: tuple[tuple[int, ...], tuple[int, ...]]
    failed_runs: tuple[int, int] = (0, 0)
    seeds: int | None = None
    failure_regret: float | None = None
    planned_looks: tuple[int, ...] = ()
    looks: tuple[Look, ...] = ()
    verdict: Verdict | None
    late_scores: bool = True
    settings: tuple[Difference, ...] | None
    earlier: tuple[int, ...] = ()

    @property
    def is_conclusive(self) -> bool:
        """Whether there are enough runs to state an outcome."""
        return self.verdict is not None and min(self.verdict.num_runs) >= MIN_VERDICT_SEEDS

    @property
    def is_at_equal_steps(self) -> bool:
        """Whether all runs ended at the same step, which equal budgets do not ensure."""
        return len({*self.steps[0], *self.steps[1]}) <= 1

    @property
    def is_provisional(self) -> bool:
        """Whether declared seeds are missing that the verdict should rest on."""
        if self.seeds is None or min(self.num_runs) >= self.seeds:
            return False
        return not (self.planned_looks and self.verdict and self.verdict.is_settled)

    @property
    def needs_seeds(self) -> bool:
        """Whether a sweep with --until-decided should run more seeds of it."""
        return not any(self.failed_runs) and not (self.verdict and self.verdict.is_settled)


def declaration(results: Results) -> Mapping[str, Any]:
    """What was declared before the runs; this project's defaults if nothing was."""
    if results.experiment is None:
        undeclared = {"margins": MARGINS, "failure_regrets": FAILURE_REGRETS}
        return {"metrics": [LATE], "rate_margin": RATE_MARGIN, **undeclared}
    # An experiment.json of an older version declares the final policy's return, and no failures.
    older = {"metrics": ["final_return"], "failure_regrets": {}, "rate_margin": RATE_MARGIN}
    return {**older, **results.experiment["declaration"]}


def against_labels(results: Results) -> list[str]:
    """Labels that others are compared with: the declared one, or all if none is declared."""
    if results.experiment:
        return [results.experiment["declaration"]["against"]]
    return sorted({label for _, label in groups(results)})


def compared_pairs(results: Results) -> list[tuple[str, str, str]]:
    """(env_id, first, second) of each comparison.

    A declared ``against`` is always the second, even if it has no runs yet. An implementation
    without complete runs is included if runs of it failed.
    """
    tried = sorted({*groups(results), *results.failures})
    if results.experiment:
        (against,) = against_labels(results)
        return [(env_id, label, against) for env_id, label in tried if label != against]
    every = combinations(tried, 2)
    return [(env_id, a, b) for (env_id, a), (other, b) in every if env_id == other]


def compare_all(results: Results) -> list[Comparison]:
    """All comparisons, each by each metric."""
    metrics = declaration(results)["metrics"]
    return [
        compare_labels(results, *pair, metric)
        for pair in compared_pairs(results)
        for metric in metrics
    ]


class RunScores(NamedTuple):
    """An implementation's runs, each shape (num_runs,)."""

    seeds: Values
    values: Values
    regrets: Values

    def of_seeds(self, seeds: Sequence[int]) -> "RunScores":
        """The runs of these seeds alone."""
        rows = np.isin(self.seeds, seeds)
        return RunScores(self.seeds[rows], self.values[rows], self.regrets[rows])


def compare_labels(
    results: Results, env_id: str, first: str, second: str, metric: str
) -> Comparison:
    """What the runs show of one comparison."""
    declared = declaration(results)
    seeds: list[int] | None = declared.get("seeds")
    planned = tuple(declared.get("looks", ()))
    judged = results if seeds is None else _of_seeds(results, seeds)
    x, y = (_run_scores(judged, env_id, label, metric) for label in (first, second))
    one, other = (results.failures.get((env_id, label), 0) for label in (first, second))
    threshold = margin_of(declared["failure_regrets"], env_id)
    if np.isnan(x.regrets).any() or np.isnan(y.regrets).any():
        threshold = None

    def verdict(x: RunScores, y: RunScores, enough: int = MIN_RUNS) -> Verdict | None:
        if one or other or min(len(x.values), len(y.values)) < max(enough, MIN_RUNS):
            return None
        failed = None if threshold is None else (x.regrets > threshold, y.regrets > threshold)
        margin, level = margin_of(declared["margins"], env_id), declared.get("level", 0.05)
        return decide(x.values, y.values, margin, failed, declared["rate_margin"], level)

    looks = _looks(x, y, planned, seeds or [], verdict)
    settings = [results.settings.get((env_id, label)) for label in (first, second)]
    return Comparison(
        env_id=env_id,
        first=first,
        second=second,
        metric=metric,
        num_runs=(len(x.values), len(y.values)),
        steps=(tuple(steps_reached(judged, env_id, first)),
               tuple(steps_reached(judged, env_id, second))),
        failed_runs=(one, other),
        seeds=None if seeds is None else len(seeds),
        failure_regret=threshold,
        planned_looks=planned,
        looks=looks,
        verdict=(looks[-1].verdict if looks else None) if planned else verdict(x, y),
        late_scores=bool((results.finals.query("env_id == @env_id")["late_points"] > 0).all()),
        settings=settings_between(*settings),
    )  # fmt: skip


def settings_between(
    first: Mapping[str, Any] | None, second: Mapping[str, Any] | None
) -> tuple[Difference, ...] | None:
    """In which settings two sides differ; None where those of one are not known.

    :param first: content of config.json
    """
    return None if first is None or second is None else tuple(differences(first, second))


def _looks(
    x: RunScores,
    y: RunScores,
    planned: Sequence[int],
    seeds: Sequence[int],
    verdict: Callable[[RunScores, RunScores, int], Verdict | None],
) -> tuple[Look, ...]:
    """The looks so far, each on the first seeds, until one settles it or seeds are missing."""
    looks: list[Look] = []
    for number in planned:
        first = seeds[:number]
        taken = verdict(x.of_seeds(first), y.of_seeds(first), len(first))
        if taken is None or (looks and looks[-1].verdict.is_settled):
            break
        looks.append(Look(number, taken))
    return tuple(looks)


def _of_seeds(results: Results, seeds: list[int]) -> Results:
    """The runs of declared seeds alone."""
    curves, finals = (rows[rows["seed"].isin(seeds)] for rows in (results.curves, results.finals))
    return results._replace(curves=curves, finals=finals)


def _run_scores(results: Results, env_id: str, label: str, metric: str) -> RunScores:
    rows = results.finals.query("env_id == @env_id and label == @label")
    return RunScores(*(rows[name].to_numpy() for name in ("seed", metric, f"{metric}_regret")))
