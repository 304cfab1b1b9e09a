"""Interaction of the agent with one environment."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from td3_reference.config import LoopConfig
from td3_reference.replay_buffer import Array, ReplayBuffer
from td3_reference.td3 import TD3


class RunLoop:
    """Environment steps and updates in turn.

    :param env: a gymnasium.Env that ends its episodes
    :param agent: the agent that learns
    :param config: of the loop
    :param total_timesteps: environment steps to take
    :param seed: of the environment's first reset
    :param rng: draws exploration, batches and target noise
    """

    def __init__(
        self,
        env: Any,
        agent: TD3,
        config: LoopConfig,
        total_timesteps: int,
        seed: int,
        rng: np.random.Generator,
    ) -> None:
        self.env, self.agent, self.config = env, agent, config
        self.total_timesteps = total_timesteps
        self.timestep = self.episode_steps = 0
        self.rng = rng
        self._low: Array = np.asarray(agent.config.action_low, np.float32)
        self._high: Array = np.asarray(agent.config.action_high, np.float32)
        action_scale = (self._high - self._low) / 2 if agent.config.scale_noise else np.float32(1)
        self._noise_scale = config.exploration_noise * action_scale
        dimensions = (agent.config.observation_dim, agent.config.action_dim)
        self.buffer = ReplayBuffer(min(config.buffer_size, total_timesteps), *dimensions)
        observation, _ = env.reset(seed=seed)
        self._observation = np.array(observation)  # a copy: the environment may change it in place

    def __iter__(self) -> Iterator[int]:
        """Yield the number of environment steps so far, after each one and its updates."""
        while self.timestep < self.total_timesteps:
            episode_steps = self._interact()
            if not self.config.update_after_episode:
                if self.timestep > self.config.learning_starts:
                    self._update()
            elif self.episode_steps == 0:  # the episode is over
                self.agent.restart_policy_delay()
                for _ in range(episode_steps):
                    self._update()
            yield self.timestep

    def _interact(self) -> int:
        """Take and store one environment step; return the number of steps of its episode so far."""
        action = self._choose_action()
        observation, reward, terminated, truncated, _ = self.env.step(action.copy())
        next_observation = np.array(observation)
        self.timestep += 1
        self.episode_steps += 1
        self.buffer.add(self._observation, action, next_observation, reward, not terminated)
        self._observation, episode_steps = next_observation, self.episode_steps
        if terminated or truncated:
            observation, _ = self.env.reset()
            self._observation = np.array(observation)
            self.episode_steps = 0
        return episode_steps

    def _choose_action(self) -> Array:
        """A random action during the warm-up, then the policy's with noise added."""
        if self.timestep < self.config.learning_starts:
            return self.rng.uniform(self._low, self._high).astype(np.float32)
        action = self.agent.actions(np.asarray(self._observation, np.float32)[None])[0]
        noise = self._noise_scale * self.rng.standard_normal(len(self._low), np.float32)
        return np.asarray(np.clip(action + noise, self._low, self._high))

    def _update(self) -> None:
        """Update the agent with a batch drawn from the replay buffer."""
        noise = self.rng.standard_normal((self.config.batch_size, len(self._low)), np.float32)
        self.agent.update(self.buffer.sample(self.config.batch_size, self.rng), noise)

    def get_state(self) -> dict[str, Any]:
        """Counters, last observation and generator, between two steps, as JSON values."""
        return {
            "timestep": self.timestep,
            "episode_steps": self.episode_steps,
            "observation": np.asarray(self._observation).tolist(),
            "generator": self.rng.bit_generator.state,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that :meth:`get_state` of an equally configured loop returned."""
        self.timestep = state["timestep"]
        self.episode_steps = state["episode_steps"]
        self._observation = np.array(state["observation"], np.float32)
        self.rng.bit_generator.state = state["generator"]
