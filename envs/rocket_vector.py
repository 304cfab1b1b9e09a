"""Many rockets side by side, as one Gymnasium vector environment in batched NumPy."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs import dynamics
from envs.dynamics import RocketParameters
from envs.rendering import draw_rocket
from envs.rocket import RocketEnv, validated_states

Observations = NDArray[np.float32]
Actions = NDArray[np.float32]
Info = dict[str, Any]
Step = tuple[
    Observations, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
]


class RocketVectorEnv(VectorEnv[Observations, Actions, NDArray[Any]]):
    """n rockets, each as in :class:`envs.rocket.RocketEnv`, advanced together.

    A rocket whose episode ends is started anew, as Gymnasium defines it: in mode NEXT_STEP at
    the next step, whose action is ignored and whose reward is 0; in mode SAME_STEP at once, with
    the last observation and info in ``infos["final_obs"]`` and ``infos["final_info"]``. Start
    states are drawn from one generator for the whole batch.

    ``infos["is_success"]`` (n,) tells which rockets have reached the goal at this step.

    :param num_envs: n, the number of rockets
    :param max_episode_steps: steps after which an episode is truncated; None for no limit
    :param render_mode: None, or "rgb_array" for one frame of each rocket from :meth:`render`
    :param autoreset_mode: "NextStep" or "SameStep"
    :param parameters: those of :class:`envs.dynamics.RocketParameters`
    :raises ValueError: for a parameter out of range, an unknown render or autoreset mode
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": 100,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
        "autoreset_modes": ["NextStep", "SameStep"],
        "seed_per_env": True,
    }

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = 500,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        **parameters: Any,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs must be 1 or more, got {num_envs!r}")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f'render_mode must be None or "rgb_array", got {render_mode!r}')
        mode = AutoresetMode(autoreset_mode)
        if mode is AutoresetMode.DISABLED:
            raise ValueError(f"autoreset_mode must be NextStep or SameStep, got {autoreset_mode!r}")
        single = RocketEnv(**parameters)
        self.parameters: RocketParameters = single.parameters
        self.num_envs = num_envs
        self.max_episode_steps = max_episode_steps
        self.render_mode = render_mode
        self.autoreset_mode = mode
        self.metadata = {**self.metadata, **single.metadata, "autoreset_mode": mode}
        self.metadata["render_modes"] = ["rgb_array"]
        self.single_observation_space = single.observation_space
        self.single_action_space = single.action_space
        # Copies, since batch_space() gives the space that it is passed a randomly seeded generator.
        self.observation_space = batch_space(deepcopy(single.observation_space), num_envs)
        self.action_space = batch_space(deepcopy(single.action_space), num_envs)
        self._x = np.full(num_envs, np.nan)  # no state before the first reset
        self._v = np.full(num_envs, np.nan)
        self._u = np.zeros(num_envs)
        self._elapsed = np.zeros(num_envs, dtype=np.int64)
        self._is_over = np.zeros(num_envs, dtype=bool)
        self._all = np.ones(num_envs, dtype=bool)  # returned at every step, hence read-only
        self._all.flags.writeable = False

    @property
    def state(self) -> NDArray[np.float64]:
        """Positions in m and velocities in m/s, shape (n, 2), in double precision, as a copy."""
        return np.stack((self._x, self._v), axis=1)

    def reset(
        self,
        *,
        seed: int | Sequence[int] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observations, Info]:
        """Start episodes.

        :param seed: of the batch's generator; or n seeds, where rocket k starts as a single
            environment does from ``reset(seed=seeds[k])``; None goes on with the generator
        :param options: ``{"initial_state": states}`` of shape (n, 2) in m and m/s;
            ``{"reset_mask": mask}`` of shape (n,), bool: only these rockets start anew
        :raises ValueError: for states out of bounds, an empty mask, or arrays of wrong shape
        :raises TypeError: if the mask is not an array of bool
        :raises gymnasium.error.ResetNeeded: if the first reset leaves rockets out
        """
        options = options or {}
        mask = np.ones(self.num_envs, dtype=bool)
        if "reset_mask" in options:
            mask = _validated_mask(options["reset_mask"], self.num_envs)
        if np.isnan(self._x[~mask]).any():
            raise ResetNeeded("the first reset must start all rockets")
        starts = self._seed(seed)
        if "initial_state" in options:
            shape = (self.num_envs, 2)
            starts = validated_states(options["initial_state"], shape, self.parameters)
        self._start(mask.nonzero()[0], starts)
        self._is_over &= ~mask
        return self._observations(), {
            "is_success": np.zeros(self.num_envs, bool),
            "_is_success": mask,
        }

    def step(self, actions: Actions) -> Step:
        """Apply a thrust to each rocket for one step of ``dt``.

        :param actions: shape (n, 1), thrusts in m/s^2, clipped to [-1, 1]
        :return: observations (n, 2), rewards (n,), terminations (n,), truncations (n,), infos
        :raises ValueError: if a thrust is NaN, or for another shape
        :raises gymnasium.error.ResetNeeded: before the first reset
        """
        u = self._thrusts(actions)
        x, v, rewards, crashed, at_goal = dynamics.transition(self._x, self._v, u, self.parameters)
        terminations = crashed | at_goal
        elapsed = self._elapsed + 1
        if self.max_episode_steps is None:
            truncations = np.zeros(self.num_envs, dtype=bool)
        else:
            truncations = elapsed >= self.max_episode_steps
        self._x, self._v, self._u, self._elapsed = x, v, u, elapsed

        over_before = self._is_over
        infos: Info = {}
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            if over_before.any():
                rows = over_before.nonzero()[0]
                self._start(rows)
                for values in (rewards, terminations, truncations, at_goal):
                    values[rows] = 0
            self._is_over = terminations | truncations
        else:
            over = terminations | truncations
            if over.any():
                infos = self._final_infos(over, at_goal)
                at_goal[over] = False
                self._start(over.nonzero()[0])
        infos["is_success"] = at_goal
        infos["_is_success"] = self._all
        return self._observations(), rewards, terminations, truncations, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """One image of shape (200, 600, 3) of each rocket; None without a render mode."""
        if self.render_mode is None:
            return None
        limit = self.parameters.position_limit
        rows = zip(self._x, self._v, self._u, self._elapsed * self.parameters.dt, strict=True)
        return tuple(draw_rocket(x, v, u, time, limit) for x, v, u, time in rows)

    def get_state(self) -> dict[str, Any]:
        """All that the next steps and resets depend on, as JSON values."""
        names = ("_x", "_v", "_u", "_elapsed", "_is_over")
        state = {name: getattr(self, name).tolist() for name in names}
        return {**state, "generator": self.np_random.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`get_state` of an equal environment returned."""
        values = dict(state)
        self.np_random.bit_generator.state = values.pop("generator")
        for name, value in values.items():
            setattr(self, name, np.array(value, dtype=getattr(self, name).dtype))

    def _seed(self, seed: int | Sequence[int] | None) -> NDArray[np.float64] | None:
        """Seed the generator; with a seed for each rocket, also draw its start state."""
        if seed is None or isinstance(seed, int | np.integer):
            super().reset(seed=None if seed is None else int(seed))
            return None
        seeds = list(seed)
        if len(seeds) != self.num_envs or None in seeds:
            raise ValueError(f"seed must be {self.num_envs} whole numbers, one for each: {seed!r}")
        self.np_random = np.random.default_rng(seeds)
        starts = [dynamics.draw_starts(np_random(each)[0], 1, self.parameters) for each in seeds]
        return np.concatenate(starts)

    def _start(self, rows: NDArray[np.int64], starts: NDArray[np.float64] | None = None) -> None:
        """Start these rockets from their rows of ``starts``, shape (n, 2), or from drawn states."""
        if starts is None:
            drawn = dynamics.draw_starts(self.np_random, len(rows), self.parameters)
        else:
            drawn = starts[rows]
        self._x[rows] = drawn[:, 0]
        self._v[rows] = drawn[:, 1]
        self._u[rows] = 0.0
        self._elapsed[rows] = 0

    def _thrusts(self, actions: Actions) -> NDArray[np.float64]:
        """Thrusts of shape (n,), clipped to the limits."""
        if np.isnan(self._x[0]):
            raise ResetNeeded("call reset() before the first step")
        if np.shape(actions) != (self.num_envs, 1):
            raise ValueError(
                f"actions must have shape ({self.num_envs}, 1), got {np.shape(actions)}"
            )
        thrusts = np.asarray(actions, dtype=np.float64)[:, 0]
        if (np.isnan(thrusts) & ~self._is_over).any():  # ignored where the episode is over
            raise ValueError("an action is NaN; thrusts in [-1, 1] are needed")
        # Takes half the time of np.clip.
        return np.minimum(np.maximum(thrusts, -dynamics.THRUST_LIMIT), dynamics.THRUST_LIMIT)

    def _observations(self) -> Observations:
        observations = np.empty((self.num_envs, 2), dtype=np.float32)
        observations[:, 0] = self._x
        observations[:, 1] = self._v
        return observations

    def _final_infos(self, over: NDArray[np.bool_], at_goal: NDArray[np.bool_]) -> Info:
        """Last observations and infos of the rockets that are over, in Gymnasium's format."""
        observations = self._observations()
        final_obs = np.full(self.num_envs, None, dtype=object)
        for k in np.flatnonzero(over):
            final_obs[k] = observations[k]
        final_info = {"is_success": at_goal & over, "_is_success": over.copy()}
        return {
            "final_obs": final_obs,
            "_final_obs": over.copy(),
            "final_info": final_info,
            "_final_info": over.copy(),
        }


def _validated_mask(mask: Any, n: int) -> NDArray[np.bool_]:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
        raise TypeError(f"reset_mask must be an array of bool, got {mask!r}")
    if mask.shape != (n,) or not mask.any():
        raise ValueError(f"reset_mask must have shape ({n},) and a true entry, got {mask!r}")
    return mask.copy()
