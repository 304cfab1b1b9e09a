"""A worker's memory and threads stay what they are, however many runs it makes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.memory import LOOKS

# With SB3's loggers left open, a worker grew by 243 MB and 29 threads over 60 runs (343 to 586 MB,
# 5 to 34 threads). A quarter of that memory would be a leak, too; of threads, a single one.
MOST_MEGABYTES = 243 / 4


@pytest.mark.slow
def test_a_worker_over_sixty_runs_is_flat() -> None:
    command = [sys.executable, "-m", "tests.faults.memory"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    print(done.stdout)
    found = re.findall(r"after run (\d+): (\d+) MB, (\d+) threads", done.stdout)
    looks = [tuple(map(int, look)) for look in found]
    assert tuple(n_runs for n_runs, _, _ in looks) == LOOKS
    (_, early, threads), _, (_, late, threads_later) = looks
    assert late - early < MOST_MEGABYTES
    assert threads_later <= threads
