"""Physics and reward of the one-dimensional rocket: pure functions, no environment needed.

Every function takes plain floats or NumPy arrays of any one shape and computes the same numbers
for both, so that a single rocket and a batch of rockets share one definition.
"""

from dataclasses import dataclass
from typing import Any

POSITION_LIMIT = 2.0  # m; beyond it the rocket is lost
VELOCITY_LIMIT = 2.0  # m/s
THRUST_LIMIT = 1.0  # m/s^2; the rocket has unit mass
OBSERVATION_LIMIT = 3.0  # m and m/s; no step of at most MAX_DT leaves it
MAX_DT = 0.4  # s

START_LOW = 0.5  # |x| in m and |v| in m/s of a start state lie between START_LOW and START_HIGH
START_HIGH = 1.0

MOVING_AWAY_COST = 10.0  # per m/s of speed away from the origin
CRASH_COST = 500.0

Number = Any  # float or NDArray[np.float64]: the arithmetic below is written once for both


@dataclass(frozen=True, kw_only=True)
class RocketParameters:
    """What may differ from one rocket task to another.

    :param dt: length of a step in seconds, in (0, 0.4]
    :param goal_tolerance: the goal is reached when |x| (m) and |v| (m/s) are both within it
    :param goal_reward: reward added on reaching the goal
    :raises ValueError: where a parameter is not finite or outside its range
    """

    dt: float = 0.01
    goal_tolerance: float = 1e-8
    goal_reward: float = 500.0

    def __post_init__(self) -> None:
        if not 0.0 < self.dt <= MAX_DT:
            raise ValueError(f"dt must be in (0, {MAX_DT}] seconds, got {self.dt!r}")
        if not 0.0 <= self.goal_tolerance < START_LOW:
            raise ValueError(
                f"goal_tolerance must be in [0, {START_LOW}), got {self.goal_tolerance!r}"
            )
        if not 0.0 <= self.goal_reward < float("inf"):
            raise ValueError(
                f"goal_reward must be finite and not negative, got {self.goal_reward!r}"
            )


def derivative(v: Number, u: Number) -> tuple[Number, Number]:
    """Time derivative of the state: dx/dt = v, dv/dt = u.

    :param v: velocity in m/s
    :param u: thrust in m/s^2
    :return: (dx/dt, dv/dt)
    """
    return v, u


def advance(x: Number, v: Number, u: Number, dt: float) -> tuple[Number, Number]:
    """One step of the classical fourth-order Runge-Kutta method under constant thrust.

    :param x: position in m
    :param v: velocity in m/s
    :param u: thrust in m/s^2, already within [-1, 1]
    :param dt: length of the step in s
    :return: position and velocity after the step
    """
    half = 0.5 * dt
    dx1, dv1 = derivative(v, u)
    dx2, dv2 = derivative(v + half * dv1, u)
    dx3, dv3 = derivative(v + half * dv2, u)
    dx4, dv4 = derivative(v + dt * dv3, u)
    next_x = x + dt / 6.0 * (dx1 + 2.0 * dx2 + 2.0 * dx3 + dx4)
    next_v = v + dt / 6.0 * (dv1 + 2.0 * dv2 + 2.0 * dv3 + dv4)
    return next_x, next_v


def is_crashed(x: Number, v: Number) -> Number:
    """Whether the rocket is lost: |x| > 2 m or |v| > 2 m/s."""
    return (abs(x) > POSITION_LIMIT) | (abs(v) > VELOCITY_LIMIT)


def is_at_goal(x: Number, v: Number, goal_tolerance: float) -> Number:
    """Whether both |x| (m) and |v| (m/s) are within the tolerance of zero."""
    return (abs(x) <= goal_tolerance) & (abs(v) <= goal_tolerance)


def reward(x: Number, v: Number, parameters: RocketParameters) -> Number:
    """Reward for arriving in state (x, v).

    1/(x^2 + 1); plus 1/(v^2 + 1), or -10 |v| when moving away from the origin (x v > 0);
    minus 500 for a crash; plus the goal reward at the goal.

    :param x: position in m after the step
    :param v: velocity in m/s after the step
    """
    at_goal = is_at_goal(x, v, parameters.goal_tolerance)
    # A truth value times a number in place of a branch: the one form that serves floats and arrays.
    return (
        1.0 / (x * x + 1.0)
        + (x * v <= 0.0) / (v * v + 1.0)
        - (x * v > 0.0) * (MOVING_AWAY_COST * abs(v))
        - is_crashed(x, v) * CRASH_COST
        + at_goal * parameters.goal_reward
    )
