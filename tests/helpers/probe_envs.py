"""Tiny environments whose Q-values are known, to tell what an agent has really learned.

Each isolates one term of the critics' target: the reward, its dependence on the action, the
discount, and the difference between an episode that terminates and one that is cut off.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Step = tuple[Array, float, bool, bool, dict[str, Any]]


class ProbeEnv(gym.Env[Array, Array]):
    """Observes the number of its state, 0 or 1; actions are within [-1, 1]."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(0, 1, (1,), np.float32)
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        self.time = 0
        return observation(0), {}


def observation(state: int) -> Array:
    """The observation of a state."""
    return np.array([state], np.float32)


class ConstantReward(ProbeEnv):
    """Reward 1 at each step, in the only state, whatever the action.

    Known value: Q = 1 if the episode terminates after one step; Q = 1/(1 - gamma) if episodes
    are only truncated, after however many steps, since the rewards would have gone on.

    :param steps: length of an episode
    :param terminates: whether episodes terminate at their end; otherwise they are truncated
    """

    def __init__(self, steps: int, terminates: bool) -> None:
        super().__init__()
        self.steps, self.terminates = steps, terminates

    def step(self, action: Array) -> Step:
        self.time += 1
        over = self.time == self.steps
        return observation(0), 1.0, over and self.terminates, over and not self.terminates, {}


class ActionReward(ProbeEnv):
    """Episodes of one step with reward -(action - 0.5)^2.

    Known value: Q(a) = -(a - 0.5)^2, so the best policy takes 0.5.
    """

    best_action = 0.5

    def step(self, action: Array) -> Step:
        return observation(0), -((float(action[0]) - self.best_action) ** 2), True, False, {}


class TwoSteps(ProbeEnv):
    """From state 0 with reward 0 to state 1, from there with reward 1 to the termination.

    Known values: Q(state 0) = gamma and Q(state 1) = 1, whatever the action.
    """

    def step(self, action: Array) -> Step:
        self.time += 1
        over = self.time == 2
        return observation(1), float(over), over, False, {}
