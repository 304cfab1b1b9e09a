"""Policies side by side on many starts: return, regret and its two gaps, success, steady state."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.analysis.statistics import over_runs
from benchmarks.optimum.tasks import (
    FIRST_SEED,
    gamma_optimal_return,
    has_optimum,
    optimal_value,
    protocol_starts,
)
from benchmarks.policies.load import LoadedPolicy, load_policy, recorded_run
from benchmarks.table import tabulate, to_markdown
from envs import rocket_metrics as trajectories
from envs.controllers import CONTROLLERS
from envs.dynamics import RocketParameters
from envs.rollout import Env, Episode
from training.config import ConfigError, RunConfig, env_name, reading
from training.environments import make_env, play_from_seeds

MEASURES = {
    "steady-state error in m": trajectories.steady_state_error,
    "jitter in m/s²": trajectories.jitter,
}
DECIMALS = {
    **dict.fromkeys(("return", "regret", "objective gap", "learning gap"), 1),
    "success rate": 2,
    **dict.fromkeys(MEASURES, 4),
}
Values = NDArray[np.floating[Any]]
Reachable = dict[float | None, Values]


@reading()
def scores_page(sources: Sequence[str], env_ids: Sequence[str], n_episodes: int) -> str:
    """A table for each environment, as Markdown.

    :param sources: what :func:`benchmarks.policies.load.load_policy` takes;
        none for all controllers
    :param n_episodes: episode k starts from ``reset(seed=20_000 + k)``
    :raises ConfigError: if a policy cannot act in an environment
    """
    if n_episodes < 2:
        raise ConfigError(f"episodes must be 2 or more, got {n_episodes}")
    for source in sources:
        run = recorded_run(Path(source))
        if run is not None and not run.is_as_registered:
            limit = f", max_episode_steps {run.max_episode_steps}" if run.max_episode_steps else ""
            raise ConfigError(
                f"{source} was trained with {run.env_kwargs}{limit}, but scores are those of the"
                " registered environment; python -m benchmarks record plays it in its own"
            )
    parts = []
    for env_id in env_ids:
        config = RunConfig(algo="any", env_id=env_id, total_timesteps=1)
        env = make_env(config)
        if not sources and not isinstance(_parameters(env), RocketParameters):
            raise ConfigError(f"name the policies for {env_id}: the controllers are for rockets")
        policies = [load_policy(source, env) for source in sources or CONTROLLERS]
        reachable = _reachable(env_id, n_episodes, {loaded.gamma for loaded in policies})
        seeds = range(FIRST_SEED, FIRST_SEED + n_episodes)
        entries, goals = [], 0
        for loaded in track(policies, env_id, transient=True):
            episodes = play_from_seeds(loaded.policy, config, seeds)
            entries.append(_entry(loaded, env, episodes, reachable))
            goals += sum(episode.success or False for episode in episodes)
        note = f"{n_episodes} starts, mean ± standard deviation over them."
        if env_name(env_id) == "rocket-v0":
            note += f" Episodes that ended on the goal of 1e-8, with its 500 extra: {goals}."
        parts.append(to_markdown(tabulate("scores", env_id, note, entries, DECIMALS)))
        env.close()
    return "\n".join(parts)


def _reachable(env_id: str, n: int, gammas: set[float | None]) -> Reachable:
    """Returns (n,) of the optimal policy, under None, and of the best policy for each gamma."""
    if not has_optimum(env_id):
        return {}
    starts = protocol_starts(env_id, n)
    returns: Reachable = {None: optimal_value(env_id, starts)}
    for gamma in gammas - {None}:
        assert gamma is not None
        returns[gamma] = gamma_optimal_return(env_id, starts, gamma)
    return returns


def _entry(
    loaded: LoadedPolicy, env: Env, episodes: list[Episode], reachable: Reachable
) -> dict[str, Any]:
    """A policy's row: what it earned, and its gaps to the optimum."""
    returns = np.array([episode.episode_return for episode in episodes])
    entry: dict[str, Any] = {"policy": loaded.name, "return": over_runs(returns)}
    if reachable:
        best, discounted = reachable[None], reachable[loaded.gamma]
        entry["regret"] = over_runs(best - returns)
        has_gamma = loaded.gamma is not None
        entry["objective gap"] = float((best - discounted).mean()) if has_gamma else None
        entry["learning gap"] = float((discounted - returns).mean()) if has_gamma else None
    successes = [episode.success for episode in episodes if episode.success is not None]
    entry["success rate"] = float(np.mean(successes)) if successes else None
    if isinstance(_parameters(env), RocketParameters):
        for heading, measure in MEASURES.items():
            values = np.array([measure(episode) for episode in episodes])
            resting = values[np.isfinite(values)]  # NaN: it ended early
            entry[heading] = float(resting.mean()) if len(resting) else None
    return entry


def _parameters(env: gym.Env[object, object]) -> object:
    return getattr(env.unwrapped, "parameters", None)
