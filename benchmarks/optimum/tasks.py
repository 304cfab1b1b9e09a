"""The known optimum: what the best policy earns from a start state, and what an agent misses.

V* is the best undiscounted return of an episode, known by dynamic programming where the state has
two dimensions. A regret, V* - return, is the sum of two gaps: the objective gap is what even the
best policy for the discounted objective loses, the learning gap is the rest.
"""

import hashlib
import logging
import os
import tempfile
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
from benchmarks.optimum.shipped import known_returns
from training.config import HELD_OUT_SEED, env_name, env_origin

logger = logging.getLogger(__name__)

FIRST_SEED = HELD_OUT_SEED
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

    False if a user's own module registers it, which may be another task of the same name.
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


def protocol_starts(env_id: str, n: int = 100, first_seed: int = FIRST_SEED) -> Array:
    """Start states (n, 2) from ``reset(seed=first_seed + k)``, by default the held-out ones."""
    env = gym.make(env_name(env_id))
    states = []
    for seed in range(first_seed, first_seed + n):
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
    return gamma_optimal_return(env_id, states, 1.0)


def gamma_optimal_return(env_id: str, states: ArrayLike, gamma: float) -> Array:
    """The undiscounted return of the policy that is best for the discounted objective.

    For the protocol's start states it is in the data; for others it is computed.

    :param states: start states (n, 2)
    :param gamma: the discount, 1 for V* itself
    :return: shape (n,)
    :raises ValueError: as for :func:`optimal_value`, or for a gamma outside [0, 1]
    """
    states = _checked(env_id, states)
    known = known_returns(table_name(env_id, gamma), env_name(env_id), states)
    return computed_return(env_id, states, gamma) if known is None else known


def computed_return(env_id: str, states: Array, gamma: float) -> Array:
    """As :func:`gamma_optimal_return`, by dynamic programming for any start state."""
    optimum = solution(env_id, gamma)
    returns = optimum.play(states).returns
    return np.maximum(optimum.start_values(states), returns) if gamma == 1.0 else returns


def table_name(env_id: str, gamma: float) -> str:
    """Name of a task's optimal values, which depends on the grid and on how they are computed.

    :raises ValueError: where no optimum is known, or for a gamma outside [0, 1]
    """
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma must be in [0, 1], got {gamma!r}")
    text = repr((CACHE_VERSION, STRIDE, TOLERANCE, task_grid(env_id), gamma))
    key = hashlib.sha256(text.encode()).hexdigest()
    return f"{env_name(env_id)}_{gamma:g}_{key[:16]}"


@lru_cache(maxsize=4)
def solution(env_id: str, gamma: float = 1.0) -> Solution:
    """The optimal values of a task: from the cache, or computed in less than half a minute.

    :raises ValueError: where no optimum is known, or for a gamma outside [0, 1]
    """
    file, grid = cache_folder() / f"{table_name(env_id, gamma)}.npz", task_grid(env_id)
    with suppress(Exception):  # whatever NumPy and zipfile raise for a damaged file
        values = _kept(file)
        if values is not None and values.shape[1:] == (len(grid.nodes),):
            return Solution(grid, gamma, values)
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

    A relative ``$XDG_CACHE_HOME`` is ignored, as its specification says. Without a home directory
    it is a path below the null device, where nothing can be kept.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():
        try:
            cache = Path.home() / ".cache"
        except RuntimeError:
            cache = Path(os.devnull)
    return cache / "td3-rocket-benchmark"


def _kept(file: Path) -> NDArray[Any] | None:
    """The values in a file of the cache; None if they are not what was written."""
    with np.load(file) as kept:
        values: NDArray[Any] = kept["values"]
        return values if str(kept["sha256"]) == _digest(values) else None


def _digest(values: NDArray[Any]) -> str:
    """SHA-256 of values, their type and shape."""
    whole = hashlib.sha256(f"{values.dtype.str} {values.shape}".encode())
    whole.update(np.ascontiguousarray(values).data)
    return whole.hexdigest()


def _save(file: Path, values: NDArray[Any]) -> None:
    """Write to a temporary name and move, so that no reader finds half a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".tmp", delete=False) as temporary:
        np.savez(temporary, values=values, sha256=_digest(values))
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
