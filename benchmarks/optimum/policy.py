"""The optimum as a policy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.optimum.dynamic_programming import Array, Solution
from benchmarks.optimum.shipped import known_thrusts
from benchmarks.optimum.tasks import solution, table_name
from envs.rollout import Policy


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


class OpenLoopPolicy:
    """The optimal actions of one episode, one after another.

    :param thrusts: shape (steps,)
    """

    def __init__(self, thrusts: Array) -> None:
        self.thrusts = thrusts.astype(np.float32)

    def predict(
        self, observation: Any, state: int | None = None, *_: Any, **__: Any
    ) -> tuple[NDArray[np.float32], int]:
        """The next action, shape (1, 1), and the steps taken; the observation has no effect."""
        step = state or 0
        return self.thrusts[step].reshape(1, 1), step + 1


def optimal_policy(env_id: str, seed: int) -> Policy:
    """The optimum for one episode from ``reset(seed=seed)``: its known actions, or computed."""
    thrusts = known_thrusts(table_name(env_id, 1.0), seed)
    return OptimalPolicy(solution(env_id)) if thrusts is None else OpenLoopPolicy(thrusts)
