"""The reference's run loop: what it stores, when it updates, and what it does not confuse."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from td3_reference.config import LoopConfig, TD3Config
from td3_reference.run_loop import RunLoop
from td3_reference.td3 import TD3

LOW, HIGH = [0.0, -1.0], [5.0, 3.0]


class ThreeSteps:
    """Episodes of three steps; every second one is truncated, the others terminate."""

    def __init__(self) -> None:
        self.seeds: list[int | None] = []
        self.actions: list[np.ndarray] = []
        self.time = 0

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        self.seeds.append(seed)
        self.time = 0
        return self._observation(), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.actions.append(action)
        self.time += 1
        over, odd = self.time == 3, len(self.seeds) % 2 == 1
        return self._observation(), float(self.time), over and odd, over and not odd, {}

    def _observation(self) -> np.ndarray:
        return np.array([len(self.seeds), self.time], np.float32)


def run(steps: int, **settings: Any) -> tuple[RunLoop, ThreeSteps, TD3]:
    env = ThreeSteps()
    agent = TD3(TD3Config(2, LOW, HIGH, hidden_sizes=(8,)))
    config = LoopConfig(**{"learning_starts": 4, "batch_size": 5, **settings})
    loop = RunLoop(env, agent, config, steps, seed=17, rng=np.random.default_rng(0))
    assert list(loop) == list(range(1, steps + 1))
    return loop, env, agent


def test_only_the_first_reset_is_seeded() -> None:
    _, env, _ = run(9)
    assert env.seeds == [17, None, None, None]


def test_a_terminated_step_stops_the_bootstrap_and_a_truncated_one_does_not() -> None:
    loop, _, _ = run(6)
    stored = loop.buffer.sample(500, np.random.default_rng(0))
    last = stored.next_observations[:, 1] == 3
    terminated = last & (stored.observations[:, 0] == 1)
    assert last.sum() > terminated.sum() > 0
    assert np.array_equal(stored.not_terminated[:, 0] == 0, terminated)


def test_the_observation_after_a_step_is_stored_and_not_the_one_after_the_reset() -> None:
    loop, _, _ = run(6)
    stored = loop.buffer.sample(500, np.random.default_rng(0))
    assert np.array_equal(stored.next_observations, stored.observations + np.array([0, 1]))
    assert np.array_equal(stored.rewards[:, 0], stored.next_observations[:, 1])


def test_updates_begin_after_the_warm_up_one_for_each_step() -> None:
    assert run(4)[2].updates == 0
    assert run(10)[2].updates == 6


def test_warm_up_actions_fill_the_action_range_evenly() -> None:
    _, env, _ = run(4000, learning_starts=4000)
    actions = np.array(env.actions)
    assert actions.min(axis=0) == pytest.approx(LOW, abs=0.02)
    assert actions.max(axis=0) == pytest.approx(HIGH, abs=0.02)
    assert actions.mean(axis=0) == pytest.approx([2.5, 1.0], abs=0.15)


def test_exploration_noise_is_a_share_of_each_action_scale_and_stays_in_bounds() -> None:
    loop, _, agent = run(1)
    observation = np.zeros((1, 2), np.float32)
    loop._observation = observation[0]
    loop.timestep = 4  # the warm-up is over
    draws = np.array([loop._choose_action() for _ in range(4000)])
    noise = draws - agent.actions(observation)
    inside = (draws > LOW) & (draws < HIGH)
    assert inside.mean() > 0.99
    assert noise.std(axis=0) == pytest.approx([0.1 * 2.5, 0.1 * 2.0], rel=0.05)
    assert noise.mean(axis=0) == pytest.approx([0.0, 0.0], abs=0.02)
    loud = RunLoop(
        ThreeSteps(), agent, LoopConfig(0, exploration_noise=9.0), 1, 0, np.random.default_rng(0)
    )
    draws = np.array([loud._choose_action() for _ in range(100)])
    assert draws.min(axis=0).tolist() == LOW
    assert draws.max(axis=0).tolist() == HIGH


def test_memory_is_taken_for_no_more_steps_than_there_will_be() -> None:
    assert run(9)[0].buffer.capacity == 9
    assert run(9, buffer_size=6)[0].buffer.capacity == 6


def test_equal_seeds_give_equal_runs() -> None:
    def weights(seed: int) -> list[bytes]:
        env = gym.make("Pendulum-v1")
        agent = TD3(TD3Config(3, [-2.0], [2.0], hidden_sizes=(8,)), np.random.default_rng(seed))
        loop_config = LoopConfig(learning_starts=20, batch_size=8)
        for _ in RunLoop(env, agent, loop_config, 50, seed, np.random.default_rng(seed)):
            pass
        return [p.detach().numpy().tobytes() for p in agent.actor.parameters()]

    assert weights(3) == weights(3)
    assert weights(3) != weights(4)
