"""The rocket environment: Gymnasium's contract, the task's rules, and faults of earlier code."""

import copy
import pickle
import subprocess
import sys
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pygame
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env as check_with_gymnasium
from stable_baselines3.common.env_checker import check_env as check_with_sb3

from envs.rendering import Window
from envs.rocket import RocketEnv


def make(**arguments: Any) -> RocketEnv:
    env = gym.make("envs:rocket-v0", **arguments).unwrapped
    assert isinstance(env, RocketEnv)
    return env


def action(thrust: float) -> np.ndarray:
    return np.array([thrust], np.float32)


@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
@pytest.mark.parametrize("check", [check_with_sb3, check_with_gymnasium])
def test_the_public_checkers_find_nothing_to_warn_of(check: Any, render_mode: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(make(render_mode=render_mode))


def test_a_fresh_process_makes_it_without_importing_the_package() -> None:
    code = "import gymnasium; gymnasium.make('envs:rocket-v0').reset(seed=0)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_start_states_lie_in_the_four_corners_of_the_start_region() -> None:
    env = make()
    env.reset(seed=0)
    starts = []
    for _ in range(400):
        env.reset()
        starts.append(env.state)
    sizes, signs = np.abs(starts), np.sign(starts)
    assert sizes.min() >= 0.5
    assert sizes.max() <= 1.0
    assert sizes.mean(axis=0) == pytest.approx([0.75, 0.75], abs=0.03)
    corners, counts = np.unique(signs, axis=0, return_counts=True)
    assert len(corners) == 4
    assert counts.min() > 70  # of 100 expected; standard deviation 8.7


def test_start_states_follow_the_seed_alone_and_not_the_global_generator() -> None:
    first, _ = make().reset(seed=7)
    np.random.seed(99)  # noqa: NPY002
    again, _ = make().reset(seed=7)
    other, _ = make().reset(seed=8)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_resets_and_steps_leave_the_global_generator_alone() -> None:
    np.random.seed(99)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(99)  # noqa: NPY002
    env = make()
    env.reset(seed=7)
    env.step(action(1.0))
    env.reset()
    assert np.random.random() == expected  # noqa: NPY002


def test_later_resets_go_on_with_the_generator() -> None:
    env = make()
    starts = {tuple(env.reset(seed=3)[0]), *(tuple(env.reset()[0]) for _ in range(9))}
    assert len(starts) == 10


@pytest.mark.parametrize("state", [(1.0, 0.0), [-2.0, 2.0], np.array([0.0, -0.5])])
def test_an_episode_starts_where_it_is_told_to(state: Any) -> None:
    env = make()
    observation, _ = env.reset(options={"initial_state": state})
    assert env.state == tuple(state)
    assert observation == pytest.approx(list(state))


@pytest.mark.parametrize(
    "state",
    [
        (2.1, 0.0),
        (0.0, -2.1),
        (float("nan"), 0.0),
        (0.0, float("inf")),
        (1.0,),
        (1, 2, 0),
        1.0,
        "ab",
    ],
)
def test_an_impossible_initial_state_is_refused(state: Any) -> None:
    with pytest.raises(ValueError, match="initial_state"):
        make().reset(options={"initial_state": state})


def test_a_step_returns_pythons_own_types_and_a_float32_observation() -> None:
    env = make()
    env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(action(0.5))
    assert observation.dtype == np.float32
    assert type(reward) is float
    assert type(terminated) is bool
    assert type(truncated) is bool
    assert info == {"is_success": False}
    assert type(info["is_success"]) is bool


def test_the_state_is_kept_in_double_precision() -> None:
    env = make()
    env.reset(options={"initial_state": (1.0, 0.0)})
    for _ in range(100):
        env.step(np.array([0.1]))
    assert env.state[1] == pytest.approx(0.1, abs=1e-13)
    assert env.state[0] == pytest.approx(1.05, abs=1e-13)


def test_thrust_beyond_the_limit_is_clipped_and_nan_is_refused() -> None:
    env = make()
    env.reset(options={"initial_state": (0.0, 0.0)})
    env.step(action(7.0))
    assert env.state[1] == pytest.approx(0.01)
    env.step(action(-np.inf))
    assert env.history.thrusts.tolist() == [1.0, -1.0]
    before = env.state
    with pytest.raises(ValueError, match="NaN"):
        env.step(action(np.nan))
    assert env.state == before


def test_leaving_the_bounds_terminates_as_a_crash() -> None:
    env = make()
    env.reset(options={"initial_state": (1.99, 1.99)})
    _, reward, terminated, truncated, info = env.step(action(1.0))
    assert (terminated, truncated, info["is_success"]) == (True, False, False)
    assert reward < -500
    with pytest.raises(ResetNeeded):
        env.step(action(0.0))


def test_an_exact_controller_reaches_the_goal() -> None:
    env = make()
    # One step of full thrust stops v = -0.01; until then x moves by v t + t^2/2 = -0.00005.
    env.reset(options={"initial_state": (0.00005, -0.01)})
    _, reward, terminated, _, info = env.step(action(1.0))
    assert (terminated, info["is_success"]) == (True, True)
    assert reward == pytest.approx(502.0)


def test_a_wider_goal_is_reached_earlier() -> None:
    env = make(goal_tolerance=0.1, goal_reward=7.0)
    env.reset(options={"initial_state": (0.09, -0.05)})
    _, reward, terminated, _, info = env.step(action(0.0))
    assert (terminated, info["is_success"]) == (True, True)
    assert 7.0 < reward < 9.0


def test_the_time_limit_truncates_after_500_steps_and_never_terminates() -> None:
    env = gym.make("envs:rocket-v0")
    env.reset(options={"initial_state": (0.5, 0.0)})
    for step in range(1, 501):
        _, _, terminated, truncated, _ = env.step(action(0.0))
        assert not terminated
        assert truncated == (step == 500)


def test_no_step_leaves_the_observation_box_at_the_longest_dt() -> None:
    env = make(dt=0.4)
    env.reset(options={"initial_state": (2.0, 2.0)})
    observation, *_ = env.step(action(1.0))
    assert env.observation_space.contains(observation)


@pytest.mark.parametrize("arguments", [{"dt": 0.5}, {"dt": 0}, {"render_mode": "ansi"}])
def test_bad_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RocketEnv(**arguments)


def test_history_holds_times_states_and_thrusts_since_the_reset() -> None:
    env = make(dt=0.1)
    env.reset(seed=0)
    env.step(action(1.0))
    env.reset(options={"initial_state": (1.0, 0.0)})
    env.step(action(-1.0))
    env.step(action(0.5))
    times, states, thrusts = env.history
    assert times == pytest.approx([0.0, 0.1, 0.2])
    assert states == pytest.approx(np.array([[1.0, 0.0], [0.995, -0.1], [0.9875, -0.05]]))
    assert thrusts.tolist() == [-1.0, 0.5]


def test_stepping_before_the_first_reset_is_refused() -> None:
    with pytest.raises(ResetNeeded):
        make().step(action(0.0))


def test_the_landing_task_pays_nothing_for_waiting() -> None:
    env = gym.make("envs:rocket-landing-v0")
    env.reset(options={"initial_state": (0.5, 0.0)})
    assert env.step(action(0.0))[1] == pytest.approx(1 / 1.25 + 1.0 - 2.0)
    env.reset(options={"initial_state": (0.001, -0.0105)})
    _, reward, terminated, _, info = env.step(action(1.0))
    assert (terminated, info["is_success"]) == (True, True)
    assert reward == pytest.approx(1000.0, abs=0.01)
    assert gym.spec("rocket-v0").version == 0  # so Gymnasium warns of no newer version


def test_a_registered_task_survives_a_round_trip_through_json() -> None:
    spec = gym.make("envs:rocket-landing-v0", dt=0.02).spec
    assert spec is not None
    again = gym.make(gym.envs.registration.EnvSpec.from_json(spec.to_json()))
    assert again.unwrapped.parameters == make_landing(dt=0.02).parameters  # type: ignore[attr-defined]


def make_landing(**arguments: Any) -> RocketEnv:
    env = gym.make("envs:rocket-landing-v0", **arguments).unwrapped
    assert isinstance(env, RocketEnv)
    return env


@pytest.mark.parametrize("render_mode", [None, "rgb_array", "human"])
@pytest.mark.parametrize("way", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_in_mid_episode_goes_on_alike(
    way: Any, render_mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gym.make("envs:rocket-v0", 30, render_mode=render_mode)
    env.reset(seed=0)
    env.step(action(0.5))
    twin = way(env)
    for _ in range(29):
        for one, other in zip(env.step(action(0.1)), twin.step(action(0.1)), strict=True):
            assert np.array_equal(one, other)
    assert np.array_equal(env.reset()[0], twin.reset()[0])
    env.close()
    twin.close()


def test_human_mode_shows_every_state_in_a_window_at_real_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    shown: list[tuple[np.ndarray, int]] = []
    monkeypatch.setattr(Window, "show", lambda self, frame, fps: shown.append((frame, fps)))
    env = make(render_mode="human", dt=0.02)
    picture = make(render_mode="rgb_array", dt=0.02)
    for each in (env, picture):
        each.reset(seed=0)
    assert np.array_equal(shown[0][0], np.asarray(picture.render()))
    assert shown[0][1] == 50
    for each in (env, picture):
        each.step(action(0.3))
    assert len(shown) == 2
    assert np.array_equal(shown[1][0], np.asarray(picture.render()))
    env.close()


def test_the_window_shows_the_frame_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = Window("test")
    frame = np.random.default_rng(0).integers(0, 256, (200, 600, 3), np.uint8)
    window.show(frame, fps=1000)
    assert np.array_equal(pygame.surfarray.array3d(window.surface).swapaxes(0, 1), frame)
    window.close()
