"""Checks that repeat episodes under changes that should make no difference."""

import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from itertools import islice
from typing import Any

import numpy as np

from envs.checks.findings import Finding, finding
from envs.checks.play import (
    Clock,
    Disturb,
    Env,
    Kind,
    Trace,
    action_sequence,
    brief,
    continue_episode,
    difference,
    global_generators,
    leaves,
    play,
    same,
    seed_global_generators,
)

EPOCH = 1e9  # s, where the replaced clocks begin
N_STARTS = 12
MAX_FRAMES = 40
N_PAUSES = 3  # of 10 ms each
SEED = 50


class EpisodeRepeater:
    """Environments under test, and the episodes that are played in each of them.

    :param make: returns a new environment
    :param steps: maximum number of steps of an episode
    :param clock: replaces the real clocks
    """

    def __init__(self, make: Callable[..., Env], steps: int, clock: Clock) -> None:
        self.make, self.clock = make, clock
        self.made: list[Env] = []
        self.env = self.new()
        kinds: tuple[Kind, ...] = ("random", "held", "random")
        self.actions = [
            list(islice(action_sequence(self.env.action_space, kind, seed), steps))
            for seed, kind in enumerate(kinds)
        ]
        self.reference: Trace = []

    def new(self, **arguments: Any) -> Env:
        """A new environment, made under the usual conditions."""
        self.control()
        self.made.append(self.make(**arguments))
        return self.made[-1]

    def close(self) -> None:
        """Close all environments."""
        for env in self.made:
            with suppress(Exception):
                env.close()

    def control(self, seed: int = 0, now: float = EPOCH, tick: float | None = 1e-3) -> None:
        """Set the global generators and the clocks."""
        seed_global_generators(seed)
        self.clock.now, self.clock.tick = now, tick

    def standard(self, env: Env, disturb: Disturb | None = None, **conditions: Any) -> Trace:
        """Play two seeded episodes, and one without a seed, which goes on with the generator."""
        self.control(**conditions)
        seeds = (SEED, SEED + 1, None)
        traces = [play(env, *episode, disturb) for episode in zip(seeds, self.actions, strict=True)]
        return [outcome for trace in traces for outcome in trace]

    def change(self, env: Env, disturb: Disturb | None = None, **conditions: Any) -> str | None:
        """How the standard episodes differ from the reference, in words; None if they do not."""
        return difference(self.reference, self.standard(env, disturb, **conditions))


def check_repetition(bench: EpisodeRepeater) -> Iterator[Finding]:
    """Repeat the standard episodes under several changes."""
    yield from _check_starts(bench.new())
    bench.reference = bench.standard(bench.new())
    after = global_generators()
    bench.control()
    untouched = same(after, global_generators())
    if errors := [outcome.error for outcome in bench.reference if outcome.error]:
        yield finding("exception", f"an episode raised {brief(errors[0])}")

    if change := bench.change(bench.new()):
        yield finding("seed-without-effect", f"with the same seeds and actions, {change}")
        return  # further comparisons would show nothing
    if change := bench.change(bench.new(), seed=1):
        yield finding("global-randomness", f"with other global generators, {change}")
    elif not untouched:
        yield finding("global-randomness", "reset or step changed a global generator's state")

    naps = iter([0.01] * N_PAUSES)
    change = bench.change(bench.new(), now=2 * EPOCH, tick=1e3) or bench.change(
        bench.new(), lambda *_: time.sleep(next(naps, 0)), tick=None
    )
    if change:
        yield finding("wall-clock", f"at another time, {change}")
    # This environment has already played many episodes; the last of the first repetition may have
    # been cut off. Not tried if the environment depends on the clock: it would differ anyway, since
    # those episodes were at other times.
    elif change := bench.change(bench.env) or bench.change(bench.env):
        yield finding("state-survives-reset", f"after other episodes, {change}")
    if change := bench.change(bench.new(), _modify_in_place):
        yield finding("observation-is-state", f"once observations were written to, {change}")
    yield from _check_rendering(bench)
    yield from _check_copies(bench)


def _check_starts(env: Env) -> Iterator[Finding]:
    starts = [play(env, seed, []) for seed in [*range(N_STARTS), *[None] * N_STARTS]]
    if all(same(starts[0], start) for start in starts):
        yield finding("one-start", f"{N_STARTS} resets with different seeds and {N_STARTS} without")
    elif all(same(starts[0], start) for start in starts[:N_STARTS]):
        yield finding(
            "seed-without-effect",
            f"{N_STARTS} different seeds gave the same start, while resets without a seed differ",
        )


def _modify_in_place(env: Env, observation: Any) -> None:
    for leaf in leaves(observation):
        if isinstance(leaf, np.ndarray) and leaf.flags.writeable and leaf.dtype.kind in "fiub":
            np.add(leaf, 1, out=leaf, casting="unsafe")


def _check_rendering(bench: EpisodeRepeater) -> Iterator[Finding]:
    if "rgb_array" not in (bench.env.metadata.get("render_modes") or ()):
        return
    try:
        env = bench.new(render_mode="rgb_array")
        env.reset(seed=0)
        env.render()
    except Exception as error:
        yield finding("not-checked", f"rendering was not checked: it raised {brief(repr(error))}")
        return
    frames: list[tuple[Any, Any]] = []  # as returned, and their copies
    draws = []

    def render(env: Env, observation: Any) -> None:
        if len(frames) < MAX_FRAMES:
            before = global_generators()
            frame = env.render()
            frames.append((frame, deepcopy(frame)))
            draws.append(not same(before, global_generators()))

    if change := bench.change(env, render):
        yield finding("render-changes-state", f"with calls of render(), {change}")
    elif any(draws):
        yield finding("render-changes-state", "render() changed a global generator's state")
    for frame, copy in frames:
        first = np.shape(frames[0][1])
        if not isinstance(frame, np.ndarray):
            yield finding("frame", f"render() returned {brief(frame)}")
        elif frame.dtype != np.uint8 or first[2:] != (3,) or frame.shape != first:
            yield finding(
                "frame",
                f"render() returned {frame.dtype} of shape {frame.shape}, at first {first}",
            )
        elif not same(frame, copy):
            yield finding("frame", "a later render() changed a frame returned before")


def _check_copies(bench: EpisodeRepeater) -> Iterator[Finding]:
    """Copy in mid-episode, then play copy and original to the end and into the next episode."""
    actions = bench.actions[0]
    half = len(play(bench.new(), SEED, actions)) // 2

    def half_played() -> Env:
        env = bench.new()
        play(env, SEED, actions[:half])
        return env

    def rest(env: Env) -> Trace:
        bench.control(seed=1)
        return [*continue_episode(env, actions[half:]), *play(env, None, actions[:1])]

    expected = rest(half_played())
    copiers: dict[str, Callable[[Env], Env]] = {
        "pickling": lambda env: pickle.loads(pickle.dumps(env)),
        "deepcopy": deepcopy,
    }
    for name, copier in copiers.items():
        original = half_played()
        try:
            copy = copier(original)
        except Exception as error:
            yield finding("copy-loses-state", f"{name} in mid-episode raised {brief(repr(error))}")
            continue
        bench.made.append(copy)
        if change := difference(expected, rest(copy)) or difference(expected, rest(original)):
            yield finding("copy-loses-state", f"after {name} in mid-episode, {change}")
