"""XuanCe: its policy lives in [-1, 1]; its environment wrapper scales actions."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import torch
import xuance
import yaml
from torch import Tensor, nn
from xuance.common import BaseCallback
from xuance.torch.learners.policy_gradient.td3_learner import TD3_Learner
from xuance.torch.policies import REGISTRY_Policy
from xuance.torch.representations import REGISTRY_Representation

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, replaced, spaces


class Adapter(TorchAdapter):
    """``TD3_Learner.update`` makes the update, ``TD3_Policy`` the noisy target action."""

    package = "xuance"
    unit_actions = True

    def build(self) -> None:
        """The networks of its configuration files, with the published layers."""
        problem = self.problem
        representation = REGISTRY_Representation["Basic_Identical"](
            input_shape=(problem.observation_dim,), device="cpu"
        )
        policy = REGISTRY_Policy["TD3_Policy"](
            action_space=spaces(problem)[1],
            representation=representation, actor_hidden_size=[256, 256],
            critic_hidden_size=[256, 256], initialize=None, activation=nn.ReLU,
            activation_action=nn.Tanh, device="cpu",
        )  # fmt: skip
        config = Namespace(
            learning_rate_actor=problem.learning_rate, learning_rate_critic=problem.learning_rate,
            tau=problem.tau, gamma=problem.gamma, actor_update_delay=problem.policy_freq,
            distributed_training=False, episode_length=1, device="cpu", use_grad_clip=False,
            grad_clip_norm=0.5, model_dir="", running_steps=1_000_000, parallels=1,
        )  # fmt: skip
        self.learner = TD3_Learner(config, policy, BaseCallback())
        self.networks = (policy.actor, policy.critic_A, policy.critic_B)
        self.targets = (policy.target_actor, policy.target_critic_A, policy.target_critic_B)

    def values(self, networks: Any, observations: Tensor, actions: Tensor) -> Any:
        """A critic takes both, joined."""
        return [network(torch.cat([observations, actions], 1)) for network in networks]

    def update(self, batch: Batch, noise: Array) -> None:
        """Its memory stores terminations only."""
        with replaced(torch, "randn_like", torch.from_numpy(noise)):
            self.learner.update(
                obs=batch.observations, actions=self.to_unit(batch.actions).numpy(),
                obs_next=batch.next_observations, rewards=batch.rewards[:, 0],
                terminals=batch.terminated[:, 0],
            )  # fmt: skip

    @staticmethod
    def defaults() -> dict[str, object]:
        """From its configuration for MuJoCo."""
        file = Path(xuance.__path__[0]) / "configs/td3/mujoco.yaml"
        theirs = yaml.safe_load(file.read_text(encoding="utf-8"))
        names = {"policy_freq": "actor_update_delay", "learning_rate": "learning_rate_critic",
                 "actor_learning_rate": "learning_rate_actor", "buffer_size": "buffer_size",
                 "hidden_sizes": "actor_hidden_size", "learning_starts": "start_training",
                 "exploration_noise": "start_noise", "activation": "activation"}  # fmt: skip
        return {name: theirs[key] for name, key in names.items()}
