"""Episodes and their scores."""

from typing import Any

import gymnasium as gym
import numpy as np

import envs  # noqa: F401
from envs.rollout import evaluate, rollout


class Constant:
    """A policy with one and the same action for every observation."""

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
    together = evaluate(Constant(0.6), [gym.make("rocket-v0") for _ in seeds], seeds)
    alone = [rollout(Constant(0.6), gym.make("rocket-v0"), seed) for seed in seeds]
    assert together.returns.tolist() == [episode.episode_return for episode in alone]
    assert together.lengths.tolist() == [len(episode.rewards) for episode in alone]
    assert together.successes is not None
    assert not together.successes.any()
    assert len(set(together.lengths)) > 1  # they end at different times
    assert len(set(together.returns)) == len(seeds)  # every seed has a start of its own


def test_the_policy_is_told_of_starts_and_given_its_memory_back() -> None:
    policy = Constant(0.0)
    evaluate(policy, [gym.make("rocket-v0") for _ in range(2)], [0, 1])
    _, first_state, first_start = policy.batches[0]
    _, second_state, second_start = policy.batches[1]
    assert (first_state, second_state) == (None, 1)
    assert first_start.all()
    assert not second_start.any()
    assert {batch.shape for batch, _, _ in policy.batches} == {(2, 2)}


def test_an_environment_without_success_reports_none() -> None:
    assert evaluate(Constant(0.0), [gym.make("Pendulum-v1")], [0]).successes is None
