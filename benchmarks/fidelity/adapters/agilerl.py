"""AgileRL: the actor lives in [-1, 1]; its training loop stores that and rescales."""

import warnings
from typing import Any

import numpy as np
import torch
from agilerl.algorithms.td3 import TD3
from agilerl.modules.base import EvolvableModule
from tensordict import TensorDict

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import (
    TorchAdapter,
    box,
    mlp,
    normal_in_place,
    replaced,
    signature_defaults,
)

warnings.simplefilter("ignore")


class Net(EvolvableModule):
    """Custom networks are allowed; its own let the action in after an encoder."""

    output_activation = "Tanh"

    def __init__(self, inputs: int, outputs: int, tanh: bool, device: str = "cpu") -> None:
        super().__init__(device)
        self.inputs, self.outputs, self.tanh = inputs, outputs, tanh
        self.net = mlp(inputs, outputs)
        if tanh:
            self.net.append(torch.nn.Tanh())

    def forward(self, *inputs: Any) -> torch.Tensor:
        """Observations, and actions for a critic."""
        output: torch.Tensor = self.net(torch.cat([torch.as_tensor(x) for x in inputs], 1))
        return output


class Adapter(TorchAdapter):
    """``TD3.learn`` makes the update."""

    package = "agilerl"
    unit_actions = True

    def build(self) -> None:
        """Its policy frequency is 2 by default."""
        problem, rate = self.problem, self.problem.learning_rate
        unbounded = np.full(problem.observation_dim, np.inf)
        inputs = problem.observation_dim + problem.action_dim
        agent = self.agent = TD3(
            box(-unbounded, unbounded), box(problem.action_low, problem.action_high),
            actor_network=Net(problem.observation_dim, problem.action_dim, True),
            critic_networks=[Net(inputs, 1, False) for _ in range(2)],
            batch_size=problem.batch_size, lr_actor=rate, lr_critic=rate, learn_step=1,
        )  # fmt: skip
        self.networks = (agent.actor, agent.critic_1, agent.critic_2)
        self.targets = (agent.actor_target, agent.critic_target_1, agent.critic_target_2)

    def update(self, batch: Batch, noise: Array) -> None:
        """Its training loop stores terminations alone as done."""
        tensors = self.tensors(batch)
        names = {"obs": "observations", "action": "actions", "reward": "rewards",
                 "next_obs": "next_observations", "done": "terminated"}  # fmt: skip
        data = TensorDict({key: tensors[name] for key, name in names.items()}, [len(noise)])
        with replaced(torch.Tensor, "normal_", normal_in_place(noise)):
            self.agent.learn(data)

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3.__init__``."""
        return signature_defaults(
            TD3.__init__,
            gamma="gamma",
            tau="tau",
            policy_freq="policy_freq",
            batch_size="batch_size",
            learning_rate="lr_critic",
            actor_learning_rate="lr_actor",
        )
