"""Compare any TD3 with the published one, update by update, through a small adapter.

Needs NumPy alone, so that it runs in the environment of the library under examination.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from benchmarks.fidelity.cases import (
    CASES,
    JUDGED,
    RECORDED,
    WHAT,
    Array,
    Batch,
    Inputs,
    Problem,
    Values,
    as_rows,
    deviation,
    expected_values,
    inputs_of,
)
from benchmarks.fidelity.published import Published, Switches

BIT_EQUAL, ROUNDING, UNIT_ONLY = "bit-equal", "equal up to rounding", "equal in [-1, 1]"
DIFFERS, UNEXPLAINED, BROKEN, DECLINED = "differs", "unexplained", "broken adapter", "declined"
EXIT_STATUS = {BIT_EQUAL: 0, ROUNDING: 0, UNIT_ONLY: 1, DIFFERS: 1, UNEXPLAINED: 1, BROKEN: 2}


class AdapterError(Exception):
    """The adapter, not the TD3 behind it, is at fault."""


class Adapter(Protocol):
    """What drives an implementation. All actions are in environment units.

    Optional: ``defaults()`` returns the implementation's own settings under the published names;
    ``update_all(batches, noises)`` makes many updates after ``load``, for libraries that count
    them within one call; ``has_smoothing = False`` for a TD3 without target noise; ``package`` is
    the name of the distribution whose version is printed.
    """

    def load(self, weights: list[Array]) -> None:
        """Set 18 arrays, copy them to the targets, make optimisers anew, counter at 0."""

    def update(self, batch: Batch, noise: Array) -> None:
        """Make one update, with standard normal noise in place of the drawn one."""

    def actions(self, observations: Array) -> Array:
        """Noise-free actions (n, action_dim)."""

    def target_actions(self, observations: Array) -> Array:
        """The same of the target policy."""

    def q_values(self, observations: Array, actions: Array) -> Sequence[Array]:
        """Values of both critics, each (n, 1)."""

    def target_q_values(self, observations: Array, actions: Array) -> Sequence[Array]:
        """The same of the target critics."""


Make = Callable[[Problem], Adapter]


@dataclass
class CaseResult:
    """What became of a case.

    :param verdict: bit-equal, equal up to rounding, differs or declined
    :param deviations: the largest deviation of each quantity, by number of updates
    :param reason: why it was declined
    """

    name: str
    verdict: str
    deviations: dict[int, dict[str, float]] = field(default_factory=dict)
    reason: str = ""

    @property
    def first_difference(self) -> int | None:
        """After how many updates values differ by more than rounding."""
        beyond = (n for n, row in self.deviations.items() if max(row.values()) > self.band(n))
        return next(beyond, None)

    def band(self, updates: int) -> float:
        """The allowed deviation."""
        return CASES[self.name].band(updates)


@dataclass
class Examination:
    """The outcome for an adapter.

    :param faults: what is wrong with the adapter itself
    :param values: what the implementation computed, by case and number of updates
    """

    faults: list[str]
    cases: list[CaseResult]
    values: dict[str, dict[int, Values]]

    @property
    def verdict(self) -> str:
        """One of the keys of EXIT_STATUS, before causes are looked for."""
        judged = [case for case in self.cases if case.verdict != DECLINED]
        if self.faults or not judged:
            return BROKEN
        wrong = [case for case in judged if case.verdict == DIFFERS]
        if not wrong:
            return BIT_EQUAL if {case.verdict for case in judged} == {BIT_EQUAL} else ROUNDING
        unit = [case for case in judged if CASES[case.name].in_unit_range]
        return UNIT_ONLY if unit and not any(case in wrong for case in unit) else DIFFERS


def examine(make: Make, updates: int = 10, cases: Iterable[str] = tuple(CASES)) -> Examination:
    """Check the adapter, then compare its TD3 with the published one on all cases.

    :param make: the adapter's class
    :param updates: how far to follow each case; 3 at least
    """
    result = Examination([], [], {})
    for name in cases:
        try:
            adapter = make(CASES[name].problem)
            values = follow(adapter, name, updates)
            result.faults += adapter_faults(adapter, make, name, values)
        except NotImplementedError as error:
            result.cases.append(CaseResult(name, DECLINED, reason=str(error)))
            continue
        except Exception as error:
            result.faults.append(f"{name}: {type(error).__name__}: {error}")
        if result.faults:
            break
        result.values[name] = values
        result.cases.append(judge(name, values))
    return result


def follow(
    adapter: Adapter, name: str, updates: int, change: Callable[[Array], Array] = lambda x: x
) -> dict[int, Values]:
    """The adapter's values in a case, by number of updates.

    :param change: of the noise
    :raises AdapterError: if they have a wrong shape
    """
    inputs = inputs_of(name)
    adapter.load([weight.copy() for weight in inputs.weights])
    many = getattr(adapter, "update_all", None)
    values, batches, noises = {0: probe(adapter, inputs)}, [], []
    for n, (batch, noise) in enumerate(inputs.batches(updates), 1):
        batch, noise = Batch(*(array.copy() for array in batch)), change(noise.copy())
        batches.append(batch)
        noises.append(noise)
        if many is None:
            adapter.update(batch, noise)
        if n in RECORDED:
            if many is not None:
                adapter.load([weight.copy() for weight in inputs.weights])
                many(batches, noises)
            values[n] = probe(adapter, inputs)
    return values


def probe(adapter: Adapter, inputs: Inputs) -> Values:
    """All quantities on the eight probes.

    :raises AdapterError: if one has a wrong shape
    """
    observations, actions = inputs.observations, inputs.actions
    found: list[Any] = []
    for act, q in (
        (adapter.actions, adapter.q_values),
        (adapter.target_actions, adapter.target_q_values),
    ):
        found += [act(observations.copy()), *q(observations.copy(), actions.copy())]
    sizes = (8 * actions.shape[1], 8, 8) * 2
    if [np.size(value) for value in found] != list(sizes):
        shapes = ", ".join(str(np.shape(value)) for value in found)
        raise AdapterError(f"actions must be (n, action_dim) and both values (n, 1), got {shapes}")
    return dict(zip(WHAT, map(as_rows, found), strict=True))


def adapter_faults(adapter: Adapter, make: Make, name: str, values: dict[int, Values]) -> list[str]:
    """What is wrong with the adapter itself, so that a broken one is not taken for a broken TD3."""
    start = values[0]
    faults = [
        f"{name}: {what}_target differs from {what} at 0 updates: load() must copy to the targets"
        for what in WHAT[:3]
        if deviation({what: start[f"{what}_target"]}, start, (what,)) > CASES[name].band(0)
    ]
    if not faults and not any(fits_at_start(name, start, s) for s in STARTS):
        faults.append(f"{name}: the loaded weights give other values at 0 updates")
    again = follow(adapter, name, 2)
    if any((again[n][what] != values[n][what]).any() for n in again for what in WHAT):
        faults.append(f"{name}: load() and two updates again give other values")
    other = follow(make(CASES[name].problem), name, 1, lambda noise: -noise)
    unmoved = all((other[1][what] == values[1][what]).all() for what in WHAT[1:3])
    if unmoved and getattr(make, "has_smoothing", True):
        faults.append(
            f"{name}: other noise leaves the critics unchanged (if this TD3 really has no target"
            " noise, declare has_smoothing = False)"
        )
    return faults


STARTS = [
    Switches(critic_actions=unit, actor_output=output)
    for unit in ("environment", "unit")
    for output in ("centred", "no offset", "maximum", "unscaled", "first")
]


def fits_at_start(name: str, start: Values, switches: Switches) -> bool:
    """Whether switches explain the values before the first update."""
    published = Published(CASES[name].problem, switches)
    return deviation(start, follow(published, name, 0)[0]) <= CASES[name].band(0)


def judge(name: str, values: dict[int, Values]) -> CaseResult:
    """Compare with what the published code computes."""
    expected = expected_values(name)
    deviations = {
        n: {what: deviation(values[n], expected[n], (what,)) for what in WHAT}
        for n in values
        if n in expected
    }
    result = CaseResult(name, DIFFERS, deviations)
    if result.first_difference is None:
        exact = not any(any(deviations[n].values()) for n in JUDGED)
        result.verdict = BIT_EQUAL if exact else ROUNDING
    return result


def measured_bands(name: str, updates: int = 50, trials: int = 9) -> list[float]:
    """The bands of a case by its definition, see :class:`~benchmarks.fidelity.cases.Case`."""
    problem = CASES[name].problem

    class Shifted(Published):
        def load(self, weights: list[Array]) -> None:
            towards = [rng.choice([-np.inf, np.inf], w.shape).astype(np.float32) for w in weights]
            super().load([np.nextafter(w, t) for w, t in zip(weights, towards, strict=True)])

    start = follow(Published(problem), name, updates)
    changes = []
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        values = follow(Shifted(problem), name, updates)
        changes.append([deviation(values[n], start[n]) for n in start])
    table = 10 * np.array(changes)
    bands = [*np.median(table, axis=0)[: len(JUDGED)], *table.max(axis=0)[len(JUDGED) :]]
    return list(map(float, np.maximum.accumulate(bands)))
