"""Preload of a test's workers: they save every half second and record their process ids."""

import os
from pathlib import Path

import training.supervisor


def dask_setup(worker: object) -> None:
    training.supervisor.CHECKPOINT_INTERVAL = 0.5
    training.supervisor.SAVING_SHARE = 1.0
    (Path(os.environ["WORKER_PIDS"]) / str(os.getpid())).touch()
