"""What the best policy earns from the start states of the evaluation protocol."""

from functools import lru_cache

from benchmarks.optimum.tasks import gamma_optimal_return, protocol_starts


@lru_cache
def mean_return(env_id: str, first_seed: int, n: int, gamma: float = 1.0) -> float:
    """Mean undiscounted return from ``reset(seed=first_seed + k)``, k from 0 to n - 1.

    :param gamma: of the objective that the policy is best for; 1 for V* itself
    :raises ValueError: where no optimum is known
    """
    states = protocol_starts(env_id, n, first_seed)
    return float(gamma_optimal_return(env_id, states, gamma).mean())
