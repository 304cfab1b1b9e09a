"""What the environment checker finds, why it matters, and the report made of it."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing found in an environment, with what was observed and how to mend it."""

    severity: Severity
    key: str
    observed: str
    why: str
    remedy: str


# For each key: why it matters for training, and how to mend it.
EXPLANATIONS: dict[Severity, dict[str, tuple[str, str]]] = {
    "error": {
        "interface": (
            "Training code unpacks these values; others fail there, or are taken for others",
            "return (observation, info) from reset(seed=..., options=...), and (observation,"
            " reward, terminated, truncated, info) from step(), the flags of type bool and info a"
            " dict",
        ),
        "exception": (
            "A training run stops there, perhaps after many hours",
            "make step() and reset() work in every state that actions of the action space lead to",
        ),
        "global-randomness": (
            "Episodes depend on whatever else draws from these generators, and the other way"
            " round: neither the environment nor the algorithm can be repeated from its seed",
            "draw from self.np_random alone, and call super().reset(seed=seed) first in reset()",
        ),
        "seed-without-effect": (
            "Runs cannot be repeated, nor policies evaluated on chosen starts",
            "call super().reset(seed=seed) first in reset(), and draw all from self.np_random",
        ),
        "state-survives-reset": (
            "Episodes are not independent: an evaluation depends on what was played before it",
            "set everything that steps depend on in reset()",
        ),
        "wall-clock": (
            "Results depend on the speed and load of the machine",
            "count steps, and take a fixed time per step",
        ),
        "not-finite": (
            "One such value turns all weights of a network into NaN at the next update",
            "find the division, root, logarithm or overflow that yields it",
        ),
        "wrong-type": (
            "Buffers are allocated from the spaces, and rewards as floats: anything else is"
            " refused there, or converted unnoticed",
            "return what the space declares, and a float as reward, at the last step too",
        ),
        "out-of-bounds": (
            "Agents normalise by the declared bounds, and may take them for what can happen",
            "widen the space to all that occurs, at the last step too, or clip",
        ),
        "observation-aliased": (
            "A buffer that keeps references holds one observation many times",
            "return a fresh array, such as self.state.copy()",
        ),
        "action-mutated": (
            "The replay buffer stores the changed action instead of the one that the agent chose",
            "work on a copy; np.clip without out= makes one",
        ),
        "endless-episode": (
            "No return is ever recorded, and an evaluation never comes back",
            "register the environment with max_episode_steps, or end the episode in step()",
        ),
        "time-limit-as-termination": (
            "Agents take the value after a termination for zero: states become worthless because"
            " of a limit that cannot be observed",
            "return truncated=True instead, or register with max_episode_steps; where the"
            " horizon is part of the task, let the observation tell the time left",
        ),
        "render-changes-state": (
            "A recorded run is not the run that would have been without the recording",
            "let render() only read the state, and draw from no generator",
        ),
        "frame": (
            "Video writers and image wrappers keep frames, of type uint8 and of one shape",
            "return a fresh uint8 array of shape (height, width, 3), always of the same size",
        ),
        "vector-disagrees": (
            "Training in the vector version and evaluation in the single one are two tasks",
            "let both call the same transition and reward, and follow the declared autoreset mode",
        ),
        "public-checkers": (
            "The libraries that most training code builds on refuse the environment",
            "do as the message says",
        ),
    },
    "warning": {
        "episode-may-not-end": (
            "A policy that acts like this never ends its evaluation",
            "register the environment with max_episode_steps",
        ),
        "nan-action": (
            "A diverged policy goes on unnoticed, and its NaN spreads to buffers and normalisers",
            "raise a ValueError in step() where the action is NaN",
        ),
        "step-past-end": (
            "A loop that forgets reset() collects transitions of an episode that is over",
            "raise gymnasium.error.ResetNeeded in step() after a termination",
        ),
        "copy-loses-state": (
            "Checkpoints and planners that copy the environment go on from elsewhere",
            "keep the state, generator included, in attributes that can be pickled, and let"
            " __getstate__ leave none of them out",
        ),
        "observation-is-state": (
            "A wrapper that works on observations in place changes the environment",
            "return a fresh array, such as self.state.copy()",
        ),
        "one-start": (
            "An agent may learn one trajectory by heart; more evaluation episodes tell nothing",
            "draw the start from self.np_random, if the task permits",
        ),
        "public-checkers-advice": (
            "The libraries that most training code builds on advise against it",
            "do as the message says, or know why not",
        ),
    },
    "note": {
        "action-space": (
            "Most algorithms begin to explore around zero, and tanh policies need bounds",
            "declare [-1, 1] and rescale inside step(), or wrap with gymnasium's RescaleAction",
        ),
        "spec": (
            "The environment cannot be made again from what a run recorded of it",
            "register it with a string as entry point and JSON values as keyword arguments",
        ),
        "not-checked": (
            "Errors may hide there",
            "provide what is missing, or check where it is at hand",
        ),
    },
}


def finding(key: str, observed: str) -> Finding:
    """A finding with the severity and the explanation that belong to its key."""
    (severity,) = (severity for severity, keys in EXPLANATIONS.items() if key in keys)
    return Finding(severity, key, observed, *EXPLANATIONS[severity][key])


def has_errors(findings: Sequence[Finding]) -> bool:
    """Whether any of the findings is an error."""
    return any(found.severity == "error" for found in findings)


def format_report(name: str, findings: Sequence[Finding]) -> str:
    """The findings as text, in their order, with a summary of ``name`` as the last line."""
    lines = []
    for found in findings:
        lines.append(f"{found.severity.upper()}: {found.key}")
        texts = {"observed": found.observed, "matters": found.why, "mend": found.remedy}
        for title, text in texts.items():
            indent = f"  {title:<9} "
            lines.append(textwrap.fill(text, 96, initial_indent=indent, subsequent_indent=" " * 12))
        lines.append("")
    if has_errors(findings):
        lines.append("What SB3's and Gymnasium's own checkers say is left out while errors remain.")
    counts = Counter(found.severity for found in findings)
    amounts = [f"{counts[kind]} {kind}{'s' * (counts[kind] != 1)}" for kind in SEVERITIES]
    return "\n".join([*lines, f"{name}: {', '.join(amounts)}"])
