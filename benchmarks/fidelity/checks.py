"""How faithful the reference TD3 is to the published one: checks that a wrong one fails."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import TD3 as SB3TD3
from stable_baselines3.common.type_aliases import ReplayBufferSamples

import envs  # noqa: F401  (registers rocket-v0)
from td3_reference import run_loop as run_loop_module
from td3_reference import td3 as td3_module
from td3_reference.config import LoopConfig, TD3Config
from td3_reference.replay_buffer import Batch

GOLDEN = Path(__file__).parent / "td3_golden.npz"
RECORDED = (0, 1, 2, 3, 10, 50, 200)  # updates after which the golden numbers were recorded
BATCH_SIZE = 256
PARITY_UPDATES = 50
PARITY_TOLERANCE = 1e-6


class GoldenCase(NamedTuple):
    """Dimensions, action bound and seed of a case of synthetic data."""

    observation_dim: int
    action_dim: int
    max_action: float
    seed: int


GOLDEN_CASES = {
    "pendulum_like": GoldenCase(3, 1, 2.0, 1),
    "rocket_like": GoldenCase(2, 1, 1.0, 2),
    "halfcheetah_like": GoldenCase(17, 6, 1.0, 3),
}


@dataclass(frozen=True)
class Reference:
    """The implementation under examination; the seeded bugs put a patched one in its place."""

    td3: ModuleType = td3_module
    run_loop: ModuleType = run_loop_module


class Check(NamedTuple):
    """A number that must stay below a bound."""

    name: str
    value: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether it does; a NaN does not."""
        return self.value < self.bound


def all_checks(reference: Reference, updates: int = 200) -> list[Check]:
    """Golden numbers, parity with SB3, and what the run loop stores.

    :param updates: how far to follow the golden numbers
    """
    checks = [
        Check(f"{case}, {what}, after {n} updates", deviation, golden_bound(n))
        for case in GOLDEN_CASES
        for (n, what), deviation in golden_deviations(reference, case, updates).items()
    ]
    checks.append(Check("parity with SB3", sb3_deviation(reference), PARITY_TOLERANCE))
    checks.append(Check("wrongly stored terminations", wrong_terminations(reference), 0.5))
    return checks


def golden_bound(updates: int) -> float:
    """Allowed deviation: BLAS libraries differ in the last bits, which grow from update on."""
    return 1e-6 if updates <= 3 else 1e-4


def golden_deviations(
    reference: Reference, name: str, updates: int
) -> dict[tuple[int, str], float]:
    """Largest deviation from the published code's numbers, by updates and quantity.

    The synthetic data are drawn as the golden file's description says: weights, probe, then a
    batch and noise for each update, from one generator.
    """
    case = GOLDEN_CASES[name]
    rng = np.random.default_rng(case.seed)
    high = [case.max_action] * case.action_dim
    low = [-case.max_action] * case.action_dim
    agent = reference.td3.TD3(TD3Config(case.observation_dim, low, high))
    agent.load_weights(golden_weights(case, rng))
    observations = rng.standard_normal((8, case.observation_dim)).astype(np.float32)
    actions = rng.uniform(-1, 1, (8, case.action_dim)) * case.max_action
    deviations = {}
    for n in range(updates + 1):
        if n > 0:
            agent.update(*golden_batch(case, rng))
        if n in RECORDED:
            values = probe(agent, observations, actions.astype(np.float32))
            for what, value in values.items():
                golden = golden_numbers()[f"{name}/{n}/{what}"]
                deviations[n, what] = float(np.abs(value - golden).max())
    return deviations


@cache
def golden_numbers() -> dict[str, NDArray[Any]]:
    """What the published code computed.

    :raises FileNotFoundError: if the file is missing, as in an installation without the tests
    """
    with np.load(GOLDEN) as file:
        return dict(file)


def golden_weights(case: GoldenCase, rng: np.random.Generator) -> list[NDArray[np.float32]]:
    """Weights and biases of actor and critics, uniform within 1/sqrt(inputs)."""
    inputs = case.observation_dim + case.action_dim
    arrays = []
    for first, last in ((case.observation_dim, case.action_dim), (inputs, 1), (inputs, 1)):
        for size_in, size_out in pairwise((first, 256, 256, last)):
            k = 1 / np.sqrt(size_in)
            arrays += [rng.uniform(-k, k, (size_out, size_in)), rng.uniform(-k, k, size_out)]
    return [array.astype(np.float32) for array in arrays]


def golden_batch(case: GoldenCase, rng: np.random.Generator) -> tuple[Batch, NDArray[np.float32]]:
    """The next batch and its target noise."""
    shape = (BATCH_SIZE, case.observation_dim)
    observations = rng.standard_normal(shape).astype(np.float32)
    actions = rng.uniform(-case.max_action, case.max_action, (BATCH_SIZE, case.action_dim))
    next_observations = observations + 0.1 * rng.standard_normal(shape)
    rewards = rng.standard_normal((BATCH_SIZE, 1))
    not_terminated = rng.uniform(size=(BATCH_SIZE, 1)) > 0.05
    noise = rng.standard_normal((BATCH_SIZE, case.action_dim)).astype(np.float32)
    arrays = (observations, actions, next_observations, rewards, not_terminated)
    return Batch(*(array.astype(np.float32) for array in arrays)), noise


def probe(
    agent: Any, observations: NDArray[np.float32], actions: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Everything that the golden file records of an agent."""
    values = {"actor": agent.actions(observations)}
    values["q1"], values["q2"] = agent.q_values(observations, actions)
    values["actor_target"] = agent.target_actions(observations)
    values["q1_target"], values["q2_target"] = agent.target_q_values(observations, actions)
    for suffix in ("", "_target"):
        networks = (getattr(agent, f"actor{suffix}"), getattr(agent, f"critic{suffix}"))
        norms = [p.detach().norm().item() for network in networks for p in network.parameters()]
        values[f"param_norms{suffix}"] = np.array(norms)
    return values


def sb3_deviation(reference: Reference) -> float:
    """Largest difference of any parameter from SB3's TD3, after 50 updates.

    Same weights, same batches, no target noise, actions in [-1, 1].
    """
    model = SB3TD3(
        "MlpPolicy",
        gym.make("rocket-v0"),
        learning_rate=3e-4,
        buffer_size=1,
        target_policy_noise=0.0,
        policy_kwargs={"net_arch": [256, 256]},
        seed=0,
        device="cpu",
    )
    model._setup_learn(1)
    agent = reference.td3.TD3(TD3Config(2, [-1.0], [1.0]))
    agent.load_weights([p.detach().numpy().copy() for p in _parameters(model)])
    rng = np.random.default_rng(0)
    case = GoldenCase(2, 1, 1.0, seed=0)
    no_noise = np.zeros((BATCH_SIZE, 1), np.float32)
    for _ in range(PARITY_UPDATES):
        batch, _ = golden_batch(case, rng)
        _give_batch(model, batch)
        model.train(gradient_steps=1, batch_size=BATCH_SIZE)
        agent.update(batch, no_noise)
    pairs = zip(_parameters(model), _parameters(agent), strict=True)
    return max(float((ours - theirs).abs().max()) for theirs, ours in pairs)


def _parameters(owner: Any) -> list[torch.Tensor]:
    networks = (owner.actor, owner.critic)
    return [parameter.detach() for network in networks for parameter in network.parameters()]


def _give_batch(model: SB3TD3, batch: Batch) -> None:
    """Let SB3's next draw from its replay buffer return this batch."""
    tensors = {name: torch.from_numpy(array) for name, array in batch._asdict().items()}
    terminated = 1 - tensors.pop("not_terminated")
    samples = ReplayBufferSamples(**tensors, dones=terminated, discounts=None)
    assert model.replay_buffer is not None
    model.replay_buffer.sample = lambda *_, **__: samples  # type: ignore[method-assign]


class _FiveStepEpisodes:
    """Episodes of five steps, terminated and truncated in turn."""

    def __init__(self) -> None:
        self.episode = self.time = 0

    def reset(self, *, seed: int | None = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        self.episode, self.time = self.episode + 1, 0
        return np.array([self.episode, 0], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        over, odd = self.time == 5, self.episode % 2 == 1
        observation = np.array([self.episode, self.time], np.float32)
        return observation, 0.0, over and odd, over and not odd, {}


def wrong_terminations(reference: Reference) -> float:
    """How many of 50 steps the run loop stores as terminated when they are not, or the reverse."""
    agent = reference.td3.TD3(TD3Config(2, [-1.0], [1.0], hidden_sizes=(4,)))
    config, rng = LoopConfig(learning_starts=50), np.random.default_rng(0)
    loop = reference.run_loop.RunLoop(_FiveStepEpisodes(), agent, config, 50, 0, rng)
    for _ in loop:
        pass
    stored = loop.buffer.get_state()
    episode, time = stored["next_observations"].T
    expected = (time == 5) & (episode % 2 == 1)
    return float(((stored["not_terminated"][:, 0] == 0) != expected).sum())
