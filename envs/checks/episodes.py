"""Checks of whole episodes, step by step."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from copy import deepcopy
from functools import partial
from itertools import islice
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.checks.findings import Finding, finding
from envs.checks.play import Env, Kind, Trace, action_sequence, brief, leaves, play, same

# Kinds of actions that the episodes use in turn.
KINDS: tuple[Kind, ...] = ("random", "lowest", "random", "highest", "random", "held")
SHORTEST_TIME_LIMIT = 10  # steps; shorter episodes may be of equal length by chance


class Ending(NamedTuple):
    """How an episode ended; all three flags are False if it reached the maximum number of steps."""

    seed: int
    kind: Kind
    length: int
    terminated: bool = False
    truncated: bool = False
    failed: bool = False


def check_episodes(env: Env, episodes: int, max_steps: int) -> Iterator[Finding]:
    """Play episodes with several kinds of actions, one after the other, until one fails.

    :param max_steps: an episode that has not ended by then counts as endless
    """
    endings: list[Ending] = []
    endless: set[Kind] = set()
    for seed in range(episodes):
        kind = KINDS[seed % len(KINDS)]
        if kind in endless:
            continue
        ending = yield from _check_episode(env, seed, kind, max_steps)
        endings.append(ending)
        if ending.failed:
            return
        if not (ending.terminated or ending.truncated):
            endless.add(kind)
    tried = f"after {max_steps} steps of {', '.join(sorted(endless))} actions"
    if endless == set(KINDS):
        yield finding("endless-episode", f"no episode had ended {tried}")
    elif endless:
        yield finding("episode-may-not-end", f"an episode had not ended {tried}; others did end")
    yield from _check_time_limit(env, endings)


def _check_episode(
    env: Env, seed: int, kind: Kind, max_steps: int
) -> Generator[Finding, None, Ending]:
    actions = action_sequence(env.action_space, kind, seed)
    kept: deque[tuple[Any, Any]] = deque(maxlen=8)  # observations as returned, and their copies
    where, length, terminated, truncated = f"reset(seed={seed})", 0, False, False
    result = _attempt(partial(env.reset, seed=seed))
    while True:
        problem = _problem_of_form(result, is_step=length > 0)
        if problem:
            raised_later = isinstance(result, Exception) and seed + length > 0
            yield finding("exception" if raised_later else "interface", f"{where} {problem}")
            return Ending(seed, kind, length, failed=True)
        problems = [*_problems_of_observation(env.observation_space, result[0])]
        if length:
            problems += _problems_of_reward(result[1])
            terminated, truncated = map(bool, result[2:4])
        for key, problem in problems:
            yield finding(key, f"{where} returned {problem}")
        if not all(same(*pair) for pair in kept):
            yield finding("observation-aliased", f"{where} changed an observation returned before")
            kept.clear()
        kept.append((result[0], deepcopy(result[0])))
        if terminated or truncated or length == max_steps:
            break
        action = next(actions)
        given = deepcopy(action)
        length += 1
        where = f"step {length} of {kind} actions from seed {seed}"
        result = _attempt(partial(env.step, given))
        if not same(action, given):
            yield finding("action-mutated", f"{where} changed {brief(action)} to {brief(given)}")
    if terminated and neither_raises_nor_warns(partial(env.step, next(actions))):
        yield finding(
            "step-past-end", f"one more step was accepted after {where}, which terminated"
        )
    return Ending(seed, kind, length, terminated, truncated)


def neither_raises_nor_warns(call: Callable[[], Any]) -> bool:
    """Whether a call neither raises nor warns."""
    with catch_warnings(record=True) as caught:
        simplefilter("always")
        return not isinstance(_attempt(call), Exception) and not caught


def _attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


def _problem_of_form(result: Any, is_step: bool) -> str | None:
    if isinstance(result, Exception):
        return f"raised {brief(repr(result))}"
    if not isinstance(result, tuple) or len(result) != (5 if is_step else 2):
        return f"returned {brief(result)}, not a tuple of {5 if is_step else 2}"
    if not isinstance(result[-1], dict):
        return f"returned {brief(result[-1])} as info, not a dict"
    if not all(isinstance(flag, bool | np.bool_) for flag in result[2:-1]):
        return f"returned {result[2]!r} and {result[3]!r} as terminated and truncated, not bools"
    return None


def _problems_of_observation(space: spaces.Space[Any], value: Any) -> Iterator[tuple[str, str]]:
    """Yield the key of a finding and, in words, what is wrong."""
    if isinstance(space, spaces.Dict) and isinstance(value, dict) and value.keys() == space.keys():
        for key, part in space.items():
            yield from _problems_of_observation(part, value[key])
    elif isinstance(space, spaces.Tuple) and isinstance(value, tuple) and len(value) == len(space):
        for part, item in zip(space, value, strict=True):
            yield from _problems_of_observation(part, item)
    elif not all(map(_is_finite, leaves(value))):
        yield "not-finite", f"the observation {brief(value)}"
    elif isinstance(space, spaces.Box) and getattr(value, "dtype", None) != space.dtype:
        yield "wrong-type", f"an observation of {_type_of(value)}, not an array of {space.dtype}"
    elif not space.contains(value):
        declared = deepcopy(space).sample()
        fits = np.shape(value) == np.shape(declared) and _type_of(value) == _type_of(declared)
        key = "out-of-bounds" if fits else "wrong-type"
        yield key, f"the observation {brief(value)}, which is not in {brief(space)}"


def _problems_of_reward(reward: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(reward, int | float | np.integer | np.floating):
        yield "wrong-type", f"the reward {brief(reward)} of type {type(reward).__name__}"
    elif not np.isfinite(reward):
        yield "not-finite", f"the reward {reward}"


def _is_finite(leaf: Any) -> bool:
    array = np.asarray(leaf)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _type_of(value: Any) -> str:
    """A value's type in words, the same for Python's int and NumPy's signed integer scalars."""
    data_type = np.asarray(value).dtype
    return f"an array of {data_type}" if isinstance(value, np.ndarray) else f"one {data_type.kind}"


def _check_time_limit(env: Env, endings: list[Ending]) -> Iterator[Finding]:
    """Whether episodes terminate at the same step, for no reason that an agent could observe."""
    longest = max(ending.length for ending in endings)
    last = [ending for ending in endings if ending.length == longest]
    # Episodes of constant actions count as one: from the same start they are the same episode.
    distinct = {e.kind if e.kind in ("lowest", "highest") else e.seed for e in last}
    if longest < SHORTEST_TIME_LIMIT or len(distinct) < 3 or not all(e.terminated for e in last):
        return
    traces = [
        play(env, e.seed, islice(action_sequence(env.action_space, e.kind, e.seed), longest))
        for e in last
    ]
    if {len(trace) for trace in traces} == {longest + 1} and not _end_is_observable(traces):
        yield finding(
            "time-limit-as-termination",
            f"{len(last)} of {len(endings)} episodes, with different starts and actions, terminated"
            f" at step {longest} exactly, and none was longer",
        )


def _flat(value: Any) -> NDArray[Any]:
    return np.concatenate([np.ravel(leaf) for leaf in leaves(value)])


def _end_is_observable(traces: list[Trace]) -> bool:
    """Whether a component of the observation has the same value at all ends, and nowhere else."""
    observations = [[_flat(outcome.observation) for outcome in trace] for trace in traces]
    if len({observation.size for trace in observations for observation in trace}) > 1:
        return True  # observations of varying length are not compared: they may tell the end
    values = np.array(observations)
    end = values[0, -1]
    told = (values[:, -1] == end).all(axis=0) & (values[:, :-1] != end).all(axis=(0, 1))
    return bool(told.any())
