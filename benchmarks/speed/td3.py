"""Speed of the reference TD3 beside SB3's, and beside the matrix products alone.

A machine's speed drifts, so everything is measured in alternation within one run; compare the
medians and ratios only. One torch thread, Pendulum-v1, batches of 256, layers of 256 and 256.
"""

import time
from collections.abc import Callable, Hashable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from stable_baselines3 import TD3 as SB3TD3
from stable_baselines3.common.noise import NormalActionNoise

from benchmarks.speed.parts import (
    Work,
    draw_parts,
    parts_table,
    reference_parts,
    repeated,
    sb3_parts,
    split_step_time,
)
from benchmarks.table import markdown
from td3_reference import TD3, LoopConfig, RunLoop, TD3Config

ROUNDS = 15
UNITS = 20  # updates or loop steps in each round
BOUND = "matrix products alone"
WARM_UP = 300  # steps, so that there is something to draw batches from
# Products of 256 x 256 matrices in an update: 3 for the targets, 2 + 4 for the critics forward
# and back, and at every second update 2 + 3 for the policy.
PRODUCTS_PER_UPDATE = 11.5
EXPLANATION = (
    f"Medians of {ROUNDS} alternations on one thread, of processor time; ratios are medians of the"
    " ratios in each, with the smallest and the largest.\nA loop step is an environment step and an"
    " update. Python is the rest of a step."
)

Key = TypeVar("Key", bound=Hashable)
Name = tuple[str, str]  # implementation, and update or loop


def speed_table(picture: Path) -> str:
    """Updates, loop steps and the parts of a step of each implementation, as Markdown tables.

    :param picture: receives stacked bars of the parts
    """
    torch.set_num_threads(1)
    model, eager = sb3_model(), reference_loop()
    works: dict[Name, Work] = {
        ("SB3", "update"): lambda n: model.train(gradient_steps=n, batch_size=256),
        ("SB3", "loop"): lambda n: model.learn(n, reset_num_timesteps=False, log_interval=10**6),
        ("eager", "update"): updates_of(eager),
        ("eager", "loop"): steps_of(eager),
        (BOUND, "update"): matrix_products,
    }
    parts = {"SB3": sb3_parts(model), "eager": reference_parts(eager)}
    note = ""
    try:
        loop = reference_loop(compile=True)
        parts["compiled"] = reference_parts(loop)
        works |= {("compiled", "update"): updates_of(loop), ("compiled", "loop"): steps_of(loop)}
    except RuntimeError as error:
        note = f"\nNot compiled: {error}\n"
    works |= sbx_works()
    measured = {(name, part): work for name, own in parts.items() for part, work in own.items()}
    rates = measure({**works, **measured}, clock=time.process_time)
    rows = [
        [name, *relative(rates, name, "update"), *relative(rates, name, "loop")]
        for name in ("SB3", "eager", "compiled", "sbx", BOUND)
        if (name, "update") in rates
    ]
    header = ["implementation", "updates/s", "of SB3's", "loop steps/s", "of SB3's"]
    micros = {key: 1e6 / float(np.median(values)) for key, values in rates.items()}
    times = {
        name: split_step_time({part: micros[name, part] for part in own}, micros[name, "loop"],
                    micros[name, "update"])
        for name, own in parts.items()
    }  # fmt: skip
    draw_parts(times, micros[BOUND, "update"], picture)
    table = parts_table(times, micros[BOUND, "update"])
    return f"{markdown(header, rows)}\n{EXPLANATION}\n\n{table}\nPicture: {picture}\n{note}"


def relative(rates: dict[Name, NDArray[np.float64]], name: str, what: str) -> tuple[str, str]:
    """Median rate and median ratio to SB3's; empty where it was not measured."""
    if (name, what) not in rates:
        return "", ""
    measured = rates[name, what]
    ratios = measured / rates["SB3", what]
    spread = f"{ratios.min():.2f} to {ratios.max():.2f}"
    return f"{np.median(measured):.0f}", f"{np.median(ratios):.2f} ({spread})"


def measure(
    works: Mapping[Key, Work],
    rounds: int = ROUNDS,
    units: int = UNITS,
    warm_up: int = 10,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Key, NDArray[np.float64]]:
    """Measure each work in alternation; return units of work per second, shape (rounds,).

    :param units: units of work in each round
    :param warm_up: units of each before the first round, at most ``units``: to compile, fill caches
    :param clock: in seconds; on a busy machine processor time drifts less
    """
    rates: dict[Key, list[float]] = {name: [] for name in works}
    for work in works.values():
        work(min(warm_up, units))
    for _ in track(range(rounds), "measuring in alternation", transient=True):
        for name, work in works.items():
            began = clock()
            work(units)
            rates[name].append(units / (clock() - began))
    return {name: np.array(values) for name, values in rates.items()}


def sb3_model() -> SB3TD3:
    """SB3's TD3 with the author's settings, past its warm-up."""
    model = SB3TD3("MlpPolicy", gym.make("Pendulum-v1"), **sb3_settings())
    return model.learn(WARM_UP)


def sbx_works() -> dict[Name, Work]:
    """The work of sbx's TD3, SB3's in JAX, with the same settings; none if it is not installed."""
    try:
        sbx = import_module("sbx")
    except ImportError:
        return {}
    settings = {**sb3_settings(), "qf_learning_rate": 3e-4}
    model = sbx.TD3("MlpPolicy", gym.make("Pendulum-v1"), **settings).learn(WARM_UP)
    return {
        ("sbx", "update"): repeated(lambda: model.train(gradient_steps=1, batch_size=256)),
        ("sbx", "loop"): lambda n: model.learn(n, reset_num_timesteps=False),
    }


def sb3_settings() -> dict[str, Any]:
    """The author's settings by SB3's names, but a shorter warm-up and a smaller buffer."""
    return {
        "learning_rate": 3e-4,
        "learning_starts": WARM_UP,
        "action_noise": NormalActionNoise(np.zeros(1), np.full(1, 0.1)),
        "buffer_size": 100_000,
        "policy_kwargs": {"net_arch": [256, 256]},
        "seed": 0,
        "device": "cpu",
    }


def reference_loop(compile: bool = False) -> RunLoop:
    """The reference's loop, past its warm-up."""
    agent = TD3(TD3Config(3, [-2.0], [2.0]), compile=compile)
    config = LoopConfig(learning_starts=WARM_UP)
    rng = np.random.default_rng(0)
    loop = RunLoop(gym.make("Pendulum-v1"), agent, config, 100_000, seed=0, rng=rng)
    steps_of(loop)(WARM_UP)
    return loop


def updates_of(loop: RunLoop) -> Work:
    """The reference's gradient steps, with the sampling of batches, as in SB3's."""

    def work(n: int) -> None:
        for _ in range(n):
            noise = loop.rng.standard_normal((256, 1), np.float32)
            loop.agent.update(loop.buffer.sample(256, loop.rng), noise)

    return work


def steps_of(loop: RunLoop) -> Work:
    """The reference's environment steps with their updates."""
    steps = iter(loop)

    def work(n: int) -> None:
        for _ in range(n):
            next(steps)

    return work


def matrix_products(n: int) -> None:
    """The matrix products of n updates, and nothing else."""
    left, right = torch.ones(256, 256), torch.ones(256, 256)
    result = torch.empty(256, 256)
    for _ in range(round(n * PRODUCTS_PER_UPDATE)):
        torch.mm(left, right, out=result)
