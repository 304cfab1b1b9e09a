"""Stable-Baselines3: stores actions in [-1, 1], which its critics see."""

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


class Adapter(TorchAdapter):
    """``OffPolicyAlgorithm.collect_rollouts`` scales actions; ``TD3.train`` draws the noise."""

    package = "stable-baselines3"
    unit_actions = True

    def build(self) -> None:
        """Its defaults but for the learning rate and the layers."""
        self.model = TD3(
            "MlpPolicy",
            environment(self.problem),
            learning_rate=self.problem.learning_rate,
            buffer_size=1,
            policy_kwargs={"net_arch": [256, 256]},
            seed=0,
            device="cpu",
        )
        self.model._setup_learn(1)
        self.networks = (self.model.actor, self.model.critic)
        self.targets = (self.model.actor_target, self.model.critic_target)

    def update(self, batch: Batch, noise: Array) -> None:
        """The replay buffer hands out the batch; a time limit is no termination to it."""
        tensors = self.tensors(batch)
        samples = ReplayBufferSamples(
            tensors["observations"],
            tensors["actions"],
            tensors["next_observations"],
            tensors["terminated"],
            tensors["rewards"],
            None,
        )
        assert self.model.replay_buffer is not None
        self.model.replay_buffer.sample = lambda *_, **__: samples  # type: ignore[method-assign]
        with replaced(torch.Tensor, "normal_", normal_in_place(noise)):
            self.model.train(gradient_steps=1, batch_size=self.problem.batch_size)

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3.__init__``; the layers from its policy."""
        same = ("gamma", "tau", "learning_rate", "batch_size", "buffer_size", "learning_starts")
        names = {name: name for name in same} | {"policy_noise": "target_policy_noise",
                 "noise_clip": "target_noise_clip", "policy_freq": "policy_delay"}  # fmt: skip
        return signature_defaults(TD3.__init__, **names) | {"hidden_sizes": (400, 300)}
