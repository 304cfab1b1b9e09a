"""d3rlpy: its networks live in [-1, 1]; an action scaler maps a data set's actions there."""

import logging
from typing import Any

import numpy as np
import torch
from d3rlpy.algos import TD3Config
from d3rlpy.dataset import TransitionMiniBatch
from d3rlpy.preprocessing import MinMaxActionScaler

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, replaced, signature_defaults

logging.disable(logging.CRITICAL)


class Adapter(TorchAdapter):
    """``TD3Impl`` in torch/td3_impl.py computes the target."""

    package = "d3rlpy"
    unit_actions = True

    def build(self) -> None:
        """Two hidden layers of 256 are its default."""
        problem = self.problem
        scaler = MinMaxActionScaler(minimum=problem.action_low, maximum=problem.action_high)
        rate = problem.learning_rate
        config = TD3Config(batch_size=problem.batch_size, action_scaler=scaler,
                           actor_learning_rate=rate, critic_learning_rate=rate)  # fmt: skip
        self.agent = config.create(device="cpu:0")
        self.agent.create_impl((problem.observation_dim,), problem.action_dim)
        assert self.agent.impl is not None
        modules: Any = self.agent.impl._modules
        self.networks = (modules.policy, *modules.q_funcs)
        self.targets = (modules.targ_policy, *modules.targ_q_funcs)

    def policy(self, network: Any, observations: torch.Tensor) -> torch.Tensor:
        """The squashed mean."""
        actions: torch.Tensor = network(observations).squashed_mu
        return actions

    def values(self, networks: Any, observations: torch.Tensor, actions: torch.Tensor) -> Any:
        """The values alone."""
        return [network(observations, actions).q_value for network in networks]

    def update(self, batch: Batch, noise: Array) -> None:
        """Its data sets hold terminals; a timeout only ends an episode."""
        one = np.ones_like(batch.rewards)
        transitions = TransitionMiniBatch(
            observations=batch.observations, actions=batch.actions, rewards=batch.rewards,
            next_observations=batch.next_observations, next_actions=batch.actions,
            terminals=batch.terminated, intervals=one, transitions=[],
        )  # fmt: skip
        with replaced(torch, "randn", torch.from_numpy(noise)):
            self.agent.update(transitions)

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3Config``."""
        names = {"policy_noise": "target_smoothing_sigma", "noise_clip": "target_smoothing_clip",
                 "policy_freq": "update_actor_interval", "learning_rate": "critic_learning_rate",
                 "actor_learning_rate": "actor_learning_rate"}  # fmt: skip
        return signature_defaults(TD3Config, "gamma", "tau", "batch_size", **names)
