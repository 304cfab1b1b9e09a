"""Metrics of one episode of the rocket."""

import numpy as np
from numpy.typing import NDArray

from envs.rollout import Episode

STEADY_STEPS = 100
NEAR_GOAL = 0.05  # m


def steady_state_error(episode: Episode) -> float:
    """Mean |x| in m over the last 100 steps; NaN where a crash or a landing ended the episode."""
    if episode.terminated:
        return float("nan")
    return float(np.abs(_positions(episode)[-STEADY_STEPS:]).mean())


def time_to_goal(episode: Episode, dt: float) -> float:
    """Time in s until |x| is within 0.05 m for the first time; NaN if it never is."""
    near = np.flatnonzero(np.abs(_positions(episode)) <= NEAR_GOAL)
    return float(near[0] * dt) if len(near) else float("nan")


def overshoot(episode: Episode) -> float:
    """Largest distance in m from the origin on the side away from the start."""
    x = _positions(episode)
    return max(0.0, float((-np.sign(x[0]) * x).max()))


def jitter(episode: Episode) -> float:
    """Mean |change of thrust| in m/s^2 over the last 100 steps; NaN if the episode terminated."""
    if episode.terminated:
        return float("nan")
    thrusts = episode.actions[-STEADY_STEPS - 1 :, 0].astype(np.float64)
    return float(np.abs(np.diff(thrusts)).mean())


def _positions(episode: Episode) -> NDArray[np.float64]:
    """Positions in m, shape (n + 1,)."""
    x: NDArray[np.float64] = episode.observations[:, 0].astype(np.float64)
    return x
