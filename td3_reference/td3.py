"""Twin Delayed Deep Deterministic policy gradient (TD3).

Fujimoto, van Hoof, Meger: Addressing Function Approximation Error in Actor-Critic Methods,
ICML 2018, Algorithm 1. The settings default to those of the author's released code.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from td3_reference.replay_buffer import Array, Batch


@dataclass(frozen=True)
class TD3Config:
    """The problem's dimensions and the algorithm's settings.

    :param observation_dim: length of an observation
    :param action_low: lowest action, one number per dimension, in environment units
    :param action_high: highest action
    :param hidden_sizes: widths of the hidden layers of actor and critics
    :param gamma: discount
    :param tau: fraction by which a target network moves at each of its updates
    :param policy_noise: standard deviation of the target policy's noise, in half-widths of the
        action range
    :param noise_clip: largest size of that noise, in the same unit
    :param policy_freq: critic updates for each update of the policy and the targets
    :param learning_rate: of Adam, for actor and critics
    :raises ValueError: if the bounds are not finite, or low is not below high
    """

    observation_dim: int
    action_low: Sequence[float]
    action_high: Sequence[float]
    hidden_sizes: Sequence[int] = (256, 256)
    gamma: float = 0.99
    tau: float = 0.005
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    policy_freq: int = 2
    learning_rate: float = 3e-4

    def __post_init__(self) -> None:
        low, high = np.asarray(self.action_low), np.asarray(self.action_high)
        if low.ndim != 1 or low.shape != high.shape:
            raise ValueError("action_low and action_high must be lists of one and the same length")
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
            raise ValueError(f"action bounds must be finite, low below high; got {low}, {high}")

    @property
    def action_dim(self) -> int:
        """Length of an action."""
        return len(self.action_low)


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

    def _smoothed_target_actions(self, observations: Tensor, noise: Array) -> Tensor:
        """The target policy's actions plus clipped noise, kept within the action bounds."""
        clip, actor = self.config.noise_clip, self.actor_target
        scaled = (torch.from_numpy(noise) * self.config.policy_noise).clamp(-clip, clip)
        actions: Tensor = actor(observations) + scaled * actor.half_width
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


def initial_weights(
    parameters: Sequence[Tensor], rng: np.random.Generator
) -> list[NDArray[np.float32]]:
    """PyTorch's initialisation of a linear layer: uniform within 1/sqrt(number of inputs).

    :param parameters: weight and bias of each layer in turn
    """
    arrays: list[NDArray[np.float32]] = []
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
