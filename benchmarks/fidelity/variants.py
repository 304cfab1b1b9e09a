"""The differences that occur in public implementations, each as a subclass of the reference.

They can be trained: ``--algos td3_reference:benchmarks.fidelity.variants:NoFinalClip``.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from td3_reference.networks import as_vector
from td3_reference.replay_buffer import Array, Batch
from td3_reference.td3 import TD3


class Offset(TD3):
    """The actor moves at updates 1, 3, 5: the counter starts one later."""

    def load_weights(self, arrays: Iterable[Array]) -> None:
        """As the reference, with the counter at 1."""
        super().load_weights(arrays)
        self.updates = 1


class TargetsAtEveryUpdate(TD3):
    """The targets follow at every update, not with the actor alone."""

    def update(self, batch: Batch, noise: Array) -> None:
        """As the reference; then the targets, where they have not moved yet."""
        super().update(batch, noise)
        if self.updates % self.config.policy_freq:
            self._move_target("actor")
            self._move_target("critic")


class NoSmoothing(TD3):
    """No target noise."""

    def update(self, batch: Batch, noise: Array) -> None:
        """As the reference, without noise."""
        super().update(batch, 0 * noise)


class NoFinalClip(TD3):
    """Target actions may leave the bounds."""

    def _critic_gradients(self, tensors: tuple[Tensor, ...]) -> Tensor:
        observations, actions, next_observations, rewards, not_terminated, noise = tensors
        config, target_actor = self.config, self.actor_target
        with torch.no_grad():
            unit = target_actor.half_width if config.scale_noise else 1.0
            noise = (noise * config.policy_noise).clamp(-config.noise_clip, config.noise_clip)
            next_actions = target_actor(next_observations) + noise * unit
            target_q = torch.min(*self.critic_target(next_observations, next_actions))
            target = rewards + config.gamma * not_terminated * target_q
        q1, q2 = self.critic(observations, actions)
        loss = F.mse_loss(q1, target) + F.mse_loss(q2, target)
        return as_vector(torch.autograd.grad(loss, list(self.critic.parameters())))


class ActorOnMinimum(TD3):
    """The actor climbs the smaller of both values."""

    def _actor_gradients(self, observations: Tensor) -> Tensor:
        loss = -self._climbed(*self.critic(observations, self.actor(observations))).mean()
        return as_vector(torch.autograd.grad(loss, list(self.actor.parameters())))

    @staticmethod
    def _climbed(q1: Tensor, q2: Tensor) -> Tensor:
        return torch.min(q1, q2)


class ActorOnMean(ActorOnMinimum):
    """The actor climbs the mean of both values."""

    @staticmethod
    def _climbed(q1: Tensor, q2: Tensor) -> Tensor:
        return (q1 + q2) / 2


class ScaledCritic(TD3):
    """The critics see actions scaled to [-1, 1]."""

    def load_weights(self, arrays: Iterable[Array]) -> None:
        """As the reference; the critics' nets scale what they are given."""
        scale = partial(_scale_actions, self.actor.low, self.actor.half_width)
        for net in (self.critic.q1_net, self.critic.q2_net):
            net._forward_pre_hooks.clear()
            net.register_forward_pre_hook(scale)
        super().load_weights(arrays)


def _scale_actions(low: Tensor, half_width: Tensor, _: nn.Module, given: Any) -> Tensor:
    observations, actions = given[0].tensor_split([-len(low)], dim=1)
    return torch.cat([observations, (actions - low) / half_width - 1], dim=1)


# By label, with the cause that the checks must find.
VARIANTS: dict[str, tuple[type[TD3], str]] = {
    "offset": (Offset, "the actor moves at updates 1, 3, 5, not 2, 4, 6"),
    "no_final_clip": (NoFinalClip, "target actions are not clipped to the bounds"),
    "targets_every_update": (TargetsAtEveryUpdate, "the targets move at every update"),
    "actor_on_minimum": (ActorOnMinimum, "the actor climbs the minimum of both critics"),
    "actor_on_mean": (ActorOnMean, "the actor climbs the mean of both critics"),
    "scaled_critic": (ScaledCritic, "the critic sees actions scaled to [-1, 1]"),
    "no_smoothing": (NoSmoothing, "there is no target noise"),
}
