"""How fast the reference TD3 is beside SB3's, and beside what the arithmetic allows.

A machine's speed drifts, so everything is measured in alternation within one run, and medians
and ratios are what counts. One torch thread, Pendulum-v1, batches of 256, layers of 256 and 256.
"""

import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from stable_baselines3 import TD3 as SB3TD3
from stable_baselines3.common.noise import NormalActionNoise

from benchmarks.table import markdown
from td3_reference import TD3, LoopConfig, RunLoop, TD3Config

ROUNDS = 15
UNITS = 100  # updates or loop steps in each round
WARM_UP = 300  # steps, so that there is something to draw batches from
# Products of 256 x 256 matrices in an update: 3 for the targets, 2 + 4 for the critics forward
# and back, and at every second update 2 + 3 for the policy.
PRODUCTS_PER_UPDATE = 11.5

Work = Callable[[int], Any]  # does so many units
Key = TypeVar("Key", bound=Hashable)
Name = tuple[str, str]  # implementation, and update or loop


def speed_table() -> str:
    """Updates and loop steps per second of each implementation, as a Markdown table."""
    torch.set_num_threads(1)
    works = {
        ("SB3", "update"): sb3_updates(),
        ("SB3", "loop"): sb3_loop(),
        ("eager", "update"): updates_of(reference_loop()),
        ("eager", "loop"): steps_of(reference_loop()),
        ("eager", "update alone"): repeated_update(reference_loop()),
        ("matrix products alone", "update"): products,
    }
    note = ""
    try:
        for what, work_of in (("update", updates_of), ("loop", steps_of)):
            work = work_of(reference_loop(compile=True))
            work(2)  # one of each kind of update: compiles
            works["compiled", what] = work
    except RuntimeError as error:
        note = f"\nNot compiled: {error}\n"
    rates = measure(works)
    rows = [
        [name, *relative(rates, name, "update"), *relative(rates, name, "loop")]
        for name in ("SB3", "eager", "compiled", "matrix products alone")
    ]
    header = ["implementation", "updates/s", "of SB3's", "loop steps/s", "of SB3's"]
    explanation = (
        f"Medians of {ROUNDS} alternations on one thread; ratios are medians of the ratios in each."
        "\nA loop step is an environment step and an update."
    )
    outside = 1 - float(np.median(rates["eager", "loop"] / rates["eager", "update alone"]))
    share = f"Of the eager loop's time, evaluations aside, {outside:.0%} is not the update itself."
    return f"{markdown(header, rows)}\n{explanation}\n{share}\n{note}"


def relative(rates: dict[Name, NDArray[np.float64]], name: str, what: str) -> tuple[str, str]:
    """Median rate and median ratio to SB3's; empty where it was not measured."""
    if (name, what) not in rates:
        return "", ""
    measured = rates[name, what]
    return f"{np.median(measured):.0f}", f"{np.median(measured / rates['SB3', what]):.2f}"


def measure(
    works: Mapping[Key, Work], rounds: int = ROUNDS, units: int = UNITS, warm_up: int = 10
) -> dict[Key, NDArray[np.float64]]:
    """Units of work per second of each, shape (rounds,), in alternating rounds.

    :param units: of work in each round
    :param warm_up: units of each before that: compiles, fills caches
    """
    rates: dict[Key, list[float]] = {name: [] for name in works}
    for work in works.values():
        work(min(warm_up, units))
    for _ in track(range(rounds), "measuring in alternation", transient=True):
        for name, work in works.items():
            began = time.perf_counter()
            work(units)
            rates[name].append(units / (time.perf_counter() - began))
    return {name: np.array(values) for name, values in rates.items()}


def sb3_model() -> SB3TD3:
    """SB3's TD3 with the author's settings, past its warm-up."""
    model = SB3TD3(
        "MlpPolicy",
        gym.make("Pendulum-v1"),
        learning_rate=3e-4,
        learning_starts=WARM_UP,
        action_noise=NormalActionNoise(np.zeros(1), np.full(1, 0.1)),
        buffer_size=100_000,
        policy_kwargs={"net_arch": [256, 256]},
        seed=0,
        device="cpu",
    )
    return model.learn(WARM_UP)


def sb3_updates() -> Work:
    """SB3's gradient steps."""
    model = sb3_model()
    return lambda n: model.train(gradient_steps=n, batch_size=256)


def sb3_loop() -> Work:
    """SB3's environment steps with their updates."""
    model = sb3_model()
    return lambda n: model.learn(n, reset_num_timesteps=False, log_interval=1_000_000)


def reference_loop(compile: bool = False) -> RunLoop:
    """The reference's loop, past its warm-up."""
    agent = TD3(TD3Config(3, [-2.0], [2.0]), compile=compile)
    config = LoopConfig(learning_starts=WARM_UP)
    rng = np.random.default_rng(0)
    loop = RunLoop(gym.make("Pendulum-v1"), agent, config, 100_000, seed=0, rng=rng)
    steps_of(loop)(WARM_UP)
    return loop


def updates_of(loop: RunLoop) -> Work:
    """The reference's gradient steps, the drawing of batches included, as in SB3's."""

    def work(n: int) -> None:
        for _ in range(n):
            noise = loop.rng.standard_normal((256, 1), np.float32)
            loop.agent.update(loop.buffer.sample(256, loop.rng), noise)

    return work


def repeated_update(loop: RunLoop) -> Work:
    """The reference's gradient steps alone, on one and the same batch."""
    noise = loop.rng.standard_normal((256, 1), np.float32)
    batch = loop.buffer.sample(256, loop.rng)

    def work(n: int) -> None:
        for _ in range(n):
            loop.agent.update(batch, noise)

    return work


def steps_of(loop: RunLoop) -> Work:
    """The reference's environment steps with their updates."""
    steps = iter(loop)

    def work(n: int) -> None:
        for _ in range(n):
            next(steps)

    return work


def products(n: int) -> None:
    """The matrix products of n updates, and nothing else."""
    left, right = torch.ones(256, 256), torch.ones(256, 256)
    result = torch.empty(256, 256)
    for _ in range(round(n * PRODUCTS_PER_UPDATE)):
        torch.mm(left, right, out=result)
