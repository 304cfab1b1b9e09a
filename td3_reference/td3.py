"""Twin Delayed Deep Deterministic policy gradient (TD3).

Fujimoto, van Hoof, Meger: Addressing Function Approximation Error in Actor-Critic Methods,
ICML 2018, Algorithm 1. The settings default to those of the author's released code.
"""

import copy
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from td3_reference.config import TD3Config
from td3_reference.replay_buffer import Array, Batch

__all__ = ["TD3", "Actor", "Critic", "TD3Config"]


class Actor(nn.Module):
    """The deterministic policy: observation -> action in environment units."""

    half_width: Tensor
    centre: Tensor

    def __init__(self, config: TD3Config) -> None:
        super().__init__()
        self.net = mlp(config.observation_dim, config.hidden_sizes, config.action_dim)
        low, high = torch.as_tensor(np.array([config.action_low, config.action_high]))
        self.register_buffer("half_width", ((high - low) / 2).float())
        self.register_buffer("centre", ((high + low) / 2).float())

    def forward(self, observations: Tensor) -> Tensor:
        """Actions of shape (n, action_dim) for observations of shape (n, observation_dim)."""
        return self.centre + self.half_width * torch.tanh(self.net(observations))


class Critic(nn.Module):
    """The two action-value functions."""

    def __init__(self, config: TD3Config) -> None:
        super().__init__()
        inputs = config.observation_dim + config.action_dim
        self.q1_net = mlp(inputs, config.hidden_sizes, 1)
        self.q2_net = mlp(inputs, config.hidden_sizes, 1)

    def forward(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Both values, each of shape (n, 1)."""
        inputs = torch.cat([observations, actions], dim=1)
        return self.q1_net(inputs), self.q2_net(inputs)

    def q1(self, observations: Tensor, actions: Tensor) -> Tensor:
        """The first value alone, shape (n, 1): the one that the policy climbs."""
        value: Tensor = self.q1_net(torch.cat([observations, actions], dim=1))
        return value


def mlp(inputs: int, hidden_sizes: Sequence[int], outputs: int) -> nn.Sequential:
    """Fully connected layers with rectified linear units between them, not yet initialised."""
    sizes = [inputs, *hidden_sizes, outputs]
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise(sizes):
        # Without memory at first: PyTorch's initialisation would draw from the global generator.
        layers += [nn.Linear(size_in, size_out, device="meta"), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to_empty(device="cpu")


class TD3:
    """The agent: networks, their targets and optimisers.

    :param config: dimensions and settings
    :param rng: draws the initial weights; a generator with seed 0 by default
    """

    def __init__(self, config: TD3Config, rng: np.random.Generator | None = None) -> None:
        self.config = config
        self.updates = 0
        self.actor, self.critic = Actor(config), Critic(config)
        self.load_weights(initial_weights(self._parameters(), rng or np.random.default_rng(0)))

    def load_weights(self, arrays: Iterable[Array]) -> None:
        """Set all weights, copy them to the targets, and begin training anew.

        :param arrays: float32, layer by layer weight (outputs, inputs) and bias (outputs,): of
            the actor, of the first critic, of the second critic
        :raises ValueError: if number or shapes do not fit
        """
        with torch.no_grad():
            for parameter, array in zip(self._parameters(), arrays, strict=True):
                if parameter.shape != array.shape:
                    raise ValueError(f"a weight has shape {array.shape}, not {parameter.shape}")
                parameter.copy_(torch.from_numpy(array))
        self.actor_target = copy.deepcopy(self.actor).requires_grad_(False)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        rate = self.config.learning_rate
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), rate, foreach=True)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), rate, foreach=True)
        self.updates = 0

    def update(self, batch: Batch, noise: Array) -> None:
        """One gradient step of the critics and, at every policy_freq-th call, of the policy.

        :param batch: float32 transitions
        :param noise: standard normal, shape (batch_size, action_dim): the target policy's noise
            before it is scaled and clipped
        """
        observations, actions, next_observations, rewards, not_terminated = tensors(batch)
        self.updates += 1

        # Target policy smoothing, then clipped double Q-learning.
        with torch.no_grad():
            next_actions = self._smoothed_target_actions(next_observations, noise)
            target_q = torch.min(*self.critic_target(next_observations, next_actions))
            target = rewards + self.config.gamma * not_terminated * target_q

        # Both critics regress on the one target.
        q1, q2 = self.critic(observations, actions)
        critic_loss = F.mse_loss(q1, target) + F.mse_loss(q2, target)
        descend(critic_loss, self.critic, self.critic_optimizer)

        # Delayed policy update: climb the first critic, then let the targets follow.
        if self.updates % self.config.policy_freq == 0:
            actor_loss = -self.critic.q1(observations, self.actor(observations)).mean()
            descend(actor_loss, self.actor, self.actor_optimizer)
            self._move_targets()

    def restart_policy_delay(self) -> None:
        """Let the next update be one that moves the policy, and count anew from there."""
        self.updates = self.config.policy_freq - 1

    def _smoothed_target_actions(self, observations: Tensor, noise: Array) -> Tensor:
        """The target policy's actions plus clipped noise, kept within the action bounds."""
        clip, actor = self.config.noise_clip, self.actor_target
        scaled = (torch.from_numpy(noise) * self.config.policy_noise).clamp(-clip, clip)
        unit = actor.half_width if self.config.scale_noise else 1.0
        actions: Tensor = actor(observations) + scaled * unit
        low, high = actor.centre - actor.half_width, actor.centre + actor.half_width
        return actions.clamp(low, high)

    def _move_targets(self) -> None:
        """Move each target weight to tau * weight + (1 - tau) * target weight, rounded so.

        A linear interpolation or a fused optimiser would differ in the last bit. That is enough
        to wake a sleeping hidden unit at another update, which Adam then turns into differences
        of 1e-2 within 200 updates; in this order the published numbers are met bit by bit.
        """
        with torch.no_grad():
            for target, weight in zip(self._target_parameters(), self._parameters(), strict=True):
                target.mul_(1 - self.config.tau).add_(self.config.tau * weight)

    def actions(self, observations: Array) -> Array:
        """Noise-free actions, shape (n, action_dim), for observations (n, observation_dim)."""
        (actions,) = self._call(self.actor, observations)
        return actions

    def target_actions(self, observations: Array) -> Array:
        """The same of the target policy."""
        (actions,) = self._call(self.actor_target, observations)
        return actions

    def q_values(self, observations: Array, actions: Array) -> tuple[Array, Array]:
        """Values of both critics, each of shape (n, 1)."""
        q1, q2 = self._call(self.critic, observations, actions)
        return q1, q2

    def target_q_values(self, observations: Array, actions: Array) -> tuple[Array, Array]:
        """The same of the target critics."""
        q1, q2 = self._call(self.critic_target, observations, actions)
        return q1, q2

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Array, Any]:
        """SB3's interface of a policy; always noise-free, and without memory."""
        return self.actions(np.asarray(observation, np.float32)), state

    def get_state(self) -> dict[str, Tensor]:
        """Networks, targets, optimisers and counter as named tensors."""
        state = {"updates": torch.tensor(self.updates)}
        for name, part in self._stateful_parts().items():
            tensors = part.state_dict()
            if isinstance(part, torch.optim.Optimizer):
                tensors = {f"{i}.{k}": v for i, s in tensors["state"].items() for k, v in s.items()}
            state |= {f"{name}.{key}": tensor.clone() for key, tensor in tensors.items()}
        return state

    def set_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a state that :meth:`get_state` of an equally configured agent returned."""
        self.updates = int(state["updates"])
        for name, part in self._stateful_parts().items():
            prefix = f"{name}."
            tensors = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            if isinstance(part, torch.optim.Optimizer):
                moments: dict[int, dict[str, Tensor]] = {}
                for key, tensor in tensors.items():
                    index, moment = key.split(".")
                    moments.setdefault(int(index), {})[moment] = tensor.clone()
                part.load_state_dict({**part.state_dict(), "state": moments})
            else:
                part.load_state_dict(tensors)

    def _stateful_parts(self) -> dict[str, Any]:
        names = ("actor", "critic", "actor_target", "critic_target")
        return {
            name: getattr(self, name) for name in (*names, "actor_optimizer", "critic_optimizer")
        }

    def _parameters(self) -> list[Tensor]:
        """In the order of :meth:`load_weights`."""
        return [*self.actor.parameters(), *self.critic.parameters()]

    def _target_parameters(self) -> list[Tensor]:
        return [*self.actor_target.parameters(), *self.critic_target.parameters()]

    @staticmethod
    def _call(network: nn.Module, *inputs: Array) -> list[Array]:
        """Output of a network as NumPy arrays."""
        with torch.inference_mode():
            outputs = network(*(torch.from_numpy(array) for array in inputs))
        return [
            output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))
        ]


def initial_weights(parameters: Sequence[Tensor], rng: np.random.Generator) -> list[Array]:
    """PyTorch's initialisation of a linear layer: uniform within 1/sqrt(number of inputs).

    :param parameters: weight and bias of each layer in turn
    """
    arrays: list[Array] = []
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        bound = 1.0 / np.sqrt(weight.shape[1])
        arrays.append(rng.uniform(-bound, bound, weight.shape).astype(np.float32))
        arrays.append(rng.uniform(-bound, bound, bias.shape).astype(np.float32))
    return arrays


def tensors(batch: Batch) -> tuple[Tensor, ...]:
    """The batch as tensors on the same memory."""
    return tuple(torch.from_numpy(array) for array in batch)


def descend(loss: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One optimiser step of one network: no gradient is computed for any other."""
    parameters = list(network.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
