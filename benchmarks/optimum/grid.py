"""The rockets and Pendulum on grids."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from benchmarks.optimum.dynamic_programming import Array, Flags, Grid, Index
from envs import dynamics
from envs.dynamics import THRUST_LIMIT, RocketParameters


@dataclass(frozen=True)
class RocketGrid(Grid):
    """The rocket. Under a thrust of the grid, a step leads from one row of velocities to another.

    So values are interpolated along the position only. A step beyond the limits or to the goal ends
    the episode and needs no value, so that no interpolation crosses a jump of the reward.

    :param parameters: a goal without a reward does not end an episode
    """

    parameters: RocketParameters
    thrust_limit: ClassVar[float] = THRUST_LIMIT  # m/s^2

    @property
    def highest_reward(self) -> float:
        """1 for the position and 1 for the velocity."""
        return 2.0 - self.parameters.step_cost

    def contains(self, states: Array) -> Flags:
        """Which states are within the limits, NaN being outside."""
        limits = self.parameters.position_limit, self.parameters.velocity_limit
        inside: Flags = np.all(np.abs(states) <= limits, axis=-1)
        return inside

    @cached_property
    def _axes(self) -> tuple[Array, Array]:
        spacing = self.parameters.dt * THRUST_LIMIT / self.thrusts
        rows, columns = self.parameters.velocity_limit / spacing, self.parameters.position_limit
        columns = round(columns * self.cells)
        return np.arange(round(rows) + 1) * spacing, np.arange(-columns, columns + 1) / self.cells

    def _advance(self, states: Array, thrusts: Array) -> Array:
        u = thrusts.astype(np.float64)
        x, v = dynamics.advance(states[..., 0], states[..., 1], u, self.parameters.dt)
        return np.stack([x, v], axis=-1)

    def _reward(self, states: Array, thrusts: Array, after: Array) -> Array:
        return np.asarray(dynamics.reward(after[..., 0], after[..., 1], self.parameters))

    def _goes_on(self, after: Array) -> Flags:
        _, crashed, at_goal = dynamics.outcome(after[..., 0], after[..., 1], self.parameters)
        goes_on: Flags = ~(crashed | (at_goal & (self.parameters.goal_reward > 0.0)))
        return goes_on

    def _low_row(self, row: Array) -> Index:
        # When moving away, a multiple of dt * THRUST_LIMIT is the highest velocity that a number of
        # steps brakes to 0. The value jumps above it, so a state just above is extrapolated from
        # the rows above.
        low = np.ceil(row).astype(np.int64) - 1
        return np.where(low % self.thrusts == 0, low + 1, low)

    def _ends(self, column: Array) -> tuple[Index, Index, Array]:
        left = np.floor(column).astype(np.int64).clip(0, len(self._axes[1]) - 2)
        return left, left + 1, column - left


@dataclass(frozen=True)
class PendulumGrid(Grid):
    """Gymnasium's Pendulum-v1, on a periodic grid. Its reward, taken before the step, has no jump.

    :param rows: cells between angular velocity 0 and its limit
    """

    rows: int
    dt: ClassVar[float] = 0.05  # s
    max_speed: ClassVar[float] = 8.0  # rad/s
    thrust_limit: ClassVar[float] = 2.0  # N m

    @property
    def highest_reward(self) -> float:
        """Upright and at rest."""
        return 0.0

    def contains(self, states: Array) -> Flags:
        """Which states are finite and within the limit of the angular velocity."""
        return np.isfinite(states[..., 0]) & (np.abs(states[..., 1]) <= self.max_speed)

    @cached_property
    def _axes(self) -> tuple[Array, Array]:
        angles = np.arange(self.cells) * (2.0 * np.pi / self.cells)
        return np.arange(self.rows + 1) * (self.max_speed / self.rows), angles

    def _advance(self, states: Array, thrusts: Array) -> Array:
        angle, velocity = states[..., 0], states[..., 1]
        velocity = velocity + (15.0 * np.sin(angle) + 3.0 * thrusts) * self.dt
        velocity = velocity.clip(-self.max_speed, self.max_speed)
        return np.stack([angle + velocity * self.dt, velocity], axis=-1)

    def _reward(self, states: Array, thrusts: Array, after: Array) -> Array:
        angle, velocity = wrapped(states[..., 0]), states[..., 1]
        return np.asarray(-(angle**2 + 0.1 * velocity**2 + 0.001 * thrusts**2))

    def _low_row(self, row: Array) -> Index:
        return np.floor(row).astype(np.int64)

    def _ends(self, column: Array) -> tuple[Index, Index, Array]:
        left = np.floor(column).astype(np.int64)
        return left % self.cells, (left + 1) % self.cells, column - left


def wrapped(angle: Array) -> Array:
    """The angle in [-pi, pi), 0 being upright."""
    return np.asarray((angle + np.pi) % (2.0 * np.pi) - np.pi)
