"""The reference TD3 against arithmetic; benchmarks/fidelity has the published numbers."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from td3_reference.adam import Adam
from td3_reference.config import TD3Config
from td3_reference.networks import as_vector, require_compiler
from td3_reference.replay_buffer import Batch
from td3_reference.td3 import TD3


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


@pytest.mark.parametrize("size", [32, 7])
def test_gradients_written_out_are_those_of_autograd_bit_by_bit(size: int) -> None:
    agent = small_agent()
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((size, 2)).astype(np.float32)
    tensors = tuple(map(torch.from_numpy, (*random_batch(rng, size), noise)))
    observations, actions = tensors[0], tensors[1]
    q1, q2 = agent.critic(observations, actions)
    loss = F.mse_loss(q1, zero := torch.zeros(size, 1)) + F.mse_loss(q2, zero)
    expected = torch.autograd.grad(loss, list(agent.critic.parameters()))
    inputs = agent.critic.inputs(observations, actions)
    found: list[torch.Tensor] = []
    for net in (agent.critic.q1_net, agent.critic.q2_net):
        *given, q = net.activations(inputs)
        found += net.backward(given, 2 / size * q)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))

    climbed = -agent.critic(observations, agent.actor(observations))[0].mean()
    by_actor = torch.autograd.grad(climbed, list(agent.actor.parameters()))
    assert torch.equal(as_vector(by_actor), agent._actor_gradients(observations))


def test_adam_is_that_of_torch_bit_by_bit() -> None:
    torch_generator = torch.Generator().manual_seed(0)
    weights = torch.randn(100, generator=torch_generator)
    parameter = weights.clone().requires_grad_()
    theirs, ours = torch.optim.Adam([parameter], 1e-3), Adam(weights, 1e-3)
    for _ in range(20):
        gradient = torch.randn(100, generator=torch_generator)
        parameter.grad = gradient.clone()
        theirs.step()
        ours.step(gradient)
        assert torch.equal(parameter, weights)


def test_a_state_goes_on_exactly_and_new_weights_begin_anew() -> None:
    first, second, rng = small_agent(), small_agent(), np.random.default_rng(3)
    steps = [(random_batch(rng), rng.standard_normal((32, 2)).astype(np.float32)) for _ in "12345"]
    start = [p.detach().numpy().copy() for p in [*first.actor.parameters(),
                                                 *first.critic.parameters()]]  # fmt: skip
    for step in steps[:3]:
        first.update(*step)
    second.set_state(first.get_state())
    for agent in (first, second):
        for step in steps[3:]:
            agent.update(*step)
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)
    second.load_weights(start)
    fresh = small_agent()
    for agent in (second, fresh):
        agent.update(*steps[0])
    assert all(torch.equal(fresh.weights[name], second.weights[name]) for name in fresh.weights)


def can_compile() -> bool:
    try:
        require_compiler()
    except RuntimeError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(not can_compile(), reason="needs a C++ compiler and Python's headers")
def test_compiled_and_eager_agree_after_100_updates() -> None:
    eager, compiled = small_agent(), TD3(small_agent().config, compile=True)
    rng = np.random.default_rng(1)
    for _ in range(100):
        batch, noise = random_batch(rng), rng.standard_normal((32, 2)).astype(np.float32)
        eager.update(batch, noise)
        compiled.update(batch, noise)
    for name, weights in eager.weights.items():
        assert (weights - compiled.weights[name]).abs().max() < 1e-5, name


def test_without_a_compiler_the_message_says_what_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="install g\\+\\+ or clang"):
        TD3(small_agent().config, compile=True)
