"""The page on the known optimum: how well V* is known, and what a discount costs."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks.optimum.dynamic_programming import Array, solve
from benchmarks.optimum.grid import RocketGrid, wrapped
from benchmarks.optimum.policy import OptimalPolicy
from benchmarks.optimum.tasks import (
    FIRST_SEED,
    TASKS,
    optimal_value,
    protocol_starts,
    solution,
    task_grid,
)
from benchmarks.plot_style import COLOURS
from benchmarks.table import markdown
from envs import dynamics
from envs.rocket_metrics import STEADY_STEPS
from envs.rollout import Evaluation, Policy, evaluate, play_side_by_side

GAMMAS = (0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
FINENESS = (0.5, 1.0, 2.0)
LANDING = "rocket-landing-v0"


def real_episodes(env_id: str, policy: Policy, n: int = 100) -> Evaluation:
    """Play the protocol's held-out starts in the environment itself."""
    seeds = range(FIRST_SEED, FIRST_SEED + n)
    return evaluate(play_side_by_side(policy, [gym.make(env_id) for _ in seeds], seeds))


def convergence_table(env_id: str, fineness: tuple[float, ...] = FINENESS) -> pd.DataFrame:
    """V* on finer and finer grids, beside the greedy policy's return in the environment.

    Columns: fineness; mean grid value and its largest change from the row above; mean return and
    its largest change; mean and largest difference of the two.
    """
    starts, rows = protocol_starts(env_id), []
    value = earned = np.full(len(starts), np.nan)
    for level in fineness:
        policy = OptimalPolicy(solve(task_grid(env_id, level)))
        before = value, earned
        value = policy.solution.start_values(starts)
        earned = real_episodes(env_id, policy).returns
        rows.append(
            {
                "fineness": level,
                "grid value": value.mean(),
                "its largest change": np.abs(value - before[0]).max(),
                "return": earned.mean(),
                "largest change": np.abs(earned - before[1]).max(),
                "return - grid value": (earned - value).mean(),
                "largest": np.abs(earned - value).max(),
            }
        )
    return pd.DataFrame(rows)


def gamma_table(env_id: str, gammas: tuple[float, ...] = GAMMAS, starts: int = 100) -> pd.DataFrame:
    """The best policy for each discount, by its undiscounted return; gamma 1 is the optimum.

    Columns: gamma; mean return and objective gap; steady-state distance, the mean |x| (m or rad)
    of the last STEADY_STEPS steps; landed, the fraction of episodes that ended at the goal.
    """
    states, rows = protocol_starts(env_id, starts), []
    optimum = optimal_value(env_id, states).mean()
    for gamma in gammas:
        played = solution(env_id, gamma).play(states)
        rows.append(
            {
                "gamma": gamma,
                "return": played.returns.mean(),
                "objective gap": optimum - played.returns.mean(),
                "steady-state distance": _distance(env_id, played.states[-STEADY_STEPS:]).mean(),
                "landed": _landed(env_id, played.states[-1]),
            }
        )
    return pd.DataFrame(rows)


def plot_gamma_tables(tables: dict[str, pd.DataFrame], file: Path) -> None:
    """Return and steady-state |x| against the steps 1 / (1 - gamma) that an agent looks ahead.

    :param tables: env_id -> its :func:`gamma_table`; the row of gamma = 1 is drawn as a line
    """
    figure, grid = plt.subplots(
        2, len(tables), figsize=(3.6 * len(tables), 5.0), sharex=True, layout="constrained"
    )
    for axes, (env_id, table) in zip(grid.T, tables.items(), strict=True):
        discounted, optimum = table[table["gamma"] < 1.0], table[table["gamma"] == 1.0]
        axes[0].set_title(env_id, fontsize="medium")
        for panel, column, colour in zip(
            axes, ("return", "steady-state distance"), COLOURS, strict=False
        ):
            panel.plot(1.0 / (1.0 - discounted["gamma"]), discounted[column], "o-", color=colour)
            for level in optimum[column]:
                panel.axhline(level, color="black", linestyle="--", label="optimum")
            panel.grid(alpha=0.3)
        axes[1].set_yscale("log")
        axes[1].set_xscale("log")
        axes[1].set_xlabel("1 / (1 - gamma), steps")
    grid[0, 0].set_ylabel("return")
    grid[1, 0].set_ylabel(f"mean |x|, last {STEADY_STEPS} steps")
    grid[0, 0].legend()
    figure.savefig(file, dpi=150)
    plt.close(figure)


class EndsOnTheGoal(OptimalPolicy):
    """rocket-v0's optimum, except that it ends exactly on the goal of 1e-8 at the last step.

    Over the last ``braking_steps`` it applies the thrusts of least energy that lead there.
    """

    braking_steps = 150

    def predict(self, observation: Any, *memory: Any, **named: Any) -> tuple[Any, Any]:
        """As in :meth:`OptimalPolicy.predict`, for episodes that began at the same step."""
        actions, steps = super().predict(observation, *memory, **named)
        grid = self.solution.grid
        assert isinstance(grid, RocketGrid)
        left, dt = grid.horizon - int(steps[0]) + 1, grid.parameters.dt
        if left <= self.braking_steps:
            x, v = np.asarray(observation, dtype=np.float64).T
            ahead = left - 0.5 - np.arange(left)
            effect = np.array([dt**2 * ahead, np.full(left, dt)])  # of the thrusts on (x, v)
            thrusts = -np.linalg.pinv(effect)[0] @ np.array([x + left * dt * v, v])
            actions = thrusts.astype(np.float32)[:, None]
        return actions, steps


def optimum_page(figure: Path, fineness: tuple[float, ...] = FINENESS) -> str:
    """The whole page in Markdown; with the finest grids it takes about ten minutes.

    :param figure: receives the figure of return and steady-state |x| against gamma
    """
    parts = ["# The known optimum\n"]
    for env_id in TASKS:
        parts += [f"## {env_id}: convergence\n", _text(convergence_table(env_id, fineness))]
    tables = {env_id: gamma_table(env_id) for env_id in TASKS}
    for env_id, table in tables.items():
        parts += [f"## {env_id}: what a discount costs\n", _text(table)]
    parts += [f"## {LANDING}: 1,000 starts\n", _text(gamma_table(LANDING, starts=1000))]
    plot_gamma_tables(tables, figure)
    return "\n".join([*parts, _goal_of_1e_8()])


def _goal_of_1e_8() -> str:
    """How often the optimum, and a policy made for it, reach rocket-v0's own goal."""
    optimum = real_episodes("rocket-v0", OptimalPolicy(solution("rocket-v0")))
    constructed = real_episodes("rocket-v0", EndsOnTheGoal(solution("rocket-v0")))
    assert optimum.successes is not None
    assert constructed.successes is not None
    return (
        "V* of rocket-v0 is without the goal's 500, which no grid can see. Its greedy policy ended"
        f" on the goal in {optimum.successes.sum()} of {len(optimum.returns)} episodes; a"
        " controller made to end on it at the last step did in"
        f" {constructed.successes.sum()}, with a mean return of {constructed.returns.mean():.2f}.\n"
    )


def _distance(env_id: str, states: Array) -> Array:
    """|x|, or the angle from the upright position."""
    grid = solution(env_id).grid
    position = states[..., 0]
    if not isinstance(grid, RocketGrid):
        position = wrapped(position)
    return np.abs(position)


def _landed(env_id: str, states: Array) -> float:
    """Fraction of the last states (n, 2) that are at the rocket's goal; NaN without a goal."""
    grid = solution(env_id).grid
    if not isinstance(grid, RocketGrid):
        return np.nan
    return float(dynamics.outcome(states[:, 0], states[:, 1], grid.parameters)[2].mean())


def _text(table: pd.DataFrame) -> str:
    """A table in Markdown, empty where there is no number."""
    rows = [
        [
            "" if np.isnan(cell) else f"{cell:.4g}" if abs(cell) < 1 else f"{cell:.2f}"
            for cell in row
        ]
        for row in table.to_numpy()
    ]
    return markdown(list(table.columns), rows)
