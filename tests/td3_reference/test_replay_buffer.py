"""Replay memory."""

import numpy as np

from td3_reference.replay_buffer import ReplayBuffer


def filled(transitions: int, capacity: int = 4) -> ReplayBuffer:
    buffer = ReplayBuffer(capacity, observation_dim=2, action_dim=1)
    for i in range(transitions):
        observation = np.full(2, i, np.float32)
        buffer.add(observation, np.full(1, -i, np.float32), observation + 1, 10.0 * i, i != 2)
    return buffer


def test_a_batch_keeps_the_parts_of_a_transition_together() -> None:
    batch = filled(4).sample(100, np.random.default_rng(0))
    i = batch.observations[:, :1]
    assert np.array_equal(batch.actions, -i)
    assert np.array_equal(batch.next_observations, batch.observations + 1)
    assert np.array_equal(batch.rewards, 10 * i)
    assert np.array_equal(batch.not_terminated, (i != 2).astype(np.float32))
    assert {array.dtype for array in batch} == {np.dtype(np.float32)}


def test_only_what_was_stored_is_drawn_and_each_transition_equally_often() -> None:
    batch = filled(3).sample(30_000, np.random.default_rng(0))
    values, counts = np.unique(batch.observations[:, 0], return_counts=True)
    assert values.tolist() == [0, 1, 2]
    assert np.abs(counts - 10_000).max() < 400  # five standard deviations of 82


def test_a_full_memory_forgets_the_oldest() -> None:
    buffer = filled(6)
    values = np.unique(buffer.sample(1000, np.random.default_rng(0)).observations[:, 0])
    assert values.tolist() == [2, 3, 4, 5]
    assert (buffer.size, buffer.position) == (4, 2)


def test_equal_generators_draw_equal_batches() -> None:
    first = filled(4).sample(10, np.random.default_rng(5))
    second = filled(4).sample(10, np.random.default_rng(5))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
