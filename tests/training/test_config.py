"""The configuration of a run."""

import json
from typing import Any

import pytest

from training.config import ConfigError, RunConfig


def config(**changes: Any) -> RunConfig:
    return RunConfig(**{"algo": "td3", "env_id": "rocket-v0", "total_timesteps": 100, **changes})


def test_a_configuration_survives_json() -> None:
    original = config(env_kwargs={"dt": 0.02}, hyperparams={"gamma": 0.9}, seed=4)
    assert RunConfig.from_json(json.loads(json.dumps(original.to_json()))) == original


@pytest.mark.parametrize(
    ("env_id", "directory"),
    [
        ("rocket-v0", "td3/rocket-v0_7"),
        ("envs:rocket-v0", "td3/rocket-v0_7"),
        ("my:a/B-v1", "td3/a-B-v1_7"),
    ],
)
def test_the_directory_is_named_after_label_environment_and_seed(
    env_id: str, directory: str
) -> None:
    assert config(env_id=env_id, seed=7).directory == directory


def test_a_configuration_from_before_a_setting_existed_has_its_default() -> None:
    values = config().to_json()
    del values["evaluation"]
    assert RunConfig.from_json(values).evaluation == "fixed"


def test_the_label_is_the_algorithm_unless_given() -> None:
    assert config().label == "td3"
    assert config(label="td3-wide").directory.startswith("td3-wide/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("total_timesteps", 0),
        ("total_timesteps", -5),
        ("total_timesteps", 1e4),
        ("seed", True),
        ("eval_freq", 0),
        ("n_eval_episodes", 0),
        ("evaluation", "live"),
        ("label", "TD3"),
        ("label", "../elsewhere"),
        ("label", "a/b"),
    ],
)
def test_values_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        config(**{name: value})
