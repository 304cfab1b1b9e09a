"""The one-dimensional rocket as a Gymnasium environment."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from envs.dynamics import THRUST_LIMIT, RocketParameters, draw_starts, transition
from envs.rendering import Window, draw_rocket
from envs.rocket_metrics import jitter, steady_state_error
from envs.rollout import Episode

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

    (the bounds of observations lie 1 beyond the larger limit, so that a crash can be observed)

    | action | meaning  | unit  | lowest | highest |
    |--------|----------|-------|--------|---------|
    | 0      | thrust u | m/s^2 | -1     | 1       |

    Transition: dx/dt = v, dv/dt = u, thrust clipped to [-1, 1] and constant over a step of
    ``dt``, integrated by the classical Runge-Kutta method (see :mod:`envs.dynamics`).

    Reward: see :func:`envs.dynamics.reward`, taken at the state after the step.

    Start: |x| and |v| uniform on [``start_low``, ``start_high``], each with its own random sign;
    ``reset(options={"initial_state": (x, v)})`` starts there instead.

    Termination: |x| > ``position_limit`` or |v| > ``velocity_limit`` (a crash), or |x| and |v|
    within ``goal_tolerance`` of 0. Only Gymnasium's time limit truncates.

    ``info["is_success"]`` tells whether the goal is reached.

    :param render_mode: None, "rgb_array" for frames from :meth:`render`, or "human" for a window
    :param parameters: those of :class:`envs.dynamics.RocketParameters`
    :raises ValueError: for a parameter out of range or an unknown render mode
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["human", "rgb_array"],
        "render_fps": 100,
    }
    # What evaluations on held-out starts measure in an episode besides its return, by name.
    episode_measures: ClassVar[dict[str, Callable[[Episode], float]]] = {
        "steady_state_error": steady_state_error,  # m
        "jitter": jitter,  # m/s^2
    }

    def __init__(self, render_mode: str | None = None, **parameters: Any) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(
                f"render_mode must be None or one of {self.metadata['render_modes']},"
                f" got {render_mode!r}"
            )
        self.render_mode = render_mode
        self.parameters = RocketParameters(**parameters)
        self.metadata = {**self.metadata, "render_fps": max(1, round(1 / self.parameters.dt))}
        limit = self.parameters.observation_limit
        self.observation_space = spaces.Box(-limit, limit, (2,), np.float32)
        self.action_space = spaces.Box(-THRUST_LIMIT, THRUST_LIMIT, (1,), np.float32)
        self._states: list[tuple[float, float]] = []
        self._thrusts: list[float] = []
        self._must_reset = True
        self._window: Window | None = None

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

        :param seed: seeds the environment's own generator; None goes on with it
        :param options: ``{"initial_state": (x, v)}`` in m and m/s, or None
        :raises ValueError: if the initial state is not two finite numbers within the limits
        """
        super().reset(seed=seed)
        if options is not None and "initial_state" in options:
            start = validated_states(options["initial_state"], (2,), self.parameters)
        else:
            start = draw_starts(self.np_random, 1, self.parameters)[0]
        self._states = [(float(start[0]), float(start[1]))]
        self._thrusts = []
        self._must_reset = False
        if self.render_mode == "human":
            self.render()
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
        if u > THRUST_LIMIT:
            u = THRUST_LIMIT
        elif u < -THRUST_LIMIT:
            u = -THRUST_LIMIT

        x, v = self._states[-1]
        x, v, reward, crashed, at_goal = transition(x, v, u, self.parameters)

        self._states.append((x, v))
        self._thrusts.append(u)
        self._must_reset = terminated = crashed or at_goal
        if self.render_mode == "human":
            self.render()
        return self._observation(), reward, terminated, False, {"is_success": at_goal}

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the current state as an RGB image of shape (200, 600, 3), or show it in the window.

        :return: None in render mode "human" and without a render mode
        :raises gymnasium.error.ResetNeeded: before the first reset
        """
        if self.render_mode is None:
            return None
        if not self._states:
            raise ResetNeeded("call reset() before render()")
        x, v = self.state
        u = self._thrusts[-1] if self._thrusts else 0.0
        time = self.parameters.dt * len(self._thrusts)
        frame = draw_rocket(x, v, u, time, self.parameters.position_limit)
        if self.render_mode == "rgb_array":
            return frame
        if self._window is None:
            self._window = Window("Rocket")
        self._window.show(frame, fps=self.metadata["render_fps"])
        return None

    def close(self) -> None:
        """Remove the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

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

    def __getstate__(self) -> dict[str, Any]:
        """The state for pickling and copying: everything except the window."""
        return {**self.__dict__, "_window": None}

    def _observation(self) -> Observation:
        observation = np.empty(2, dtype=np.float32)  # filling it is faster than converting a tuple
        observation[0], observation[1] = self._states[-1]
        return observation


def validated_states(
    states: Any, shape: tuple[int, ...], parameters: RocketParameters
) -> NDArray[np.float64]:
    """The states as an array of the given shape, whose last axis is (x, v).

    :raises ValueError: unless all are finite and within the limits
    """
    limits = np.array([parameters.position_limit, parameters.velocity_limit])
    try:
        array = np.array(states, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    # A NaN fails every comparison, so it is refused here too.
    if array.shape != shape or not (np.abs(array) <= limits).all():
        raise ValueError(
            f"initial_state must be finite numbers (x, v) in an array of shape {shape},"
            f" |x| <= {limits[0]} and |v| <= {limits[1]}; got {states!r}"
        )
    return array
