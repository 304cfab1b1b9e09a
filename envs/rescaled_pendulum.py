"""Pendulum-v1 with actions in another unit; states, rewards and torques are the same."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.wrappers import RescaleAction


def make(action_bound: float = 2.0, **arguments: Any) -> gym.Env[Any, Any]:
    """A pendulum with actions in [-action_bound, action_bound], scaled to torques in [-2, 2] N m.

    The implementations that are compared here differ only in this bound, so all of them run on one
    environment id. With the default, 2, it equals Pendulum-v1 to the last bit.

    :param arguments: passed on to Gymnasium's PendulumEnv
    """
    bound = np.float32(action_bound)
    return RescaleAction(PendulumEnv(**arguments), min_action=-bound, max_action=bound)
