"""The reference's own checks: the kit, as for any TD3, and what its run loop stores."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity.adapters.reference import Adapter
from benchmarks.fidelity.causes import explain
from benchmarks.fidelity.kit import BROKEN, EXIT_STATUS, Examination, examine
from benchmarks.fidelity.seeded_bugs import Bug, patched
from td3_reference import run_loop
from td3_reference.config import LoopConfig, TD3Config
from td3_reference.td3 import TD3

LOOP_STEPS = 50


@dataclass(frozen=True)
class Detection:
    """What noticed a seeded bug.

    :param cause: its name, as the checks say it; empty if it went unnoticed
    :param case: the first case that shows it
    :param updates: after how many updates
    """

    cause: str = ""
    case: str = ""
    updates: int = 0


def detect(bug: Bug) -> Detection:
    """Run the checks on a patched copy of the reference."""
    module = patched(bug)
    if bug.module is run_loop:
        wrong = wrong_terminations(module)
        return Detection("a truncated episode does not bootstrap" if wrong else "",
                         "run loop", LOOP_STEPS)  # fmt: skip
    return recognise(module.TD3, bug.has_smoothing)


def recognise(agent_class: type[TD3], has_smoothing: bool = True) -> Detection:
    """Run the kit on a variant of the reference."""
    members = {"agent_class": agent_class, "has_smoothing": has_smoothing}
    outcome = examine(type("Variant", (Adapter,), members), updates=3)
    if outcome.verdict == BROKEN:
        return Detection(outcome.faults[0].partition(": ")[2], outcome.faults[0].split(":")[0], 0)
    if EXIT_STATUS[outcome.verdict] == 0:
        return Detection()
    explanation = explain(outcome.values)
    cause = "; ".join(each.text for each in explanation.causes)
    return Detection(cause or "unexplained", *first_sight(outcome))


def first_sight(outcome: Examination) -> tuple[str, int]:
    """The case that shows a difference first, and after how many updates."""
    seen = [(case.first_difference, case.name) for case in outcome.cases]
    differing = [(n, name) for n, name in seen if n is not None]
    updates, name = min(differing, key=lambda pair: pair[0])
    return name, updates


class _FiveStepEpisodes:
    """Episodes of five steps, terminated and truncated in turn."""

    def __init__(self) -> None:
        self.episode = self.time = 0

    def reset(self, *, seed: int | None = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        self.episode, self.time = self.episode + 1, 0
        return np.array([self.episode, 0], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        over, odd = self.time == 5, self.episode % 2 == 1
        observation = np.array([self.episode, self.time], np.float32)
        return observation, 0.0, over and odd, over and not odd, {}


def wrong_terminations(module: ModuleType = run_loop) -> int:
    """How many of 50 steps a run loop stores as terminated when they are not, or the reverse."""
    agent = TD3(TD3Config(2, [-1.0], [1.0], hidden_sizes=(4,)))
    config, rng = LoopConfig(learning_starts=LOOP_STEPS), np.random.default_rng(0)
    loop = module.RunLoop(_FiveStepEpisodes(), agent, config, LOOP_STEPS, 0, rng)
    for _ in loop:
        pass
    stored = loop.buffer.get_state()
    episode, time = stored["next_observations"].T
    expected = (time == 5) & (episode % 2 == 1)
    return int(((stored["not_terminated"][:, 0] == 0) != expected).sum())
