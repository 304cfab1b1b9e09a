"""The Dask cluster that a sweep runs on: started here for its duration, or an existing one."""

import logging
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster

from benchmarks.sweep.worker import describe_worker, reason_unfit
from training.config import ConfigError, one_line

CONNECT_TIMEOUT = 15.0  # s
START_ATTEMPTS = 3  # attempts to start the workers of this machine
LOST_TIMEOUT = 60.0  # s after which a worker of this machine that has gone is replaced
DASK_SETTINGS: dict[str, Any] = {
    # The sweep itself counts how often a run's worker has died.
    "distributed.scheduler.allowed-failures": 0,
    # A worker that starts slowly on a busy machine is not lost.
    "distributed.deploy.lost-worker-timeout": "1h",
    # Training is one long call that holds the interpreter now and then: no sign of trouble.
    "distributed.admin.tick.limit": "1h",
    "distributed.worker.profile.enabled": False,
    "distributed.worker.preload": ["benchmarks.sweep.worker"],
    # A run may have processes of its own (vec_env subproc), which daemons may not.
    "distributed.worker.daemon": False,
    # Dask's own environment for workers has malloc return memory to the system after every
    # update: 2,500 page faults in each, and training at half the speed. Only its thread limits
    # are kept here. Workers log errors only, so that stopped ones print no warnings.
    "distributed.nanny.pre-spawn-environ": {
        "DASK_LOGGING__DISTRIBUTED": "error",
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "OPENBLAS_NUM_THREADS": 1,
    },
}


@contextmanager
def connect(workers: int, scheduler: str | None) -> Iterator[Client]:
    """A client of a cluster: of single-threaded processes on this machine, or of an existing one.

    :param workers: processes to start here
    :param scheduler: address of an existing cluster's scheduler instead, as tcp://host:port
    :raises ConfigError: if no scheduler answers there
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=CONNECT_TIMEOUT)
        except (OSError, ValueError) as error:
            message = one_line(error)
            raise ConfigError(
                f"no Dask scheduler answers at {scheduler!r}, expected tcp://host:port: {message}"
            ) from error
        with client:
            yield client
        return
    with (
        dask.config.set(DASK_SETTINGS),
        start_workers(workers) as cluster,
        Client(cluster) as client,
    ):
        yield client


def start_workers(workers: int) -> LocalCluster:
    """Worker processes on this machine; if one is killed while they start, all are started again.

    :raises ConfigError: if STARTS attempts fail
    """
    for left in reversed(range(START_ATTEMPTS)):
        try:
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address="127.0.0.1:0",
            )
        except Exception as error:  # Dask documents no type
            if not left:
                message = one_line(error)
                raise ConfigError(f"the workers could not be started: {message}") from error
    raise AssertionError


class Workers:
    """The workers of a cluster that can take runs; they may come and go.

    :param root: the sweep's folder
    :param session: the sweep's name
    """

    def __init__(self, client: Client, root: Path, session: str) -> None:
        self._client = client
        self._root = root
        self._session = session
        self._reasons: dict[str, str | None] = {}  # by address
        self._most = 0  # largest number of workers present at once
        self._complete_at = time.monotonic()  # when that many were last present

    def poll(self) -> tuple[set[str], list[str]]:
        """Workers that can take runs now, and a line for each reason why new ones cannot.

        :raises ConfigError: if the scheduler no longer answers
        """
        try:
            present = set(self._client.nthreads())
        except OSError as error:
            raise ConfigError("the Dask scheduler no longer answers; start it again") from error
        self._replace_lost(len(present))
        newcomers = present - self._reasons.keys()
        if newcomers:
            found = self._client.run(
                describe_worker, self._root, workers=sorted(newcomers), on_error="return"
            )
            for address, worker in found.items():
                if isinstance(worker, OSError):  # it is gone already
                    continue
                self._reasons[address] = (
                    f"it cannot import this project: {worker}"
                    if isinstance(worker, Exception)
                    else reason_unfit(worker, self._session, self._root)
                )
        alike: dict[str, list[str]] = defaultdict(list)  # addresses by reason
        for address in sorted(newcomers & self._reasons.keys()):
            if reason := self._reasons[address]:
                alike[reason].append(address)
        refused = [f"{workers_text(each)} cannot take runs: {why}" for why, each in alike.items()]
        able = {address for address in present if self._reasons.get(address, "") is None}
        return able, refused

    def _replace_lost(self, count: int) -> None:
        """Start new workers for those of this machine that Dask did not manage to restart.

        Dask gives up if the new process is also killed before it is up.

        :param count: workers that are present
        """
        self._most = max(self._most, count)
        if count == self._most:
            self._complete_at = time.monotonic()
        elif time.monotonic() - self._complete_at > LOST_TIMEOUT and self._client.cluster:
            started = len(self._client.cluster.worker_spec)
            self._client.cluster.scale(started + self._most - count)
            self._complete_at = time.monotonic()


def workers_text(addresses: Sequence[str]) -> str:
    """Names the first of some workers, and says how many more there are."""
    further = len(addresses) - 1
    return f"worker {addresses[0]}" + (f" and {further} more" if further else "")


def available_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
