"""Classical controllers, against closed forms and on the rocket itself."""

import gymnasium as gym
import numpy as np
import pytest

import envs  # noqa: F401
from envs.controllers import (
    CONTROLLERS,
    LQR_STATE_COST,
    LQR_THRUST_COST,
    Feedback,
    bang_bang,
    lqr_gain,
    make_controller,
    switching_curve,
)
from envs.rollout import Episode, rollout


def play(
    name: str, start: tuple[float, float], env_id: str = "rocket-v0", **arguments: float
) -> Episode:
    env = gym.make(env_id, **arguments)  # type: ignore[arg-type]
    return rollout(make_controller(name, env), env, seed=0, options={"initial_state": start})


@pytest.mark.parametrize("name", CONTROLLERS)
def test_every_controller_answers_a_batch_with_actions_of_the_space(name: str) -> None:
    env = gym.make("rocket-v0")
    observations = np.random.default_rng(0).uniform(-2, 2, (7, 2)).astype(np.float32)
    policy = make_controller(name, env)
    actions, memory = policy.predict(observations, None, np.ones(7, bool), deterministic=True)
    assert actions.shape == (7, 1)
    assert all(env.action_space.contains(action) for action in actions)
    again, _ = policy.predict(observations, memory, np.zeros(7, bool), deterministic=True)
    assert again.shape == (7, 1)


@pytest.mark.parametrize("name", [name for name in CONTROLLERS if name != "random"])
def test_mirrored_states_get_mirrored_thrusts(name: str) -> None:
    observations = np.random.default_rng(0).uniform(-2, 2, (50, 2)).astype(np.float32)
    policy = make_controller(name, gym.make("rocket-v0"))
    thrusts, _ = policy.predict(observations, None, np.ones(50, bool))
    mirrored, _ = policy.predict(-observations, None, np.ones(50, bool))
    assert np.array_equal(thrusts, -mirrored)


def test_random_actions_follow_the_seed_and_fill_the_space() -> None:
    env = gym.make("rocket-v0")
    observations = np.zeros((1000, 2), np.float32)
    first, _ = make_controller("random", env).predict(observations)
    again, _ = make_controller("random", env).predict(observations)
    assert np.array_equal(first, again)
    assert first.std() == pytest.approx(1 / np.sqrt(3), abs=0.05)


def test_zero_coasts_and_brake_stops_where_it_is() -> None:
    assert play("zero", (-1.0, 0.5)).observations[100] == pytest.approx([-0.5, 0.5], abs=1e-6)
    x, v = play("brake", (-1.5, 1.0)).observations[-1]
    # Full thrust from 1 m/s takes 0.5 m; the last centimetre per second takes a little more.
    assert x == pytest.approx(-1.0, abs=1e-3)
    assert v == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("start", [(1.0, 1.0), (-0.5, -1.0), (0.5, -1.0), (1.0, -0.5)])
@pytest.mark.parametrize("name", ["pd", "pid", "lqr", "bang-bang"])
def test_feedback_brings_the_rocket_near_the_origin(name: str, start: tuple[float, float]) -> None:
    x, v = play(name, start).observations[-1]
    assert abs(x) < 0.06
    assert abs(v) < 0.06


def test_the_lqr_gain_minimises_the_quadratic_cost_among_its_neighbours() -> None:
    dt = 0.01
    gain = lqr_gain(dt)

    def cost(k: np.ndarray) -> float:
        state, total = np.array([1.0, 0.5]), 0.0
        for _ in range(3000):
            u = -k @ state
            total += state @ LQR_STATE_COST @ state + LQR_THRUST_COST[0, 0] * u * u
            state = np.array([state[0] + dt * state[1] + 0.5 * dt**2 * u, state[1] + dt * u])
        return float(total)

    best = cost(gain)
    for change in ([1.02, 1.0], [0.98, 1.0], [1.0, 1.02], [1.0, 0.98]):
        assert cost(gain * change) > best
    # In the limit of small steps: sqrt(q/r) and sqrt(q/r + 2 sqrt(q/r)), with q/r = 100.
    assert lqr_gain(1e-5) == pytest.approx([10.0, np.sqrt(120.0)], rel=1e-3)


@pytest.mark.parametrize("v", [-1.0, 0.3, 2.0])
def test_full_braking_from_the_switching_curve_ends_at_the_origin(v: float) -> None:
    (x,) = switching_curve(np.array([v]))
    time = abs(v)
    thrust = -np.sign(v)
    assert x + v * time + thrust * time**2 / 2 == pytest.approx(0.0, abs=1e-12)
    assert v + thrust * time == pytest.approx(0.0, abs=1e-12)


def test_bang_bang_lands_in_almost_the_shortest_possible_time() -> None:
    # From rest at 1 m: half the way with full thrust, half braking, 2 s in all.
    landing = play("bang-bang", (1.0, 0.0), "rocket-landing-v0")
    assert landing.success
    assert len(landing.rewards) * 0.01 == pytest.approx(2.0, abs=0.05)
    # From (1, 1): braking takes 1 s and 0.5 m, then 1.5 m from rest takes 2 sqrt(1.5) s.
    landing = play("bang-bang", (1.0, 1.0), "rocket-landing-v0")
    # Switching a step late, the rocket passes the goal once; landing means within 1 cm.
    shortest = 1.0 + 2 * np.sqrt(1.5)
    assert shortest - 0.02 < len(landing.rewards) * 0.01 < 1.1 * shortest


def test_the_pid_remembers_its_integral_and_forgets_it_when_an_episode_starts() -> None:
    env = gym.make("rocket-v0")
    policy = make_controller("pid", env)
    observations = np.array([[0.01, 0.0], [0.01, 0.0]], np.float32)
    first, memory = policy.predict(observations, None, np.ones(2, bool))
    for _ in range(1000):
        _, memory = policy.predict(observations, memory, np.zeros(2, bool))
    later, _ = policy.predict(observations, memory, np.array([False, True]))
    # 1,001 steps of 0.01 s at 0.01 m.
    assert later[0, 0] - first[0, 0] == pytest.approx(-0.02 * 1001 * 0.01 * 0.01, rel=1e-3)
    assert later[1, 0] == first[1, 0]


def test_the_pids_integral_stands_still_while_the_thrust_is_at_its_limit() -> None:
    policy = make_controller("pid", gym.make("rocket-v0"))
    _, memory = policy.predict(np.array([[1.0, 1.0]], np.float32), None, np.ones(1, bool))
    assert memory.tolist() == [0.0]


def test_unknown_controllers_and_other_environments_are_refused() -> None:
    with pytest.raises(ValueError, match="must be one of random, zero"):
        make_controller("autopilot", gym.make("rocket-v0"))
    with pytest.raises(ValueError, match="for the rockets"):
        make_controller("lqr", gym.make("Pendulum-v1"))
    pendulum = gym.make("Pendulum-v1")
    actions, _ = make_controller("random", pendulum).predict(np.zeros((4, 3), np.float32))
    assert all(pendulum.action_space.contains(action) for action in actions)


def test_the_switching_curve_divides_the_plane_by_thrust() -> None:
    policy = Feedback(bang_bang)
    v = np.linspace(-2, 2, 9)
    for side in (-0.01, 0.01):
        states = np.stack((switching_curve(v) + side, v), axis=1)
        actions, _ = policy.predict(states)
        assert (actions[:, 0] == -np.sign(side)).all()
