"""Compare any TD3 with the published one, update by update, through a small adapter.

Needs NumPy alone, so that it runs in the environment of the library under examination.
"""

import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product, starmap
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.fidelity.cases import (
    CASES,
    COMPARED_UPDATES,
    QUANTITIES,
    RECORDED_UPDATES,
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
from benchmarks.fidelity.published import SwitchableTD3, Switches

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
        """Set the 18 arrays, copy them to the targets; new optimisers, update counter at 0."""

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


MakeAdapter = Callable[[Problem], Adapter]


@dataclass
class CaseResult:
    """The result of a case.

    :param verdict: bit-equal, equal up to rounding, differs or declined
    :param deviations: the largest deviation of any value, by number of updates
    :param first_difference: after how many updates it is more than rounding; None if never
    :param band: the deviation by rounding that is allowed at updates 1 to 3
    :param reason: why the case was declined
    """

    name: str
    verdict: str
    deviations: dict[int, float] = field(default_factory=dict)
    first_difference: int | None = None
    band: float = 0.0
    reason: str = ""


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
        verdicts = {c.name: c.verdict for c in self.cases if c.verdict != DECLINED}
        if self.faults or not verdicts:
            return BROKEN
        if DIFFERS not in verdicts.values():
            return BIT_EQUAL if set(verdicts.values()) == {BIT_EQUAL} else ROUNDING
        unit = {verdict for name, verdict in verdicts.items() if CASES[name].in_unit_range}
        return UNIT_ONLY if unit and DIFFERS not in unit else DIFFERS


def ignore_message(line: str) -> None:
    """Ignore a message."""


def examine(
    make: MakeAdapter,
    updates: int = 10,
    cases: Iterable[str] = tuple(CASES),
    say: Callable[[str], None] = ignore_message,
) -> Examination:
    """Check the adapter, then compare its TD3 with the published one on all cases.

    :param make: the adapter's class
    :param updates: how far to follow each case; 3 at least
    :param say: called with a line for each step of the work
    """
    result = Examination([], [], {})
    for name in cases:
        say(f"{name}: checking the adapter, then following {updates} updates ...")
        try:
            adapter = make(CASES[name].problem)
            values = run_updates(adapter, name, updates)
            result.faults += adapter_faults(adapter, make, name, values)
        except NotImplementedError as error:
            result.cases.append(CaseResult(name, DECLINED, reason=str(error)))
            continue
        except Exception as error:
            result.faults.append(
                f"{name}: {type(error).__name__}: {error}{error_location(make, error)}"
            )
        if result.faults:
            break
        result.values[name] = values
        result.cases.append(compare_case(name, values))
    return result


def error_location(make: MakeAdapter, error: Exception) -> str:
    """Where in the adapter's file an error arose, in words; empty if it arose elsewhere."""
    file = getattr(sys.modules.get(make.__module__), "__file__", None) or ""
    calls = [call for call in traceback.extract_tb(error.__traceback__) if call.filename == file]
    return f" ({calls[-1].name}(), line {calls[-1].lineno} of {Path(file).name})" if calls else ""


def run_updates(
    adapter: Adapter, name: str, updates: int, change: Callable[[Array], Array] = lambda x: x
) -> dict[int, Values]:
    """The adapter's values in a case, by number of updates.

    :param change: applied to the noise
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
        if n in RECORDED_UPDATES:
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
    found: list[Any] = [
        adapter.actions(observations.copy()),
        *adapter.q_values(observations.copy(), actions.copy()),
        adapter.target_actions(observations.copy()),
        *adapter.target_q_values(observations.copy(), actions.copy()),
    ]
    sizes = (8 * actions.shape[1], 8, 8) * 2
    if [np.size(value) for value in found] != list(sizes):
        shapes = ", ".join(str(np.shape(value)) for value in found)
        raise AdapterError(f"actions must be (n, action_dim) and both values (n, 1), got {shapes}")
    return dict(zip(QUANTITIES, map(as_rows, found), strict=True))


def adapter_faults(
    adapter: Adapter, make: MakeAdapter, name: str, values: dict[int, Values]
) -> list[str]:
    """What is wrong with the adapter itself, so that a broken one is not taken for a broken TD3."""
    start = values[0]
    faults = [
        f"{name}: {what}_target differs from {what} at 0 updates: load() must copy to the targets"
        for what in QUANTITIES[:3]
        if deviation({what: start[f"{what}_target"]}, start, (what,)) > CASES[name].band(0)
    ]
    if not faults and not explained_at_start(name, start):
        expected = expected_values(name)[0]
        off = [f"{what} by {deviation(start, expected, (what,)):.1g}" for what in QUANTITIES[:3]]
        faults.append(
            f"{name}: the loaded weights give other values at 0 updates: {', '.join(off)}"
        )
    if not faults and not values_equal(run_updates(adapter, name, 2), values, QUANTITIES):
        faults.append(f"{name}: load() and two updates again give other values")
    other = run_updates(make(CASES[name].problem), name, 1, lambda noise: -noise)
    if values_equal(other, values, QUANTITIES[1:3]) and getattr(make, "has_smoothing", True):
        faults.append(
            f"{name}: other noise leaves the critics unchanged (if this TD3 really has no target"
            " noise, declare has_smoothing = False)"
        )
    return faults


def values_equal(
    these: dict[int, Values], others: dict[int, Values], what: tuple[str, ...]
) -> bool:
    """Whether two runs are bit-equal at all updates of the first."""
    return all(
        np.array_equal(these[n][key], others[n][key], equal_nan=True) for n in these for key in what
    )


def explained_at_start(name: str, start: Values) -> bool:
    """Whether known units and a known form of the actor's output give the values before updates."""
    outputs = ("centred", "no offset", "maximum", "unscaled", "first")
    return any(
        deviation(start, run_updates(SwitchableTD3(CASES[name].problem, switches), name, 0)[0])
        <= CASES[name].band(0)
        for switches in starmap(Switches, product(("environment", "unit"), outputs))
    )


def compare_case(name: str, values: dict[int, Values]) -> CaseResult:
    """Compare with what the published code computes."""
    expected, case = expected_values(name), CASES[name]
    found = {n: deviation(values[n], expected[n]) for n in values if n in expected}
    first = next((n for n in found if found[n] > case.band(n)), None)
    equal = ROUNDING if any(found[n] for n in COMPARED_UPDATES) else BIT_EQUAL
    return CaseResult(name, equal if first is None else DIFFERS, found, first, case.band(3))
