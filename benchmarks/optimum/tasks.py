"""The known optimum: what the best policy earns from a start state, and what an agent misses.

V* is the best undiscounted return of an episode, known by dynamic programming where the state has
two dimensions. A regret, V* - return, is the sum of two gaps: the objective gap is what even the
best policy for the discounted objective loses, the learning gap is the rest.
"""

import hashlib
import logging
import os
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

import envs  # noqa: F401  (registers the rockets)
from benchmarks.optimum.dynamic_programming import STRIDE, TOLERANCE, Array, Grid, Solution, solve
from benchmarks.optimum.grid import PendulumGrid, RocketGrid
from training.config import env_name, env_origin

logger = logging.getLogger(__name__)

FIRST_SEED = 20_000  # of the further starts of the evaluation protocol
CACHE_VERSION = 1  # to be raised when what is computed changes


def _rocket(env_id: str, fineness: float) -> RocketGrid:
    """A rocket's grid, of 5 mm and thrusts of 0.25 m/s^2 at fineness 1.

    A goal too small for the grid neither pays nor ends an episode.
    """
    env = gym.make(env_id)
    parameters = env.unwrapped.parameters  # type: ignore[attr-defined]
    cells = round(200 * fineness)
    if parameters.goal_tolerance * cells < 1.0:
        parameters = replace(parameters, goal_reward=0.0)
    return RocketGrid(_horizon(env), cells, round(4 * fineness), parameters)


def _pendulum(env_id: str, fineness: float) -> PendulumGrid:
    """Pendulum's grid, of 0.45 degrees, 0.0125 rad/s and torques of 1/3 N m at fineness 1."""
    cells, thrusts, rows = (round(number * fineness) for number in (800, 6, 640))
    return PendulumGrid(_horizon(gym.make(env_id)), cells, thrusts, rows)


def _horizon(env: gym.Env[Any, Any]) -> int:
    assert env.spec is not None
    assert env.spec.max_episode_steps is not None
    return env.spec.max_episode_steps


TASKS: dict[str, Callable[[float], Grid]] = {
    "rocket-v0": partial(_rocket, "rocket-v0"),
    "rocket-landing-v0": partial(_rocket, "rocket-landing-v0"),
    "Pendulum-v1": partial(_pendulum, "Pendulum-v1"),
}


def has_optimum(env_id: str) -> bool:
    """Whether V* is known for this environment with its registered settings.

    Not where a user's own module registers it: that may be another of the same name.
    """
    return env_name(env_id) in TASKS and not env_origin(env_id)


def task_grid(env_id: str, fineness: float = 1.0) -> Grid:
    """The task on a grid.

    :param env_id: a module prefix of this project or Gymnasium is ignored
    :param fineness: 2 halves the grid and action spacing, 0.5 doubles it
    :raises ValueError: where no optimum is known
    """
    if not has_optimum(env_id):
        raise ValueError(f"no optimum is known for {env_id!r}, only for {', '.join(TASKS)}")
    return TASKS[env_name(env_id)](fineness)


def start_state(env: gym.Env[Any, Any]) -> Array:
    """The state (2,) of a reset environment, in double precision."""
    return np.array(env.unwrapped.state, dtype=np.float64)  # type: ignore[attr-defined]


def protocol_starts(env_id: str, n: int = 100) -> Array:
    """Start states (n, 2) of the evaluation protocol's further starts."""
    env = gym.make(env_name(env_id))
    states = []
    for seed in range(FIRST_SEED, FIRST_SEED + n):
        env.reset(seed=seed)
        states.append(start_state(env))
    return np.array(states)


def optimal_value(env_id: str, states: ArrayLike) -> Array:
    """V* of start states, without the reward of a goal too small for a grid (rocket-v0).

    The larger of two numbers that both err on the low side: the grid's value, and the return of
    its greedy policy in the task itself.

    :param states: shape (n, 2)
    :return: shape (n,)
    :raises ValueError: where no optimum is known, or for a state beyond the task's limits
    """
    states, optimum = _checked(env_id, states), solution(env_id)
    return np.maximum(optimum.start_values(states), optimum.play(states).returns)


def gamma_optimal_return(env_id: str, states: ArrayLike, gamma: float) -> Array:
    """The undiscounted return of the policy that is best for the discounted objective.

    :param states: start states (n, 2)
    :param gamma: the discount, 1 for V* itself
    :return: shape (n,)
    :raises ValueError: as for :func:`optimal_value`, or for a gamma outside [0, 1]
    """
    if gamma == 1.0:
        return optimal_value(env_id, states)
    return solution(env_id, gamma).play(_checked(env_id, states)).returns


def regret(env_id: str, states: ArrayLike, returns: ArrayLike) -> Array:
    """V* minus the return of the episodes from these states, shape (n,)."""
    return optimal_value(env_id, states) - np.asarray(returns, dtype=np.float64)


def objective_gap(env_id: str, states: ArrayLike, gamma: float) -> Array:
    """The part of a regret that an agent with this gamma cannot avoid, shape (n,)."""
    return optimal_value(env_id, states) - gamma_optimal_return(env_id, states, gamma)


def learning_gap(env_id: str, states: ArrayLike, returns: ArrayLike, gamma: float) -> Array:
    """The rest of a regret: what learning better could win with the same gamma, shape (n,)."""
    return gamma_optimal_return(env_id, states, gamma) - np.asarray(returns, dtype=np.float64)


class OptimalPolicy:
    """The policy that is greedy for the optimal values, for :mod:`envs.rollout`.

    Without a discount it depends on the steps left, so its memory counts the steps of each episode.

    :param solution: of the task, from :func:`solution`
    """

    def __init__(self, solution: Solution) -> None:
        self.solution = solution

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Choose thrusts.

        :param observation: batch of observations (n, 2) or, of Pendulum, (n, 3)
        :param state: steps taken in each episode (n,); None at the start
        :param episode_start: shape (n,), which episodes have just begun
        :param deterministic: has no effect; there is no exploration
        :return: actions (n, 1), and the next memory
        """
        states = np.asarray(observation, dtype=np.float64)
        if states.shape[1] == 3:  # cosine and sine of the angle, angular velocity
            states = np.column_stack([np.arctan2(states[:, 1], states[:, 0]), states[:, 2]])
        steps = np.zeros(len(states), dtype=np.int64) if state is None else np.array(state)
        if episode_start is not None:
            steps[np.asarray(episode_start, dtype=bool)] = 0
        actions = np.empty((len(states), 1), dtype=np.float32)
        for step in np.unique(steps):
            steps_left = max(self.solution.grid.horizon - int(step), 1)
            now = steps == step
            actions[now, 0] = self.solution.thrusts(states[now], steps_left)
        return actions, steps + 1


@lru_cache(maxsize=4)
def solution(env_id: str, gamma: float = 1.0) -> Solution:
    """The optimal values of a task: from the cache, or computed in less than half a minute.

    :raises ValueError: where no optimum is known, or for a gamma outside [0, 1]
    """
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma must be in [0, 1], got {gamma!r}")
    grid = task_grid(env_id)
    key = hashlib.sha256(repr((CACHE_VERSION, STRIDE, TOLERANCE, grid, gamma)).encode()).hexdigest()
    file = cache_folder() / f"{env_name(env_id)}_{gamma:g}_{key[:16]}.npz"
    with (
        suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile),
        np.load(file) as kept,
    ):
        if kept["values"].shape[1:] == (len(grid.nodes),):
            return Solution(grid, gamma, kept["values"])
    solved = solve(grid, gamma)
    try:
        _save(file, solved.values)
    except OSError as error:
        logger.warning(
            "The optimum of %s cannot be kept, and is computed each time: %s", env_id, error
        )
    return solved


def cache_folder() -> Path:
    """Where tables are kept: below ``$XDG_CACHE_HOME``, or below ``~/.cache``.

    As its specification has it, a relative one does not count. Nowhere, without a home directory.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():
        try:
            cache = Path.home() / ".cache"
        except RuntimeError:
            cache = Path(os.devnull)
    return cache / "td3-rocket-benchmark"


def _save(file: Path, values: NDArray[Any]) -> None:
    """Write to a temporary name and move, so that no reader meets half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".tmp", delete=False) as temporary:
        np.savez(temporary, values=values)
    Path(temporary.name).replace(file)


def _checked(env_id: str, states: ArrayLike) -> Array:
    """The states as an array (n, 2) within the task's limits, or a ValueError."""
    checked = np.asarray(states, dtype=np.float64)
    if checked.ndim != 2 or checked.shape[1] != 2:
        raise ValueError(f"states must have the shape (n, 2), got {checked.shape}")
    inside = task_grid(env_id).contains(checked)
    if not inside.all():
        raise ValueError(f"the state {checked[~inside][0]} is beyond the limits of {env_id}")
    return checked
