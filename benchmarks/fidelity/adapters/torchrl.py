"""TorchRL: its loss and target updater, put together as in its sota-implementations/td3."""

from typing import Any

import torch
from tensordict import TensorDict
from tensordict.nn import TensorDictModule
from torch import Tensor, nn
from torchrl.modules import ValueOperator
from torchrl.objectives import SoftUpdate
from torchrl.objectives.td3 import TD3Loss

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, fill, mlp, replaced, signature_defaults


class Scaled(nn.Module):
    """Networks are the user's: tanh, scaled to the bounds."""

    def __init__(self, net: nn.Module, centre: Tensor, half_width: Tensor) -> None:
        super().__init__()
        self.net, self.centre, self.half_width = net, centre, half_width

    def forward(self, observations: Tensor) -> Tensor:
        """Actions in environment units."""
        return self.centre + self.half_width * torch.tanh(self.net(observations))


class Value(nn.Module):
    """A critic of the user's."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.net = mlp(inputs, 1)

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Values."""
        return self.net(torch.cat([observations, actions], -1))


class Adapter(TorchAdapter):
    """``TD3Loss`` keeps parameters apart from modules, so that weights are filled in before."""

    package = "torchrl"

    def build(self) -> None:
        """Everything is made in ``load``."""

    def load(self, weights: list[Array]) -> None:
        """Make the loss from filled networks."""
        problem, self.updates = self.problem, 0
        inputs = problem.observation_dim + problem.action_dim
        net, critics = (
            mlp(problem.observation_dim, problem.action_dim),
            (Value(inputs), Value(inputs)),
        )
        fill((net, *critics), weights)
        actor = TensorDictModule(Scaled(net, self.centre, self.half_width),
                                 in_keys=["observation"], out_keys=["action"])  # fmt: skip
        values = [ValueOperator(critic, in_keys=["observation", "action"]) for critic in critics]
        loss = self.loss = TD3Loss(
            actor, values, bounds=(self.low, self.high), num_qvalue_nets=2,
            policy_noise=problem.policy_noise * self.half_width, loss_function="l2",
            noise_clip=problem.noise_clip * self.half_width, delay_actor=True, delay_qvalue=True,
        )  # fmt: skip
        loss.make_value_estimator(gamma=problem.gamma)
        self.updater = SoftUpdate(loss, tau=problem.tau)
        self.networks = (loss.actor_network_params, loss.qvalue_network_params)
        self.targets = (loss.target_actor_network_params, loss.target_qvalue_network_params)
        self.optimizers = [torch.optim.Adam(list(params.values(True, True)), problem.learning_rate)
                           for params in self.networks]  # fmt: skip

    def policy(self, network: Any, observations: Tensor) -> Tensor:
        """With these parameters in the one module."""
        with network.to_module(self.loss.actor_network):
            data = TensorDict({"observation": observations}, [len(observations)])
            return self.loss.actor_network(data)["action"]

    def values(self, networks: Any, observations: Tensor, actions: Tensor) -> Any:
        """Both critics are one module with stacked parameters."""
        data = TensorDict({"observation": observations, "action": actions}, [len(actions)])
        stacked = data.expand(2, len(actions))
        return self.loss._vmap_qvalue_network00(stacked, networks[0])["state_action_value"]

    def update(self, batch: Batch, noise: Array) -> None:
        """The steps of its script: critics, and at every second update actor and targets."""
        tensors = self.tensors(batch)
        terminated, truncated = tensors["terminated"] == 1, tensors["truncated"] == 1
        following = {"observation": tensors["next_observations"], "reward": tensors["rewards"],
                     "terminated": terminated, "truncated": truncated,
                     "done": terminated | truncated}  # fmt: skip
        data = TensorDict({"observation": tensors["observations"], "action": tensors["actions"],
                           "next": following}, [len(noise)])  # fmt: skip
        self.updates += 1
        with replaced(torch, "randn_like", torch.from_numpy(noise)):
            self.step(1, self.loss.value_loss(data)[0])
        if self.updates % self.problem.policy_freq == 0:
            self.step(0, self.loss.actor_loss(data)[0])
            self.updater.step()

    def step(self, which: int, loss: Tensor) -> None:
        """One step of an optimiser."""
        self.optimizers[which].zero_grad()
        loss.backward()
        self.optimizers[which].step()

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3Loss.__init__``; the rest is the script's."""
        return signature_defaults(TD3Loss.__init__, "policy_noise", "noise_clip")
