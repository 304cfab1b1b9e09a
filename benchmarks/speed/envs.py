"""Speed of the rocket beside Gymnasium's Pendulum, in a batch, and with rendering.

A machine's speed drifts, so everything is measured in alternation within one run; compare the
medians and ratios only. Actions are random and drawn beforehand; resets are included.
"""

import os
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

import envs  # noqa: F401  (registers the rockets)
from benchmarks.speed.parts import Work
from benchmarks.speed.td3 import measure
from benchmarks.table import markdown

ROUNDS = 15
N_ACTIONS = 50  # drawn beforehand, taken in turn
Rates = dict[str, NDArray[np.float64]]  # steps or frames per second in each round


def speed_table() -> str:
    """Steps and frames per second, and the ratios that matter, as Markdown tables."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # Pendulum draws with pygame
    works: dict[str, tuple[int, Work]] = {
        "rocket-v0": steps_of("rocket-v0", 10_000),
        "Pendulum-v1": steps_of("Pendulum-v1", 4_000),
        "rocket-v0, vector, 4096": batches_of(4096, 300, "vector_entry_point"),
        "rocket-v0, vector, 256": batches_of(256, 1_000, "vector_entry_point"),
        "rocket-v0, SyncVectorEnv, 256": batches_of(256, 40, "sync"),
        "rocket-v0, frames": steps_of("rocket-v0", 100, "rgb_array"),
        "Pendulum-v1, frames": steps_of("Pendulum-v1", 30, "rgb_array"),
    }
    per_unit = {name: count for name, (count, _) in works.items()}
    units = measure({name: work for name, (_, work) in works.items()}, ROUNDS, units=1)
    rates = {name: per_unit[name] * values for name, values in units.items()}
    rows = [[name, f"{np.median(values):,.0f}"] for name, values in rates.items()]
    ratios = [
        ratio(rates, "rocket-v0", "Pendulum-v1"),
        ratio(rates, "rocket-v0, vector, 256", "rocket-v0, SyncVectorEnv, 256"),
        ratio(rates, "rocket-v0, frames", "Pendulum-v1, frames"),
    ]
    return (
        f"{markdown(['environment', 'steps or frames per second'], rows)}\n"
        f"{markdown(['ratio', 'median', 'least', 'greatest'], ratios)}\n"
        f"Medians of {ROUNDS} alternations on one core; ratios are of the values in each."
    )


def ratio(rates: Rates, one: str, other: str) -> list[str]:
    """A row of the table of ratios."""
    values = rates[one] / rates[other]
    summary = (np.median(values), values.min(), values.max())
    return [f"{one} / {other}", *(f"{value:.2f}" for value in summary)]


def steps_of(env_id: str, n_steps: int, render_mode: str | None = None) -> tuple[int, Work]:
    """Work of steps of one environment, with a frame after each if there is a render mode.

    :param n_steps: steps in a unit of work
    :return: n_steps, and the work
    """
    env = gym.make(env_id, render_mode=render_mode)
    env.reset(seed=0)
    actions = prepared(env.action_space)

    def work(n: int) -> None:
        for action in islice(actions, n * n_steps):
            *_, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
            if render_mode:
                env.render()

    return n_steps, work


def batches_of(num_envs: int, n_calls: int, mode: str) -> tuple[int, Work]:
    """Work of steps of a vector environment, each of which steps all environments.

    :param n_calls: steps of the vector environment in a unit of work
    :return: steps of single environments in a unit of work, and the work
    """
    env = gym.make_vec("rocket-v0", num_envs=num_envs, vectorization_mode=mode)
    env.reset(seed=0)
    actions = prepared(env.action_space)

    def work(n: int) -> None:
        for batch in islice(actions, n * n_calls):
            env.step(batch)

    return n_calls * num_envs, work


def prepared(space: gym.Space[Any]) -> Iterator[Any]:
    """N_ACTIONS random actions, repeated without end."""
    space.seed(0)
    sample: Callable[[], Any] = space.sample
    return cycle([sample() for _ in range(N_ACTIONS)])
