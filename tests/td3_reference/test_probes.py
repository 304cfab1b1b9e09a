"""The reference TD3 learns the Q-values of environments where they are known."""

from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
import pytest

from td3_reference import TD3, LoopConfig, RunLoop, TD3Config
from tests.helpers.probe_envs import ActionReward, Array, ConstantReward, TwoSteps, observation

GAMMA = 0.5  # small, so that values converge within a few hundred updates
ACTIONS = np.linspace(-1, 1, 9, dtype=np.float32)[:, None]
TOLERANCE = 0.08


def trained(env: gym.Env[Any, Any], steps: int = 900, seed: int = 1) -> TD3:
    """An agent after that many steps, of which the first 300 are random and without update."""
    config = TD3Config(1, [-1.0], [1.0], (32, 32), GAMMA, tau=0.05, learning_rate=3e-3)
    agent = TD3(config, np.random.default_rng(seed))
    loop_config = LoopConfig(learning_starts=300, batch_size=64)
    for _ in RunLoop(env, agent, loop_config, steps, seed, np.random.default_rng(seed + 1)):
        pass
    assert agent.updates == steps - 300
    return agent


def learned_values(agent: TD3, state: int) -> Array:
    """Q-values of both critics (rows) for the ACTIONS (columns)."""
    observations = np.repeat(observation(state)[None], len(ACTIONS), axis=0)
    return np.concatenate(agent.q_values(observations, ACTIONS), axis=1).T


@pytest.mark.slow
def test_a_single_reward_is_the_value_of_a_step_that_terminates() -> None:
    agent = trained(ConstantReward(steps=1, terminates=True))
    assert learned_values(agent, 0) == pytest.approx(np.ones((2, 9)), abs=TOLERANCE)


@pytest.mark.slow
def test_the_critics_learn_how_the_reward_depends_on_the_action_and_the_policy_follows() -> None:
    env = ActionReward()
    agent = trained(env, steps=1300)
    known = -((ACTIONS[:, 0] - env.best_action) ** 2)
    assert learned_values(agent, 0) == pytest.approx(np.stack([known, known]), abs=TOLERANCE)
    assert agent.actions(observation(0)[None]).item() == pytest.approx(env.best_action, abs=0.1)


@pytest.mark.slow
def test_a_later_reward_is_discounted_once_for_each_step_until_it() -> None:
    agent = trained(TwoSteps(), steps=1100)
    assert learned_values(agent, 0) == pytest.approx(np.full((2, 9), GAMMA), abs=TOLERANCE)
    assert learned_values(agent, 1) == pytest.approx(np.ones((2, 9)), abs=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 4])
def test_the_value_of_a_truncated_episode_counts_the_rewards_after_its_end(steps: int) -> None:
    agent = trained(ConstantReward(steps, terminates=False))
    known = np.full((2, 9), 1 / (1 - GAMMA))
    assert learned_values(agent, 0) == pytest.approx(known, abs=TOLERANCE)


class TruncationAsTermination(gym.Wrapper[Any, Any, Any, Any]):
    """What a run loop would see that did not tell the two apart."""

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        next_observation, reward, terminated, truncated, info = self.env.step(action)
        return next_observation, reward, terminated or truncated, False, info


@pytest.mark.slow
def test_taking_a_truncation_for_a_termination_would_be_noticed() -> None:
    """The check above fails by far for an agent that learned from the confused episodes."""
    agent = trained(TruncationAsTermination(ConstantReward(steps=1, terminates=False)))
    values = learned_values(agent, 0)
    assert values == pytest.approx(np.ones((2, 9)), abs=TOLERANCE)
    assert (np.abs(values - 1 / (1 - GAMMA)) > 5 * TOLERANCE).all()
