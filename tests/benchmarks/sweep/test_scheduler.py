"""Sweeps: nothing is done twice, nothing is lost, and workers leave no trace in the results."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from distributed import wait

from benchmarks.analysis.load import load_results
from benchmarks.declaration import declare, history_text, refuse_mismatch
from benchmarks.experiments import EXPERIMENTS, Experiment
from benchmarks.fidelity.variants import VARIANTS
from benchmarks.sweep.cluster import DASK_SETTINGS, connect
from benchmarks.sweep.display import Display
from benchmarks.sweep.options import SweepOptions
from benchmarks.sweep.scheduler import MAX_RESTARTS, Job, RunDispatcher, locked_folder, sweep
from benchmarks.sweep.worker import SESSION, RunOutcome, SessionOver, reason_unfit, software
from td3_reference.td3 import TD3
from tests.helpers.continuation import content
from tests.helpers.made_up_runs import made_up_run
from training.checkpoint import load_checkpoint
from training.config import REFERENCE, ConfigError, RunConfig, env_name
from training.endings import StopRequest
from training.reference import agent_class
from training.run import hyperparameters_of
from training.run_directory import RunDirectory

# Small networks and short runs of short episodes, past the warm-up.
STEPS = 120
SMALL: dict[str, Any] = {"learning_starts": 50, "batch_size": 16}
IMPLEMENTATIONS: dict[str, dict[str, Any]] = {
    "td3": {"algo": "td3", "hyperparams": {**SMALL, "policy_kwargs": {"net_arch": [16]}}},
    "td3_reference": {"algo": "td3_reference", "hyperparams": {**SMALL, "hidden_sizes": [16]}},
}


def experiment(
    steps: int = STEPS, seeds: int = 2, env_ids: tuple[str, ...] = ("Pendulum-v1",), **changes: Any
) -> Experiment:
    made = Experiment(
        description="a test",
        implementations=IMPLEMENTATIONS,
        total_timesteps=dict.fromkeys(env_ids, steps),
        seeds=tuple(range(seeds)),
        settings={"eval_freq": steps // 2, "n_eval_episodes": 2, "max_episode_steps": 20},
    )
    return replace(made, **changes)


def contents(root: Path, made: Experiment) -> dict[str, Any]:
    """Every file of the runs that holds no times."""
    names = ("evaluations.npz", "config.json", "status.json", "log.txt")
    return {
        f"{run.directory}/{name}": content(root / run.directory / name)
        for run in made.runs()
        for name in names
    }


def tables_of(root: Path) -> dict[str, str]:
    """The text of every table but the one of times."""
    from benchmarks.report.tables import all_tables
    from benchmarks.table import to_markdown

    tables = all_tables(load_results(root))
    return {table.name: to_markdown(table) for table in tables if table.name != "timings"}


def is_done(root: Path, made: Experiment) -> list[bool]:
    return [RunDirectory(root / run.directory).is_done() for run in made.runs()]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the experiment above, carried out by two workers; to be read or copied only."""
    root = tmp_path_factory.mktemp("swept")
    assert sweep(experiment(), root, SweepOptions(workers=2)) == []
    return root


@pytest.fixture
def swept_copy(swept: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(swept, tmp_path / "swept")


@pytest.mark.slow
def test_one_worker_and_two_give_the_same_bytes(swept: Path, tmp_path: Path) -> None:
    forwards = experiment()
    backwards = replace(forwards, implementations=dict(reversed(IMPLEMENTATIONS.items())))
    assert sweep(backwards, tmp_path, SweepOptions(workers=1)) == []
    assert contents(tmp_path, forwards) == contents(swept, forwards)


def failing(how: str) -> Experiment:
    settings = {**IMPLEMENTATIONS["td3"], "env_kwargs": {"how": how}}
    return experiment(
        steps=400,  # past the step that fails, before which there is one evaluation
        implementations={how: settings},
        env_ids=("tests.helpers.failing_envs:Fails-v0",),
        seeds=2,
    )


@pytest.mark.slow
def test_failing_runs_are_named_and_leave_their_tracebacks_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raises, diverges = failing("raises").implementations, failing("diverges").implementations
    good = {"td3": {**IMPLEMENTATIONS["td3"], "env_kwargs": {"how": "not at all"}}}
    mixed = replace(failing("raises"), implementations={**raises, **diverges, **good}, seeds=(0,))
    failures = sweep(mixed, tmp_path, SweepOptions(workers=1))
    told = [("raises", "failed", "the sensor fell off"), ("diverges", "diverged", "reward is NaN")]
    shown = capsys.readouterr().out
    for failure, (how, state, reason) in zip(failures, told, strict=True):
        assert failure.startswith(f"{how}/Fails-v0_0 {state}: ")
        assert reason in failure
        assert "Traceback" in (tmp_path / how / "Fails-v0_0/log.txt").read_text()
        assert any("FAILED" in line and f"{how}/Fails" in line for line in shown.splitlines())
    assert RunDirectory(tmp_path / "td3/Fails-v0_0").is_done()


@pytest.mark.slow
@pytest.mark.timeout(3600)  # on a loaded machine
def test_a_run_that_kills_its_worker_is_given_up_after_the_stated_number_of_restarts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (failure,) = sweep(replace(failing("kills"), seeds=(0,)), tmp_path, SweepOptions(workers=1))
    assert failure == f"kills/Fails-v0_0 failed: its worker died {MAX_RESTARTS + 1} times"
    assert f"restart {MAX_RESTARTS} of at most {MAX_RESTARTS}" in capsys.readouterr().out


@pytest.mark.slow
def test_an_experiment_that_has_grown_is_the_one_that_was_declared_so_at_once(
    swept: Path, tmp_path: Path
) -> None:
    full = experiment()
    small = replace(full, implementations={"td3_reference": IMPLEMENTATIONS["td3_reference"]})
    assert sweep(replace(small, seeds=(0,)), tmp_path, SweepOptions(workers=2)) == []
    assert sweep(full, tmp_path, SweepOptions(workers=2), extend=True) == []
    assert contents(tmp_path, full) == contents(swept, full)
    history = json.loads((tmp_path / "experiment.json").read_text())["declarations"]
    assert [each["runs_before"] for each in history] == [[], ["td3_reference/Pendulum-v1_0"]]
    line = history_text(load_results(tmp_path).experiment, 4)
    assert "(seeds 1 -> 2; new: implementation td3): 1 run and no verdicts before it" in line


@pytest.mark.slow
def test_only_missing_runs_are_carried_out(
    swept_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = experiment()
    *kept, lost = (swept_copy / run.directory for run in made.runs())
    before = [(path / "provenance.json").read_bytes() for path in kept]
    (lost / "evaluations.npz").write_bytes(b"damaged")
    assert sweep(made, swept_copy, SweepOptions(workers=2)) == []
    assert "4 runs in" in (shown := capsys.readouterr().out)
    assert "3 complete, 1 to do" in shown
    assert [(path / "provenance.json").read_bytes() for path in kept] == before
    assert is_done(swept_copy, made) == [True] * 4


def test_another_experiment_in_the_same_folder_is_refused_with_the_difference_shown(
    swept_copy: Path,
) -> None:
    made = experiment()
    before = contents(swept_copy, made)
    for changed, difference in [
        (replace(made, seeds=(1, 2)), r"seeds is \[0, 1\] there and \[1, 2\] here"),
        (experiment(steps=150), "steps on Pendulum-v1 is 120 there"),
        (
            replace(made, margins={"Pendulum-v1": 50.0}),
            "margin of Pendulum-v1 is 10.0 there and 50.0 here",
        ),
    ]:
        with pytest.raises(ConfigError, match=difference):
            sweep(changed, swept_copy, SweepOptions(workers=1))
    (swept_copy / "experiment.json").unlink()
    with pytest.raises(ConfigError, match="total_timesteps is 120 there and 150 here"):
        sweep(experiment(steps=150), swept_copy, SweepOptions(workers=1))
    assert contents(swept_copy, made) == before


def test_the_declaration_says_whether_it_was_there_before_the_runs(tmp_path: Path) -> None:
    file = tmp_path / "experiment.json"
    declare(experiment(), tmp_path)
    assert json.loads(file.read_text())["declared_first"]
    (tmp_path / "td3/Pendulum-v1_0").mkdir(parents=True)
    (tmp_path / "td3/Pendulum-v1_0/config.json").touch()
    declare(experiment(), tmp_path)
    assert json.loads(file.read_text())["declared_first"]
    file.unlink()
    for _ in range(2):
        declare(experiment(), tmp_path)
        assert not json.loads(file.read_text())["declared_first"]


def test_seeds_may_be_added_and_looks_only_before_there_can_be_a_verdict(tmp_path: Path) -> None:
    three, seven = experiment(seeds=3), experiment(seeds=7)
    looks = experiment(seeds=20, looks=(5, 10, 20))
    declare(three, tmp_path)
    made_up_run(tmp_path, "td3", 0, [0.0])
    refuse_mismatch(looks, tmp_path)
    refuse_mismatch(seven, tmp_path)
    declare(seven, tmp_path)
    assert not json.loads((tmp_path / "experiment.json").read_text())["declared_first"]
    refuse_mismatch(experiment(seeds=9), tmp_path)
    with pytest.raises(ConfigError, match="looks is"):
        refuse_mismatch(looks, tmp_path)
    with pytest.raises(ConfigError, match="seeds is"):
        refuse_mismatch(three, tmp_path)
    declare(looks, tmp_path)
    with pytest.raises(ConfigError, match="seeds is"):
        refuse_mismatch(replace(looks, seeds=tuple(range(30))), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["Pendulum-v1", "envs:rocket-v0"])
def test_a_sweep_with_looks_gives_decided_comparisons_no_more_seeds(
    env_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One implementation differs at once, another fails as often only as 20 seeds can show."""
    levels = {"td3_reference": -140.0, "td3": -140.0, "other": -300.0}
    stages = []

    def carry_out(configs: list[RunConfig], *_: Any) -> list[str]:
        stages.append(sorted({(run.label, len(configs)) for run in configs}))
        for run in configs:
            late = {"late_results": np.full((2, 4), levels[run.label] + run.seed % 3)}
            if not RunDirectory(tmp_path / run.directory).is_done():
                made_up_run(tmp_path, run.label, run.seed, [-1000.0, -140.0], env_id, arrays=late)
        return []

    monkeypatch.setattr("benchmarks.sweep.scheduler.run_missing", carry_out)
    monkeypatch.setattr("benchmarks.sweep.scheduler.refuse_unworkable", lambda *_: None)
    monkeypatch.setattr("benchmarks.optimum.values.mean_return", lambda *_: -130.0)
    made = experiment(seeds=40, looks=(5, 10, 20, 40))
    implementations = {**IMPLEMENTATIONS, "other": {"algo": "sac"}}
    made = replace(made, implementations=implementations, total_timesteps={env_id: 100})
    assert sweep(made, tmp_path) == []
    assert stages == [
        [("other", 15), ("td3", 15), ("td3_reference", 15)],
        [("td3", 20), ("td3_reference", 20)],
        [("td3", 40), ("td3_reference", 40)],
    ]
    shown = capsys.readouterr().out
    name = env_name(env_id)
    assert f"after 5 seeds: {name}, other against td3_reference: different in typical" in shown
    assert f"after 20 seeds: {name}, td3 against td3_reference: equivalent." in shown


def test_a_sweep_with_looks_of_which_every_run_fails_says_so_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.sweep.scheduler.run_missing", lambda *_: ["all failed"])
    monkeypatch.setattr("benchmarks.sweep.scheduler.refuse_unworkable", lambda *_: None)
    assert sweep(experiment(seeds=10, looks=(5, 10)), tmp_path) == ["all failed"]


@pytest.mark.slow
@pytest.mark.parametrize("allowed_failures", [0, 3])  # here, and by default elsewhere
def test_a_run_whose_worker_dies_before_its_outcome_is_fetched_is_taken_up_again(
    allowed_failures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DASK_SETTINGS, "distributed.scheduler.allowed-failures", allowed_failures)
    (run,) = experiment(seeds=1, implementations={"td3": IMPLEMENTATIONS["td3"]}).runs()
    shown = Mock(spec=Display)
    with connect(1, None) as client:
        (worker,) = client.nthreads()
        under_way = RunDispatcher(client, tmp_path, "now", shown, StopRequest())
        future = client.submit(RunOutcome, "done", workers=[worker], pure=False)
        wait(future)
        under_way._jobs.append(job := Job(run, worker, future))
        assert client.cluster
        (nanny,) = client.cluster.workers.values()
        os.kill(nanny.pid, signal.SIGSTOP)  # it still seems to be there
        threading.Timer(1.0, os.kill, (nanny.pid, signal.SIGKILL)).start()
        under_way._follow(job, able={worker})
        while worker in client.nthreads():
            time.sleep(0.1)
        under_way._follow(job, able=set())
    assert not under_way._jobs
    assert list(under_way._waiting) == [run]
    assert "restart 1 of at most" in shown.note.call_args.args[0]


def test_two_sweeps_in_one_folder_exclude_each_other(tmp_path: Path) -> None:
    with locked_folder(tmp_path), pytest.raises(ConfigError, match="another sweep is at work"):
        sweep(experiment(), tmp_path)


def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for made, message in [
        (experiment(env_ids=("Pendulum-v1", "Nope-v0")), "Nope-v0"),
        (experiment(env_ids=("CartPole-v1",)), "CartPole-v1"),
    ]:
        with pytest.raises(ConfigError, match=message):
            sweep(made, tmp_path / "root", SweepOptions(workers=1))
        assert not (tmp_path / "root").exists()


def test_a_worker_must_have_one_thread_the_same_software_and_the_same_folder(
    tmp_path: Path,
) -> None:
    fitting: dict[str, Any] = {"threads": 1, "software": software(), "session": "now"}
    assert reason_unfit(fitting, "now", tmp_path) is None
    other = {**software(), "torch": "1.0"}
    further = {**software(), "further": "2.0"}
    changes: list[tuple[dict[str, Any], str]] = [
        ({"threads": 4}, "it has 4 threads"),
        ({"software": other}, "its torch is 1.0, here it is"),
        ({"software": further}, "its further is 2.0, here it is None"),
        ({"session": None}, "it does not see this machine's folder"),
    ]
    for change, message in changes:
        assert message in str(reason_unfit({**fitting, **change}, "now", tmp_path))


def test_a_run_stops_once_its_sweep_is_over_or_another_has_begun(tmp_path: Path) -> None:
    for later in (None, "another"):
        (tmp_path / SESSION).write_text("this")
        over = SessionOver(tmp_path, "this")
        assert not over()
        (tmp_path / SESSION).unlink()
        if later:
            (tmp_path / SESSION).write_text(later)
        time.sleep(0.6)
        assert over()


def test_the_named_experiments_are_what_they_are_called() -> None:
    quick = EXPERIMENTS["quick"].runs()
    assert len({run.directory for run in quick}) == 12
    assert {(run.env_id, run.total_timesteps) for run in quick} == {
        ("Pendulum-v1", 10_000),
        ("rocket-v0", 20_000),
    }
    verdict = EXPERIMENTS["pendulum_verdict"].runs()
    assert len(verdict) == 40
    assert {run.total_timesteps for run in verdict} == {15_000}
    standard = EXPERIMENTS["standard"]
    assert (len(standard.seeds), standard.looks) == (20, (5, 10, 20))
    assert standard.total_timesteps["Pendulum-v1"] == 50_000
    for name, made in EXPERIMENTS.items():
        assert made.against in made.implementations, name
        long = ("article", "halfcheetah_early", "paper")
        freq = 5_000 if name in long else 200 if name == "wild_differences" else 1_000
        assert {run.eval_freq for run in made.runs()} == {freq}
    assert {run.hyperparams["gamma"] for run in EXPERIMENTS["gamma"].runs()} == {
        0.99, 0.995, 0.999
    }  # fmt: skip


def test_the_implementations_of_the_catalogue_exist() -> None:
    for name, made in EXPERIMENTS.items():
        for run in {run.label: run for run in made.runs()}.values():
            assert hyperparameters_of(run), name
            if run.algo.startswith(f"{REFERENCE}:"):
                assert issubclass(agent_class(run.algo), TD3)
    variants = EXPERIMENTS["wild_differences"].implementations
    assert {*variants} - {REFERENCE} == {*VARIANTS}
    counts = Counter(run.label for run in EXPERIMENTS["halfcheetah_early"].runs())
    assert counts == {"td3_reference_paper": 8, "td3_reference": 3, "td3": 3}


# What follows runs the sweep as a command and treats it badly.

LASTING_STEPS = 2_000  # of each of eight runs
LASTING = experiment(
    steps=LASTING_STEPS,
    env_ids=("Pendulum-v1", "rocket-v0"),
    settings={"eval_freq": LASTING_STEPS // 2, "n_eval_episodes": 2},
)
COMMAND = """
import sys
from pathlib import Path
from benchmarks.sweep import cluster
from benchmarks.sweep.options import SweepOptions
from benchmarks.sweep.scheduler import sweep
from tests.benchmarks.sweep.test_scheduler import LASTING

cluster.DASK_SETTINGS["distributed.worker.preload"].append("tests.helpers.saves_often")
options = SweepOptions(workers=2, scheduler=(sys.argv[2:] or [None])[0])
sys.exit(len(sweep(LASTING, Path(sys.argv[1]), options)))
"""


@contextmanager
def command(root: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The sweep in a process group of its own, which is gone at the end."""
    pids = root.parent / "pids"
    pids.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(root), *arguments],
        env=environment(pids),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment(pids: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "WORKER_PIDS": str(pids)}


def wait_until(what: Any, process: subprocess.Popen[bytes]) -> None:
    while not what():
        assert process.poll() is None, "the sweep ended too early"
        time.sleep(0.1)


def steps_taken(root: Path) -> int:
    """Of all runs together, by their status files."""
    files = root.glob("*/*/status.json")
    return sum(json.loads(file.read_text())["step"] for file in files)


def living(pids: Path) -> list[int]:
    """The workers that are alive."""
    numbers = [int(file.name) for file in pids.iterdir()]
    return [number for number in numbers if is_alive(number)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # a zombie is dead
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for_the_end_of(pids: Path) -> None:
    """However long that takes: where one outlives the sweep, the test ends by pytest's timeout."""
    while living(pids):
        time.sleep(0.1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same eight runs, undisturbed."""
    root = tmp_path_factory.mktemp("undisturbed")
    assert sweep(LASTING, root, SweepOptions(workers=2)) == []
    return root


@pytest.mark.slow
@pytest.mark.timeout(3600)  # on a loaded machine
def test_five_killed_workers_and_two_killed_parents_leave_no_trace_in_the_tables(
    undisturbed: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    root, pids = tmp_path / "runs", tmp_path / "pids"
    moments = np.sort(rng.uniform(0.05, 0.9, 7)) * 8 * LASTING_STEPS
    victims = rng.permutation(["worker"] * 5 + ["parent"] * 2)
    print("killed:", *zip(moments.astype(int), victims, strict=True))
    plan = list(zip(moments, victims, strict=True))
    while plan:
        with command(root) as process:
            while plan:
                moment, victim = plan.pop(0)
                wait_until(lambda moment=moment: steps_taken(root) >= moment, process)
                wait_until(lambda: living(pids), process)
                if victim == "parent":
                    process.kill()
                    process.wait()
                    wait_for_the_end_of(pids)
                    break
                os.kill(int(rng.choice(living(pids))), signal.SIGKILL)
            else:
                assert process.wait() == 0
    if not all(is_done(root, LASTING)):
        with command(root) as process:
            assert process.wait() == 0
    assert all(is_done(root, LASTING))
    assert contents(root, LASTING) == contents(undisturbed, LASTING)
    assert tables_of(root) == tables_of(undisturbed)
    provenance = [RunDirectory(root / run.directory).read_json("provenance.json")
                  for run in LASTING.runs()]  # fmt: skip
    assert any(each and each["continued_from_step"] > 0 for each in provenance)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # on a loaded machine
def test_workers_of_an_external_scheduler_give_the_same_tables_though_one_is_killed(
    undisturbed: Path, tmp_path: Path
) -> None:
    root, pids, file = tmp_path / "runs", tmp_path / "pids", tmp_path / "scheduler.json"
    pids.mkdir()
    options = ["--no-dashboard", "--scheduler-file", str(file)]
    one_thread = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
    preload = ["--preload", "benchmarks.sweep.worker", "--preload", "tests.helpers.saves_often"]
    started = []

    def start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *arguments],
                env=environment(pids),
                cwd=tmp_path,
            )
        )
        return started[-1]

    try:
        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", *options)
        while not file.exists():
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        many = start("dask_worker", address, "--nthreads", "2", "--no-nanny", "--no-dashboard")
        with pytest.raises(ConfigError, match="it has 2 threads"):
            sweep_once_a_worker_has_come(address, tmp_path / "refused")
        many.kill()
        many.wait()
        workers = [start("dask_worker", address, *one_thread, *preload) for _ in range(2)]
        with command(root, address) as process:
            wait_until(lambda: steps_taken(root) >= 8 * LASTING_STEPS / 2, process)
            workers[0].kill()
            workers[0].wait()
            assert process.wait() == 0
        assert workers[1].poll() is None, "a sweep must leave somebody's workers alone"
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert contents(root, LASTING) == contents(undisturbed, LASTING)
    assert tables_of(root) == tables_of(undisturbed)


def sweep_once_a_worker_has_come(address: str, root: Path) -> None:
    with connect(1, address) as client:
        client.wait_for_workers(1, timeout=60)
    sweep(experiment(seeds=1), root, SweepOptions(scheduler=address))


@pytest.mark.slow
@pytest.mark.timeout(3600)  # on a loaded machine
def test_ctrl_c_saves_all_runs_within_seconds_and_leaves_no_process(
    undisturbed: Path, tmp_path: Path
) -> None:
    root, pids = tmp_path / "runs", tmp_path / "pids"
    with command(root) as process:
        wait_until(lambda: steps_taken(root) >= 2 * LASTING_STEPS, process)
        began = steps_taken(root)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
        assert process.wait() != 0
        wait_for_the_end_of(pids)
    stopped = [RunDirectory(root / run.directory) for run in LASTING.runs()]
    interrupted = [run for run in stopped if run.status()["state"] == "interrupted"]
    assert 1 <= len(interrupted) <= 2
    assert all(load_checkpoint(run.path / "checkpoint") for run in interrupted)
    assert steps_taken(root) - began < 4 * LASTING_STEPS
    with command(root) as process:
        assert process.wait() == 0
    assert contents(root, LASTING) == contents(undisturbed, LASTING)
