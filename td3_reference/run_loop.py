"""Interaction of the agent with one environment."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from td3_reference.replay_buffer import Array, ReplayBuffer
from td3_reference.td3 import TD3


class Environment(Protocol):
    """As much of a gymnasium.Env as the loop calls."""

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        ...

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Observation, reward, terminated, truncated, information."""
        ...


@dataclass(frozen=True)
class LoopConfig:
    """How experience is gathered and used, by default as in the author's released code.

    :param learning_starts: first steps, taken with random actions and without updates
    :param batch_size: transitions in an update
    :param buffer_size: transitions remembered
    :param exploration_noise: standard deviation of the noise on actions, in half-widths of the
        action range
    """

    learning_starts: int = 1_000
    batch_size: int = 256
    buffer_size: int = 1_000_000
    exploration_noise: float = 0.1


class RunLoop:
    """One environment step and one update after another.

    :param env: ends its episodes by itself
    :param agent: learns
    :param config: of the loop
    :param total_timesteps: environment steps to take
    :param seed: of the environment's first reset; later ones go on from there
    :param rng: draws exploration, batches and target noise
    """

    def __init__(
        self,
        env: Environment,
        agent: TD3,
        config: LoopConfig,
        total_timesteps: int,
        seed: int,
        rng: np.random.Generator,
    ) -> None:
        self.env = env
        self.agent = agent
        self.config = config
        self.total_timesteps = total_timesteps
        self.timestep = 0
        self._rng = rng
        self._low = np.asarray(agent.config.action_low, np.float32)
        self._high = np.asarray(agent.config.action_high, np.float32)
        dimensions = (agent.config.observation_dim, agent.config.action_dim)
        self.buffer = ReplayBuffer(min(config.buffer_size, total_timesteps), *dimensions)
        self._observation, _ = env.reset(seed=seed)

    def __iter__(self) -> Iterator[int]:
        """Yield the number of environment steps so far, after each one and its update."""
        while self.timestep < self.total_timesteps:
            self._interact()
            if self.timestep > self.config.learning_starts:
                batch_size = self.config.batch_size
                noise = self._rng.standard_normal((batch_size, len(self._low)), np.float32)
                self.agent.update(self.buffer.sample(batch_size, self._rng), noise)
            yield self.timestep

    def _interact(self) -> None:
        """Take one environment step and remember it."""
        action = self._choose_action()
        next_observation, reward, terminated, truncated, _ = self.env.step(action)
        self.timestep += 1
        self.buffer.add(self._observation, action, next_observation, float(reward), terminated)
        self._observation = next_observation
        if terminated or truncated:
            self._observation, _ = self.env.reset()

    def _choose_action(self) -> Array:
        """A random action during the warm-up, then the policy's with noise added."""
        if self.timestep < self.config.learning_starts:
            return self._rng.uniform(self._low, self._high).astype(np.float32)
        action = self.agent.actions(np.asarray(self._observation, np.float32)[None])[0]
        scale = self.config.exploration_noise * (self._high - self._low) / 2
        noise = scale * self._rng.standard_normal(len(self._low), np.float32)
        clipped: Array = np.clip(action + noise, self._low, self._high)
        return clipped
