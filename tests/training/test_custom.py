"""Agents with training loops of their own, in the same run directories as all others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.policies.load import load_policy
from training.config import ConfigError, RunConfig
from training.environments import make_env
from training.run import hyperparameters_of, refuse_impossible, run
from training.run_directory import RunDirectory

AGENTS = "tests.helpers.own_agents"


def config(name: str, **changes: Any) -> RunConfig:
    values: dict[str, Any] = {"total_timesteps": 60, "eval_freq": 20, "n_eval_episodes": 2}
    values |= {"env_id": "Pendulum-v1", "max_episode_steps": 25, **changes}
    return RunConfig(algo=f"{AGENTS}:{name}", **values)


def evaluations(path: Path) -> dict[str, Any]:
    with np.load(path / "evaluations.npz") as arrays:
        return dict(arrays)


@pytest.mark.slow
def test_a_loop_of_ones_own_is_evaluated_by_the_protocol_and_repeats_itself(tmp_path: Path) -> None:
    first = run(config("Walks"), tmp_path / "one")
    second = run(config("Walks"), tmp_path / "two")
    found = evaluations(first)
    assert found["timesteps"].tolist() == [0, 20, 40, 60]
    assert found["final_results"].shape == (100,)
    for name in ("evaluations.npz", "config.json", "policy.bin", "log.txt"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert RunDirectory(first).is_done()


@pytest.mark.slow
def test_callback_and_generator_are_the_same_to_a_run(tmp_path: Path) -> None:
    results = [evaluations(run(config(name), tmp_path))["results"] for name in ("Walks", "Yields")]
    np.testing.assert_array_equal(*results)


def test_hyperparameters_are_the_named_arguments_of_the_constructor(tmp_path: Path) -> None:
    assert hyperparameters_of(config("Walks", hyperparams={"scale": 2.0})) == {"scale": 2.0}
    with pytest.raises(ConfigError, match=r"unknown hyperparameters of .*: size; it has scale"):
        hyperparameters_of(config("Walks", hyperparams={"size": 2.0}))
    with pytest.raises(ConfigError, match=r"scale of .* must be of type float"):
        hyperparameters_of(config("Walks", hyperparams={"scale": "big"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_envs": 2}, "takes one environment"),
        ({"preset": "released"}, "has no presets"),
        ({"algo": f"{AGENTS}:Picky"}, "cannot be built: not this environment"),
        ({"algo": f"{AGENTS}:np"}, "must be a subclass of SB3's, or have predict and learn"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_is_written(
    changes: dict[str, Any], message: str
) -> None:
    values = {**config("Walks").to_json(), "label": "", **changes}
    with pytest.raises(ConfigError, match=message):
        refuse_impossible(RunConfig.from_json(values), check=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [("Silent", "60 steps .* on_step.. 0 times"), ("Early", "ended at step 30, short of 60")],
)
def test_a_loop_that_does_not_keep_to_the_steps_has_failed(
    name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match=message):
        run(config(name), tmp_path)
    assert RunDirectory(tmp_path / config(name).directory).status()["state"] == "failed"


def test_the_saved_policy_is_loaded_again(tmp_path: Path) -> None:
    path = run(config("Walks"), tmp_path)
    env = make_env(config("Walks"))
    observation = np.zeros((3, 3), np.float32)
    actions, _ = load_policy(str(path), env).policy.predict(observation)
    np.testing.assert_array_equal(actions[0], np.load(path / "policy.bin"))
