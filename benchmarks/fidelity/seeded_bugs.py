"""Ways to get TD3 wrong, as patches of the reference's source.

They show that the fidelity checks would notice, and name the cause.
"""

from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from td3_reference import run_loop, td3

Replacement = tuple[str, str]  # text that occurs once, and what stands there instead


class Bug(NamedTuple):
    """A mistake.

    :param cause: what the checks must call it
    :param patch: of the module's source
    :param has_smoothing: whether target noise is left; an adapter has to declare if none is
    """

    name: str
    cause: str
    patch: tuple[Replacement, ...]
    module: ModuleType = td3
    has_smoothing: bool = True


TARGETS_COPIED = """        self.actor_target = copy.deepcopy(self.actor).requires_grad_(False)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
"""
WEIGHTS_LOADED = "        parameters = [*self.actor.parameters(), *self.critic.parameters()]\n"
ACTOR_STEP = '            self._descend("actor", self._actor_gradients(tensors[0]))\n'
TARGETS_MOVED = """            self._move_target("actor")
            self._move_target("critic")
"""
DUE = "if self.updates % self.config.policy_freq == 0:"
FINAL_CLIP = ".clamp(target_actor.low, target_actor.high)"
NOISE_UNIT = "target_actor.half_width if config.scale_noise else 1.0"
TARGET_Q = "torch.min(*self.critic_target(next_observations, next_actions))"
CRITIC_LOSS = "F.mse_loss(q1, target) + F.mse_loss(q2, target)"
ACTOR_LOSS = "-self.critic.q1_net(inputs).mean()"
ACTOR_OUTPUT = "self.low + self.half_width + self.half_width * torch.tanh(self.net(observations))"
BOTH = "self.critic.q1_net(inputs), self.critic.q2_net(inputs)"

# fmt: off
SEEDED_BUGS = (
    Bug("one critic instead of the minimum of two",
        "the target is one critic's value, not the minimum of two",
        ((TARGET_Q, "self.critic_target(next_observations, next_actions)[0]"),)),
    Bug("no target smoothing", "there is no target noise",
        ((" + noise * unit", ""),), has_smoothing=False),
    Bug("noise not clipped", "target noise is not clipped",
        ((".clamp(-config.noise_clip, config.noise_clip)", ""),)),
    Bug("noise not scaled", "target noise is not scaled by the half-width of the action range",
        ((NOISE_UNIT, "1.0"),)),
    Bug("one half-width for all dimensions",
        "target noise has the first dimension's half-width in all dimensions",
        ((NOISE_UNIT, "target_actor.half_width[0]"),)),
    Bug("truncation treated as termination", "a truncated episode does not bootstrap",
        (("reward, not terminated)", "reward, not (terminated or truncated))"),), run_loop),
    Bug("no final clip", "target actions are not clipped to the bounds", ((FINAL_CLIP, ""),)),
    Bug("final clip to [-1, 1]", "target actions are clipped to [-1, 1] whatever the bounds",
        ((FINAL_CLIP, ".clamp(-1, 1)"),)),
    Bug("clip by the first dimension", "target actions are clipped to the first dimension's bounds",
        ((FINAL_CLIP, ".clamp(target_actor.low[0], target_actor.high[0])"),)),
    Bug("no policy delay", "the actor and the targets move at every update", ((DUE, "if True:"),)),
    Bug("policy updated at odd counts", "the actor moves at updates 1, 3, 5, not 2, 4, 6",
        ((DUE, DUE.replace("== 0", "== 1")),)),
    Bug("targets updated at every step", "the targets move at every update",
        ((TARGETS_MOVED, TARGETS_MOVED.replace(12 * " ", 8 * " ")),)),
    Bug("targets moved before the actor", "the targets move before the actor",
        ((ACTOR_STEP + TARGETS_MOVED, TARGETS_MOVED + ACTOR_STEP),)),
    Bug("targets not copied at the start", "load() must copy to the targets",
        ((TARGETS_COPIED, ""), (WEIGHTS_LOADED, TARGETS_COPIED + WEIGHTS_LOADED))),
    Bug("tanh output not scaled", "the actor's tanh is not scaled by the half-width",
        ((ACTOR_OUTPUT, ACTOR_OUTPUT.replace("self.half_width * torch", "torch")),)),
    Bug("actor without offset", "the actor has no offset: half-width * tanh",
        ((ACTOR_OUTPUT, ACTOR_OUTPUT.removeprefix("self.low + self.half_width + ")),)),
    Bug("actor loss through both critics", "the actor climbs the mean of both critics",
        ((ACTOR_LOSS, f"-sum(({BOTH})).mean() / 2"),)),
    Bug("actor loss on the minimum", "the actor climbs the minimum of both critics",
        ((ACTOR_LOSS, f"-torch.min({BOTH}).mean()"),)),
    Bug("Huber loss of the critics", "the critics' loss is Huber's",
        ((CRITIC_LOSS, CRITIC_LOSS.replace("mse_loss", "smooth_l1_loss")),)),
)
# fmt: on


def patched(bug: Bug) -> ModuleType:
    """A copy of the module with the bug in it.

    :raises ValueError: if the text to replace does not occur exactly once
    """
    source = Path(str(bug.module.__file__)).read_text(encoding="utf-8")
    for old, new in bug.patch:
        if source.count(old) != 1:
            raise ValueError(f"{bug.name}: {old!r} occurs {source.count(old)} times")
        source = source.replace(old, new)
    module = ModuleType(bug.module.__name__)
    exec(compile(source, f"<{bug.name}>", "exec"), module.__dict__)
    return module
