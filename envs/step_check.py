"""Check and copy what an environment returns, at each step of training and evaluation."""

import copy
import math
import time
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium import spaces

# Dtype kinds in words. A Box accepts only its own kind; the others accept WHOLE_NUMBERS.
KINDS = {"f": "floating-point", "i": "whole", "u": "unsigned whole", "b": "boolean"}
WHOLE_NUMBERS = {spaces.Discrete: "iu", spaces.MultiDiscrete: "iu", spaces.MultiBinary: "iub"}


class CallClock:
    """Records which call of an environment is in progress, and since when, for a watchdog."""

    what: str | None = None
    since = 0.0

    def enter(self, what: str) -> None:
        """Note that a call begins."""
        self.since = time.monotonic()
        self.what = what

    def leave(self) -> None:
        """Note that it has returned."""
        self.what = None


CLOCK = CallClock()  # of this process


class StepError(ValueError):
    """An action, or what an environment returned, cannot be used.

    :param at_reset: whether ``reset`` returned it, and not ``step``
    """

    def __init__(self, message: str, at_reset: bool = False) -> None:
        super().__init__(message)
        self.at_reset = at_reset


class NotFiniteError(StepError):
    """An action, observation or reward is NaN or infinite."""


class SpaceMismatchError(StepError):
    """An observation is not of its space's shape or kind, or a reward is not one number."""


class ObservationCheck:
    """Compares observations with a space: shape, dtype kind, and that all numbers are finite.

    Bounds are not checked. A float64 observation passes for a float32 space, integers do not.
    Spaces of varying size (Text, Sequence, Graph, OneOf) are not checked.

    :param space: of the observations
    :param batch: axes before those of the space, such as ``(n,)`` for n environments
    """

    def __init__(self, space: gym.Space[Any], batch: tuple[int, ...] = ()) -> None:
        self._parts: list[tuple[tuple[Any, ...], tuple[int, ...], str]] = []
        self._add(space, (), batch)

    def _add(self, space: gym.Space[Any], path: tuple[Any, ...], batch: tuple[int, ...]) -> None:
        if isinstance(space, spaces.Dict):
            for name, part in space.spaces.items():
                self._add(part, (*path, name), batch)
        elif isinstance(space, spaces.Tuple):
            for i, part in enumerate(space.spaces):
                self._add(part, (*path, i), batch)
        elif isinstance(space, spaces.Box):
            self._parts.append((path, (*batch, *space.shape), space.dtype.kind))
        elif type(space) in WHOLE_NUMBERS:
            shape = (*batch, *(space.shape or ()))
            self._parts.append((path, shape, WHOLE_NUMBERS[type(space)]))

    def __call__(self, observation: Any, at_reset: bool = False) -> None:
        """Check one observation.

        :param at_reset: whether ``reset`` returned it
        :raises NotFiniteError: if a number is NaN or infinite
        :raises SpaceMismatchError: if the space promises another shape or kind
        """
        for path, shape, kinds in self._parts:
            value = observation
            name = "observation"
            for key in path:
                name += f"[{key!r}]"
                try:
                    value = value[key]
                except (KeyError, IndexError, TypeError):
                    raise SpaceMismatchError(f"{name} is missing", at_reset) from None
            array = value if isinstance(value, np.ndarray) else as_array(value, name, at_reset)
            if array.shape != shape or array.dtype.kind not in kinds:
                raise SpaceMismatchError(
                    f"{name} has shape {array.shape} and dtype {array.dtype}, where its space has"
                    f" {shape} and {KINDS[kinds[0]]} numbers",
                    at_reset,
                )
            if kinds == "f" and not np.isfinite(array).all():
                raise NotFiniteError(f"{name} is NaN or infinite", at_reset)


def as_array(value: Any, name: str, at_reset: bool = False) -> np.ndarray[Any, Any]:
    """A value as an array.

    :raises SpaceMismatchError: if it cannot be converted
    """
    try:
        return np.asarray(value)
    except ValueError:
        raise SpaceMismatchError(f"{name} is not an array: {value!r:.60}", at_reset) from None


def check_reward(reward: Any) -> None:
    """Check one environment's reward: it must be one real and finite number.

    :raises NotFiniteError: if it is NaN or infinite
    :raises SpaceMismatchError: if it is not a number, or is an array with axes
    """
    if type(reward) is not float:
        array = as_array(reward, "reward")
        if array.shape != () or array.dtype.kind not in "fiub":
            raise SpaceMismatchError(f"reward must be one number, got {reward!r:.60}")
    if not math.isfinite(reward):
        raise NotFiniteError("reward is NaN or infinite")


def check_rewards(rewards: Any, n: int) -> None:
    """Check the rewards of n environments, shape (n,); errors as in :func:`check_reward`."""
    array = as_array(rewards, "reward")
    if array.shape != (n,) or array.dtype.kind not in "fiub":
        raise SpaceMismatchError(f"reward must be {n} numbers, got {rewards!r:.60}")
    if not np.isfinite(array).all():
        raise NotFiniteError("reward is NaN or infinite")


def copied(value: Any) -> Any:
    """A copy that later changes of the original do not affect."""
    if isinstance(value, np.ndarray):
        return value.copy() if value.dtype != object else copy.deepcopy(value)
    if isinstance(value, np.generic | int | float):
        return value
    return copy.deepcopy(value)


class StepGuard(gym.Wrapper[Any, Any, Any, Any]):
    """Checks and copies all that passes between an agent and an environment.

    An environment may return the same array again and again, changing it in place, or change
    the action that it is given. Neither affects what the agent has kept.

    :param env: the environment, below any Monitor
    :param checks: whether to check, or only to copy
    """

    def __init__(self, env: gym.Env[Any, Any], checks: bool = True) -> None:
        super().__init__(env)
        self._checks = checks
        self._check = ObservationCheck(env.observation_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        :raises NotFiniteError: if the observation is NaN or infinite
        :raises SpaceMismatchError: if it does not fit its space
        """
        CLOCK.enter("reset")
        observation, info = self.env.reset(seed=seed, options=options)
        CLOCK.leave()
        if self._checks:
            self._check(observation, at_reset=True)
        return copied(observation), info

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take a step.

        :raises NotFiniteError: if action, observation or reward is NaN or infinite
        :raises SpaceMismatchError: if observation or reward is of another shape or kind
        """
        if self._checks and isinstance(action, np.ndarray) and not np.isfinite(action).all():
            raise NotFiniteError("action is NaN or infinite")
        CLOCK.enter("step")
        observation, reward, terminated, truncated, info = self.env.step(copied(action))
        CLOCK.leave()
        if self._checks:
            check_reward(reward)
            self._check(observation)
        return copied(observation), reward, terminated, truncated, info
