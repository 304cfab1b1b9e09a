"""Tianshou, set up as in its MuJoCo example: the actor multiplies its tanh by max_action."""

from typing import Any

import numpy as np
import torch
from tianshou.algorithm import TD3
from tianshou.algorithm.algorithm_base import policy_within_training_step
from tianshou.algorithm.modelfree.ddpg import ContinuousDeterministicPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Batch as Data
from tianshou.data import ReplayBuffer
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorDeterministic, ContinuousCritic

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, replaced, signature_defaults, spaces


class Adapter(TorchAdapter):
    """max_action is one number, by which the example scales the noise settings."""

    package = "tianshou"

    def build(self) -> None:
        """Networks of its own with the published layers."""
        problem, unit = self.problem, self.problem.max_action
        net, shape = self.net(problem.observation_dim), (problem.action_dim,)
        actor = ContinuousActorDeterministic(
            preprocess_net=net, action_shape=shape, max_action=unit
        )
        inputs = problem.observation_dim + problem.action_dim
        critics = [ContinuousCritic(preprocess_net=self.net(inputs)) for _ in range(2)]
        policy = ContinuousDeterministicPolicy(
            actor=actor, action_space=spaces(problem)[1], action_scaling=False,
            action_bound_method=None,
        )  # fmt: skip
        adam = AdamOptimizerFactory(lr=problem.learning_rate)
        self.agent = TD3(
            policy=policy, policy_optim=adam, critic=critics[0], critic_optim=adam,
            critic2=critics[1], critic2_optim=adam, policy_noise=problem.policy_noise * unit,
            noise_clip=problem.noise_clip * unit,
        )  # fmt: skip
        agent: Any = self.agent
        self.networks = (actor, *critics)
        olds = (agent.actor_old, agent.critic_old, agent.critic2_old)
        self.targets = tuple(old.module for old in olds)

    @staticmethod
    def net(inputs: int) -> Net:
        """Two hidden layers."""
        return Net(state_shape=(inputs,), hidden_sizes=[256, 256])

    def policy(self, network: Any, observations: torch.Tensor) -> torch.Tensor:
        """The second value is a hidden state."""
        actions: torch.Tensor = network(observations)[0]
        return actions

    def update(self, batch: Batch, noise: Array) -> None:
        """Each transition ends an episode: by termination, or else by truncation."""
        tensors = {name: tensor.numpy() for name, tensor in self.tensors(batch).items()}
        buffer = ReplayBuffer(self.problem.batch_size)
        for i, ends in enumerate(tensors["terminated"][:, 0] == 1):
            buffer.add(
                Data(obs=tensors["observations"][i], act=tensors["actions"][i],
                     rew=tensors["rewards"][i, 0], terminated=ends, truncated=not ends,
                     obs_next=tensors["next_observations"][i], info={})
            )  # fmt: skip
        buffer.sample_indices = lambda _: np.arange(self.problem.batch_size)
        training = policy_within_training_step(self.agent.policy)
        with replaced(torch, "randn", torch.from_numpy(noise)), training:
            self.agent.update(buffer, self.problem.batch_size)

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3.__init__``; the optimiser is the user's."""
        same = ("gamma", "tau", "policy_noise", "noise_clip")
        return signature_defaults(TD3.__init__, *same, policy_freq="update_actor_freq")
