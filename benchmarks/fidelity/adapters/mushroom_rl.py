"""MushroomRL: networks are the user's; noise settings are one number for all dimensions."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mushroom_rl.algorithms.actor_critic import TD3
from mushroom_rl.policy import OrnsteinUhlenbeckPolicy
from torch import Tensor, nn

from benchmarks.fidelity.cases import Array, Batch, Problem
from benchmarks.fidelity.helpers import TorchAdapter, mlp, replaced, signature_defaults


class Actor(nn.Module):
    """tanh, scaled to the bounds."""

    def __init__(self, input_shape: Any, output_shape: Any, problem: Problem, **_: Any) -> None:
        super().__init__()
        self.net = mlp(input_shape[0], output_shape[0])
        self.middle, self.width = map(torch.from_numpy, (problem.centre, problem.half_width))

    def forward(self, observations: Tensor) -> Tensor:
        """Actions in environment units."""
        return self.middle + self.width * torch.tanh(self.net(observations))


class Critic(nn.Module):
    """One value for each row."""

    def __init__(self, input_shape: Any, output_shape: Any, **_: Any) -> None:
        super().__init__()
        self.net = mlp(input_shape[0], 1)

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Values (n,)."""
        inputs = torch.cat([observations.float(), actions.float()], 1)
        value: Tensor = self.net(inputs).squeeze(1)
        return value


class Adapter(TorchAdapter):
    """Unequal half-widths are declined: ``noise_std`` and ``noise_clip`` are numbers."""

    package = "mushroom-rl"

    def build(self) -> None:
        """The policy's exploration noise plays no part."""
        problem, half = self.problem, self.problem.half_width
        if (half != half[0]).any():
            raise NotImplementedError("its target noise has one scale for all dimensions")
        shape, actions = (problem.observation_dim,), (problem.action_dim,)
        spaces = {"action_space": SimpleNamespace(low=problem.action_low, shape=actions,
                                                  high=problem.action_high),
                  "observation_space": SimpleNamespace(shape=shape)}  # fmt: skip
        adam = {"class": torch.optim.Adam, "params": {"lr": problem.learning_rate}}
        agent = self.agent = TD3(
            SimpleNamespace(gamma=problem.gamma, **spaces), OrnsteinUhlenbeckPolicy,
            {"sigma": np.ones(actions), "theta": 0.15, "dt": 1e-2},
            {"network": Actor, "input_shape": shape, "output_shape": actions, "problem": problem},
            adam,
            {"network": Critic, "optimizer": adam, "loss": nn.functional.mse_loss, "quiet": True,
             "input_shape": (shape[0] + actions[0],), "output_shape": (1,)},
            problem.batch_size, 1, 10, problem.tau, policy_delay=problem.policy_freq,
            noise_std=problem.policy_noise * half[0], noise_clip=problem.noise_clip * half[0],
        )  # fmt: skip
        self.networks = self.nets(agent._actor_approximator, agent._critic_approximator)
        self.targets = self.nets(
            agent._target_actor_approximator, agent._target_critic_approximator
        )

    @staticmethod
    def nets(*approximators: Any) -> list[nn.Module]:
        """The networks within ensembles."""
        return [each[i].network for each in approximators for i in range(len(each))]

    def update(self, batch: Batch, noise: Array) -> None:
        """``fit`` asks the memory for a batch; NumPy draws the noise."""
        sample = (batch.observations, batch.actions, batch.rewards[:, 0],
                  batch.next_observations, batch.terminated[:, 0], None)  # fmt: skip
        self.agent._replay_memory = SimpleNamespace(
            add=lambda _: None, initialized=True, get=lambda _: sample
        )
        drawn = noise * self.problem.policy_noise * self.problem.half_width[0]
        with replaced(np.random, "normal", drawn):
            self.agent.fit(None)

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3.__init__``; the optimisers are the user's."""
        names = {"policy_noise": "noise_std", "policy_freq": "policy_delay"}
        return signature_defaults(TD3.__init__, "noise_clip", **names)
