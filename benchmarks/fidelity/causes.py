"""Why an implementation's numbers differ: the smallest set of switches that reproduces them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cache
from itertools import combinations, product
from typing import Any

from benchmarks.fidelity.cases import (
    CASES,
    COMPARED_UPDATES,
    QUANTITIES,
    Problem,
    Values,
    deviation,
    expected_values,
)
from benchmarks.fidelity.kit import run_updates
from benchmarks.fidelity.published import SwitchableTD3, Switches

Option = tuple[str, Any]  # a switch and its setting
ComputedValues = Mapping[str, dict[int, Values]]  # an implementation's values by case and updates

CAUSES: dict[Option, str] = {
    ("critic_actions", "unit"): "the critic sees actions scaled to [-1, 1]",
    ("actor_output", "no offset"): "the actor has no offset: half-width * tanh",
    ("actor_output", "maximum"): "the actor has no offset: high * tanh",
    ("actor_output", "unscaled"): "the actor's tanh is not scaled by the half-width",
    ("actor_output", "first"): "the actor has the first dimension's half-width in all dimensions",
    ("noise", "unscaled"): "target noise is not scaled by the half-width of the action range",
    ("noise", "first"): "target noise has the first dimension's half-width in all dimensions",
    ("noise", "none"): "there is no target noise",
    ("noise_clip", False): "target noise is not clipped",
    ("clip", "none"): "target actions are not clipped to the bounds",
    ("clip", "unit"): "target actions are clipped to [-1, 1] whatever the bounds",
    ("clip", "wrong unit"): "target actions in [-1, 1] are clipped to the environment's bounds",
    ("clip", "first"): "target actions are clipped to the first dimension's bounds",
    ("critics", "first"): "the target is one critic's value, not the minimum of two",
    ("stops_at", "truncated"): "a truncated episode does not bootstrap",
    ("huber", True): "the critics' loss is Huber's",
    ("loss_factor", 0.5): "the critics' loss is halved",
    ("epsilon", 1e-7): "Adam's epsilon is 1e-7",
    ("epsilon", 1e-5): "Adam's epsilon is 1e-5",
    ("gradient_clip", 0.5): "gradients are clipped to norm 0.5",
    ("gradient_clip", 1.0): "gradients are clipped to norm 1",
    ("delay", 1): "the actor and the targets move at every update",
    ("delay", 3): "the actor and the targets move at every third update",
    ("offset", 1): "the actor moves at updates 1, 3, 5, not 2, 4, 6",
    ("targets", "every"): "the targets move at every update",
    ("targets", "critics"): "the critics' targets move at every update",
    ("order", "targets first"): "the targets move before the actor",
    ("order", "actor first"): "the actor moves before the critics",
    ("actor_loss", "minimum"): "the actor climbs the minimum of both critics",
    ("actor_loss", "mean"): "the actor climbs the mean of both critics",
}
# Differences found in public TD3s; variants.py has them as subclasses that can be trained.
VARIANT_PREFIX = "td3_reference:benchmarks.fidelity.variants:"  # algo, up to the class
VARIANT_SWITCHES: dict[str, Option] = {  # by class in variants.py
    "Offset": ("offset", 1),
    "NoFinalClip": ("clip", "none"),
    "TargetsAtEveryUpdate": ("targets", "every"),
    "ActorOnMinimum": ("actor_loss", "minimum"),
    "ActorOnMean": ("actor_loss", "mean"),
    "ScaledCritic": ("critic_actions", "unit"),
    "NoSmoothing": ("noise", "none"),
}
# A simulation agrees if it is within this many bands. It and the implementation round
# independently, and other compilers (XLA) differ by more than a shift of weights. A cause should
# exceed this.
AGREEMENT = 4.0
START_SWITCHES = ("critic_actions", "actor_output")
TARGET_SWITCHES = ("noise", "noise_clip", "clip", "critics", "stops_at", "huber", "loss_factor",
             "epsilon", "gradient_clip")  # fmt: skip
LATER_SWITCHES = ("targets", "order", "actor_loss", "loss_factor", "epsilon", "gradient_clip")


@dataclass
class Cause:
    """One switch, in words, and the deviation that remains without it, in bands of rounding."""

    switch: str
    setting: Any
    text: str
    needed: float


@dataclass
class Explanation:
    """Why numbers differ.

    :param residual: largest deviation of the implementation from the published update with these
        switches, in any case up to update 3
    :param unexplained: the values that no known causes reproduce; empty if all is explained
    :param alternatives: other sets of the same size which these cases cannot tell apart
    """

    causes: list[Cause] = field(default_factory=list)
    residual: float = 0.0
    unexplained: str = ""
    alternatives: list[str] = field(default_factory=list)


def explain(found: ComputedValues) -> Explanation:
    """Find the causes in stages, each from the values that it shows in.

    The values at 0 updates show units and the actor's output. The critics at update 1 show how the
    target is computed. Which networks moved at which update shows delay and targets. All values up
    to update 3 show the actor's loss and the order.
    """
    start = Stage(found, COMPARED_UPDATES[:1], QUANTITIES)
    target = Stage(found, COMPARED_UPDATES[:2], QUANTITIES[1:3])
    whole = Stage(found, COMPARED_UPDATES, QUANTITIES)
    at_start = start.search(Switches(), START_SWITCHES, 2)
    if not at_start:
        return Explanation(unexplained="the values before the first update")
    of_target = target.search(at_start[0], TARGET_SWITCHES, 3)
    if not of_target:
        causes = list(as_causes(at_start[0], start))
        return Explanation(causes, unexplained="the critics after update 1")
    bases = [replace(each, **schedule) for each in of_target for schedule in schedules(found)]
    fits = [fit for base in bases for fit in whole.search(base, LATER_SWITCHES, 2)]
    fits.sort(key=lambda fit: len(changed_switches(fit)))
    if not fits:
        causes = list(as_causes(of_target[0], target))
        return Explanation(causes, unexplained="the values up to update 3")
    smallest, *others = fits
    if not changed_switches(smallest):
        return Explanation(unexplained="the values after update 3")
    same = [
        describe_switches(fit)
        for fit in others
        if len(changed_switches(fit)) == len(changed_switches(smallest))
    ]
    return Explanation(list(as_causes(smallest, whole)), whole.distance(smallest)[1], "", same)


@dataclass
class Stage:
    """What is compared in one step of the search: some updates and quantities, in all cases."""

    found: ComputedValues
    updates: Sequence[int]
    what: tuple[str, ...]

    def search(self, base: Switches, names: Sequence[str], size: int) -> list[Switches]:
        """All smallest sets of further switches with which the numbers agree; empty if none."""
        options = [option for option in CAUSES if option[0] in names]
        for number in range(size + 1):
            sets = (dict(chosen) for chosen in combinations(options, number))
            variants = (replace(base, **s) for s in sets if len(s) == number)
            fits = [switches for switches in variants if self.fits(switches)]
            if fits:
                return fits
        return []

    def fits(self, switches: Switches) -> bool:
        """Whether the published update with switches agrees within the bands of rounding."""
        return all(bands <= AGREEMENT for bands, _ in self._distances(switches))

    def distance(self, switches: Switches) -> tuple[float, float]:
        """The largest deviation, in bands and as a number."""
        pairs = list(self._distances(switches))
        return max(bands for bands, _ in pairs), max(number for _, number in pairs)

    def _distances(self, switches: Switches) -> Iterator[tuple[float, float]]:
        for name, values in self.found.items():
            expected = simulate(name, switches, max(self.updates))
            for n in self.updates:
                number = deviation(values[n], expected[n], self.what)
                yield number / CASES[name].band(n), number


@cache
def simulate(name: str, switches: Switches, updates: int) -> dict[int, Values]:
    """What the published update with switches computes in a case."""
    return run_updates(SwitchableTD3(CASES[name].problem, switches), name, updates)


def schedules(found: ComputedValues) -> list[dict[str, Any]]:
    """Delays, offsets and targets that fit which networks moved at which update, simplest first."""

    def moved(what: str) -> list[bool]:
        rows = found.values()
        return [
            any((row[n][what] != row[n - 1][what]).any() for row in rows)
            for n in COMPARED_UPDATES[1:]
        ]

    fits = []
    for delay, offset, targets in product((2, 1, 3), (0, 1), ("delayed", "every", "critics")):
        due = [(n + offset) % delay == 0 for n in COMPARED_UPDATES[1:]]
        every = targets != "delayed"
        if moved("actor") == due and moved("q1_target") == [every or d for d in due]:
            fits.append({"delay": delay, "offset": offset, "targets": targets})
    return sorted(fits, key=lambda fit: len(changed_switches(Switches(**fit))))


def changed_switches(switches: Switches) -> dict[str, Any]:
    """The switches that differ from their defaults."""
    rest = asdict(Switches())
    return {name: value for name, value in asdict(switches).items() if value != rest[name]}


def describe_switches(switches: Switches) -> str:
    """The switches in words."""
    return "; ".join(CAUSES[option] for option in changed_switches(switches).items())


def as_causes(switches: Switches, stage: Stage) -> Iterator[Cause]:
    """Each switch in words, with the deviation without it."""
    rest = asdict(Switches())
    for name, value in changed_switches(switches).items():
        without = stage.distance(replace(switches, **{name: rest[name]}))[0]
        yield Cause(name, value, CAUSES[name, value], without)


PUBLISHED_DEFAULTS: dict[str, Any] = {
    **{each.name: each.default for each in fields(Problem) if each.default is not MISSING},
    "actor_learning_rate": Problem.learning_rate, "activation": "relu",
    "buffer_size": 1_000_000, "learning_starts": 25_000, "exploration_noise": 0.1,
}  # fmt: skip
SIMULATED_SETTINGS = ("gamma", "tau", "policy_noise", "noise_clip", "policy_freq", "learning_rate")


def differing_defaults(defaults: Mapping[str, Any]) -> list[tuple[str, Any, Any, float | None]]:
    """Setting, theirs, the author's, and the deviation after 10 updates where it is simulated.

    :param defaults: an implementation's own settings, under the published names
    """
    author = PUBLISHED_DEFAULTS
    theirs = {n: tuple(v) if isinstance(v, list) else v for n, v in defaults.items()}
    return [
        (name, value, author.get(name), setting_deviation(name, value))
        for name, value in theirs.items()
        if value != author.get(name)
    ]


def setting_deviation(name: str, value: Any, case: str = "pendulum_like") -> float | None:
    """The deviation that one setting causes after 10 updates of the published algorithm."""
    if name not in SIMULATED_SETTINGS or not isinstance(value, int | float):
        return None
    problem, turned = CASES[case].problem, Switches()
    setting: dict[str, Any] = {name: value}
    if name == "policy_freq":
        turned = Switches(delay=int(value))
    else:
        problem = replace(problem, **setting)
    changed = run_updates(SwitchableTD3(problem, turned), case, 10)
    return deviation(changed[10], simulate(case, Switches(), 10)[10])


def variant_difference(algo: str) -> Option | None:
    """The difference that a run's variant has; None if its algorithm is none of these variants.

    :param algo: as in the run's configuration
    """
    return (
        VARIANT_SWITCHES.get(algo.removeprefix(VARIANT_PREFIX))
        if algo.startswith(VARIANT_PREFIX)
        else None
    )


def update_deviation(difference: Option, case: str, updates: int = 3) -> float:
    """How far the published update with this difference is from the published numbers.

    :param case: name in CASES
    :param updates: 0, 1, 2, 3, 10 or 50
    """
    values = simulate(case, Switches(**{difference[0]: difference[1]}), updates)
    return deviation(values[updates], expected_values(case)[updates])
