"""An environment's state saved in mid-episode and taken up by another one."""

import json
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import TimeAwareObservation

import envs  # noqa: F401
from envs.saved_state import can_be_saved, get_state, set_state

SAVEABLE = [
    "rocket-v0", "Pendulum-v1", "CartPole-v1", "Acrobot-v1",
    "MountainCar-v0", "MountainCarContinuous-v0",
]  # fmt: skip


def steps(env: Any, actions: list[Any]) -> list[Any]:
    """What the environment returns for a list of actions, infos excepted; resets when over."""
    returned = []
    for action in actions:
        *step, _ = env.step(action)
        returned.append([np.asarray(part).tolist() for part in step])
        if step[2] or step[3]:
            returned.append(np.asarray(env.reset()[0]).tolist())
    return returned


@pytest.mark.parametrize("cut", [0, 1, 37, 199])
@pytest.mark.parametrize("env_id", SAVEABLE)
def test_another_environment_goes_on_exactly_where_the_first_was_saved(
    env_id: str, cut: int
) -> None:
    first = gym.make(env_id)
    first.reset(seed=4)
    first.action_space.seed(5)
    actions = [first.action_space.sample() for _ in range(cut + 1200)]
    steps(first, actions[:cut])
    saved = json.loads(json.dumps(get_state(first)))
    expected = steps(first, actions[cut:])
    second = gym.make(env_id)
    second.reset(seed=99)
    set_state(second, saved)
    assert steps(second, actions[cut:]) == expected


def test_the_rockets_history_is_saved_too() -> None:
    first, second = gym.make("rocket-v0"), gym.make("rocket-v0")
    first.reset(seed=1)
    second.reset(seed=2)
    steps(first, [np.array([0.5], np.float32)] * 7)
    set_state(second, json.loads(json.dumps(get_state(first))))
    histories = [env.unwrapped.history for env in (first, second)]  # type: ignore[attr-defined]
    for one, other in zip(*histories, strict=True):
        assert np.array_equal(one, other)


def test_an_environment_that_cannot_be_saved_says_so() -> None:
    env = gym.make("FrozenLake-v1")
    assert not can_be_saved(env)
    with pytest.raises(TypeError, match="get_state"):
        get_state(env)


def test_a_saved_state_does_not_change_with_later_steps() -> None:
    env = gym.make("rocket-v0")
    env.reset(seed=1)
    actions = [np.array([0.5], np.float32)] * 3
    saved = get_state(env)
    expected = steps(env, actions)
    set_state(env, saved)
    assert steps(env, actions) == expected


def test_an_unknown_wrapper_may_have_a_state_of_its_own_so_it_is_not_saved() -> None:
    assert can_be_saved(gym.make("Pendulum-v1"))
    assert not can_be_saved(TimeAwareObservation(gym.make("Pendulum-v1")))


TASKS = [
    f"{task}-v{version}"
    for task in (
        "HalfCheetah",
        "Hopper",
        "Walker2d",
        "Ant",
        "Reacher",
        "InvertedPendulum",
        "InvertedDoublePendulum",
        "Swimmer",
        "Humanoid",
        "HumanoidStandup",
    )
    for version in (4, 5)
] + ["Pusher-v5"]  # its version 4 is for MuJoCo 2 alone


@pytest.mark.parametrize("env_id", TASKS)
def test_a_mujoco_task_goes_on_exactly_wherever_it_was_saved(env_id: str) -> None:
    pytest.importorskip("mujoco")
    first, second = gym.make(env_id, max_episode_steps=40), gym.make(env_id, max_episode_steps=40)
    first.reset(seed=4)
    second.reset(seed=99)
    first.action_space.seed(5)
    # 45 more steps follow each. Unless an episode terminates, saved at its steps 0, 6, 28, 15, 31.
    for n_steps in (0, 1, 17, 22, 11):
        steps(first, [first.action_space.sample() for _ in range(n_steps)])
        set_state(second, json.loads(json.dumps(get_state(first))))
        actions = [first.action_space.sample() for _ in range(45)]
        expected = steps(second, actions)
        assert steps(first, actions) == expected


def test_positions_of_bodies_are_saved_as_they_are_not_computed_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("mujoco")
    first, second = gym.make("Humanoid-v5"), gym.make("Humanoid-v5")
    first.reset(seed=4)
    second.reset(seed=4)
    actions = [np.full(17, 0.1, np.float32)] * 5
    steps(first, actions)
    saved = get_state(first)
    expected = steps(first, actions)
    set_state(second, saved)
    assert steps(second, actions) == expected
    set_state(second, {**saved, "base": {**saved["base"], "derived": {}}})
    assert steps(second, actions) != expected
