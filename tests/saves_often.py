"""Loaded into the workers of a test's sweep: they save every half second and say who they are."""

import os
from pathlib import Path

import benchmarks.reference
import sb3_training.callbacks


def dask_setup(worker: object) -> None:
    sb3_training.callbacks.CHECKPOINT_INTERVAL = 0.5
    benchmarks.reference.CHECKPOINT_INTERVAL = 0.5
    (Path(os.environ["WORKER_PIDS"]) / str(os.getpid())).touch()
