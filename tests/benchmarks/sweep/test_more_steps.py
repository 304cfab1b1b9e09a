"""A sweep whose runs get more steps leaves what one of so many steps would have left."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.analysis.load import load_results
from benchmarks.declaration import declare, history_text
from benchmarks.experiments import Experiment
from benchmarks.sweep.options import SweepOptions
from benchmarks.sweep.scheduler import extended_runs_text, sweep
from benchmarks.sweep.status import overview
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError
from training.run import run

SMALL: dict[str, Any] = {"learning_starts": 50, "batch_size": 16, "hidden_sizes": [16]}
SHORT = Experiment(
    description="a test",
    implementations={"td3_reference": {"algo": "td3_reference", "hyperparams": SMALL}},
    total_timesteps={"Pendulum-v1": 120},
    seeds=(0, 1),
    settings={"eval_freq": 60, "n_eval_episodes": 2, "max_episode_steps": 20},
)
LONG = replace(SHORT, total_timesteps={"Pendulum-v1": 200})


def evaluations(root: Path) -> list[bytes]:
    return [
        (root / run.directory / "evaluations.npz").read_bytes()
        for run in LONG.runs()
    ]  # fmt: skip


@pytest.mark.slow
def test_more_steps_give_what_so_many_at_once_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grown = tmp_path / "grown"
    assert sweep(SHORT, grown, SweepOptions(workers=1, check=False)) == []
    with pytest.raises(ConfigError, match="--extend lets it grow"):
        sweep(LONG, grown, SweepOptions(workers=1, check=False))
    capsys.readouterr()
    assert sweep(LONG, grown, SweepOptions(workers=1, check=False), extend=True) == []
    assert "runs that get more steps: 2, of which 0 resume" in capsys.readouterr().out
    for each in LONG.runs():
        run(each, tmp_path / "at_once", check=False)
    assert evaluations(grown) == evaluations(tmp_path / "at_once")
    results = load_results(grown)
    assert "(2 of fewer steps), 2 runs after" in history_text(
        results.experiment, len(results.finals)
    )
    assert sweep(LONG, grown, SweepOptions(workers=1, check=False)) == []  # nothing is left to do


def test_runs_that_are_still_to_be_made_longer_are_left_out_and_named(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 0, [0.0, 1.0, 2.0])
    made_up_run(tmp_path, "td3", 1, [0.0, 1.0])
    settings = {"eval_freq": 1_000, "n_eval_episodes": 2}
    made = replace(SHORT, implementations={"td3": {"algo": "td3"}}, against="td3",
                   total_timesteps={"Pendulum-v1": 200}, settings=settings)  # fmt: skip
    declare(made, tmp_path)
    results = load_results(tmp_path)
    assert results.finals["seed"].tolist() == [0]
    assert results.unfinished == ["td3/Pendulum-v1_1 (100 of 200 steps)"]
    told_before = extended_runs_text(made.runs(), tmp_path)
    assert "more steps: 1, of which 0 resume from a checkpoint and 1 start over" in told_before
    assert "1 done, 1 shorter" in overview(made.runs(), tmp_path, measured=False)
