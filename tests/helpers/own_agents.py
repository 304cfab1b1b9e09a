"""Agents with training loops of their own, right and wrong."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

OnStep = Callable[[], None]


class Walks:
    """Acts at random, from NumPy's global generator and a generator of its own."""

    def __init__(self, env: Any, seed: int = 0, scale: float = 1.0) -> None:
        self.space, self.scale = env.action_space, scale
        self.rng = np.random.default_rng(seed)
        self.mean = np.zeros(self.space.shape, np.float32)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: Any = 0
    ) -> Any:
        return np.broadcast_to(self.mean, (len(observation), *self.space.shape)), state

    def steps(self, env: Any, total_timesteps: int, seed: int) -> Iterator[int]:
        env.reset(seed=seed)
        for step in range(total_timesteps):
            noise = self.rng.standard_normal(self.space.shape)
            noise += np.random.standard_normal(self.space.shape)  # noqa: NPY002
            self.mean = np.clip(self.scale * noise, -1, 1).astype(np.float32)
            *_, terminated, truncated, _ = env.step(self.mean)
            if terminated or truncated:
                env.reset()
            yield step

    def learn(self, env: Any, total_timesteps: int, seed: int, on_step: OnStep) -> Any:
        for _ in self.steps(env, total_timesteps, seed):
            on_step()

    def save(self, file: Any) -> None:
        np.save(file, self.mean)

    def load(self, file: Any) -> None:
        self.mean = np.load(file)


class Yields(Walks):
    """The same, with ``learn`` as a generator."""

    def learn(self, env: Any, total_timesteps: int, seed: int, on_step: OnStep) -> Iterator[int]:
        yield from self.steps(env, total_timesteps, seed)


class Silent(Walks):
    """Reports none of its steps."""

    def learn(self, env: Any, total_timesteps: int, seed: int, on_step: OnStep) -> None:
        list(self.steps(env, total_timesteps, seed))


class Early(Walks):
    """Takes half of its steps."""

    def learn(self, env: Any, total_timesteps: int, seed: int, on_step: OnStep) -> None:
        super().learn(env, total_timesteps // 2, seed, on_step)


class Picky(Walks):
    """Cannot be built."""

    def __init__(self, env: Any) -> None:
        raise TypeError("not this environment")
