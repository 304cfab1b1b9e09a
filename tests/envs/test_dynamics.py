"""Physics and reward against closed forms and hand-computed values."""

import numpy as np
import pytest

from envs import dynamics
from envs.dynamics import RocketParameters

PARAMETERS = RocketParameters()


@pytest.mark.parametrize("dt", [0.01, 0.4])
@pytest.mark.parametrize("u", [-1.0, 0.0, 0.3, 1.0])
def test_a_step_under_constant_thrust_is_exact(u: float, dt: float) -> None:
    x, v = dynamics.advance(0.7, -0.9, u, dt)
    assert x == pytest.approx(0.7 - 0.9 * dt + u * dt**2 / 2, abs=1e-15)
    assert v == pytest.approx(-0.9 + u * dt, abs=1e-15)


def test_many_steps_under_constant_thrust_follow_the_parabola() -> None:
    x, v = -0.6, 0.5
    for _ in range(150):
        x, v = dynamics.advance(x, v, -0.4, 0.01)
    assert x == pytest.approx(-0.6 + 0.5 * 1.5 - 0.4 * 1.5**2 / 2, abs=1e-13)
    assert v == pytest.approx(0.5 - 0.4 * 1.5, abs=1e-13)


@pytest.mark.parametrize(
    ("x", "v", "expected"),
    [
        (1.0, -1.0, 0.5 + 0.5),  # towards the origin
        (-1.0, 0.5, 0.5 + 0.8),
        (1.0, 0.5, 0.5 - 5.0),  # away from it
        (-0.5, -0.5, 0.8 - 5.0),
        (1.0, 0.0, 0.5 + 1.0),  # at rest: not moving away
        (0.0, 0.5, 1.0 + 0.8),  # passing the origin: x v = 0
        (0.0, 0.0, 1.0 + 1.0 + 500.0),  # at the goal
        (1e-8, -1e-8, 2.0 + 500.0),  # its edge belongs to the goal
        (1.1e-8, 0.0, 2.0),
        (2.0, -2.0, 0.2 + 0.2),  # the edge is still inside
        (3.0, -1.0, 0.1 + 0.5 - 500.0),  # lost, though coming back
        (1.0, 3.0, 0.5 - 30.0 - 500.0),  # too fast, and away
    ],
)
def test_reward_matches_hand_computed_values(x: float, v: float, expected: float) -> None:
    assert dynamics.reward(x, v, PARAMETERS) == pytest.approx(expected, abs=1e-12)


def test_arrays_give_the_same_bits_as_single_numbers() -> None:
    rng = np.random.default_rng(0)
    x, v, u = rng.uniform(-2.5, 2.5, (3, 1000))
    x[:10] = v[:10] = 0.0
    next_x, next_v = dynamics.advance(x, v, u, 0.01)
    rewards = dynamics.reward(x, v, PARAMETERS)
    same_rewards, crashed, at_goal = dynamics.outcome(x, v, PARAMETERS)
    assert np.array_equal(rewards, same_rewards)
    assert crashed.any()
    assert at_goal.any()
    for i, (xi, vi, ui) in enumerate(zip(x.tolist(), v.tolist(), u.tolist(), strict=True)):
        assert dynamics.advance(xi, vi, ui, 0.01) == (next_x[i], next_v[i])
        assert dynamics.reward(xi, vi, PARAMETERS) == rewards[i]
        assert dynamics.outcome(xi, vi, PARAMETERS) == (rewards[i], crashed[i], at_goal[i])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dt", 0.0),
        ("dt", -0.01),
        ("dt", 0.45),
        ("dt", float("nan")),
        ("goal_tolerance", -1e-9),
        ("goal_tolerance", float("nan")),
        ("goal_tolerance", 0.5),
        ("goal_reward", float("inf")),
        ("goal_reward", "much"),
        ("goal_reward", True),
        ("position_limit", 0.0),
        ("velocity_limit", 0.0),
        ("start_low", 0.0),
        ("start_low", 1.1),
        ("start_high", 2.1),
        ("crash_cost", -1.0),
        ("moving_away_cost", float("nan")),
        ("step_cost", -0.1),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        RocketParameters(**{name: value})
