"""What a sweep gains: its runs on all processors beside the same runs one after the other.

Environment steps per second of whole commands, from the start of the process to its end. Without
the sweep, SB3 does the same runs as a plain script would: in one process, with torch's default
threads, EvalCallback for the learning curve and evaluate_policy for the final policy. The last
plays its 100 episodes one by one, about 10 s in each run; without them the gain would be a fifth
less. The reference has no plain script to compare with, so it is compared with itself.
"""

import io
import multiprocessing
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.experiments import Experiment
from benchmarks.sweep.cluster import available_processors

ROUNDS = 3
STEPS = 6_000


def speed_table() -> str:
    """Steps per second of a sweep and of the same runs in sequence, as a Markdown table."""
    # Imported here, since the measured processes load this module but do not need these.
    from benchmarks.speed.td3 import measure
    from benchmarks.table import markdown

    works: dict[str, Callable[[], None]] = {
        "SB3 in sequence": plain_sb3,
        "SB3 in a sweep": partial(run_sweep, "td3"),
        "reference in sequence": reference_in_sequence,
        "reference in a sweep": partial(run_sweep, "td3_reference"),
    }
    runs = experiment("td3").runs()
    processes = {name: partial(in_processes, work) for name, work in works.items()}
    rates = measure(processes, ROUNDS, units=1, warm_up=0)
    rows = []
    for name, values in rates.items():
        ratio = values / rates[f"{name.split()[0]} in sequence"]
        speed = f"{np.median(values) * len(runs) * STEPS:.0f}"
        rows.append(
            [name, speed, f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"]
        )
    return (
        f"{markdown(['commands', 'steps/s', 'of that in sequence'], rows)}\n"
        f"{len(runs)} runs of {STEPS:,} steps on rocket-v0, {available_processors()} workers;"
        f" medians of {ROUNDS} alternations (least to greatest)."
    )


def experiment(algo: str) -> Experiment:
    """Two runs for each processor, with updates from nearly the first step on."""
    return Experiment(
        description="throughput",
        implementations={algo: {"algo": algo, "hyperparams": {"learning_starts": 100}}},
        total_timesteps={"rocket-v0": STEPS},
        seeds=tuple(range(2 * available_processors())),
    )


def in_processes(work: Callable[[], None], n: int) -> None:
    """Do it n times, each in a new process, with the imports and threads of a command."""
    for _ in range(n):
        process = multiprocessing.get_context("spawn").Process(target=work)
        process.start()
        process.join()
        if process.exitcode != 0:
            raise RuntimeError(f"{work} failed")


def run_sweep(algo: str) -> None:
    """Carry out the runs in a sweep."""
    from benchmarks.sweep.options import SweepOptions
    from benchmarks.sweep.scheduler import sweep

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        failures = sweep(experiment(algo), Path(folder), SweepOptions(step_timeout=0))
    if failures:
        raise RuntimeError("; ".join(failures))


def plain_sb3() -> None:
    """The runs as a user of SB3 alone would write them."""
    from stable_baselines3.common.callbacks import EvalCallback
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.monitor import Monitor

    from training.environments import make_env
    from training.evaluation import N_FINAL_EPISODES
    from training.sb3.algorithms import build_model, resolve_hyperparameters

    for config in experiment("td3").runs():
        eval_env = Monitor(make_env(config))
        callback = EvalCallback(
            eval_env, n_eval_episodes=config.n_eval_episodes, eval_freq=config.eval_freq, verbose=0
        )
        model = build_model(config, resolve_hyperparameters(config), Monitor(make_env(config)))
        model.learn(config.total_timesteps, callback)
        evaluate_policy(model, eval_env, N_FINAL_EPISODES)


def reference_in_sequence() -> None:
    """The reference's runs, one after the other."""
    from training.run import run

    with tempfile.TemporaryDirectory() as folder:
        for config in experiment("td3_reference").runs():
            run(config, folder)
