"""The author's own code, from a clone of github.com/sfujim/TD3 that TD3_CLONE names."""

import os
import sys
from types import SimpleNamespace

import torch

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, replaced

sys.path.insert(0, os.environ["TD3_CLONE"])
from TD3 import TD3


class Adapter(TorchAdapter):
    """Its max_action is a number."""

    def build(self) -> None:
        """main.py multiplies the noise settings by max_action."""
        problem, bound = self.problem, self.problem.max_action
        self.agent = TD3(
            problem.observation_dim, problem.action_dim, bound,
            policy_noise=problem.policy_noise * bound, noise_clip=problem.noise_clip * bound,
        )  # fmt: skip
        self.networks = (self.agent.actor, self.agent.critic)
        self.targets = (self.agent.actor_target, self.agent.critic_target)

    def update(self, batch: Batch, noise: Array) -> None:
        """Its buffer hands out not_done; main.py makes a time limit no termination."""
        arrays = (batch.observations, batch.actions, batch.next_observations, batch.rewards,
                  1 - batch.terminated)  # fmt: skip
        buffer = SimpleNamespace(sample=lambda _: tuple(map(torch.from_numpy, arrays)))
        with replaced(torch, "randn_like", torch.from_numpy(noise)):
            self.agent.train(buffer, self.problem.batch_size)

    @staticmethod
    def defaults() -> dict[str, object]:
        """What all others are compared with."""
        return {}
