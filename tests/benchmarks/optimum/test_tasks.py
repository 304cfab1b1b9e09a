"""Dynamic programming and V*: closed forms, brute force, and the real environments."""

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest

from benchmarks.optimum import page as optimum_page
from benchmarks.optimum import tasks as optimal_control
from benchmarks.optimum.dynamic_programming import Array, Grid, Solution, bellman_update, solve
from benchmarks.optimum.grid import PendulumGrid, RocketGrid, wrapped
from benchmarks.optimum.page import EndsOnTheGoal
from benchmarks.optimum.policy import OptimalPolicy
from benchmarks.optimum.tasks import solution
from envs import dynamics
from envs.dynamics import RocketParameters
from envs.rollout import evaluate, play_side_by_side, rollout

NO_GOAL = RocketParameters(goal_reward=0.0)
LANDING = RocketParameters(goal_tolerance=0.01, goal_reward=1000.0, step_cost=2.0)
COARSE = {
    "rocket-v0": RocketGrid(500, 50, 2, NO_GOAL),
    "rocket-landing-v0": RocketGrid(500, 100, 2, LANDING),
    "Pendulum-v1": PendulumGrid(200, 200, 3, 160),
}
COARSE_ROCKET = COARSE["rocket-v0"]


@pytest.fixture(scope="module")
def module_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(
    module_cache: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Coarse grids, and a cache that the tests share, except for the slow tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(module_cache))
    if "slow" not in request.keywords:
        monkeypatch.setattr(optimal_control, "TASKS", {k: one(grid) for k, grid in COARSE.items()})
    solution.cache_clear()


def one(grid: Grid) -> Callable[[float], Grid]:
    return lambda fineness: grid


@pytest.fixture(scope="module")
def rocket() -> Solution:
    return solve(COARSE_ROCKET)


def starts(n: int, seed: int = 0) -> Array:
    return dynamics.draw_starts(np.random.default_rng(seed), n, NO_GOAL)


def best_by_enumeration(grid: Grid, state: tuple[float, float], steps: int, choices: int) -> float:
    """The best return over all sequences of so many evenly spaced thrusts."""
    states, returns, running = np.array([state]), np.zeros(1), np.ones(1, dtype=bool)
    thrusts = np.linspace(-grid.thrust_limit, grid.thrust_limit, choices)
    for _ in range(steps):
        after = grid.step(np.repeat(states, choices, axis=0), np.tile(thrusts, len(states)))
        returns = np.repeat(returns, choices) + np.repeat(running, choices) * after.rewards
        running = np.repeat(running, choices) & after.goes_on
        states = after.states
    return float(returns.max())


def swept(grid: Grid, steps: int) -> Array:
    operators = grid.operators()
    values: Array = np.zeros(len(grid.nodes))
    for _ in range(steps):
        values = bellman_update(operators, values, 1.0)
    return values


@pytest.mark.slow
def test_staying_at_the_origin_pays_two_at_every_step(rocket: Solution) -> None:
    assert rocket.start_values(np.zeros((1, 2))) == pytest.approx(1000.0, abs=1e-9)


def test_after_an_unavoidable_crash_nothing_more_is_paid() -> None:
    values = swept(COARSE_ROCKET, 3)
    # at the limit and moving outwards, the first step crosses it, braking as hard as may be
    x, v = 2.0 + 0.5 * 0.01 - 0.5e-4, 0.49
    expected = dynamics.reward(x, v, NO_GOAL)
    assert COARSE_ROCKET.value(values, np.array([2.0, 0.5])) == pytest.approx(expected, abs=1e-9)
    assert COARSE_ROCKET.value(values, np.array([-2.0, -0.5])) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("parameters", [NO_GOAL, LANDING])
@pytest.mark.parametrize(
    "state",
    # moving away and in, past the origin, at the goal's edge, braking to 0 just so, at rest
    [(0.6, 0.7), (0.6, -0.7), (0.0, -0.02), (0.01, -0.01), (0.5, 0.01), (0.0, 0.0)],
)
def test_few_steps_agree_with_the_enumeration_of_thrusts(
    parameters: RocketParameters, state: tuple[float, float]
) -> None:
    grid = RocketGrid(500, 100, 2, parameters)
    for steps in (1, 2, 3):
        best = best_by_enumeration(grid, state, steps, choices=5)
        # one step is exact; more interpolate, where the reward is smooth
        tolerance = 1e-9 if steps == 1 else 0.01
        value = grid.value(swept(grid, steps), np.array(state))
        assert value == pytest.approx(best, abs=tolerance), steps


def test_a_jump_of_the_value_is_met_from_its_own_side() -> None:
    # 3 hundredths of speed are braked to 0 in 3 steps, a little more takes a fourth
    grid = RocketGrid(500, 100, 2, NO_GOAL)
    values = swept(grid, 10)
    at, above, further = grid.value(values, np.array([[0.6, 0.03], [0.6, 0.030001], [0.6, 0.032]]))
    assert at - above > 0.9
    assert above - further < 0.2


def test_reflected_states_have_the_same_value(rocket: Solution) -> None:
    states = starts(50)
    assert rocket.start_values(states) == pytest.approx(rocket.start_values(-states), abs=1e-9)


def test_a_dynamic_program_of_the_pendulum_agrees_with_enumeration() -> None:
    grid = PendulumGrid(200, 400, 6, 320)
    values = swept(grid, 4)
    for state in [(0.0, 0.0), (0.3, -0.5), (3.1, 0.9), (-2.0, 7.9)]:
        best = best_by_enumeration(grid, state, steps=4, choices=13)
        assert grid.value(values, np.array(state)) == pytest.approx(best, abs=0.02)


@pytest.mark.slow
def test_the_small_pendulum_costs_what_the_riccati_equation_says() -> None:
    a = np.array([[1.0 + 0.75 * 0.05, 0.05], [0.75, 1.0]])
    b = np.array([[0.15 * 0.05], [0.15]])
    cost = np.zeros((2, 2))
    for _ in range(200):
        gain = np.linalg.solve(0.001 + b.T @ cost @ b, b.T @ cost @ a)
        cost = np.diag([1.0, 0.1]) + a.T @ cost @ (a - b @ gain)
    state = np.array([0.3, -0.9])  # from where the torques stay within their limit
    (earned,) = solve(PendulumGrid(200, 400, 3, 320)).play(state[None]).returns
    assert earned == pytest.approx(-state @ cost @ state, rel=0.03)


def test_steps_are_those_of_the_real_pendulum() -> None:
    env = gym.make("Pendulum-v1").unwrapped
    env.reset(seed=3)
    for thrust in np.linspace(-2.0, 2.0, 9, dtype=np.float32):
        state = np.array(env.state)  # type: ignore[attr-defined]
        after = COARSE["Pendulum-v1"].step(state[None], np.array([thrust]))
        reward = env.step(np.array([thrust]))[1]
        assert after.rewards == pytest.approx(reward, abs=1e-6)
        assert after.states[0] == pytest.approx(env.state, abs=1e-6)  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("env_id", optimal_control.TASKS)
def test_the_greedy_policy_earns_its_value_in_the_real_environment(env_id: str) -> None:
    states = optimal_control.protocol_starts(env_id, 10)
    earned = optimum_page.real_episodes(env_id, OptimalPolicy(solution(env_id)), 10).returns
    tolerance = 5.0 if env_id == "Pendulum-v1" else 0.5
    known = optimal_control.optimal_value(env_id, states)
    assert earned == pytest.approx(known, abs=tolerance)
    assert (known - earned > -0.1).all()


@pytest.mark.slow
def test_no_controller_beats_the_optimum() -> None:
    class Brakes:
        """Stops as fast as it can and stays there."""

        def predict(self, observation, state=None, episode_start=None, deterministic=False):  # type: ignore[no-untyped-def]
            return np.clip(-observation[:, 1:] / 0.01, -1.0, 1.0), None

    states = optimal_control.protocol_starts("rocket-v0", 20)
    envs, seeds = [gym.make("rocket-v0") for _ in states], range(20_000, 20_020)
    returns = evaluate(play_side_by_side(Brakes(), envs, seeds)).returns
    assert (optimal_control.optimal_value("rocket-v0", states) > returns).all()


def test_a_policy_takes_up_an_episode_that_begins_later() -> None:
    policy = OptimalPolicy(solution("rocket-v0"))
    observations = np.array([[0.0, -0.001], [0.0, -0.001]], dtype=np.float32)
    actions, memory = policy.predict(observations, np.array([7, 499]), np.array([False, True]))
    assert memory.tolist() == [8, 1]
    assert actions.shape == (2, 1)
    assert actions.dtype == np.float32


def test_a_discount_near_zero_is_myopic() -> None:
    myopic = solve(COARSE_ROCKET, 0.01)
    states = starts(20)
    candidates = np.linspace(-1.0, 1.0, 2001)
    for state, thrust in zip(states, myopic.thrusts(states, 500), strict=True):
        rewards = COARSE_ROCKET.step(np.tile(state, (2001, 1)), candidates).rewards
        here = COARSE_ROCKET.step(state[None], np.array([thrust])).rewards
        assert here == pytest.approx(rewards.max(), abs=0.01)


@pytest.mark.parametrize("gamma", [0.5, 0.99])
def test_a_discounted_value_solves_its_equation(gamma: float) -> None:
    (values,) = solve(COARSE_ROCKET, gamma).values
    at_rest = COARSE_ROCKET.value(values, np.zeros(2))
    assert at_rest == pytest.approx(2.0 / (1.0 - gamma), abs=1e-6)
    assert np.abs(
        bellman_update(COARSE_ROCKET.operators(), values, gamma) - values
    ).max() <= 0.1 * (1.0 - gamma)


@pytest.mark.slow
def test_a_discount_costs_return_and_none_costs_nothing() -> None:
    states = starts(5)
    best = optimal_control.optimal_value("rocket-v0", states)
    assert (best > optimal_control.gamma_optimal_return("rocket-v0", states, 0.5)).all()
    assert np.array_equal(best, optimal_control.gamma_optimal_return("rocket-v0", states, 1.0))


@pytest.mark.slow
def test_the_landing_task_lands_from_everywhere_at_every_discount() -> None:
    table = optimum_page.gamma_table("rocket-landing-v0", (0.99, 1.0), starts=100)
    assert (table["landed"] == 1.0).all()
    assert (table["objective gap"] > -1e-9).all()


def test_a_controller_can_end_exactly_on_the_goal() -> None:
    episode = rollout(EndsOnTheGoal(solution("rocket-v0")), gym.make("rocket-v0"), seed=20_000)
    assert episode.success
    assert len(episode.rewards) == 500
    known = optimal_control.optimal_value("rocket-v0", episode.observations[:1])
    assert episode.episode_return == pytest.approx(known[0] + 500.0, abs=2.0)


def test_a_goal_that_a_grid_can_see_counts_and_a_smaller_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()
    for env_id, parameters in (("rocket-v0", NO_GOAL), ("rocket-landing-v0", LANDING)):
        assert optimal_control.task_grid(env_id) == RocketGrid(500, 200, 4, parameters)


@pytest.mark.slow
def test_tables_come_from_the_cache_and_a_damaged_one_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache, states = tmp_path / "td3-rocket-benchmark", starts(3)
    first = optimal_control.gamma_optimal_return("envs:rocket-v0", states, 0.5)
    (file,) = cache.iterdir()
    intact = file.read_bytes()

    for damaged in (b"", intact[:1000], b"not a table"):
        file.write_bytes(damaged)
        solution.cache_clear()
        again = optimal_control.gamma_optimal_return("rocket-v0", states, 0.5)
        assert np.array_equal(again, first)
    assert [file] == list(cache.iterdir())

    monkeypatch.setattr(optimal_control, "solve", None)
    solution.cache_clear()
    again = optimal_control.gamma_optimal_return("rocket-v0", states, 0.5)
    assert np.array_equal(again, first)


def test_what_is_not_known_is_refused() -> None:
    assert optimal_control.has_optimum("envs:rocket-v0")
    assert not optimal_control.has_optimum("Hopper-v5")
    with pytest.raises(ValueError, match="Hopper-v5"):
        optimal_control.optimal_value("Hopper-v5", np.zeros((1, 2)))
    for env_id, state in (("rocket-v0", [2.1, 0.0]), ("Pendulum-v1", [0.0, np.nan])):
        with pytest.raises(ValueError, match="beyond the limits"):
            optimal_control.optimal_value(env_id, [state])
    with pytest.raises(ValueError, match="shape"):
        optimal_control.optimal_value("rocket-v0", [0.0, 0.0])
    with pytest.raises(ValueError, match="gamma"):
        solution("rocket-v0", gamma=1.1)


def test_the_state_of_an_environment_is_its_own_in_double_precision() -> None:
    for env_id in optimal_control.TASKS:
        env = gym.make(env_id)
        env.reset(seed=1)
        state = optimal_control.start_state(env)
        assert state.shape == (2,)
        assert state.dtype == np.float64
        assert tuple(state) == tuple(env.unwrapped.state)  # type: ignore[attr-defined]


def test_angles_are_wrapped_to_a_turn() -> None:
    angles = np.array([0.0, np.pi + 0.1, -np.pi - 0.1, 7.0])
    expected = [0.0, -np.pi + 0.1, np.pi - 0.1, 7.0 - 2 * np.pi]
    assert wrapped(angles) == pytest.approx(expected)


@pytest.mark.slow
def test_the_figure_shows_every_task(tmp_path: Path) -> None:
    rows = {"gamma": [0.9, 0.99, 1.0], "return": [1.0, 2.0, 3.0]}
    table = pd.DataFrame({**rows, "steady-state distance": [0.3, 0.1, 0.05]})
    optimum_page.plot_gamma_tables({"a": table, "b": table}, tmp_path / "gamma.png")
    assert (tmp_path / "gamma.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env_id", "error"), [("rocket-v0", 0.01), ("rocket-landing-v0", 0.5), ("Pendulum-v1", 5.0)]
)
def test_halving_the_spacing_changes_the_optimum_within_the_stated_error(
    env_id: str, error: float
) -> None:
    table = optimum_page.convergence_table(env_id, (0.5, 1.0))
    assert table["largest change"].iloc[-1] <= error
