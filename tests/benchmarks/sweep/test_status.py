"""What a sweep would do, and for how long."""

from pathlib import Path

import pytest

from benchmarks.sweep.status import measure_speed, overview
from tests.helpers.made_up_runs import made_up_run
from training.config import RunConfig
from training.run_directory import RunDirectory


def run(seed: int, label: str = "a", steps: int = 400) -> RunConfig:
    return RunConfig(
        algo="td3", env_id="Pendulum-v1", label=label, seed=seed, total_timesteps=steps
    )


def made(root: Path, seconds: float, steps_per_second: float) -> None:
    """A complete run of the speed given."""
    path = made_up_run(root, "a", 0, [-9.0] * 5)
    times = {"seconds": seconds, "steps_per_second": steps_per_second}
    RunDirectory(path).write_json("provenance.json", times)


def test_the_time_left_is_that_of_the_missing_runs_at_the_speed_of_complete_ones(
    tmp_path: Path,
) -> None:
    made(tmp_path, 40.0, 10.0)
    text = overview([run(seed) for seed in range(5)], tmp_path, workers=2)
    assert "1 done, 4 pending" in text
    assert "about 01:20 min left with 2 workers" in text  # 4 runs of 40 s


def test_more_workers_than_runs_make_no_run_faster(tmp_path: Path) -> None:
    made(tmp_path, 40.0, 10.0)
    assert "about 00:40 min left" in overview([run(0), run(1)], tmp_path, workers=64)
    # Three runs keep two workers busy for 60 s, but no run takes less than its own 80 s.
    mixed = [run(0), run(1, steps=800), run(2, steps=200), run(3, steps=200)]
    assert "about 01:20 min left" in overview(mixed, tmp_path, workers=2)


def test_a_run_that_fails_while_it_is_measured_is_named_and_not_counted(tmp_path: Path) -> None:
    fails = RunConfig(
        algo="ppo",
        env_id="tests.helpers.failing_envs:Fails-v0",
        label="b",
        total_timesteps=400,
        env_kwargs={"how": "raises"},
        hyperparams={"n_steps": 64},
    )
    text = overview([fails], tmp_path)
    assert (
        "Not counted, since its speed is not known: b on tests.helpers.failing_envs:Fails-v0"
        in text
    )
    assert "the sensor fell off" in text


def test_what_failed_is_shown_with_its_reason(tmp_path: Path) -> None:
    made(tmp_path, 40.0, 10.0)
    status = {"state": "failed", "step": 7, "message": "RuntimeError: the sensor fell off"}
    lost = RunDirectory(tmp_path / "a/Pendulum-v1_1")
    lost.path.mkdir(parents=True)
    lost.write_json("status.json", status)
    assert "a/Pendulum-v1_1 failed: RuntimeError: the sensor fell off" in overview(
        [run(0), run(1)], tmp_path
    )


@pytest.mark.slow
def test_a_run_too_short_to_be_timed_is_refused_as_such() -> None:
    with pytest.raises(ValueError, match="100 steps are too few to be timed"):
        measure_speed(run(0, steps=100))
