"""The rocket's metrics, on hand-made episodes."""

import numpy as np
import pytest

from envs.rocket_metrics import jitter, overshoot, steady_state_error, time_to_goal
from envs.rollout import Episode


def episode(positions: np.ndarray, thrusts: np.ndarray, terminated: bool = False) -> Episode:
    observations = np.stack((positions, np.zeros_like(positions)), axis=1).astype(np.float32)
    return Episode(
        observations=observations,
        actions=thrusts[:, np.newaxis].astype(np.float32),
        rewards=np.zeros(len(thrusts)),
        terminated=terminated,
        truncated=not terminated,
        success=False,
    )


def test_the_steady_state_error_is_the_mean_distance_over_the_last_hundred_steps() -> None:
    positions = np.concatenate((np.full(201, 1.0), np.tile([0.03, -0.01], 50)))
    assert steady_state_error(episode(positions, np.zeros(300))) == pytest.approx(0.02)


def test_an_episode_that_ended_early_has_no_steady_state() -> None:
    ended = episode(np.ones(301), np.zeros(300), terminated=True)
    assert np.isnan(steady_state_error(ended))
    assert np.isnan(jitter(ended))


def test_the_time_to_the_goal_is_that_of_the_first_approach() -> None:
    positions = np.array([1.0, 0.5, -0.04, 0.2, 0.0])
    assert time_to_goal(episode(positions, np.zeros(4)), dt=0.1) == pytest.approx(0.2)
    assert np.isnan(time_to_goal(episode(np.ones(5), np.zeros(4)), dt=0.1))


def test_overshoot_is_measured_on_the_side_away_from_the_start() -> None:
    assert overshoot(episode(np.array([1.0, -0.3, 0.4, -0.1]), np.zeros(3))) == pytest.approx(0.3)
    assert overshoot(episode(np.array([-1.0, -1.5, 0.2]), np.zeros(2))) == pytest.approx(0.2)
    assert overshoot(episode(np.array([1.0, 1.5, 0.2]), np.zeros(2))) == 0.0


def test_jitter_is_the_mean_change_of_thrust_from_step_to_step() -> None:
    thrusts = np.concatenate((np.tile([1.0, -1.0], 100), np.tile([0.25, -0.25], 51)))
    assert jitter(episode(np.zeros(len(thrusts) + 1), thrusts)) == pytest.approx(0.5)
