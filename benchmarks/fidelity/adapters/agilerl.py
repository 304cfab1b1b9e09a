"""AgileRL: the actor lives in [-1, 1]; its training loop stores that and rescales."""

import warnings
from typing import Any

import torch
from agilerl.algorithms.td3 import TD3
from agilerl.modules.base import EvolvableModule
from tensordict import TensorDict

from benchmarks.fidelity import helpers
from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, mlp, replaced

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
        inputs = problem.observation_dim + problem.action_dim
        agent = self.agent = TD3(
            *helpers.spaces(problem),
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
        with replaced(torch.Tensor, "normal_", helpers.normal_in_place(noise)):
            self.agent.learn(data)

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3.__init__`` and ``TD3.learn``."""
        same = ("gamma", "tau", "policy_freq", "batch_size")
        rates = {"learning_rate": "lr_critic", "actor_learning_rate": "lr_actor"}
        return helpers.signature_defaults(TD3.__init__, *same, **rates) | (
            helpers.signature_defaults(TD3.learn, "policy_noise", "noise_clip")
        )
