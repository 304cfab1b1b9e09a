"""What different start states add to a difference of returns, where the optimum is known.

Returns differ far more between starts than between policies. Subtracting the best policy's return
from the same starts from a run's score leaves the part that is due to the run's policy.
"""

from collections.abc import Mapping
from functools import lru_cache

import gymnasium as gym
import numpy as np

from benchmarks.analysis.sides import Side
from benchmarks.analysis.statistics import Values
from benchmarks.optimum import values as optimal_returns
from benchmarks.optimum.tasks import optimal_value, protocol_starts, solution, start_state
from training.config import FIRST_SEED, ConfigError, env_name

PUBLISHED_SEED_OFFSET = 100  # added to a run's seed by the TD3 author's code
MANY_STARTS = 10_000  # a sample that stands for all starts of an environment
N_EPISODES = 10  # of an evaluation, if the file does not say
UNKNOWN = "unknown"
START_KINDS = {  # name -> what it is
    "protocol": "the same starts for all runs, reset(seed=10000 + k)",
    "published": "starts of each run's own, one after another after reset(seed=seed + 100)",
    UNKNOWN: "starts that are not known",
}


def parse_starts(words: tuple[str, ...]) -> dict[str, str]:
    """Starts by label, from ``protocol`` (label "", for all) or ``label=protocol`` (one source).

    :raises ConfigError: if a word names other starts
    """
    declared = {}
    for word in words:
        label, _, kind = word.rpartition("=")
        if kind not in START_KINDS:
            raise ConfigError(
                f"starts must be protocol or published, or LABEL=protocol, got {word!r}"
            )
        declared[label] = kind
    return declared


def starts_of(side: Side, declared: Mapping[str, str]) -> str:
    """Which of STARTS a side's curves were evaluated on: as our run records, or as declared."""
    if side.rows["fixed_starts"].notna().all():
        return "protocol"
    return declared.get(side.source.name, declared.get("", UNKNOWN))


def best_returns(side: Side, kind: str) -> Values:
    """The best policy's mean return from the starts of each run, shape (num_runs,).

    :param kind: one of STARTS; for unknown ones it is the mean over all starts
    :raises ConfigError: if starts depend on the seed, and a run is not named by it
    """
    runs = side.run_names
    if kind == "published":
        if not all(run.isdigit() for run in runs):
            raise ConfigError(f"starts=published needs runs of {side.name} named by their seeds")
        return np.array([_after_seed(side.env_id, int(run)) for run in runs])
    if kind == "protocol":
        known = side.rows["fixed_starts"].max()
        n = N_EPISODES if np.isnan(known) else int(known)
        return np.full(len(runs), optimal_returns.mean_return(side.env_id, FIRST_SEED, n))
    starts = protocol_starts(side.env_id, MANY_STARTS)
    return np.full(len(runs), solution(side.env_id).start_values(starts).mean())


@lru_cache
def _after_seed(env_id: str, seed: int) -> float:
    """Mean V* over the starts of the TD3 author's evaluation of a run."""
    env = gym.make(env_name(env_id))
    states = []
    for reset_seed in [seed + PUBLISHED_SEED_OFFSET, *[None] * (N_EPISODES - 1)]:
        env.reset(seed=reset_seed)
        states.append(start_state(env))
    return float(optimal_value(env_id, np.array(states)).mean())
