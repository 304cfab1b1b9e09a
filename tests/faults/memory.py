"""Resident memory and threads of one process over 60 runs, as a sweep's worker makes them.

Run it with ``python -m tests.faults.memory``; ``--leak`` leaves SB3's loggers open, as they once
were, to show what a leak looks like here.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil  # type: ignore[import-untyped]
from stable_baselines3.common.logger import Logger

import training.evaluation
from benchmarks.sweep.worker import SESSION, run_on_worker
from training.config import RunConfig

LOOKS = (5, 30, 60)  # after so many runs
HYPERPARAMS: dict[str, dict[str, Any]] = {
    "td3": {"learning_starts": 20},
    "td3_reference": {"learning_starts": 20},
    "ppo": {"n_steps": 32, "batch_size": 32},
}


class Look(NamedTuple):
    """What the process has after some runs."""

    n_runs: int
    megabytes: float
    threads: int


def looks(root: Path) -> Iterator[Look]:
    """Carry out the runs, one implementation after the other; yield a look at the process."""
    (root / SESSION).write_text("memory")
    process = psutil.Process()
    for i in range(max(LOOKS)):
        algo = list(HYPERPARAMS)[i % len(HYPERPARAMS)]
        settings: dict[str, Any] = {"total_timesteps": 60, "n_eval_episodes": 1}
        config = RunConfig(
            algo=algo,
            env_id="rocket-v0",
            seed=i,
            max_episode_steps=20,
            hyperparams=HYPERPARAMS[algo],
            **settings,
        )
        outcome = run_on_worker(config, root, "memory")
        if outcome.state != "done":
            raise RuntimeError(f"run {i}: {outcome}")
        if i + 1 in LOOKS:
            yield Look(i + 1, process.memory_info().rss / 1e6, process.num_threads())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leak", action="store_true", help="leave SB3's loggers open")
    if parser.parse_args(arguments).leak:
        Logger.close = lambda self: None  # type: ignore[method-assign]
    training.evaluation.N_FINAL_EPISODES = 2
    with tempfile.TemporaryDirectory() as root:
        for look in looks(Path(root)):
            print(f"after run {look.n_runs}: {look.megabytes:.0f} MB, {look.threads} threads")


if __name__ == "__main__":
    main()
