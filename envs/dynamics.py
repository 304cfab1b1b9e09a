"""Physics and reward of the one-dimensional rocket: pure functions, no environment needed.

The functions take plain floats, or NumPy arrays of equal shape, and compute the same numbers for
both, so that a single rocket and a batch of rockets share one definition.
"""

import math
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRUST_LIMIT = 1.0  # m/s^2; the rocket has unit mass
OBSERVATION_MARGIN = 1.0  # m and m/s beyond the limits, so that a crash can be observed

Number = Any  # float or NDArray[np.float64]: the arithmetic below is written once for both


@dataclass(frozen=True, kw_only=True)
class RocketParameters:
    """The parameters in which rocket tasks may differ; the defaults are rocket-v0's.

    :param dt: length of a step in s
    :param position_limit: |x| in m beyond which the rocket is lost
    :param velocity_limit: |v| in m/s beyond which it is lost
    :param start_low: smallest |x| in m and |v| in m/s of a start state
    :param start_high: largest |x| and |v| of a start state
    :param goal_tolerance: the goal is reached when |x| (m) and |v| (m/s) are both within it
    :param goal_reward: added on reaching the goal
    :param crash_cost: subtracted on a crash
    :param moving_away_cost: subtracted per m/s of speed away from the origin
    :param step_cost: subtracted at every step
    :raises ValueError: naming the parameter that is out of range, and the range
    """

    dt: float = 0.01
    position_limit: float = 2.0
    velocity_limit: float = 2.0
    start_low: float = 0.5
    start_high: float = 1.0
    goal_tolerance: float = 1e-8
    goal_reward: float = 500.0
    crash_cost: float = 500.0
    moving_away_cost: float = 10.0
    step_cost: float = 0.0

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise ValueError(f"{name} must be a number, got {value!r}")
            if not 0.0 <= float(value) < math.inf:
                raise ValueError(f"{name} must be finite and not negative, got {value!r}")
            object.__setattr__(self, name, float(value))
        # The longest step that cannot leave the observation space from within the limits.
        room = 2.0 * OBSERVATION_MARGIN
        longest = math.hypot(self.velocity_limit, math.sqrt(room)) - self.velocity_limit
        longest = min(longest, OBSERVATION_MARGIN / THRUST_LIMIT)
        highest = min(self.position_limit, self.velocity_limit)
        low, high = self.start_low, self.start_high
        for name, is_in_range, accepted in (
            ("position_limit", self.position_limit > 0.0, "above 0 m"),
            ("velocity_limit", self.velocity_limit > 0.0, "above 0 m/s"),
            ("dt", 0.0 < self.dt <= longest, f"in (0, {longest:.3f}] s at this velocity_limit"),
            ("start_high", high <= highest, f"at most {highest}, within both limits"),
            ("start_low", 0.0 < low <= high, f"in (0, {high}], up to start_high"),
            ("goal_tolerance", self.goal_tolerance < low, f"in [0, {low}), below start_low"),
        ):
            if not is_in_range:
                raise ValueError(f"{name} must be {accepted}, got {getattr(self, name)!r}")

    @property
    def observation_limit(self) -> float:
        """Largest |x| in m and |v| in m/s that can be observed."""
        return max(self.position_limit, self.velocity_limit) + OBSERVATION_MARGIN


def transition(
    x: Number, v: Number, u: Number, parameters: RocketParameters
) -> tuple[Number, Number, Number, Number, Number]:
    """One step of the task.

    :param x: position in m
    :param v: velocity in m/s
    :param u: thrust in m/s^2, already within [-1, 1]
    :return: next position, next velocity, reward, whether it is a crash, whether it is the goal
    """
    x, v = advance(x, v, u, parameters.dt)
    return x, v, *outcome(x, v, parameters)


def draw_starts(
    generator: np.random.Generator, n: int, parameters: RocketParameters
) -> NDArray[np.float64]:
    """Start states: sizes of x and v uniform within the start region, each with a random sign.

    :return: shape (n, 2), positions in m and velocities in m/s
    """
    sizes = generator.uniform(parameters.start_low, parameters.start_high, (n, 2))
    signs = 2.0 * generator.integers(0, 2, (n, 2)) - 1.0
    return sizes * signs


def advance(x: Number, v: Number, u: Number, dt: float) -> tuple[Number, Number]:
    """One step of the classical fourth-order Runge-Kutta method for dx/dt = v, dv/dt = u.

    The thrust is constant over the step, so the two stages at its middle are the same, and the
    result is exact: x + v dt + u dt^2 / 2 and v + u dt, up to rounding.

    :param x: position in m
    :param v: velocity in m/s
    :param u: thrust in m/s^2, already within [-1, 1]
    :param dt: length of the step in s
    :return: position and velocity after the step
    """
    twice_middle = 2.0 * (v + 0.5 * dt * u)
    twice_u = 2.0 * u
    next_x = x + dt / 6.0 * (v + twice_middle + twice_middle + (v + dt * u))
    next_v = v + dt / 6.0 * (u + twice_u + twice_u + u)
    return next_x, next_v


def reward(x: Number, v: Number, parameters: RocketParameters) -> Number:
    """Reward for arriving in state (x, v).

    1/(x^2 + 1); plus 1/(v^2 + 1), or minus ``moving_away_cost`` |v| when moving away from the
    origin (x v > 0); minus ``crash_cost`` for a crash; plus ``goal_reward`` at the goal; minus
    ``step_cost``.

    :param x: position in m after the step
    :param v: velocity in m/s after the step
    """
    return outcome(x, v, parameters)[0]


def outcome(x: Number, v: Number, parameters: RocketParameters) -> tuple[Number, Number, Number]:
    """Reward for arriving in state (x, v), whether it is a crash, and whether it is the goal.

    They are computed together to save array operations in a batch.
    """
    outward = x * v
    distance, speed = abs(x), abs(v)
    tolerance = parameters.goal_tolerance
    crashed = (distance > parameters.position_limit) | (speed > parameters.velocity_limit)
    at_goal = (distance <= tolerance) & (speed <= tolerance)
    # Booleans are multiplied instead of branching, so that one formula serves floats and arrays.
    reward = (
        1.0 / (x * x + 1.0)
        + (outward <= 0.0) / (v * v + 1.0)
        - (outward > 0.0) * (parameters.moving_away_cost * speed)
        - crashed * parameters.crash_cost
        + at_goal * parameters.goal_reward
        - parameters.step_cost
    )
    return reward, crashed, at_goal
