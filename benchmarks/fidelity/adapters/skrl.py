"""skrl: models are the user's; as in its examples, the actor scales its tanh."""

from types import SimpleNamespace
from typing import Any

import torch
from skrl.agents.torch.td3 import TD3, TD3_CFG
from skrl.models.torch import DeterministicMixin, Model
from skrl.resources.noises.torch import GaussianNoise
from torch import Tensor

from benchmarks.fidelity import helpers
from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, mlp, replaced, signature_defaults


class Net(DeterministicMixin, Model):
    """An actor, if it is given a function that scales its output, or a critic."""

    def __init__(self, spaces: dict[str, Any], scale: Any = None) -> None:
        Model.__init__(self, **spaces, device="cpu")
        DeterministicMixin.__init__(self, clip_actions=False)
        inputs, actions = (space.shape[0] for space in spaces.values())
        self.net = mlp(inputs, actions) if scale else mlp(inputs + actions, 1)
        self.scale = scale

    def compute(self, inputs: dict[str, Any], role: str = "") -> tuple[Tensor, dict[str, Any]]:
        """What the library calls."""
        if self.scale:
            return self.scale(torch.tanh(self.net(inputs["observations"]))), {}
        return self.net(torch.cat([inputs["observations"], inputs["taken_actions"]], 1)), {}


class Adapter(TorchAdapter):
    """Noise object and clip are the user's, in environment units."""

    package = "skrl"

    def build(self) -> None:
        """Its own optimiser and update."""
        problem = self.problem
        observations, actions = helpers.spaces(problem)
        spaces = {"observation_space": observations, "action_space": actions}
        scales = {"policy": lambda unit: self.centre + self.half_width * unit}
        names = ("policy", "critic_1", "critic_2")
        models = {f"{p}{n}": Net(spaces, scales.get(n)) for p in ("", "target_") for n in names}
        settings = TD3_CFG(
            batch_size=problem.batch_size, learning_rate=problem.learning_rate,
            smooth_regularization_noise=GaussianNoise,
            smooth_regularization_noise_kwargs={"mean": 0.0, "std": 1.0, "device": "cpu"},
            smooth_regularization_clip=problem.noise_clip * self.half_width,
        )  # fmt: skip
        self.agent = TD3(models=models, memory=None, device="cpu", cfg=settings, **spaces)
        self.agent.init()
        self.networks = [models[name] for name in names]
        self.targets = [models[f"target_{name}"] for name in names]

    def policy(self, network: Any, observations: Tensor) -> Tensor:
        """As the agent calls it."""
        return network.act({"observations": observations}, role="")[0]

    def values(self, networks: Any, observations: Tensor, actions: Tensor) -> Any:
        """As the agent calls them."""
        inputs = {"observations": observations, "taken_actions": actions}
        return [network.act(inputs, role="")[0] for network in networks]

    def update(self, batch: Batch, noise: Array) -> None:
        """The memory hands out the batch."""
        tensors = self.tensors(batch)
        sample = (tensors["observations"], None, tensors["actions"], tensors["rewards"],
                  tensors["next_observations"], None, tensors["terminated"] == 1)  # fmt: skip
        self.agent.memory = SimpleNamespace(sample=lambda **_: [sample])
        self.agent._tensors_names = []
        drawn = torch.from_numpy(noise) * self.problem.policy_noise * self.half_width
        with replaced(self.agent._smooth_regularization_noise, "sample", drawn):
            self.agent.update(timestep=0, timesteps=1)

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3_CFG``; without a noise object there is no noise."""
        names = {"gamma": "discount_factor", "tau": "polyak", "policy_freq": "policy_delay",
                 "noise_clip": "smooth_regularization_clip",
                 "policy_noise": "smooth_regularization_noise"}  # fmt: skip
        same = ("learning_rate", "batch_size", "learning_starts", "exploration_noise")
        return signature_defaults(TD3_CFG, *same, **names)
