"""The reference TD3 against numbers recorded from the author's code, and against arithmetic."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from td3_reference.config import TD3Config
from td3_reference.replay_buffer import Batch
from td3_reference.td3 import TD3

GOLDEN = np.load(Path(__file__).parent / "data" / "td3_golden.npz")
CASES = {
    "pendulum_like": (3, 1, 2.0, 1),
    "rocket_like": (2, 1, 1.0, 2),
    "halfcheetah_like": (17, 6, 1.0, 3),
}
RECORDED = (0, 1, 2, 3, 10, 50, 200)


def parameter_norms(agent: TD3, target: bool) -> np.ndarray:
    networks = (agent.actor_target, agent.critic_target) if target else (agent.actor, agent.critic)
    parameters = [parameter for network in networks for parameter in network.parameters()]
    return np.array([parameter.detach().norm().item() for parameter in parameters])


@pytest.mark.parametrize("case", CASES)
def test_200_updates_reproduce_the_numbers_of_the_published_code(case: str) -> None:
    observation_dim, action_dim, max_action, seed = CASES[case]
    rng = np.random.default_rng(seed)
    batch_size = 256
    bounds = [max_action] * action_dim
    agent = TD3(TD3Config(observation_dim, [-bound for bound in bounds], bounds))
    weights = []
    for inputs, outputs in (
        (observation_dim, action_dim),
        *((observation_dim + action_dim, 1),) * 2,
    ):
        sizes = (inputs, 256, 256, outputs)
        for i, o in itertools.pairwise(sizes):
            k = 1 / np.sqrt(i)
            weights += [rng.uniform(-k, k, (o, i)), rng.uniform(-k, k, o)]
    agent.load_weights([w.astype(np.float32) for w in weights])
    probe_observations = rng.standard_normal((8, observation_dim)).astype(np.float32)
    probe_actions = rng.uniform(-max_action, max_action, (8, action_dim)).astype(np.float32)

    for updates in range(201):
        if updates > 0:
            observations = rng.standard_normal((batch_size, observation_dim)).astype(np.float32)
            actions = rng.uniform(-max_action, max_action, (batch_size, action_dim))
            step = 0.1 * rng.standard_normal((batch_size, observation_dim))
            rewards = rng.standard_normal((batch_size, 1))
            not_terminated = rng.uniform(size=(batch_size, 1)) > 0.05
            noise = rng.standard_normal((batch_size, action_dim))
            batch = Batch(
                observations,
                actions.astype(np.float32),
                (observations + step).astype(np.float32),
                rewards.astype(np.float32),
                not_terminated.astype(np.float32),
            )
            agent.update(batch, noise.astype(np.float32))
        if updates in RECORDED:
            q1, q2 = agent.q_values(probe_observations, probe_actions)
            q1_target, q2_target = agent.target_q_values(probe_observations, probe_actions)
            computed = {
                "actor": agent.actions(probe_observations),
                "q1": q1,
                "q2": q2,
                "actor_target": agent.target_actions(probe_observations),
                "q1_target": q1_target,
                "q2_target": q2_target,
                "param_norms": parameter_norms(agent, target=False),
                "param_norms_target": parameter_norms(agent, target=True),
            }
            tolerance = 1e-6 if updates <= 3 else 1e-4
            for name, value in computed.items():
                golden = GOLDEN[f"{case}/{updates}/{name}"]
                assert np.abs(value - golden).max() < tolerance, f"{name} after {updates}"


def small_agent(**settings: Any) -> TD3:
    return TD3(TD3Config(2, [0.0, -1.0], [5.0, 3.0], hidden_sizes=(16, 8), **settings))


def random_batch(rng: np.random.Generator, size: int = 32) -> Batch:
    return Batch(
        rng.standard_normal((size, 2)).astype(np.float32),
        rng.uniform([0, -1], [5, 3], (size, 2)).astype(np.float32),
        rng.standard_normal((size, 2)).astype(np.float32),
        rng.standard_normal((size, 1)).astype(np.float32),
        (rng.uniform(size=(size, 1)) > 0.3).astype(np.float32),
    )


def test_actions_fill_asymmetric_bounds_and_do_not_leave_them() -> None:
    agent = small_agent()
    observations = 1e3 * np.random.default_rng(0).standard_normal((500, 2)).astype(np.float32)
    actions = agent.actions(observations)
    assert (actions >= [0, -1]).all()
    assert (actions <= [5, 3]).all()
    assert actions.min(axis=0) == pytest.approx([0, -1], abs=1e-4)
    assert actions.max(axis=0) == pytest.approx([5, 3], abs=1e-4)


def test_targets_start_as_copies_and_move_by_tau_with_the_policy() -> None:
    agent = small_agent(tau=0.25, policy_freq=3)
    rng = np.random.default_rng(0)
    observations = rng.standard_normal((4, 2)).astype(np.float32)
    start = agent.actions(observations)
    assert np.array_equal(agent.target_actions(observations), start)
    old = [p.detach().clone() for p in agent.critic.parameters()]
    for updates in range(1, 4):
        agent.update(random_batch(rng), rng.standard_normal((32, 2)).astype(np.float32))
        moved = not np.array_equal(agent.actions(observations), start)
        assert moved == (updates == 3)
        assert np.array_equal(agent.target_actions(observations), start) == (updates < 3)
    for before, now, target in zip(
        old, agent.critic.parameters(), agent.critic_target.parameters(), strict=True
    ):
        assert target.numpy() == pytest.approx(
            (0.75 * before + 0.25 * now).detach().numpy(), abs=1e-6
        )


def test_weights_that_do_not_fit_are_refused() -> None:
    agent = small_agent()
    arrays = [p.detach().numpy() for p in [*agent.actor.parameters(), *agent.critic.parameters()]]
    agent.load_weights(arrays)
    with pytest.raises(ValueError, match="shape"):
        agent.load_weights([arrays[0].T, *arrays[1:]])
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        agent.load_weights(arrays[:-1])


def test_making_an_agent_draws_nothing_from_the_global_generators() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    small_agent()
    assert torch.equal(torch.rand(2), expected)


def test_initial_weights_are_uniform_within_one_over_the_root_of_the_inputs() -> None:
    agent = TD3(TD3Config(64, [-1.0], [1.0]), np.random.default_rng(0))
    first = agent.actor.net[0]
    assert isinstance(first, torch.nn.Linear)
    weights = first.weight.detach().numpy()
    assert np.abs(weights).max() == pytest.approx(1 / 8, rel=1e-3)
    assert weights.std() == pytest.approx(1 / 8 / np.sqrt(3), rel=0.02)


@pytest.mark.parametrize(
    ("low", "high"), [([-1.0], [1.0, 1.0]), ([-np.inf], [1.0]), ([1.0], [1.0]), (-1.0, 1.0)]
)
def test_bounds_without_a_range_are_refused(low: Any, high: Any) -> None:
    with pytest.raises(ValueError, match="action"):
        TD3Config(2, low, high)
