"""Episodes under controlled conditions: the clock, the global generators and the actions are given.

Any difference that remains between two such episodes comes from the environment itself.
"""

import datetime
import itertools
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces

Env = gym.Env[Any, Any]
Kind = Literal["random", "held", "lowest", "highest"]
CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
HOLD = 10  # steps for which a held action is kept, so that distant states are reached


class Outcome(NamedTuple):
    """What one call of reset or step yielded; ``error`` names the exception that it raised."""

    observation: Any
    reward: Any = 0.0
    terminated: bool = False
    truncated: bool = False
    error: str = ""


Trace = list[Outcome]
Disturb = Callable[[Env, Any], None]  # called with each observation; should be harmless


def play(
    env: Env, seed: int | None, actions: Iterable[Any], disturb: Disturb | None = None
) -> Trace:
    """Reset, and step until the episode ends or the actions run out.

    :param disturb: called after the reset and after each step
    """
    try:
        observation, _ = env.reset(seed=seed)
        trace = [Outcome(deepcopy(observation))]
        if disturb:
            disturb(env, observation)
    except Exception as error:
        return [Outcome(None, error=repr(error))]
    return trace + continue_episode(env, actions, disturb)


def continue_episode(env: Env, actions: Iterable[Any], disturb: Disturb | None = None) -> Trace:
    """Step as :func:`play` does, but without a reset."""
    trace: Trace = []
    try:
        for action in actions:
            observation, reward, terminated, truncated, _ = env.step(deepcopy(action))
            trace.append(
                Outcome(deepcopy(observation), deepcopy(reward), bool(terminated), bool(truncated))
            )
            if disturb:
                disturb(env, observation)
            if terminated or truncated:
                break
    except Exception as error:
        trace.append(Outcome(None, error=repr(error)))
    return trace


def difference(expected: Trace, actual: Trace) -> str | None:
    """Where and how two traces first differ, in words; None if they do not."""
    for call, (one, other) in enumerate(itertools.zip_longest(expected, actual)):
        change = "an outcome where there was none, or none where there was one"
        if one and other:
            change = outcome_difference(one, other) or ""
        if change:
            return f"{change} at call {call + 1} of reset or step"
    return None


def outcome_difference(expected: Outcome, actual: Outcome, tolerance: float = 0.0) -> str | None:
    """How two outcomes differ, in words; None if they do not."""
    for name, one, other in zip(Outcome._fields, expected, actual, strict=True):
        if not same(one, other, tolerance):
            return f"{name} {brief(other)} instead of {brief(one)}"
    return None


def same(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    """Whether two observations, rewards or generator states are equal; NaN equals NaN."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], tolerance) for key in a)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(same, a, b, itertools.repeat(tolerance)))
    if type(a) is type(b) is int:  # for speed: a state of Python's generator holds hundreds
        return bool(a == b)
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if tolerance and a.dtype.kind in "fiub":
        return bool(np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True).all())
    return bool(((a == b) | ((a != a) & (b != b))).all())  # NaN differs from itself


def leaves(value: Any) -> Iterator[Any]:
    """The arrays and numbers of a possibly nested observation or action."""
    if isinstance(value, dict | tuple | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


def brief(value: Any, length: int = 70) -> str:
    """A value on one line of limited length."""
    text = " ".join(str(value).split())
    return text if len(text) <= length else f"{text[: length - 3]}..."


def action_sequence(space: spaces.Space[Any], kind: Kind, seed: int) -> Iterator[Any]:
    """Yield actions without end; equal seeds give equal actions.

    :param kind: random samples each action, held keeps each sample for HOLD steps, lowest and
        highest always take that bound
    """
    space = deepcopy(space)
    space.seed(seed)
    while True:
        bounded = kind in ("lowest", "highest")
        action = bound(space, kind == "highest") if bounded else space.sample()
        for _ in range(1 if kind == "random" else HOLD):
            yield action


def bound(space: spaces.Space[Any], highest: bool) -> Any:
    """The lowest or highest action; sampled where there is no bound."""
    if isinstance(space, spaces.Box):
        limit = space.high if highest else space.low
        return np.where(np.isfinite(limit), limit, space.sample()).astype(space.dtype)
    if isinstance(space, spaces.Discrete):
        return space.start + (space.n - 1) * highest
    if isinstance(space, spaces.MultiDiscrete):
        return space.start + (space.nvec - 1) * highest
    if isinstance(space, spaces.Dict):
        return {key: bound(part, highest) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(bound(part, highest) for part in space)
    return space.sample()


class Clock:
    """Replaces Python's clocks: each reading is ``tick`` seconds after the one before.

    Readings are counted, not measured, so equal episodes read equal times, and a loop that waits
    for a point in time still ends. With ``tick`` None, the real clocks are read. Threads other than
    the one that creates this object always read the real clocks: if their readings were counted
    too, the count would depend on chance.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.tick: float | None = None
        self._thread = threading.get_ident()

    def read(self, real: Callable[[], Any]) -> Any:
        """The next reading, in the unit of the real clock."""
        if self.tick is None or threading.get_ident() != self._thread:
            return real()
        self.now += self.tick
        return int(self.now * 1e9) if real.__name__.endswith("_ns") else self.now

    @contextmanager
    def replacing_real_clocks(self) -> Iterator[None]:
        """Within this context, replace every clock, including names from ``from time import``."""
        names = [name + suffix for name in CLOCKS for suffix in ("", "_ns")]
        replacements: dict[int, Any] = {id(datetime.datetime): self._datetime_class()}
        for real in (getattr(time, name) for name in names if hasattr(time, name)):
            replacements[id(real)] = lambda real=real: self.read(real)
        replaced = [
            (module, name, value)
            for module in list(sys.modules.values())
            for name, value in list(getattr(module, "__dict__", {}).items())
            if id(value) in replacements
        ]
        try:
            for module, name, value in replaced:
                setattr(module, name, replacements[id(value)])
            yield
        finally:
            for module, name, value in replaced:
                setattr(module, name, value)

    def _datetime_class(self) -> type:
        clock, real_time = self, time.time

        class AnyDatetime(type):
            def __instancecheck__(cls, instance: Any) -> bool:
                return isinstance(instance, cls.__mro__[1])

        class Datetime(datetime.datetime, metaclass=AnyDatetime):
            @classmethod
            def now(cls, tz: datetime.tzinfo | None = None) -> Any:
                return cls.fromtimestamp(clock.read(real_time), tz)

        return Datetime


def seed_global_generators(seed: int) -> None:
    """Seed Python's, NumPy's and, where it is loaded, torch's global generator."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def global_generators() -> list[Any]:
    """The states of the global generators."""
    states = [random.getstate(), np.random.get_state()]  # noqa: NPY002
    if "torch" in sys.modules:
        states.append(sys.modules["torch"].get_rng_state())
    return states


@contextmanager
def global_generators_preserved() -> Iterator[None]:
    """Restore the global generators at the end of this context."""
    states = global_generators()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        if len(states) > 2:
            sys.modules["torch"].set_rng_state(states[2])
