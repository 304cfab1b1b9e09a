"""Policies side by side on many starts: return, regret and its two gaps, success, steady state."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.optimum.tasks import (
    FIRST_SEED,
    gamma_optimal_return,
    has_optimum,
    optimal_value,
    protocol_starts,
)
from benchmarks.policies.load import LoadedPolicy, load_policy, recorded_run
from benchmarks.table import markdown
from envs import rocket_metrics as trajectories
from envs.controllers import CONTROLLERS
from envs.dynamics import RocketParameters
from envs.rollout import Env, Episode
from training.config import ConfigError, RunConfig, env_name
from training.environments import make_env, play_from_seeds
from training.trust import reading

HEADER = [
    "policy", "return", "regret", "objective gap", "learning gap", "success",
    "steady-state error in m", "jitter in m/s²",
]  # fmt: skip
Values = NDArray[np.floating[Any]]
Reachable = dict[float | None, Values]


@reading()
def scores_page(sources: Sequence[str], env_ids: Sequence[str], n_episodes: int) -> str:
    """A table for each environment, as Markdown.

    :param sources: what :func:`benchmarks.policies.load.load_policy` takes;
        none for all controllers
    :param n_episodes: episode k starts from ``reset(seed=20_000 + k)``
    :raises ConfigError: if a policy is not one for an environment
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
        rows, goals = [], 0
        for loaded in track(policies, env_id, transient=True):
            episodes = play_from_seeds(loaded.policy, config, seeds)
            rows.append(_row(loaded, env, episodes, reachable))
            goals += sum(episode.success or False for episode in episodes)
        note = f"{n_episodes} starts, mean ± standard deviation over them."
        if env_name(env_id) == "rocket-v0":
            note += f" Episodes that ended on the goal of 1e-8, with its 500 extra: {goals}."
        parts.append(f"## {env_id}\n\n{markdown(HEADER, rows)}\n{note}\n")
        env.close()
    return "\n".join(parts)


def _reachable(env_id: str, n: int, gammas: set[float | None]) -> Reachable:
    """The optimal returns (n,), under None, and those that each gamma's best policy earns."""
    if not has_optimum(env_id):
        return {}
    starts = protocol_starts(env_id, n)
    returns: Reachable = {None: optimal_value(env_id, starts)}
    for gamma in gammas - {None}:
        assert gamma is not None
        returns[gamma] = gamma_optimal_return(env_id, starts, gamma)
    return returns


def _row(
    loaded: LoadedPolicy, env: Env, episodes: list[Episode], reachable: Reachable
) -> list[str]:
    returns = np.array([episode.episode_return for episode in episodes])
    row = [loaded.name, _spread(returns)]
    if not reachable:
        row += ["", "", ""]
    else:
        best = reachable[None]
        row.append(_spread(best - returns))
        if loaded.gamma is None:
            row += ["", ""]
        else:
            discounted = reachable[loaded.gamma]
            row += [f"{(best - discounted).mean():.1f}", f"{(discounted - returns).mean():.1f}"]
    successes = [episode.success for episode in episodes if episode.success is not None]
    row.append(f"{np.mean(successes):.0%}" if successes else "")
    if not isinstance(_parameters(env), RocketParameters):
        return [*row, "", ""]
    for measure in (trajectories.steady_state_error, trajectories.jitter):
        values = np.array([measure(episode) for episode in episodes])
        resting = values[np.isfinite(values)]  # of the episodes that came to the time limit
        row.append(f"{resting.mean():.4f}" if len(resting) else "")
    return row


def _spread(values: Values) -> str:
    return f"{values.mean():.1f} ± {values.std(ddof=1):.1f}"


def _parameters(env: gym.Env[object, object]) -> object:
    return getattr(env.unwrapped, "parameters", None)
