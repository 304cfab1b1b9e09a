"""The problems on which a TD3 is compared with the published one. Needs NumPy alone.

All inputs are drawn from seeds, in the order that data/README.md describes; only the values that
the published code computes from them are shipped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Values = dict[str, Array]  # by name (see WHAT), each (8, columns)

DATA = Path(__file__).parent / "data"
RECORDED_UPDATES = (
    0,
    1,
    2,
    3,
    10,
    50,
    200,
)  # updates after which the expected values were recorded
COMPARED_UPDATES = (0, 1, 2, 3)
QUANTITIES = ("actor", "q1", "q2", "actor_target", "q1_target", "q2_target")
BATCH_SIZE = 256


class Batch(NamedTuple):
    """One batch of transitions, all float32.

    :param observations: (256, observation_dim)
    :param actions: (256, action_dim), in environment units
    :param next_observations: (256, observation_dim)
    :param rewards: (256, 1)
    :param terminated: (256, 1), 1 where the episode ended in a terminal state, else 0
    :param truncated: (256, 1), 1 where it was cut off, as by a time limit, else 0
    """

    observations: Array
    actions: Array
    next_observations: Array
    rewards: Array
    terminated: Array
    truncated: Array


@dataclass(frozen=True, eq=False)
class Problem:
    """What an adapter is made for: dimensions, bounds and the published settings.

    :param observation_dim: length of an observation
    :param action_low: float32 (action_dim,), in environment units
    :param action_high: the same
    :param policy_noise: standard deviation of the target noise, in half-widths of the action range
    :param noise_clip: largest size of that noise, in the same unit
    """

    observation_dim: int
    action_low: Array
    action_high: Array
    hidden_sizes: tuple[int, int] = (256, 256)
    gamma: float = 0.99
    tau: float = 0.005
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    policy_freq: int = 2
    learning_rate: float = 3e-4
    batch_size: int = BATCH_SIZE

    @property
    def action_dim(self) -> int:
        """Length of an action."""
        return len(self.action_low)

    @property
    def half_width(self) -> Array:
        """Half the action range, (action_dim,)."""
        half: Array = (self.action_high - self.action_low) / np.float32(2)
        return half

    @property
    def centre(self) -> Array:
        """The middle of the action range, (action_dim,)."""
        return self.action_low + self.half_width

    @property
    def max_action(self) -> float:
        """The one number that describes bounds which are symmetric and equal.

        :raises NotImplementedError: if they are not, which declines the case
        """
        high = float(self.action_high[0])
        if (self.action_high != high).any() or (self.action_low != -high).any():
            raise NotImplementedError("it has one symmetric action bound for all dimensions")
        return high


class Case(NamedTuple):
    """A problem with its data.

    :param low: lower bound of the actions in each dimension; ``high`` is the upper one
    :param seed: all inputs are drawn from it
    :param gain: the actor's last weight matrix is multiplied by it, so that actions saturate
    :param bands: largest deviation by rounding after 0, 1, 2, 3, 10 and 50 updates: ten times the
        largest change of any value when each weight at the start is shifted by one unit in the
        last place, up or down at random. Of nine such trials it is the median up to 3 updates,
        where a single trial may meet a kink, and the largest later. A band is never below an
        earlier one, and is rounded up to one digit
    """

    observation_dim: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    seed: int
    file: str
    bands: tuple[float, ...]
    gain: int = 1

    @property
    def problem(self) -> Problem:
        """What adapters are given."""
        low, high = (np.array(bound, np.float32) for bound in (self.low, self.high))
        return Problem(self.observation_dim, low, high)

    @property
    def in_unit_range(self) -> bool:
        """Whether actions lie in [-1, 1]."""
        return set(self.low) == {-1.0} and set(self.high) == {1.0}

    def band(self, updates: int) -> float:
        """The allowed deviation after this many updates; infinite if ``bands`` has none."""
        return dict(zip(RECORDED_UPDATES, self.bands, strict=False)).get(updates, float("inf"))


GOLDEN, SATURATED, ASYMMETRIC = "td3_golden.npz", "td3_golden_saturated.npz", "td3_asymmetric.npz"
UNIT, SIX, TWO = ((-1.0,), (1.0,)), ((-1.0,) * 6, (1.0,) * 6), ((-2.0,), (2.0,))
CASES = {
    "rocket_like": Case(2, *UNIT, 2, GOLDEN, (6e-7, 8e-7, 8e-7, 9e-7, 6e-5, 3e-5)),
    "pendulum_like": Case(3, *TWO, 1, GOLDEN, (9e-7, 9e-7, 2e-6, 2e-6, 6e-5, 2e-2)),
    "halfcheetah_like": Case(17, *SIX, 3, GOLDEN, (9e-7, 9e-7, 2e-6, 2e-6, 3e-6, 4e-5)),
    "saturated": Case(3, *TWO, 5, SATURATED, (5e-6, 5e-6, 6e-6, 2e-5, 8e-3, 2e-2), 8),
    "saturated_wide": Case(17, *SIX, 6, SATURATED, (2e-5, 2e-5, 2e-5, 2e-5, 5e-5, 1e-1), 20),
    # The author's code has one symmetric bound: what is expected here is the reference's
    # generalisation, actor = centre + half-width * tanh, noise and clip per dimension.
    "asymmetric": Case(
        3, (-1.0, 0.0), (3.0, 0.5), 4, ASYMMETRIC, (1e-5, 1e-5, 1e-5, 1e-5, 2e-5, 2e-3), 8
    ),
}


class Inputs:
    """The data of a case, drawn in turn from its seed.

    :ivar weights: 18 float32 arrays: weight (outputs, inputs) and bias (outputs,) of each of the
        three layers of the actor, the first critic and the second critic
    :ivar observations: (8, observation_dim), on which values are compared
    :ivar actions: (8, action_dim)
    """

    def __init__(self, case: Case) -> None:
        self.case, self._rng = case, np.random.default_rng(case.seed)
        # A separate generator: the recorded values were made without truncations.
        self._truncations = np.random.default_rng(case.seed + 1000)
        inputs = case.observation_dim + len(case.low)
        self.weights: list[Array] = []
        for first, last in ((case.observation_dim, len(case.low)), (inputs, 1), (inputs, 1)):
            for size_in, size_out in pairwise((first, 256, 256, last)):
                k = 1 / np.sqrt(size_in)
                for shape in ((size_out, size_in), (size_out,)):
                    self.weights.append(self._rng.uniform(-k, k, shape).astype(np.float32))
        self.weights[4] = (self.weights[4] * case.gain).astype(np.float32)
        self.observations, self.actions = self._observations(8), self._actions(8)
        self._drawn: list[tuple[Batch, Array]] = []
        self._stream = self._draw()

    def batches(self, updates: int) -> list[tuple[Batch, Array]]:
        """The first batches, each with its target noise: standard normal (256, action_dim)."""
        self._drawn += islice(self._stream, max(0, updates - len(self._drawn)))
        return self._drawn[:updates]

    def _draw(self) -> Iterator[tuple[Batch, Array]]:
        rng = self._rng
        while True:
            observations, actions = self._observations(BATCH_SIZE), self._actions(BATCH_SIZE)
            following = observations + 0.1 * rng.standard_normal(observations.shape)
            rewards = rng.standard_normal((BATCH_SIZE, 1))
            terminated = rng.uniform(size=(BATCH_SIZE, 1)) <= 0.05
            truncated = (self._truncations.uniform(size=(BATCH_SIZE, 1)) < 0.2) & ~terminated
            noise = rng.standard_normal(actions.shape).astype(np.float32)
            arrays = (observations, actions, following, rewards, terminated, truncated)
            yield Batch(*(array.astype(np.float32) for array in arrays)), noise

    def _observations(self, size: int) -> Array:
        shape = (size, self.case.observation_dim)
        return self._rng.standard_normal(shape).astype(np.float32)

    def _actions(self, size: int) -> Array:
        shape = (size, len(self.case.low))
        return self._rng.uniform(self.case.low, self.case.high, shape).astype(np.float32)


@cache
def inputs_of(name: str) -> Inputs:
    """The inputs of a case, drawn once."""
    return Inputs(CASES[name])


@cache
def expected_values(name: str) -> dict[int, Values]:
    """What the published code computes in a case, by number of updates."""
    with np.load(DATA / CASES[name].file) as file:
        recorded = [n for n in RECORDED_UPDATES if f"{name}/{n}/actor" in file]
        return {
            n: {what: as_rows(file[f"{name}/{n}/{what}"]) for what in QUANTITIES} for n in recorded
        }


def as_rows(values: Any) -> Array:
    """The values on the eight probes as float32 (8, columns)."""
    return np.asarray(values, np.float32).reshape(8, -1)


def deviation(values: Values, expected: Values, what: tuple[str, ...] = QUANTITIES) -> float:
    """The largest difference; infinite where a value is not finite."""
    worst = float(np.max([np.abs(values[key] - expected[key]).max() for key in what]))
    return worst if np.isfinite(worst) else float("inf")
