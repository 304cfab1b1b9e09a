"""The fidelity page: one page of text that a sceptic can read in a minute."""

import time
from typing import Any

from benchmarks.fidelity.checks import Check, Reference, all_checks
from benchmarks.fidelity.seeded_bugs import SEEDED_BUGS, Bug, patched
from benchmarks.table import markdown
from training.config import RunConfig
from training.reference import COMPILE
from training.reference import resolve_hyperparameters as resolve_reference
from training.sb3.algorithms import resolve_hyperparameters as resolve_sb3

UPDATES_TO_CATCH_A_BUG = 10
EXAMPLE = "HalfCheetah-v4"  # its warm-up differs from preset to preset

# What remains different from SB3's TD3 at equal settings; tests/test_residuals.py shows each.
RESIDUALS = (
    "SB3 stores actions scaled to [-1, 1]; the published critic, and ours, sees environment units"
    " (matters on Pendulum, not on the rocket).",
    "SB3 adds exploration noise to the random actions of the warm-up too; the published code not.",
    "SB3's callbacks, and so its evaluations, come before that step's update; ours come after it.",
    "SB3's EvalCallback goes on with one generator and skips step 0; the published protocol"
    " reseeds with run seed + 100 at each evaluation.",
    "The published code forgets a true termination on the last allowed step; SB3 and ours do not.",
    "SB3 draws initial weights, targets and indices differently, so equal seeds never give equal"
    " runs.",
    "The published code has one max_action for all dimensions; SB3 and ours have bounds for each.",
)


def fidelity_page() -> tuple[str, bool]:
    """Run all checks; returns the page and whether everything is as it must be."""
    began = time.monotonic()
    checks = all_checks(Reference())
    found = [(bug, first_failure(bug)) for bug in SEEDED_BUGS]
    passed = all(check.passed for check in checks) and all(failure for _, failure in found)
    parts = [
        "# Is the reference the published TD3?",
        f"{'Yes: all checks pass.' if passed else 'NO: see what FAILED below.'}",
        "## Deviation from the published code's numbers, after so many updates",
        golden_table(checks),
        "## Other checks",
        check_table([check for check in checks if "updates" not in check.name]),
        f"## Settings on {EXAMPLE} (* differs from released)",
        settings_table(),
        "## Differences from SB3 that remain at equal settings",
        "\n".join(f"{i}. {sentence}" for i, sentence in enumerate(RESIDUALS, 1)),
        "## Would these checks notice a wrong TD3?",
        bug_table(found),
    ]
    seconds = f"Took {time.monotonic() - began:.0f} s."
    return "\n\n".join([*parts, seconds]) + "\n", passed


def first_failure(bug: Bug) -> Check | None:
    """The first check that a seeded bug fails; None if it goes unnoticed."""
    checks = all_checks(patched(bug), updates=UPDATES_TO_CATCH_A_BUG)
    return next((check for check in checks if not check.passed), None)


def golden_table(checks: list[Check]) -> str:
    """The largest deviation of each case over all quantities, by number of updates."""
    worst: dict[str, dict[int, Check]] = {}
    for check in checks:
        if "updates" in check.name:
            case, _, after = check.name.split(", ")
            row, updates = worst.setdefault(case, {}), int(after.split()[1])
            row[updates] = max(row.get(updates, check), check, key=lambda each: each.value)
    columns = sorted({updates for row in worst.values() for updates in row})
    rows = [[case, *(verdict(row[n]) for n in columns)] for case, row in worst.items()]
    bounds = ["bound", *(f"{next(iter(worst.values()))[n].bound:.0e}" for n in columns)]
    return markdown(["case", *map(str, columns)], [*rows, bounds])


def check_table(checks: list[Check]) -> str:
    """Name, value and bound of each check."""
    rows = [[check.name, verdict(check), f"{check.bound:.0e}"] for check in checks]
    return markdown(["check", "value", "bound"], rows)


def verdict(check: Check) -> str:
    """The value, with a word where it is too large."""
    return f"{check.value:.1e}" if check.passed else f"{check.value:.1e} FAILED"


def settings_table() -> str:
    """Each setting in SB3's default, SB3 as configured here, and the two published presets."""
    columns = {
        "SB3 default": sb3_settings("sb3_default"),
        "SB3 here": sb3_settings("released"),
        "released": reference_settings("released"),
        "paper": reference_settings("paper"),
    }
    released = columns["released"]
    rows = [
        [name, *(mark(column[name], released[name]) for column in columns.values())]
        for name in released
    ]
    return markdown(["setting", *columns], rows)


def mark(value: Any, released: Any) -> str:
    """The value, with an asterisk where it is not the released one."""
    return str(value) if value == released else f"{value} *"


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
    same = ("gamma", "tau", "learning_rate", "learning_starts", "batch_size", "buffer_size")
    return {
        **{name: settings[name] for name in same},
        "hidden_sizes": (settings["policy_kwargs"] or {"net_arch": [400, 300]})["net_arch"],
        "policy_noise": settings["target_policy_noise"],
        "noise_clip": settings["target_noise_clip"],
        "policy_freq": settings["policy_delay"],
        "exploration_noise": settings["exploration_noise"],
        # SB3's actions lie in [-1, 1], so its noises are in half-widths; it updates at each step.
        "scale_noise": True,
        "update_after_episode": False,
    }


def bug_table(found: list[tuple[Bug, Check | None]]) -> str:
    """Each seeded bug, and the first check that notices it."""
    rows = [
        [bug.name, f"{failure.name}: {failure.value:.1e}" if failure else "UNNOTICED"]
        for bug, failure in found
    ]
    number = sum(failure is not None for _, failure in found)
    return markdown(["seeded bug", "noticed by"], rows) + f"\n{number} of {len(found)} noticed."
