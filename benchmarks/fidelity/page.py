"""The reference's page: the checks of any TD3, and whether they would notice a wrong one."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fidelity import report
from benchmarks.fidelity.adapters import reference as reference_adapter
from benchmarks.fidelity.adapters import sb3 as sb3_adapter
from benchmarks.fidelity.causes import explain
from benchmarks.fidelity.kit import BROKEN, DIFFERS, EXIT_STATUS, UNIT_ONLY, examine
from benchmarks.fidelity.report import findings, table
from benchmarks.fidelity.variants import SEEDED_BUGS, VARIANTS, Bug, NoSmoothing, patched
from td3_reference import run_loop
from td3_reference.config import LoopConfig, TD3Config
from td3_reference.td3 import TD3
from training.config import RunConfig
from training.reference import COMPILE
from training.reference import resolve_hyperparameters as resolve_reference
from training.sb3.algorithms import resolve_hyperparameters as resolve_sb3

LOOP_STEPS = 50
EXAMPLE = "HalfCheetah-v4"  # its warm-up differs between presets

# What remains different from SB3's TD3 at equal settings; test_residuals.py shows each.
RESIDUALS = (
    "SB3 stores actions scaled to [-1, 1]; the published critic, and ours, sees environment units"
    " (another update on Pendulum, the same on the rocket).",
    "SB3 adds exploration noise to the random actions of the warm-up too; the published code not.",
    "SB3's callbacks, and so its evaluations, come before that step's update; ours come after it.",
    "SB3's EvalCallback goes on with one generator and skips step 0; the published protocol"
    " reseeds with run seed + 100 at each evaluation.",
    "The published code forgets a true termination on the last allowed step; SB3 and ours do not.",
    "SB3 draws initial weights, targets and indices differently, so equal seeds never give equal"
    " runs.",
    "The published code has one max_action for all dimensions; SB3 and ours have bounds for each.",
)


@dataclass(frozen=True)
class Detection:
    """How the checks noticed a TD3 with one known error.

    :param expected: the cause that the checks must name
    :param cause: what they named; empty if it went unnoticed
    :param case: the first case that shows it
    :param updates: after how many updates
    :param deviations: the largest in each case, by number of updates
    """

    name: str
    expected: str
    cause: str = ""
    case: str = ""
    updates: int = 0
    deviations: dict[str, dict[int, float]] = field(default_factory=dict)


def detections() -> Iterator[Detection]:
    """Run the checks on every variant of the reference and on every seeded bug."""
    for label, (variant, cause) in VARIANTS.items():
        yield examine_variant(label, cause, variant)
    yield from map(examine_bug, SEEDED_BUGS)


def examine_bug(bug: Bug, updates: int = 10) -> Detection:
    """Run the checks on a patched copy of the reference."""
    module = patched(bug)
    if bug.module is not run_loop:
        return examine_variant(bug.name, bug.cause, module.TD3, updates)
    found = bug.cause if wrong_terminations(module) else ""
    return Detection(bug.name, bug.cause, found, "run loop", LOOP_STEPS)


def examine_variant(
    name: str, expected: str, agent_class: type[TD3], updates: int = 10
) -> Detection:
    """Run the kit on a variant of the reference."""
    members = {"agent_class": agent_class, "has_smoothing": agent_class is not NoSmoothing}
    outcome = examine(type("Variant", (reference_adapter.Adapter,), members), updates)
    if outcome.verdict == BROKEN:
        case, _, fault = outcome.faults[0].partition(": ")
        return Detection(name, expected, fault.rpartition(": ")[2], case)
    deviations = {case.name: case.deviations for case in outcome.cases}
    if EXIT_STATUS[outcome.verdict] == 0:
        return Detection(name, expected, deviations=deviations)
    causes = "; ".join(cause.text for cause in explain(outcome.values).causes)
    differing = [case for case in outcome.cases if case.verdict == DIFFERS]
    first = min(differing, key=lambda case: case.first_difference or 0)
    seen = (first.name, first.first_difference or 0)
    return Detection(name, expected, causes or "unexplained", *seen, deviations)


def reference_record(full: bool = False) -> dict[str, Any]:
    """Run all checks: the content of fidelity.json.

    :param full: follow 200 updates, not 10, and try all variants and seeded bugs
    """
    updates = report.FULL_UPDATES if full else report.DEFAULT_UPDATES
    reference = findings(reference_adapter.Adapter, updates)
    sb3 = findings(sb3_adapter.Adapter, updates)
    wrong = wrong_terminations()
    seen = list(detections()) if full else []
    passed = reference["exit_status"] == wrong == 0 and sb3["verdict"] == UNIT_ONLY
    return {
        "passed": passed and all(each.cause == each.expected for each in seen),
        "reference": reference,
        "sb3": sb3,
        "wrong_terminations": wrong,
        "detections": [asdict(each) for each in seen],
    }


def reference_page(record: dict[str, Any]) -> str:
    """The record as text that a sceptic can read in a minute."""
    reference, sb3, seen = record["reference"], record["sb3"], record["detections"]
    parts = [
        "# Is the reference the published TD3?",
        f"{'Yes: all checks pass.' if record['passed'] else 'NO: see below.'}",
        "## Deviation from the published code's numbers, after so many updates",
        f"The reference: **{reference['verdict']}**.",
        report.case_table(reference["cases"]),
        f"Its run loop stores {record['wrong_terminations']} of {LOOP_STEPS} terminations wrongly.",
        f"    {report.badge(reference)}",
        "## Stable-Baselines3, measured likewise",
        f"SB3's TD3 at the published settings: **{sb3['verdict']}**.",
        report.case_table(sb3["cases"]),
        report.causes_text(sb3["explanation"]) if "explanation" in sb3 else "",
        f"## Settings on {EXAMPLE} (* differs from released)",
        settings_table(),
        "## Differences from SB3 that remain at equal settings",
        "\n".join(f"{i}. {sentence}" for i, sentence in enumerate(RESIDUALS, 1)),
    ]
    if seen:
        parts += ["## Would these checks notice a wrong TD3?", detection_table(seen),
                  "## How much do the differences in public implementations change?",
                  variant_table(seen)]  # fmt: skip
    return "\n\n".join(filter(None, parts)) + "\n"


def write_reference_page(output: Path, full: bool = False) -> tuple[str, int]:
    """Run all checks; write the page and fidelity.json.

    :return: the page, and the exit status: 0 if all checks pass, else 1
    """
    began = time.monotonic()
    record = reference_record(full)
    text = report.save_findings(output, record, reference_page(record))
    return f"{text}\nTook {time.monotonic() - began:.0f} s.", 0 if record["passed"] else 1


def detection_table(seen: list[dict[str, Any]]) -> str:
    """Each wrong TD3, the first case that notices it, and what the checks call it."""
    rows = [
        [each["name"], each["case"], str(each["updates"]), each["cause"] or "UNNOTICED"]
        for each in seen
    ]
    number = sum(each["cause"] == each["expected"] for each in seen)
    text = table(["what is wrong", "seen in", "after updates", "named as"], rows)
    return f"{text}\n{number} of {len(seen)} noticed and named by the right cause."


def variant_table(seen: list[dict[str, Any]]) -> str:
    """How far each variant is from the published numbers after 3 and 10 updates."""
    cases = ("rocket_like", "pendulum_like", "saturated")
    header = ["variant", *(f"{case}, {n}" for case in cases for n in (3, 10))]
    rows = [
        [each["name"], *(f"{each['deviations'][case][n]:.0e}" for case in cases for n in (3, 10))]
        for each in seen
        if each["name"] in VARIANTS
    ]
    note = "Largest deviation after so many updates; at this size of values, 1e-6 is rounding."
    return f"{table(header, rows)}\n{note}"


def settings_table() -> str:
    """Each setting in SB3's default, SB3 as configured here, and the two published presets."""
    columns = {
        "SB3 default": sb3_settings("sb3_default"),
        "SB3 here": sb3_settings("released"),
        "released": reference_settings("released"),
        "paper": reference_settings("paper"),
    }
    rows = [
        [name, *(f"{of[name]}{'' if of[name] == released else ' *'}" for of in columns.values())]
        for name, released in columns["released"].items()
    ]
    return table(["setting", *columns], rows)


def reference_settings(preset: str) -> dict[str, Any]:
    """The reference's settings on the example environment."""
    config = RunConfig(algo="td3_reference", env_id=EXAMPLE, total_timesteps=1, preset=preset)
    settings = resolve_reference(config)
    del settings[COMPILE]  # changes the speed, not the algorithm
    return {**settings, "hidden_sizes": list(settings["hidden_sizes"])}


def sb3_settings(preset: str) -> dict[str, Any]:
    """SB3's settings on the example environment, under the reference's names."""
    config = RunConfig(algo="td3", env_id=EXAMPLE, total_timesteps=1, preset=preset)
    settings = resolve_sb3(config)
    names = {name: name for name in (*sb3_adapter.SAME, "exploration_noise")} | sb3_adapter.RENAMED
    return {
        **{published: settings[theirs] for published, theirs in names.items()},
        "hidden_sizes": (settings["policy_kwargs"] or {"net_arch": [400, 300]})["net_arch"],
        # SB3's actions lie in [-1, 1], so its noises are in half-widths; it updates at each step.
        "scale_noise": True,
        "update_after_episode": False,
    }


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
