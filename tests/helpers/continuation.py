"""Runs that are stopped and go on, and those of their results that must not depend on it."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.monitor import load_results

from training.config import RunConfig
from training.endings import RunStopped
from training.run import run as train
from training.run_directory import LOG, RunDirectory

TIMED = ("provenance.json", "train.monitor.csv", ".lock")


def content(file: Path) -> Any:
    """Content of a file of a run, without the lines of log.txt that say it was continued."""
    if file.name == LOG:
        lines = file.read_text().splitlines()
        return [line for line in lines if not line.startswith("continued from step ")]
    if file.name == "status.json":
        status = json.loads(file.read_text())
        return {**status, "digests": {**status.get("digests", {}), LOG: None}}
    return file.read_bytes()


def outcome(path: Path) -> dict[str, Any]:
    """All that must not depend on where a run was stopped."""
    assert RunDirectory(path).is_done()
    files = [file for file in path.iterdir() if file.is_file() and file.name not in TIMED]
    held = {file.name: content(file) for file in files}
    assert {"evaluations.npz", "config.json", LOG, "status.json"} < held.keys()
    assert {"model.zip", "policy.safetensors"} & held.keys()
    return {**held, "episodes": load_results(str(path))[["r", "l"]].to_numpy().tolist()}


def trained(run: RunConfig, root: Path) -> dict[str, Any]:
    """Train without a stop."""
    return outcome(train(run, root, check=False))


def trained_with_stops(run: RunConfig, root: Path, cuts: Iterable[int]) -> dict[str, Any]:
    """Train, asking the run to stop at each of the given steps."""
    cuts = list(cuts)
    for cut in cuts:
        seen = [0]

        def on_progress(step: int, *returns: float | None, seen: list[int] = seen) -> None:
            seen[0] = step

        def should_stop(cut: int = cut, seen: list[int] = seen) -> bool:
            return seen[0] >= cut

        with pytest.raises(RunStopped):
            train(run, root, on_progress, should_stop=should_stop, check=False)
        # A new process does not find the generators as the last one left them.
        np.random.seed(cut)  # noqa: NPY002
        random.seed(cut)
        torch.manual_seed(cut)
        assert RunDirectory(root / run.directory).status()["state"] == "interrupted"
    path = train(run, root, check=False)
    assert not (path / "checkpoint").exists()
    provenance = RunDirectory(path).provenance()
    assert provenance["continued_from_step"] >= cuts[-1]
    line = f"continued from step {provenance['continued_from_step']}"
    assert line in (path / LOG).read_text().splitlines()
    return outcome(path)


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Compare outcomes, naming the files that differ."""
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
