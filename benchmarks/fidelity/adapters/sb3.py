"""Stable-Baselines3: stores actions in [-1, 1], which its critics see."""

from contextlib import AbstractContextManager
from typing import Any

import torch
from stable_baselines3 import TD3
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import (
    TorchAdapter,
    environment,
    normal_in_place,
    replaced,
    signature_defaults,
)

SAME = ("gamma", "tau", "learning_rate", "batch_size", "buffer_size", "learning_starts")
RENAMED = {"policy_noise": "target_policy_noise", "noise_clip": "target_noise_clip",
           "policy_freq": "policy_delay"}  # fmt: skip


class Adapter(TorchAdapter):
    """``OffPolicyAlgorithm.collect_rollouts`` scales actions; ``TD3.train`` draws the noise."""

    package = "stable-baselines3"
    unit_actions = True

    def build(self) -> None:
        """Its defaults but for the learning rate and the layers."""
        model = self.model = self.new_model(TD3, device="cpu")
        self.networks = (model.actor, model.critic)
        self.targets = (model.actor_target, model.critic_target)

    def new_model(self, algorithm: Any, **settings: Any) -> Any:
        """A model that is ready to be trained."""
        model = algorithm(
            "MlpPolicy", environment(self.problem), learning_rate=self.problem.learning_rate,
            buffer_size=1, seed=0, policy_kwargs={"net_arch": [256, 256]}, **settings,
        )  # fmt: skip
        model._setup_learn(1)
        return model

    def update(self, batch: Batch, noise: Array) -> None:
        """The replay buffer hands out the batch; a time limit is no termination to it."""
        given = self.tensors(batch)
        names = ("observations", "actions", "next_observations", "terminated", "rewards")
        samples = ReplayBufferSamples(*(given[name] for name in names))
        self.model.replay_buffer.sample = lambda *_, **__: samples
        with self.drawn(noise):
            self.model.train(1, self.problem.batch_size)

    def drawn(self, noise: Array) -> AbstractContextManager[None]:
        """The noise in place of what PyTorch draws."""
        return replaced(torch.Tensor, "normal_", normal_in_place(noise))

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3.__init__``; the layers from its policy."""
        layers = {"hidden_sizes": (400, 300)}
        return signature_defaults(TD3.__init__, *SAME, **RENAMED) | layers
