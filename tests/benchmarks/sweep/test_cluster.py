"""Which workers of a cluster take runs."""

from pathlib import Path
from typing import Any

from benchmarks.sweep.cluster import Workers
from benchmarks.sweep.worker import software


class FakeClient:
    """A cluster whose workers describe themselves as they are told to."""

    cluster = None

    def __init__(self, workers: dict[str, dict[str, Any]]) -> None:
        self.workers = workers

    def nthreads(self) -> dict[str, int]:
        return {address: worker["threads"] for address, worker in self.workers.items()}

    def run(self, *_: Any, workers: list[str], **__: Any) -> dict[str, Any]:
        return {address: self.workers[address] for address in workers}


def test_workers_that_cannot_take_runs_are_told_once_for_each_reason(tmp_path: Path) -> None:
    fitting = {"threads": 1, "software": software(), "session": "now"}
    old = {**fitting, "software": {**software(), "torch": "1.0"}}
    threaded = {**fitting, "threads": 2}
    described = {"a": fitting, "b": old, "c": threaded, "d": old, "e": old}
    workers = Workers(FakeClient(described), tmp_path, "now")  # type: ignore[arg-type]
    able, refused = workers.poll()
    assert able == {"a"}
    torch = software()["torch"]
    assert refused == [
        f"worker b and 2 more cannot take runs: its torch is 1.0, here it is {torch}",
        "worker c cannot take runs: it has 2 threads; start it with --nthreads 1",
    ]
    assert workers.poll() == ({"a"}, [])  # told once
