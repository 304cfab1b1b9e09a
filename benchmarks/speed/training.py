"""The overhead of train() over SB3's plain learn(): checks, callbacks, progress, checkpoints.

Whole runs are measured in alternation, setup included. Checkpoints are written far more often than
by default. The evaluations at the start and the end of a run are measured; there are none between.
"""

import io
import tempfile
from contextlib import redirect_stdout

import numpy as np
import torch
from stable_baselines3.common.monitor import Monitor

from benchmarks.speed.td3 import measure
from benchmarks.table import markdown
from training.command_line import progress_bar
from training.config import RunConfig
from training.environments import make_env
from training.run import run
from training.sb3.algorithms import build_model, resolve_hyperparameters

ROUNDS = 5
CONFIG = RunConfig(algo="td3", env_id="rocket-v0", total_timesteps=4_000, eval_freq=4_000)
CHECKPOINT_FREQ = 1_000  # steps, some 8 s; by default it is a minute


def speed_table() -> str:
    """Steps per second of a run with and without what this project adds, as a Markdown table."""
    torch.set_num_threads(1)
    rates = measure({"learn()": plain_run, "train()": our_run}, ROUNDS, units=1)
    steps = {name: CONFIG.total_timesteps * values for name, values in rates.items()}
    rows = [[name, f"{np.median(values):.0f}"] for name, values in steps.items()]
    overheads = steps["learn()"] / steps["train()"] - 1
    return (
        f"{markdown(['run', 'steps/s'], rows)}\n"
        f"Overhead of train(): {np.median(overheads):.1%}, the median of {ROUNDS} pairs from"
        f" {overheads.min():.1%} to {overheads.max():.1%}."
    )


def plain_run(n: int) -> None:
    """SB3 alone, n times."""
    for _ in range(n):
        env = Monitor(make_env(CONFIG))
        model = build_model(CONFIG, resolve_hyperparameters(CONFIG), env)
        model.learn(CONFIG.total_timesteps)


def our_run(n: int) -> None:
    """A run of this project with all its files, n times."""
    for _ in range(n):
        with (
            tempfile.TemporaryDirectory() as folder,
            redirect_stdout(io.StringIO()),
            progress_bar(CONFIG) as on_progress,
        ):
            run(CONFIG, folder, on_progress, checkpoint_freq=CHECKPOINT_FREQ)
