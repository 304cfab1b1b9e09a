"""The replay buffer."""

from typing import Any, NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]


class Batch(NamedTuple):
    """Transitions, float32. A truncated episode is not terminated: it still bootstraps."""

    observations: Array  # (batch_size, observation_dim)
    actions: Array  # (batch_size, action_dim), in environment units
    next_observations: Array  # (batch_size, observation_dim)
    rewards: Array  # (batch_size, 1)
    not_terminated: Array  # (batch_size, 1), 0 or 1


class ReplayBuffer:
    """The last ``capacity`` transitions.

    :param capacity: in transitions
    :param observation_dim, action_dim: lengths of an observation and of an action
    """

    def __init__(self, capacity: int, observation_dim: int, action_dim: int) -> None:
        self.capacity = capacity
        self.position = 0  # where the next transition goes
        self.size = 0
        widths = (observation_dim, action_dim, observation_dim, 1, 1)
        self._storage = Batch(*(np.zeros((capacity, width), np.float32) for width in widths))

    def add(
        self,
        observation: ArrayLike,
        action: ArrayLike,
        next_observation: ArrayLike,
        reward: SupportsFloat,
        not_terminated: bool,
    ) -> None:
        """Store one transition; once the buffer is full, it replaces the oldest one."""
        transition = (observation, action, next_observation, reward, not_terminated)
        for array, value in zip(self._storage, transition, strict=True):
            array[self.position] = value
        self.position = (self.position + 1) % self.capacity
        self.size = min(self.size + 1, self.capacity)

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """Draw transitions uniformly, with replacement."""
        indices = rng.integers(self.size, size=batch_size)
        return Batch(*(array[indices] for array in self._storage))

    def get_state(self) -> dict[str, NDArray[Any]]:
        """The stored transitions and where the next one goes, as named arrays."""
        arrays = {name: a[: self.size].copy() for name, a in self._storage._asdict().items()}
        return {**arrays, "position": np.array(self.position)}

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from a state that :meth:`get_state` of a buffer of equal capacity returned.

        The state of a smaller buffer also works, as long as nothing was overwritten in it.
        """
        self.size = len(state["rewards"])
        self.position = int(state["position"]) if self.size == self.capacity else self.size
        for name, array in self._storage._asdict().items():
            array[: self.size] = state[name]
