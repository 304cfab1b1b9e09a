"""Ten ways to get TD3 wrong, as patches of the reference's source.

They show that the fidelity checks would notice: each patched copy must fail one of them.
"""

from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from benchmarks.fidelity.checks import Reference
from td3_reference import run_loop, td3

Replacement = tuple[str, str]  # text that occurs once, and what stands there instead


class Bug(NamedTuple):
    """A mistake: its name, the module that it is made in, and the patch."""

    name: str
    module: ModuleType
    patch: tuple[Replacement, ...]


TARGETS_COPIED = """        self.actor_target = copy.deepcopy(self.actor).requires_grad_(False)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
"""
WEIGHTS_LOADED = "        parameters = [*self.actor.parameters(), *self.critic.parameters()]\n"
TARGETS_MOVED = """            self._move_target("actor")
            self._move_target("critic")
"""

SEEDED_BUGS = (
    Bug(
        "one critic instead of the minimum of two",
        td3,
        (("torch.min(*self.critic_target(next_observations, next_actions))",
          "self.critic_target(next_observations, next_actions)[0]"),),
    ),
    Bug("no target smoothing", td3, ((" + noise * unit", ""),)),
    Bug("noise not clipped", td3, ((".clamp(-config.noise_clip, config.noise_clip)", ""),)),
    Bug("noise not scaled", td3, (("target_actor.half_width if config.scale_noise else ", ""),)),
    Bug(
        "truncation treated as termination",
        run_loop,
        (("reward, not terminated)", "reward, not (terminated or truncated))"),),
    ),
    Bug("no policy delay", td3, (("if self.updates % self.config.policy_freq == 0:", "if True:"),)),
    Bug(
        "targets updated at every step",
        td3,
        ((TARGETS_MOVED, TARGETS_MOVED.replace(12 * " ", 8 * " ")),),
    ),
    Bug(
        "targets not copied at the start",
        td3,
        ((TARGETS_COPIED, ""), (WEIGHTS_LOADED, TARGETS_COPIED + WEIGHTS_LOADED)),
    ),
    Bug("tanh output not scaled", td3, (("+ self.half_width * torch.tanh", "+ torch.tanh"),)),
    Bug(
        "actor loss through both critics",
        td3,
        (("-self.critic.q1_net(inputs).mean()",
          "-(self.critic.q1_net(inputs) + self.critic.q2_net(inputs)).mean() / 2"),),
    ),
)  # fmt: skip


def patched(bug: Bug) -> Reference:
    """The reference with a bug in it.

    :raises ValueError: if the text to replace does not occur exactly once
    """
    source = Path(str(bug.module.__file__)).read_text(encoding="utf-8")
    for old, new in bug.patch:
        if source.count(old) != 1:
            raise ValueError(f"{bug.name}: {old!r} occurs {source.count(old)} times")
        source = source.replace(old, new)
    module = ModuleType(bug.module.__name__)
    exec(compile(source, f"<{bug.name}>", "exec"), module.__dict__)
    return Reference(td3=module) if bug.module is td3 else Reference(run_loop=module)
