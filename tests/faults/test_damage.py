"""Damaged files are noticed: the optimum's cache is made anew, policies are refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.optimum import tasks
from benchmarks.optimum.dynamic_programming import Solution
from benchmarks.policies.load import load_policy
from tests.faults.hostile import hostile_run, seal
from training.config import ConfigError, RunConfig
from training.environments import make_env
from training.run_directory import RunDirectory


def test_a_flipped_byte_anywhere_in_the_optimums_cache_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    grid = tasks.task_grid("Pendulum-v1", 0.02)
    monkeypatch.setattr(tasks, "task_grid", lambda _: grid)
    right = np.arange(2.0 * len(grid.nodes), dtype=np.float32).reshape(2, -1)
    solved: list[str] = []

    def solve(grid: Any, gamma: float) -> Solution:
        solved.append("")
        return Solution(grid, gamma, right)

    monkeypatch.setattr(tasks, "solve", solve)

    def values() -> Any:
        tasks.solution.cache_clear()
        return tasks.solution("Pendulum-v1").values

    values()
    (file,) = tasks.cache_folder().iterdir()
    intact = file.read_bytes()
    assert np.array_equal(values(), right)
    assert len(solved) == 1  # the second came from the cache
    places = [*range(0, 300, 3), *range(300, len(intact), len(intact) // 100)]
    for place in places:
        damaged = bytearray(intact)
        damaged[place] ^= 0x11
        file.write_bytes(damaged)
        assert np.array_equal(values(), right), place
    tasks.solution.cache_clear()
    assert len(solved) > len(places) / 2  # a few bytes, such as dates, have no bearing


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(value: float, tmp_path: Path) -> None:
    import io
    import zipfile

    import torch

    path = hostile_run(tmp_path, "evaluations")  # whose policy is sound
    with zipfile.ZipFile(path / "model.zip") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    weights = torch.load(io.BytesIO(entries["policy.pth"]), weights_only=True)
    name = next(iter(weights))
    weights[name].view(-1)[0] = value
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    with zipfile.ZipFile(path / "model.zip", "w") as archive:
        for each, content in (entries | {"policy.pth": buffer.getvalue()}).items():
            archive.writestr(each, content)
    seal(path)
    settings = RunDirectory(path).settings() or {}
    env = make_env(RunConfig.from_json(settings["config"]))
    with pytest.raises(ConfigError, match=f"model.zip .*weight {name} is NaN or infinite"):
        load_policy(str(path), env)
