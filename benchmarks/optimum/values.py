"""What the best policy earns from the start states of the evaluation protocol."""

from functools import lru_cache

import gymnasium as gym
import numpy as np

from benchmarks.optimum.tasks import gamma_optimal_return, start_state
from training.config import env_name


@lru_cache
def mean_return(env_id: str, first_seed: int, n: int, gamma: float = 1.0) -> float:
    """Mean undiscounted return from ``reset(seed=first_seed + k)``, k from 0 to n - 1.

    :param gamma: of the objective that the policy is best for; 1 for V* itself
    :raises ValueError: where no optimum is known
    """
    env = gym.make(env_name(env_id))
    states = []
    for seed in range(first_seed, first_seed + n):
        env.reset(seed=seed)
        states.append(start_state(env))
    return float(gamma_optimal_return(env_id, np.array(states), gamma).mean())
