"""Dynamic programming on two-dimensional grids: values, greedy policies, episodes.

A state is (position, velocity) in m and m/s, or (angle, angular velocity) in rad and rad/s.
The tasks are symmetric under reflection in the origin, so grids hold only velocities from 0
upwards. Arrays of values are flat, with shape (nodes,).
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy.sparse import csr_array

Array = NDArray[np.floating[Any]]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]
Operators = list[tuple["csr_array[Any, Any]", Array]]

STRIDE = 20  # steps between the values over a finite horizon that are kept for the policy
CANDIDATES = 81  # thrusts that the greedy policy compares
TOLERANCE = 0.1  # largest error of a discounted value


class Transition(NamedTuple):
    """A step: next states (..., 2), rewards (...), and whether the episode goes on (...)."""

    states: Array
    rewards: Array
    goes_on: Flags


@dataclass(frozen=True)
class Grid(ABC):
    """A task on a grid. Rewards and endings are exact; only the values ahead are interpolated.

    :param horizon: steps of an episode
    :param cells: position cells per m, or cells of a full turn
    :param thrusts: thrusts on each side of 0
    """

    horizon: int
    cells: int
    thrusts: int
    thrust_limit: ClassVar[float]  # in the task's unit

    @property
    @abstractmethod
    def highest_reward(self) -> float:
        """The reward of a step at rest in the target."""

    @abstractmethod
    def contains(self, states: Array) -> Flags:
        """Which of the states (..., 2) are within the task's limits."""

    @property
    @abstractmethod
    def _axes(self) -> tuple[Array, Array]:
        """Velocities and positions of the nodes, each evenly spaced."""

    @abstractmethod
    def _advance(self, states: Array, thrusts: Array) -> Array: ...

    @abstractmethod
    def _reward(self, states: Array, thrusts: Array, after: Array) -> Array: ...

    def _goes_on(self, after: Array) -> Flags:
        return np.ones(after.shape[:-1], dtype=bool)

    @abstractmethod
    def _low_row(self, row: Array) -> Index:
        """The lower of the two rows of nodes between which to interpolate."""

    @abstractmethod
    def _ends(self, column: Array) -> tuple[Index, Index, Array]:
        """The nodes left and right of a fractional column, and its distance from the left."""

    def step(self, states: Array, thrusts: Array) -> Transition:
        """One step of the task itself, from states (..., 2) under thrusts (...)."""
        after = self._advance(states, thrusts)
        return Transition(after, self._reward(states, thrusts, after), self._goes_on(after))

    @cached_property
    def nodes(self) -> Array:
        """States (nodes, 2) of the grid."""
        v, x = np.meshgrid(*self._axes, indexing="ij")
        return np.column_stack([x.ravel(), v.ravel()])

    def value(self, values: Array, states: Array) -> Array:
        """The values at states (..., 2), linear in position and velocity."""
        nodes, weights = self._stencil(states)
        return np.asarray((np.take(values, nodes) * weights).sum(axis=0))

    def _stencil(self, states: Array) -> tuple[Index, Array]:
        """The four nodes to interpolate between, and their weights: shapes (4, ...)."""
        velocities, positions = self._axes
        x, v = states[..., 0], states[..., 1]
        x = np.where(v < 0.0, -x, x)
        row = np.round(np.abs(v) / velocities[1], 9)  # exact at nodes
        low = self._low_row(row).clip(0, len(velocities) - 2)
        up = row - low
        left, right, along = self._ends((x - positions[0]) / (positions[1] - positions[0]))
        low, above = low * len(positions), (low + 1) * len(positions)
        nodes = np.array([low + left, low + right, above + left, above + right])
        across = np.array([(1.0 - up) * (1.0 - along), (1.0 - up) * along])
        return nodes, np.concatenate([across, [up * (1.0 - along), up * along]])

    def operators(self) -> Operators:
        """For each thrust, the matrix (nodes, nodes) that looks ahead, and the rewards (nodes,)."""
        n, operators = len(self.nodes), []
        for thrust in np.linspace(-self.thrust_limit, self.thrust_limit, 2 * self.thrusts + 1):
            thrusts = np.full(n, thrust)
            # Rounded, since 0 and the limits must be met exactly where the grid meets them.
            after = np.round(self._advance(self.nodes, thrusts), 12)
            nodes, weights = self._stencil(after)
            weights = np.where(self._goes_on(after), weights, 0.0)
            starts = np.arange(0, 4 * n + 1, 4)
            matrix = csr_array((weights.T.ravel(), nodes.T.ravel(), starts), shape=(n, n))
            matrix.eliminate_zeros()
            operators.append((matrix, self._reward(self.nodes, thrusts, after)))
        return operators


def bellman_update(operators: Operators, values: Array, discount: float) -> Array:
    """The values (nodes,) with one step more to go."""
    values = discount * values
    best = np.full(values.shape, -np.inf)
    for matrix, rewards in operators:
        np.maximum(best, matrix @ values + rewards, out=best)
    return best


class PlayedEpisodes(NamedTuple):
    """n episodes: returns (n,) and states (horizon + 1, n, 2), the last one kept after an end."""

    returns: Array
    states: Array


@dataclass(frozen=True)
class Solution:
    """Optimal values, and the policy that is greedy for them.

    values has the shape (slices, nodes): with 0, STRIDE, 2 STRIDE, ... steps to go, or a single
    slice that holds at every step.
    """

    grid: Grid
    discount: float
    values: Array

    def start_values(self, states: Array) -> Array:
        """Values (n,) of start states (n, 2)."""
        return self.grid.value(self.values[-1], states)

    def thrusts(self, states: Array, steps_left: int) -> NDArray[np.float32]:
        """Greedy thrusts (n,) in states (n, 2).

        It uses the kept values with the most steps to go, up to those left after this step.
        """
        values = self.values[min((steps_left - 1) // STRIDE, len(self.values) - 1)]
        limit = self.grid.thrust_limit
        candidates = np.linspace(-limit, limit, CANDIDATES, dtype=np.float32)
        repeated = np.broadcast_to(states[:, None], (len(states), CANDIDATES, 2))
        after = self.grid.step(repeated, np.broadcast_to(candidates, repeated.shape[:2]))
        ahead = self.discount * after.goes_on * self.grid.value(values, after.states)
        best: Index = np.argmax(after.rewards + ahead, axis=1)
        return np.asarray(candidates[best])

    def play(self, starts: Array) -> PlayedEpisodes:
        """Play the greedy policy from start states (n, 2), with the task's own dynamics."""
        states, running, returns = [starts], np.ones(len(starts), bool), np.zeros(len(starts))
        for steps_left in range(self.grid.horizon, 0, -1):
            after = self.grid.step(states[-1], self.thrusts(states[-1], steps_left))
            returns += running * after.rewards
            states.append(np.where(running[:, None], after.states, states[-1]))
            running &= after.goes_on
        return PlayedEpisodes(returns, np.array(states))


def solve(grid: Grid, discount: float = 1.0) -> Solution:
    """Optimal values: over the horizon if nothing is discounted, else over an infinite one.

    A learning agent bootstraps where an episode is truncated, so it optimises the infinite sum.
    Value iteration for that starts from the value of staying at the target. This takes fewer than a
    thousand sweeps, however near gamma is to 1. It ends when gamma / (1 - gamma) times the largest
    change, a bound on the remaining error, is at most TOLERANCE.

    :param discount: gamma, in [0, 1]
    """
    operators = grid.operators()
    values: Array = np.zeros(len(grid.nodes))
    if discount == 1.0:
        slices = [values]
        for step in _progress(range(1, grid.horizon + 1), "dynamic programming"):
            values = bellman_update(operators, values, discount)
            if step % STRIDE == 0:
                slices.append(values)
        return Solution(grid, discount, np.array(slices, dtype=np.float32))  # half the memory
    values = values + grid.highest_reward / (1.0 - discount)
    for _ in _progress(itertools.count(), f"dynamic programming, gamma {discount:g}"):
        previous, values = values, bellman_update(operators, values, discount)
        if discount * np.abs(values - previous).max() <= TOLERANCE * (1.0 - discount):
            break
    return Solution(grid, discount, values[None])


def _progress(steps: Iterable[int], description: str) -> Iterable[int]:
    """The steps, with a progress bar on the standard error stream if that is a terminal."""
    console = Console(stderr=True)
    silent = not console.is_terminal
    return track(steps, description, console=console, transient=True, disable=silent)
