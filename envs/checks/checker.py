"""An environment checker that goes further than Stable-Baselines3's and Gymnasium's.

    python -m envs.checks my_package:MyEnv-v0

It plays whole episodes, and the same episodes again under changes that should make no difference.
It observes only the behaviour of an environment, through Gymnasium's interface.
"""

import importlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env as check_with_gymnasium

from envs.checks.episodes import KINDS, check_episodes, neither_raises_nor_warns
from envs.checks.findings import SEVERITIES, Finding, finding, has_errors
from envs.checks.play import Clock, Env, brief, global_generators_preserved, leaves, play
from envs.checks.repetition import EpisodeRepeater, check_repetition
from envs.checks.vector import MakeVector, check_vector

OnStage = Callable[[str], None]
# Warnings of the public checkers about bounds. They are not repeated: they are mere advice, or
# the note on action spaces covers them.
KNOWN_ADVICE = re.compile("symmetric and normalized|space m..imum value is|finite lower and upper")
COLOURS = re.compile("\x1b" + r"\[\d*m")


class CheckRefusedError(ValueError):
    """The check cannot run as requested; the message says what would be accepted."""


@dataclass(frozen=True)
class Limits:
    """How many episodes and steps are played.

    :raises CheckRefusedError: if a number is too small for a useful check
    """

    episodes: int = 9
    """whole episodes that are checked step by step"""
    max_steps: int = 20_000
    """an episode that has not ended by then counts as endless"""
    compared_steps: int = 500
    """maximum number of steps of an episode that is compared with another"""

    def __post_init__(self) -> None:
        for name, least in {"episodes": len(KINDS), "max_steps": 10, "compared_steps": 10}.items():
            value = getattr(self, name)
            if value < least:
                raise CheckRefusedError(f"{name} must be {least} or more, got {value}")


def check_id(
    env_id: str, limits: Limits = Limits(), on_stage: OnStage = lambda _: None
) -> list[Finding]:
    """Check a registered environment, together with its vector version if it has one.

    :param env_id: Gymnasium id, or ``module:Id-v0`` to import a module first
    :raises CheckRefusedError: if no environment has that name, or it needs a missing package
    """
    module, _, name = env_id.rpartition(":")
    # Gymnasium's passive checker would hide a fault behind an exception of its own.
    make = partial(gym.make, name, disable_env_checker=True)
    make_vector = partial(gym.make_vec, name, vectorization_mode="vector_entry_point")
    try:
        if module:
            importlib.import_module(module)
        has_vector = gym.spec(name).vector_entry_point is not None
        return check_environment(make, make_vector if has_vector else None, limits, on_stage)
    except (gym.error.Error, ImportError) as error:
        raise CheckRefusedError(
            f"{brief(error, 300)}; give the id of an installed environment, such as CartPole-v1, or"
            " my_package:MyEnv-v0 to have its module imported"
        ) from error


def check_environment(
    make: Callable[..., Env],
    make_vector: MakeVector | None = None,
    limits: Limits = Limits(),
    on_stage: OnStage = lambda _: None,
) -> list[Finding]:
    """Check an environment for faults that would spoil training.

    :param make: returns a new environment; if the metadata offer "rgb_array", it must accept
        that as ``render_mode``
    :param make_vector: returns the vector version with the given number of rows; None without one
    :param on_stage: called with the name of each stage before it begins
    :return: at most one finding for each key, errors first
    :raises gymnasium.error.Error: or an ImportError, if ``make`` raises it
    """
    found: dict[str, Finding] = {}
    clock = Clock()
    with ExitStack() as stack:
        stack.enter_context(global_generators_preserved())
        stack.enter_context(clock.replacing_real_clocks())
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(redirect_stdout(io.StringIO()))
        warnings.simplefilter("ignore")
        try:
            bench = EpisodeRepeater(make, limits.compared_steps, clock)
        except (gym.error.Error, ImportError):
            raise
        except Exception as error:
            return [finding("interface", f"making the environment raised {brief(repr(error))}")]
        stack.callback(bench.close)
        for new in _findings(bench, make_vector, limits, on_stage, found):
            found.setdefault(new.key, new)
    if "observation-aliased" in found:
        found.pop("observation-is-state", None)  # a milder form of the same fault
    return sorted(found.values(), key=lambda new: SEVERITIES.index(new.severity))


def _findings(
    bench: EpisodeRepeater,
    make_vector: MakeVector | None,
    limits: Limits,
    on_stage: OnStage,
    found: dict[str, Finding],
) -> Iterator[Finding]:
    """Yield the findings of all checks; ``found`` holds those that were yielded before."""
    on_stage("whole episodes")
    bench.control()
    yield from check_episodes(bench.env, limits.episodes, limits.max_steps)
    if "interface" in found or "exception" in found:
        return
    on_stage("repetition, rendering and copying")
    yield from check_repetition(bench)
    yield from _check_nan_action(bench.new())
    yield from _check_action_space(bench.env.action_space)
    yield from _check_spec(bench.env.spec)
    if make_vector:
        on_stage("the vector version")
        bench.control()
        yield from check_vector(bench.new, make_vector, limits.compared_steps)
    if not has_errors([*found.values()]):
        on_stage("what the public checkers say")
        yield from _check_with_public_checkers(bench)


def _check_nan_action(env: Env) -> Iterator[Finding]:
    action = deepcopy(env.action_space).sample()
    numbers = [leaf for leaf in leaves(action) if np.asarray(leaf).dtype.kind == "f"]
    for leaf in numbers:
        leaf.fill(np.nan)
    play(env, 0, [])
    if numbers and neither_raises_nor_warns(partial(env.step, action)):
        yield finding("nan-action", f"step({brief(action)}) neither raised nor warned")


def _check_action_space(space: spaces.Space[Any]) -> Iterator[Finding]:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        for part in space.values() if isinstance(space, spaces.Dict) else space:
            yield from _check_action_space(part)
    elif isinstance(space, spaces.Box):
        if not space.is_bounded():
            yield finding("action-space", f"{space} is unbounded")
        elif not np.array_equal(space.low, -space.high):
            yield finding("action-space", f"{space} is not symmetric about zero")


def _check_spec(spec: EnvSpec | None) -> Iterator[Finding]:
    if spec is None:
        return
    try:
        if EnvSpec.from_json(spec.to_json()) != spec:
            yield finding("spec", "EnvSpec.from_json(spec.to_json()) differs from the spec")
    except Exception as error:
        yield finding("spec", f"spec.to_json() raised {brief(repr(error))}")


def _check_with_public_checkers(bench: EpisodeRepeater) -> Iterator[Finding]:
    # Imported here, since the environments need no reinforcement-learning library.
    from stable_baselines3.common.env_checker import check_env as check_with_sb3

    without_rendering = partial(check_with_gymnasium, skip_render_check=True)
    checks: dict[str, Callable[[Env], None]]
    checks = {"SB3": check_with_sb3, "Gymnasium": without_rendering}
    for name, check in checks.items():
        said = {}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                check(bench.new().unwrapped)
            except Exception as error:
                said[f"{type(error).__name__}: {error}"] = "public-checkers"
        said |= {str(warning.message): "public-checkers-advice" for warning in caught}
        for text, key in said.items():
            if not KNOWN_ADVICE.search(text):
                yield finding(key, f"{name}'s check_env: {COLOURS.sub('', text)}")
