"""Ways to get TD3 wrong: the reference with one thing changed.

Those that occur in public implementations are subclasses, which can be trained:
``--algos td3_reference:benchmarks.fidelity.variants:NoFinalClip``. Others are patches of the
reference's source. The fidelity checks must notice each, and name its cause.
"""

from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.fidelity.causes import CAUSES, VARIANT_SWITCHES
from td3_reference import run_loop, td3
from td3_reference.config import TD3Config
from td3_reference.networks import as_vector
from td3_reference.replay_buffer import Array, Batch
from td3_reference.td3 import TD3


class Offset(TD3):
    """The actor moves at updates 1, 3, 5: the counter starts at 1, not 0."""

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
            self.polyak_update("actor")
            self.polyak_update("critic")


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
            unit = target_actor.action_scale if config.scale_noise else 1.0
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


class ScaledCritic(ActorOnMinimum):
    """The critics see actions scaled to [-1, 1]."""

    def __init__(self, config: TD3Config, *args: Any, **options: Any) -> None:
        super().__init__(config, *args, **options)
        for critic in (self.critic, self.critic_target):
            critic.inputs = self._scaled_inputs  # type: ignore[method-assign]

    def _scaled_inputs(self, observations: Tensor, actions: Tensor) -> Tensor:
        unit = (actions - self.actor.low) / self.actor.action_scale - 1
        return torch.cat([observations, unit], dim=1)

    @staticmethod
    def _climbed(q1: Tensor, q2: Tensor) -> Tensor:
        return q1


# By label, with the cause that the checks must find.
VARIANTS: dict[str, tuple[type[TD3], str]] = {
    label: (variant, CAUSES[VARIANT_SWITCHES[variant.__name__]])
    for label, variant in {
        "offset": Offset,
        "no_final_clip": NoFinalClip,
        "targets_every_update": TargetsAtEveryUpdate,
        "actor_on_minimum": ActorOnMinimum,
        "actor_on_mean": ActorOnMean,
        "scaled_critic": ScaledCritic,
        "no_smoothing": NoSmoothing,
    }.items()
}


class Bug(NamedTuple):
    """A mistake, as a patch of the reference's source.

    :param cause: what the checks must name
    :param patch: pairs of a text that occurs once, and its replacement
    """

    name: str
    cause: str
    patch: tuple[tuple[str, str], ...]
    module: ModuleType = td3


TARGETS_COPIED = '            self.weights[f"{name}_target"].copy_(self.weights[name])\n'
ACTOR_STEP = """            self.optimizers["actor"].step(self._actor_gradient(tensors[0]))
"""
TARGETS_MOVED = """            self.polyak_update("actor")
            self.polyak_update("critic")
"""
DUE = "if self.updates % self.config.policy_freq == 0:"
FINAL_CLIP = ".clamp(target_actor.low, target_actor.high)"
NOISE_UNIT = "target_actor.action_scale if config.scale_noise else 1.0"
TARGET_Q = "torch.min(*self.critic_target(next_observations, next_actions))"
CRITIC_LOSS = "2 / len(q) * (q - target)"
ACTOR_OUTPUT = "self.low + self.action_scale + self.action_scale * unit_actions"

# fmt: off
SEEDED_BUGS = (
    Bug("one critic instead of the minimum of two",
        "the target is one critic's value, not the minimum of two",
        ((TARGET_Q, "self.critic_target(next_observations, next_actions)[0]"),)),
    Bug("noise not clipped", "target noise is not clipped",
        ((".clamp(-config.noise_clip, config.noise_clip)", ""),)),
    Bug("noise not scaled", "target noise is not scaled by the half-width of the action range",
        ((NOISE_UNIT, "1.0"),)),
    Bug("one half-width for all dimensions",
        "target noise has the first dimension's half-width in all dimensions",
        ((NOISE_UNIT, "target_actor.action_scale[0]"),)),
    Bug("truncation treated as termination", "a truncated episode does not bootstrap",
        (("reward, not terminated)", "reward, not (terminated or truncated))"),), run_loop),
    Bug("final clip to [-1, 1]", "target actions are clipped to [-1, 1] whatever the bounds",
        ((FINAL_CLIP, ".clamp(-1, 1)"),)),
    Bug("clip by the first dimension", "target actions are clipped to the first dimension's bounds",
        ((FINAL_CLIP, ".clamp(target_actor.low[0], target_actor.high[0])"),)),
    Bug("no policy delay", "the actor and the targets move at every update", ((DUE, "if True:"),)),
    Bug("targets moved before the actor", "the targets move before the actor",
        ((ACTOR_STEP + TARGETS_MOVED, TARGETS_MOVED + ACTOR_STEP),)),
    Bug("targets not copied at the start", "load() must copy to the targets",
        ((TARGETS_COPIED, ""),)),
    Bug("tanh output not scaled", "the actor's tanh is not scaled by the half-width",
        ((ACTOR_OUTPUT, ACTOR_OUTPUT.replace("self.action_scale * unit", "unit")),)),
    Bug("actor without offset", "the actor has no offset: half-width * tanh",
        ((ACTOR_OUTPUT, ACTOR_OUTPUT.removeprefix("self.low + self.action_scale + ")),)),
    Bug("Huber loss of the critics", "the critics' loss is Huber's",
        ((CRITIC_LOSS, "1 / len(q) * (q - target).clamp(-1, 1)"),)),
)
# fmt: on


def patched(bug: Bug) -> ModuleType:
    """A copy of the module with the bug in it.

    :raises ValueError: if a text to replace does not occur exactly once: the source has changed,
        and the bug must be written anew
    """
    source = Path(str(bug.module.__file__)).read_text(encoding="utf-8")
    for old, new in bug.patch:
        if source.count(old) != 1:
            raise ValueError(f"{bug.name}: {old!r} occurs {source.count(old)} times")
        source = source.replace(old, new)
    module = ModuleType(bug.module.__name__)
    exec(compile(source, f"<{bug.name}>", "exec"), module.__dict__)
    return module
