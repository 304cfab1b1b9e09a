"""Classical controllers for the rocket, as policies: usable wherever a trained model is."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from scipy.linalg import solve_discrete_are

from envs.dynamics import THRUST_LIMIT, RocketParameters
from envs.rollout import Policy

Array = NDArray[np.float64]
Law = Callable[[Array, Array], Array]  # positions (n,) in m, velocities (n,) in m/s -> thrusts (n,)
Space = gym.spaces.Space[Any]

BRAKE_GAIN = 100.0  # 1/s
# For PD and PID. Full thrust can stop the rocket before it passes the origin if |v| <= sqrt(2 |x|).
# These gains brake along the line v = -(p/d) x. Within the |x| < 1.5 m that occur, it must satisfy
# this inequality, or the rocket overshoots: p/d <= sqrt(2/1.5) = 1.15 per s.
PROPORTIONAL_GAIN = 10.0  # 1/s^2
DERIVATIVE_GAIN = 9.0  # 1/s
# Nothing disturbs the rocket, so an integral has no lasting error to remove; a larger gain only
# makes the rocket overshoot, which the reward punishes.
INTEGRAL_GAIN = 0.02  # 1/s^3
# Near the origin the reward is 2 - x^2 - v^2 up to higher orders, hence these weights. It has no
# cost of thrust; a small one keeps the gain finite.
LQR_STATE_COST = np.eye(2)
LQR_THRUST_COST = np.array([[0.01]])


class Feedback:
    """A thrust computed from the current state alone.

    :param law: the thrust, before it is clipped to the limits
    """

    def __init__(self, law: Law) -> None:
        self.law = law

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[Any, None]:
        """Thrusts of shape (n, 1) for observations of shape (n, 2); see :class:`Policy`."""
        x, v = np.asarray(observation, dtype=np.float64).T
        return _as_actions(self.law(x, v)), None


class PID:
    """Thrust from position, velocity and the integral of position, which is the memory.

    The integral stays constant while the thrust is at its limit, to prevent windup.

    :param dt: time between two observations in s
    """

    def __init__(self, dt: float) -> None:
        self.dt = dt

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Thrusts of shape (n, 1) for observations of shape (n, 2); see :class:`Policy`."""
        x, v = np.asarray(observation, dtype=np.float64).T
        integral = np.zeros_like(x) if state is None else np.where(episode_start, 0.0, state)
        thrust = proportional_derivative(x, v) - INTEGRAL_GAIN * integral
        integral = integral + np.where(np.abs(thrust) < THRUST_LIMIT, x * self.dt, 0.0)
        return _as_actions(thrust), integral


class Random:
    """Actions drawn uniformly from an action space.

    :param seed: of the policy's own generator
    """

    def __init__(self, space: Space, seed: int = 0) -> None:
        self._space = space
        self._generator = np.random.default_rng(seed)
        self._batch: tuple[int, Space] = (0, space)  # n and the space of n actions

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[Any, None]:
        """Random actions, one for each observation; see :class:`Policy`."""
        n = len(next(iter(observation.values())) if isinstance(observation, dict) else observation)
        if n != self._batch[0]:
            seed = int(self._generator.integers(2**31))
            self._batch = n, batch_space(deepcopy(self._space), n)
            self._batch[1].seed(seed)
        return self._batch[1].sample(), None


def brake(x: Array, v: Array) -> Array:
    """Stop at any position, and stay there."""
    return -BRAKE_GAIN * v


def proportional_derivative(x: Array, v: Array) -> Array:
    """Linear feedback whose gains were chosen by hand."""
    return -PROPORTIONAL_GAIN * x - DERIVATIVE_GAIN * v


def linear_quadratic(dt: float) -> Law:
    """Linear feedback with the gain that minimises a quadratic cost: the discrete-time LQR.

    :param dt: length of a step in s
    """
    gain_x, gain_v = lqr_gain(dt)
    return lambda x, v: -gain_x * x - gain_v * v


def lqr_gain(dt: float) -> Array:
    """The gain K of u = -K (x, v), shape (2,), from the discrete algebraic Riccati equation."""
    a = np.array([[1.0, dt], [0.0, 1.0]])
    b = np.array([[0.5 * dt**2], [dt]])
    p = solve_discrete_are(a, b, LQR_STATE_COST * dt, LQR_THRUST_COST * dt)
    gain: Array = np.linalg.solve(LQR_THRUST_COST * dt + b.T @ p @ b, b.T @ p @ a)[0]
    return gain


def bang_bang(x: Array, v: Array) -> Array:
    """Full thrust towards the switching curve: the fastest way to the origin.

    Optimal for continuous time (Pontryagin's principle for the double integrator); at discrete
    steps it overshoots the curve by up to a step and so never comes fully to rest.
    """
    return -np.sign(x - switching_curve(v))


def switching_curve(v: Array) -> Array:
    """Positions in m from which full braking at velocity v (m/s) ends at the origin, at rest."""
    return -0.5 * v * np.abs(v) / THRUST_LIMIT


def zero(x: Array, v: Array) -> Array:
    """No thrust."""
    return np.zeros_like(x)


CONTROLLERS: dict[str, Callable[[RocketParameters, Space], Policy]] = {
    "random": lambda parameters, space: Random(space),
    "zero": lambda parameters, space: Feedback(zero),
    "brake": lambda parameters, space: Feedback(brake),
    "pd": lambda parameters, space: Feedback(proportional_derivative),
    "pid": lambda parameters, space: PID(parameters.dt),
    "lqr": lambda parameters, space: Feedback(linear_quadratic(parameters.dt)),
    "bang-bang": lambda parameters, space: Feedback(bang_bang),
}


def make_controller(name: str, env: gym.Env[Any, Any]) -> Policy:
    """The controller of that name for an environment.

    :param env: a rocket; for "random", any environment
    :raises ValueError: if there is no such controller, or it does not fit this environment
    """
    if name not in CONTROLLERS:
        raise ValueError(f"unknown controller {name!r}: it must be one of {', '.join(CONTROLLERS)}")
    parameters = getattr(env.unwrapped, "parameters", None)
    if not isinstance(parameters, RocketParameters):
        if name == "random":
            return Random(env.action_space)
        raise ValueError(f"controller {name!r} is for the rockets; on other environments: random")
    return CONTROLLERS[name](parameters, env.action_space)


def _as_actions(thrusts: Array) -> NDArray[np.float32]:
    clipped = np.clip(thrusts, -THRUST_LIMIT, THRUST_LIMIT)
    return clipped.astype(np.float32)[:, np.newaxis]
