"""Episodes and their scores."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import envs  # noqa: F401
from envs.controllers import make_controller
from envs.rollout import Episode, evaluate, play_in_batch, play_side_by_side, rollout


class Constant:
    """A policy with the same action for every observation."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.batches: list[Any] = []

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        assert deterministic
        self.batches.append((observation.copy(), state, episode_start.copy()))
        return np.full((len(observation), 1), self.value, np.float32), len(self.batches)


def test_an_episode_holds_what_the_environment_gave() -> None:
    env = gym.make("rocket-v0")
    episode = rollout(Constant(1.0), env, seed=0, options={"initial_state": (1.9, 1.0)})
    # x = 1.9 + t + t^2/2 passes 2 during the tenth step.
    assert len(episode.rewards) == 10
    assert episode.observations.shape == (11, 2)
    assert episode.actions.shape == (10, 1)
    assert (episode.terminated, episode.truncated, episode.success) == (True, False, False)
    assert episode.episode_return == episode.rewards.sum()
    assert episode.rewards[-1] < -500 < episode.rewards[0]


def test_episodes_side_by_side_equal_episodes_one_by_one() -> None:
    seeds = [11, 12, 13, 14, 15, 16, 17]
    rockets = [gym.make("rocket-v0") for _ in seeds]
    together = evaluate(play_side_by_side(Constant(0.6), rockets, seeds))
    alone = [rollout(Constant(0.6), gym.make("rocket-v0"), seed) for seed in seeds]
    assert together.returns.tolist() == [episode.episode_return for episode in alone]
    assert together.lengths.tolist() == [len(episode.rewards) for episode in alone]
    assert together.successes is not None
    assert not together.successes.any()
    assert len(set(together.lengths)) > 1  # they end at different times
    assert len(set(together.returns)) == len(seeds)  # every seed has a start of its own


def test_the_policy_is_told_of_starts_and_given_its_memory_back() -> None:
    policy = Constant(0.0)
    play_side_by_side(policy, [gym.make("rocket-v0") for _ in range(2)], [0, 1])
    _, first_state, first_start = policy.batches[0]
    _, second_state, second_start = policy.batches[1]
    assert (first_state, second_state) == (None, 1)
    assert first_start.all()
    assert not second_start.any()
    assert {batch.shape for batch, _, _ in policy.batches} == {(2, 2)}


def test_an_environment_without_success_reports_none() -> None:
    assert evaluate([rollout(Constant(0.0), gym.make("Pendulum-v1"), 0)]).successes is None


@pytest.mark.parametrize("env_id", ["rocket-v0", "rocket-landing-v0"])
@pytest.mark.parametrize("name", ["brake", "pid", "bang-bang", "zero"])
def test_a_vector_environment_plays_the_same_episodes_as_single_ones(
    name: str, env_id: str
) -> None:
    seeds = range(20_000, 20_020)
    batch = gym.make_vec(env_id, num_envs=20, vectorization_mode="vector_entry_point")
    rockets = [gym.make(env_id) for _ in seeds]
    policy = make_controller(name, rockets[0])
    singly = play_side_by_side(policy, rockets, seeds)
    for one, other in zip(play_in_batch(policy, batch, seeds), singly, strict=True):
        assert_equal(one, other)


def assert_equal(one: Episode, other: Episode) -> None:
    for name in ("observations", "actions", "rewards"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    assert one.episode_return == other.episode_return
    for name in ("terminated", "truncated", "success"):
        assert getattr(one, name) == getattr(other, name)


def test_a_vector_environment_that_would_play_other_episodes_is_refused() -> None:
    cartpole = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point")
    same_step = gym.make_vec(
        "rocket-v0", 2, vectorization_mode="vector_entry_point", autoreset_mode="SameStep"
    )
    for env in (cartpole, same_step):
        with pytest.raises(ValueError, match="NextStep and a seed"):
            play_in_batch(Constant(0.0), env, [0, 1])
