"""Many runs side by side, in worker processes of a Dask cluster."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import dask
from distributed import Client, Future, LocalCluster

from benchmarks.live import Display
from benchmarks.run import hyperparameters_of, run
from sb3_training.config import RunConfig
from sb3_training.run_directory import RunDirectory, refuse_other_settings, settings_of

POLL_INTERVAL = 0.5  # s between two looks at the runs' status files
DASK_SETTINGS = {
    # A run whose worker dies is tried on this many further workers.
    "distributed.scheduler.allowed-failures": 2,
    # Training is one long call that holds the interpreter now and then: no sign of trouble.
    "distributed.admin.tick.limit": "1h",
    "distributed.worker.profile.enabled": False,
    # Dask's own environment for workers has malloc return memory to the system after every
    # update: 2,500 page faults in each, and training at half the speed. Only its thread limits
    # are kept here. A worker that is stopped need not complain of it.
    "distributed.nanny.pre-spawn-environ": {
        "DASK_LOGGING__DISTRIBUTED": "error",
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "OPENBLAS_NUM_THREADS": 1,
    },
}


class Job(NamedTuple):
    """A run on its way: its configuration, where it reports, and Dask's handle."""

    config: RunConfig
    directory: RunDirectory
    future: Future[Path]


def sweep(configs: Sequence[RunConfig], root: Path, workers: int | None = None) -> list[str]:
    """Carry out all runs that are not there yet; a failing run does not stop the others.

    Each worker is a process with one thread, since SB3 draws from the process's global
    generators. The runs report through their directories.

    :param root: folder that holds the run directories
    :param workers: number of processes; by default one for each processor
    :return: one line for each run that failed
    :raises ConfigError: if a directory holds a run with other settings, before anything runs
    """
    for config in configs:
        settings = settings_of(config, hyperparameters_of(config))
        refuse_other_settings(RunDirectory(root / config.directory), settings)
    directories = [RunDirectory(root / config.directory) for config in configs]
    missing = [
        (config, directory)
        for config, directory in zip(configs, directories, strict=True)
        if not directory.is_done()
    ]
    print(f"{len(configs)} runs in {root}: {len(configs) - len(missing)} complete", end="")
    print(f", {len(missing)} to do" if missing else "")
    if not missing:
        return []
    workers = min(workers or available_processors(), len(missing))
    with (
        dask.config.set(DASK_SETTINGS),
        LocalCluster(
            n_workers=workers, threads_per_worker=1, memory_limit=0, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        jobs = [
            Job(config, directory, client.submit(run, config, root.resolve(), pure=False))
            for config, directory in missing
        ]
        return watch(jobs)


def watch(jobs: Sequence[Job]) -> list[str]:
    """Show progress until every job is over; returns a line for each that failed."""
    failures = []
    pending = list(jobs)
    with Display(total=len(jobs)) as display:
        while pending:
            for job in pending.copy():
                status = job.directory.status()
                if not job.future.done():
                    if status["state"] == "running":
                        display.update(job.config, status)
                    continue
                pending.remove(job)
                if job.future.status == "finished":
                    display.complete(job.config, status)
                else:
                    failures.append(f"{job.config.directory}: {job.future.exception()!r}")
                    display.fail(job.config, failures[-1])
            time.sleep(POLL_INTERVAL)
    return failures


def available_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
