"""Reading never locks; where nothing can be locked, one line says so."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.analysis.load import load_results
from benchmarks.sweep import cluster
from benchmarks.sweep.scheduler import locked_folder
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError
from training.run_directory import RunDirectory


def spoil(file: Path, how: str) -> None:
    """Put something else in a lock's place."""
    if how == "folder":
        file.mkdir()
    elif how == "link":
        file.symlink_to(file.with_name("elsewhere"))
    elif how == "pipe":
        os.mkfifo(file)


def refuse_flock(*_: Any) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.mark.parametrize("how", ["folder", "link", "pipe", "missing"])
def test_reading_the_state_of_a_run_neither_locks_nor_writes(how: str, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.write_status("running", 7)
    spoil(tmp_path / ".lock", how)
    before = sorted(tmp_path.iterdir())
    assert run.status()["state"] == "interrupted"
    assert sorted(tmp_path.iterdir()) == before


def test_a_run_is_running_as_long_as_its_lock_is_held(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.write_status("running", 7)
    with run.lock():
        assert run.status()["state"] == "running"
    assert run.status()["state"] == "interrupted"


def test_results_are_read_where_the_disk_has_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made_up_run(tmp_path, "a", 0, [-9.0, -8.0], env_kwargs={"g": 9.0})
    stopped = made_up_run(tmp_path, "a", 1, [-9.0, -8.0], env_kwargs={"g": 9.0})
    RunDirectory(stopped).write_status("running", 7)
    monkeypatch.setattr("fcntl.flock", refuse_flock)
    results = load_results(tmp_path)
    assert len(results.finals) == 1
    assert results.unfinished == ["a/Pendulum-v1_1 (interrupted)"]
    assert RunDirectory(path).is_done()


@pytest.mark.parametrize("how", ["folder", "link", "no flock"])
def test_where_nothing_can_be_locked_one_line_says_so(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "a/Pendulum-v1_0"
    root.mkdir(parents=True)
    if how == "no flock":
        monkeypatch.setattr("fcntl.flock", refuse_flock)
    spoil(root / ".lock", how)
    with pytest.raises(ConfigError, match="lock") as refusal, locked_folder(root):
        pass
    assert len(str(refusal.value).splitlines()) == 1
    with pytest.raises(ConfigError, match="lock"):
        made_up_run(tmp_path, "a", 0, [-9.0, -8.0])


@pytest.mark.parametrize("failures", [1, cluster.START_ATTEMPTS])
def test_workers_that_are_killed_while_they_start_are_started_again(
    failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[str] = []

    def start(**options: Any) -> str:
        attempts.append("")
        if len(attempts) <= failures:
            raise RuntimeError("Worker failed to start.\nand more")
        return "cluster"

    monkeypatch.setattr(cluster, "LocalCluster", start)
    if failures == 1:
        assert str(cluster.start_workers(2)) == "cluster"
    else:
        with pytest.raises(
            ConfigError, match=r"could not be started: Worker failed to start\. and"
        ):
            cluster.start_workers(2)
    assert len(attempts) == min(failures + 1, cluster.START_ATTEMPTS)
