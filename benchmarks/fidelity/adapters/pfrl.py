"""PFRL: networks are the user's; target smoothing is a function that the user may give."""

from typing import Any

import torch
from pfrl.agents import TD3
from pfrl.nn import BoundByTanh, ConcatObsAndAction
from pfrl.policies import DeterministicHead
from pfrl.replay_buffers import ReplayBuffer
from torch import Tensor, nn

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, mlp, replaced, signature_defaults


class Adapter(TorchAdapter):
    """With its default smoothing function: noise 0.2, clipped at 0.5, actions in [-1, 1]."""

    package = "pfrl"

    def build(self) -> None:
        """As its examples/mujoco/reproduction/td3 does."""
        problem, rate = self.problem, self.problem.learning_rate
        net = mlp(problem.observation_dim, problem.action_dim)
        bound = BoundByTanh(problem.action_low, problem.action_high)
        policy = nn.Sequential(net, bound, DeterministicHead())
        inputs = problem.observation_dim + problem.action_dim
        nets = [policy, *(nn.Sequential(ConcatObsAndAction(), mlp(inputs, 1)) for _ in range(2))]
        adams = [torch.optim.Adam(each.parameters(), rate) for each in nets]
        self.agent = TD3(*nets, *adams, ReplayBuffer(10), problem.gamma, None,
                         replay_start_size=problem.batch_size,
                         minibatch_size=problem.batch_size, **self.smoothing())  # fmt: skip
        agent = self.agent
        self.networks = nets
        self.targets = (agent.target_policy, agent.target_q_func1, agent.target_q_func2)

    def smoothing(self) -> dict[str, Any]:
        """No function of the user's."""
        return {}

    def policy(self, network: Any, observations: Tensor) -> Tensor:
        """The head is a distribution without spread."""
        actions: Tensor = network(observations).sample()
        return actions

    def values(self, networks: Any, observations: Tensor, actions: Tensor) -> Any:
        """A critic takes a pair."""
        return [network((observations, actions)) for network in networks]

    def update(self, batch: Batch, noise: Array) -> None:
        """Its buffer holds lists of transitions."""
        experiences = [
            [{"state": batch.observations[i], "action": batch.actions[i],
              "reward": float(batch.rewards[i, 0]), "next_action": None,
              "next_state": batch.next_observations[i],
              "is_state_terminal": bool(batch.terminated[i, 0])}]
            for i in range(len(noise))
        ]  # fmt: skip
        with replaced(torch, "randn_like", torch.from_numpy(noise)):
            self.agent.update(experiences)

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3.__init__``; the optimisers are the user's."""
        return signature_defaults(
            TD3.__init__, tau="soft_update_tau", policy_freq="policy_update_delay",
            batch_size="minibatch_size", learning_starts="replay_start_size",
        )  # fmt: skip


class Smoothed(Adapter):
    """With a smoothing function for the bounds at hand."""

    def smoothing(self) -> dict[str, Any]:
        """The published one."""
        problem = self.problem

        def smooth(actions: Tensor) -> Tensor:
            noise = torch.randn_like(actions) * problem.policy_noise
            noise = noise.clamp(-problem.noise_clip, problem.noise_clip) * self.half_width
            return (actions + noise).clamp(self.low, self.high)

        return {"target_policy_smoothing_func": smooth}
