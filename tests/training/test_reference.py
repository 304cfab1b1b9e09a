"""The reference TD3 in a run directory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from training.config import ConfigError, RunConfig
from training.reference import resolve_hyperparameters
from training.run import run
from training.run_directory import RunDirectory

TINY = {"learning_starts": 50, "batch_size": 16, "hidden_sizes": [8]}


def config(**changes: Any) -> RunConfig:
    settings = {
        "algo": "td3_reference",
        "env_id": "rocket-v0",
        "total_timesteps": 300,
        "eval_freq": 100,
        "n_eval_episodes": 2,
        "hyperparams": TINY,
    }
    return RunConfig(**{**settings, **changes})


@pytest.mark.slow
def test_a_run_leaves_the_same_files_as_sb3s_with_its_policy_as_safetensors(tmp_path: Path) -> None:
    path = run(config(), tmp_path)
    assert RunDirectory(path).is_done()
    assert np.load(path / "evaluations.npz")["timesteps"].tolist() == [0, 100, 200, 300]
    assert (path / "train.monitor.csv").exists()
    weights = load_file(path / "policy.safetensors")
    assert weights["net.0.weight"].shape == (8, 2)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    first, second = run(config(), tmp_path / "a"), run(config(), tmp_path / "b")
    other = run(config(seed=1), tmp_path / "a")
    for name in ("evaluations.npz", "policy.safetensors", "config.json", "log.txt", "status.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert (first / "evaluations.npz").read_bytes() != (other / "evaluations.npz").read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env_id": "CartPole-v1"}, "vector of numbers as actions"),
        ({"preset": "nope"}, "must be released or paper"),
        ({"device": "cuda"}, "runs on device cpu alone"),
        ({"hyperparams": {"gama": 1}}, "gama; it has .*gamma"),
    ],
)
def test_nonsense_is_refused_before_anything_is_written(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        run(config(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("env_id", "steps"),
    [("Pendulum-v1", 1_000), ("rocket-v0", 1_000), ("Reacher-v4", 1_000), ("Hopper-v4", 25_000)],
)
def test_the_warm_up_depends_on_the_environment(env_id: str, steps: int) -> None:
    settings = resolve_hyperparameters(config(env_id=env_id, hyperparams={}))
    assert settings["learning_starts"] == steps


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["td3", "td3_reference"])
def test_both_implementations_learn_to_swing_the_pendulum_up(algo: str, tmp_path: Path) -> None:
    path = run(RunConfig(algo=algo, env_id="Pendulum-v1", seed=5, total_timesteps=10_000), tmp_path)
    with np.load(path / "evaluations.npz") as evaluations:
        assert evaluations["results"][0].mean() < -900
        assert evaluations["final_results"].mean() > -250
