"""Many runs side by side, on the workers of a Dask cluster."""

import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from distributed import Client, Future, KilledWorker
from filelock import FileLock, Timeout

from benchmarks.analysis.comparisons import compare_all
from benchmarks.analysis.load import load_results
from benchmarks.declaration import declare, refuse_mismatch
from benchmarks.experiments import EXPERIMENT_FILE, Experiment
from benchmarks.report.wording import sentence
from benchmarks.sweep.cluster import Workers, available_processors, connect
from benchmarks.sweep.display import Display
from benchmarks.sweep.options import DEFAULT_OPTIONS, SweepOptions
from benchmarks.sweep.worker import SESSION, RunOutcome, run_on_worker
from training.config import ConfigError, RunConfig, env_name, one_line
from training.endings import HUNG, RunStopped, StopRequest, stop_on_signals, watching
from training.open_run import OpenRun, can_resume
from training.provenance import History, describe_software
from training.run import hyperparameters_of, refuse_impossible
from training.run_directory import RunDirectory, refuse_other_settings, settings_of

POLL_INTERVAL = 0.5  # s between two looks at the runs' status files
MAX_RESTARTS = 5  # how often a run whose worker has died is taken up by another
FETCH_PATIENCE = 5.0  # s for the outcome of a run that has ended to come from its worker
STOP_PATIENCE = 60.0  # s for the runs to save their state once they are asked to stop


class Job(NamedTuple):
    """A run under way: its configuration, the worker that it is on, and Dask's handle."""

    config: RunConfig
    worker: str
    future: Future[RunOutcome]


def sweep(
    experiment: Experiment,
    root: Path,
    options: SweepOptions = DEFAULT_OPTIONS,
    extend: bool = False,
) -> list[str]:
    """Carry out an experiment's runs that are not complete; a failing one does not stop others.

    An experiment with looks runs its seeds in stages: after each, comparisons that are decided get
    no more seeds. Each worker is a process with one thread, since SB3 draws from the process's
    global generators. The runs report through their directories. A run whose worker dies goes on
    from its last checkpoint on another one, up to MAX_RESTARTS times.

    :param root: folder that holds the run directories
    :param options: how it is carried out
    :param extend: whether an experiment that has begun may grow
    :return: one line for each run that failed
    :raises ConfigError: before anything runs: if the directory belongs to an experiment with
        other settings or another command is at work in it, if a run cannot work or was begun
        with other software, or if a worker of the cluster does not fit
    :raises RunStopped: if Ctrl-C or SIGTERM ended it; the runs have saved their state
    """
    configs = experiment.runs()
    refuse_mismatch(experiment, root, extend)
    with watching(options.step_timeout):
        refuse_unworkable(configs, root, options.check)
    with locked_folder(root):
        declare(experiment, root)
        if told := extended_runs_text(configs, root):
            print(told)
        if options.scheduler is None:  # on a cluster, each worker checks it
            refuse_other_software(unfinished(configs, root), root, options.allow_mixed)
        failures: list[str] = []
        wanted = {(env_name(run.env_id), run.label) for run in configs}
        for number in experiment.looks or (len(experiment.seeds),):
            seeds = experiment.seeds[:number]
            stage = [
                run
                for run in configs
                if run.seed in seeds and (env_name(run.env_id), run.label) in wanted
            ]
            failures += run_missing(stage, root, options)
            if experiment.looks:
                wanted = undecided_groups(root, number)
            if not wanted:
                break
        return failures


def unfinished(configs: Sequence[RunConfig], root: Path) -> list[RunConfig]:
    """The runs that are not complete."""
    return [run for run in configs if not _is_complete(RunDirectory(root / run.directory), run)]


def _is_complete(directory: RunDirectory, run: RunConfig) -> bool:
    return directory.is_done() and not directory.is_shorter(run.total_timesteps)


def extended_runs_text(configs: Sequence[RunConfig], root: Path) -> str:
    """A line on the runs that are to have more steps than they have; empty without any."""
    places = [(RunDirectory(root / run.directory), run) for run in configs]
    shorter = [(place, run) for place, run in places if place.is_shorter(run.total_timesteps)]
    if not shorter:
        return ""
    resuming = sum(
        can_resume(place, settings_of(run, hyperparameters_of(run))) for place, run in shorter
    )
    return (
        f"runs that get more steps: {len(shorter)}, of which {resuming} resume from a checkpoint"
        f" and {len(shorter) - resuming} start over, with the same result"
    )


def run_missing(configs: Sequence[RunConfig], root: Path, options: SweepOptions) -> list[str]:
    """Carry out the runs that are not complete; returns a line for each that failed."""
    missing = unfinished(configs, root)
    done = len(configs) - len(missing)
    print(f"{len(configs)} runs in {root}: {done} complete, {len(missing)} to do", flush=True)
    if not missing:
        return []
    count = min(options.workers or available_processors(), len(missing))
    with (
        stop_on_signals() as request,
        begin_session(root) as session,
        connect(count, options.scheduler) as client,
        Display(configs, missing) as display,
    ):
        under_way = RunDispatcher(client, root.resolve(), session, display, request, options)
        return under_way.dispatch(missing)


def undecided_groups(root: Path, number: int) -> set[tuple[str, str]]:
    """(env_id, label) of the implementations that need more seeds; prints each verdict.

    :param number: of seeds of each so far, for the printed lines
    """
    wanted: set[tuple[str, str]] = set()
    try:
        results = load_results(root)
    except FileNotFoundError:  # all have failed; more seeds would not help
        return wanted
    for each in compare_all(results):
        print(f"after {number} seeds: {sentence(each)}", flush=True)
        if each.needs_seeds:
            wanted |= {(each.env_id, each.first), (each.env_id, each.second)}
    return wanted


class RunDispatcher:
    """The runs under way, one on each worker, and those that wait.

    :param root: folder that holds the run directories
    :param session: the sweep's name, which a file in the folder holds while it is under way
    """

    def __init__(
        self,
        client: Client,
        root: Path,
        session: str,
        display: Display,
        request: StopRequest,
        options: SweepOptions = DEFAULT_OPTIONS,
    ) -> None:
        self._client = client
        self._root = root
        self._session = session
        self._display = display
        self._request = request
        self._options = options
        self._workers = Workers(client, root, session)
        self._waiting: deque[RunConfig] = deque()
        self._jobs: list[Job] = []
        self._restarts: dict[str, int] = {}
        self._failures: list[str] = []

    def dispatch(self, runs: Sequence[RunConfig]) -> list[str]:
        """Keep every worker busy until all runs are over; returns a line for each that failed."""
        self._waiting.extend(runs)
        _, refused = self._workers.poll()
        if refused:
            raise ConfigError("; ".join(refused))
        while self._waiting or self._jobs:
            if self._request():
                self._stop()
            able, refused = self._workers.poll()
            for line in refused:
                self._display.note(line)
            self._display.waiting_for_workers(not able)
            self._start_runs(able)
            for job in self._jobs.copy():
                self._follow(job, able)
            time.sleep(POLL_INTERVAL)
        return self._failures

    def _start_runs(self, able: set[str]) -> None:
        """Start a run on each worker that has none."""
        for worker in sorted(able - {job.worker for job in self._jobs}):
            if self._waiting:
                config = self._waiting.popleft()
                what = config, self._root, self._session, self._options
                future = self._client.submit(run_on_worker, *what, workers=[worker], pure=False)
                self._jobs.append(Job(config, worker, future))

    def _follow(self, job: Job, able: set[str]) -> None:
        """Show a run's progress or, if it has ended, its outcome."""
        status = RunDirectory(self._root / job.config.directory).status()
        if job.future.status == "finished":
            try:  # the outcome lies on the worker, which may die before it is fetched
                outcome: RunOutcome = job.future.result(timeout=FETCH_PATIENCE)
            except (TimeoutError, KilledWorker):  # the next look asks again, or sees it gone
                return
            self._jobs.remove(job)
            if outcome.state == "done":
                self._display.complete(job.config, status)
            else:
                self._fail(job.config, f"{outcome.state}: {outcome.message}")
        elif job.future.done() or job.worker not in able:
            self._jobs.remove(job)
            job.future.cancel(force=True)
            if status["state"] == "failed" and status.get("message", "").startswith(HUNG):
                self._fail(job.config, f"failed: {status['message']}")
            else:
                self._restart(job.config)
        elif status["state"] == "running":
            self._display.update(job.config, status)

    def _restart(self, config: RunConfig) -> None:
        count = self._restarts[config.directory] = self._restarts.get(config.directory, 0) + 1
        if count > MAX_RESTARTS:
            self._fail(config, f"failed: its worker died {count} times")
        else:
            self._display.note(
                f"{config.directory}: its worker died; it goes on from its last checkpoint"
                f" (restart {count} of at most {MAX_RESTARTS})"
            )
            self._waiting.appendleft(config)

    def _fail(self, config: RunConfig, message: str) -> None:
        self._failures.append(f"{config.directory} {message}")
        self._display.fail(config, self._failures[-1])

    def _stop(self) -> None:
        """Ask the runs to save their state, and wait until they have.

        :raises RunStopped: always
        """
        (self._root / SESSION).unlink(missing_ok=True)
        self._display.note("stopping: the runs save their state (again: stop at once)")
        deadline = time.monotonic() + STOP_PATIENCE
        while not all(job.future.done() for job in self._jobs) and time.monotonic() < deadline:
            time.sleep(POLL_INTERVAL / 5)
        raise RunStopped("asked to stop", self._request.exit_status)


def refuse_unworkable(configs: Sequence[RunConfig], root: Path, check: bool = True) -> None:
    """Refuse runs that are known to fail before they begin.

    In a folder with a declared experiment, an existing run may have fewer steps.

    :param check: whether SB3's checker is to look at each environment
    :raises ConfigError: if a directory holds a run with other settings, or a run cannot work
    """
    seen = set()
    is_declared = (root / EXPERIMENT_FILE).exists()
    for config in configs:
        if (config.label, config.env_id) not in seen:
            refuse_impossible(config, check)
            seen.add((config.label, config.env_id))
        settings = settings_of(config, hyperparameters_of(config))
        refuse_other_settings(RunDirectory(root / config.directory), settings, is_declared)


def refuse_other_software(configs: Sequence[RunConfig], root: Path, allow_mixed: bool) -> None:
    """Refuse to go on with a run that was begun with other software than is installed here.

    :raises ConfigError: naming what differs
    """
    software = {config.device: describe_software(config.device) for config in configs}
    for config in configs:
        history = History(software[config.device], allow_mixed)
        OpenRun(root / config.directory).attach_history(history)


@contextmanager
def locked_folder(root: Path) -> Iterator[None]:
    """Keep other sweeps out of a folder.

    :raises ConfigError: if one is at work there, or nothing can be written or locked there
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".lock").acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"another sweep is at work in {root}; wait for it, or stop it") from None
    except (OSError, NotImplementedError) as error:  # the latter on a disk without locks
        message = one_line(error)
        raise ConfigError(f"cannot write to, or lock, {root}: {message}") from error
    with lock:
        yield


@contextmanager
def begin_session(root: Path) -> Iterator[str]:
    """Write the name of a new sweep into its folder, so that runs of an earlier one stop.

    The name is removed at the end, so that runs that are still under way stop too.
    """
    name = uuid.uuid4().hex
    RunDirectory(root).write_bytes(SESSION, name.encode())
    try:
        yield name
    finally:
        (root / SESSION).unlink(missing_ok=True)
