"""Pendulum-v1 whose agent chooses actions in another unit: same states, rewards and torques."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.wrappers import RescaleAction


def make(action_bound: float = 2.0, **arguments: Any) -> gym.Env[Any, Any]:
    """A pendulum with actions in [-action_bound, action_bound], scaled to torques in [-2, 2] N m.

    The bound alone differs between implementations that are compared here, so all of them run on
    one environment id. With 2, the default, it is Pendulum-v1 to the last bit.

    :param arguments: of Gymnasium's pendulum
    """
    bound = np.float32(action_bound)
    return RescaleAction(PendulumEnv(**arguments), min_action=-bound, max_action=bound)
