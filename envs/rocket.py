"""The one-dimensional rocket as a Gymnasium environment."""

import math
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from envs import dynamics
from envs.dynamics import RocketParameters
from envs.rendering import draw_rocket

Observation = NDArray[np.float32]
Action = NDArray[np.float32]


class History(NamedTuple):
    """What happened since the last reset.

    times has shape (n + 1,) in s, states (n + 1, 2) in m and m/s, thrusts (n,) in m/s^2;
    thrusts[i] led from states[i] to states[i + 1].
    """

    times: NDArray[np.float64]
    states: NDArray[np.float64]
    thrusts: NDArray[np.float64]


class RocketEnv(gym.Env[Observation, Action]):
    """A rocket of unit mass on a line, to be brought to rest at the origin.

    | observation | meaning    | unit | lowest | highest |
    |-------------|------------|------|--------|---------|
    | 0           | position x | m    | -3     | 3       |
    | 1           | velocity v | m/s  | -3     | 3       |

    | action | meaning  | unit  | lowest | highest |
    |--------|----------|-------|--------|---------|
    | 0      | thrust u | m/s^2 | -1     | 1       |

    Transition: dx/dt = v, dv/dt = u, thrust clipped to [-1, 1] and constant over a step of
    ``dt``, integrated by the classical Runge-Kutta method (see :mod:`envs.dynamics`).

    Reward: see :func:`envs.dynamics.reward`, taken at the state after the step.

    Start: |x| and |v| uniform on [0.5, 1], each with its own random sign;
    ``reset(options={"initial_state": (x, v)})`` starts there instead.

    Termination: |x| > 2 or |v| > 2 (a crash), or |x| and |v| within ``goal_tolerance`` of 0.
    Truncation is left to the time limit of the registration, 500 steps.

    ``info["is_success"]`` tells whether the goal is reached.

    :param render_mode: None or "rgb_array"
    :param parameters: dt (s), goal_tolerance (m and m/s) and goal_reward, as in
        :class:`envs.dynamics.RocketParameters`
    :raises ValueError: for a parameter out of range or an unknown render mode
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 100}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, **parameters: float) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode must be None or one of {self.metadata['render_modes']},"
                f" got {render_mode!r}"
            )
        self.render_mode = render_mode
        self.parameters = RocketParameters(**parameters)
        self.metadata = {**self.metadata, "render_fps": max(1, round(1 / self.parameters.dt))}
        limit = dynamics.OBSERVATION_LIMIT
        self.observation_space = spaces.Box(-limit, limit, (2,), np.float32)
        limit = dynamics.THRUST_LIMIT
        self.action_space = spaces.Box(-limit, limit, (1,), np.float32)
        self._states: list[tuple[float, float]] = []
        self._thrusts: list[float] = []
        self._must_reset = True

    @property
    def state(self) -> tuple[float, float]:
        """Position in m and velocity in m/s, in double precision."""
        return self._states[-1]

    @property
    def history(self) -> History:
        """Times, states and thrusts since the last reset, as fresh arrays."""
        return History(
            times=self.parameters.dt * np.arange(len(self._states), dtype=np.float64),
            states=np.array(self._states, dtype=np.float64).reshape(-1, 2),
            thrusts=np.array(self._thrusts, dtype=np.float64),
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        :param seed: seeds the environment's own generator; None lets it go on
        :param options: ``{"initial_state": (x, v)}`` in m and m/s, or None
        :raises ValueError: if the initial state is not two finite numbers within [-2, 2]
        """
        super().reset(seed=seed)
        if options is not None and "initial_state" in options:
            state = _validated_state(options["initial_state"])
        else:
            state = self._random_state()
        self._states = [state]
        self._thrusts = []
        self._must_reset = False
        return self._observation(), {"is_success": False}

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Apply a thrust for one step of ``dt``.

        :param action: shape (1,), thrust in m/s^2, clipped to [-1, 1]
        :raises ValueError: if the thrust is NaN
        :raises gymnasium.error.ResetNeeded: before the first reset and after a termination
        """
        if self._must_reset:
            raise ResetNeeded("call reset() before the first step and after a termination")
        u = float(action[0])
        if math.isnan(u):
            raise ValueError("the action is NaN; a thrust in [-1, 1] is needed")
        u = min(max(u, -dynamics.THRUST_LIMIT), dynamics.THRUST_LIMIT)

        x, v = dynamics.advance(*self.state, u, self.parameters.dt)
        at_goal = dynamics.is_at_goal(x, v, self.parameters.goal_tolerance)
        terminated = at_goal or dynamics.is_crashed(x, v)

        self._states.append((x, v))
        self._thrusts.append(u)
        self._must_reset = terminated
        reward = dynamics.reward(x, v, self.parameters)
        return self._observation(), reward, terminated, False, {"is_success": at_goal}

    def render(self) -> NDArray[np.uint8] | None:
        """The present state as an RGB image of shape (200, 600, 3); None without a render mode.

        :raises gymnasium.error.ResetNeeded: before the first reset
        """
        if self.render_mode is None:
            return None
        if not self._states:
            raise ResetNeeded("call reset() before render()")
        x, v = self.state
        u = self._thrusts[-1] if self._thrusts else 0.0
        return draw_rocket(x, v, u, time=self.parameters.dt * len(self._thrusts))

    def get_state(self) -> dict[str, Any]:
        """All that the next steps and resets depend on, as JSON values."""
        return {
            "states": list(self._states),
            "thrusts": list(self._thrusts),
            "must_reset": self._must_reset,
            "generator": self.np_random.bit_generator.state,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`get_state` of an equal environment returned."""
        self._states = [(x, v) for x, v in state["states"]]
        self._thrusts = list(state["thrusts"])
        self._must_reset = state["must_reset"]
        self.np_random.bit_generator.state = state["generator"]

    def _random_state(self) -> tuple[float, float]:
        """Draw magnitudes and signs of position and velocity from the environment's generator."""
        sizes = self.np_random.uniform(dynamics.START_LOW, dynamics.START_HIGH, 2)
        signs = self.np_random.choice((-1.0, 1.0), 2)
        x, v = (sizes * signs).tolist()
        return x, v

    def _observation(self) -> Observation:
        return np.array(self.state, dtype=np.float32)


def _validated_state(state: Any) -> tuple[float, float]:
    """Two finite floats within the limits, or a ValueError that says so."""
    try:
        x, v = (float(value) for value in state)
    except (TypeError, ValueError):
        raise ValueError(f"initial_state must be two numbers (x, v), got {state!r}") from None
    # A NaN fails every comparison, so it is refused here too.
    if not (abs(x) <= dynamics.POSITION_LIMIT and abs(v) <= dynamics.VELOCITY_LIMIT):
        raise ValueError(
            f"initial_state must be finite with |x| <= {dynamics.POSITION_LIMIT}"
            f" and |v| <= {dynamics.VELOCITY_LIMIT}, got {state!r}"
        )
    return x, v
