"""In which settings two sides of a verdict differ."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.analysis.settings import differences, differences_text
from benchmarks.report.page import write_report
from tests.helpers.comparison import compare_page
from tests.helpers.made_up_runs import made_up_run, set_optimum
from training.config import RunConfig
from training.run import hyperparameters_of
from training.run_directory import settings_of


def settings(algo: str = "td3", **changes: Any) -> dict[str, Any]:
    """Content of config.json of a run as it would be trained."""
    values = {"env_id": "rocket-v0", "total_timesteps": 100, **changes}
    config = RunConfig(algo=algo, **values)
    return settings_of(config, hyperparameters_of(config))


SB3_DEFAULT = {"preset": "sb3_default"}
CHANGES: list[tuple[dict[str, Any], tuple[str, Any, Any]]] = [
    ({"env_kwargs": {"dt": 0.02}}, ("env_kwargs.dt", "default", 0.02)),
    ({"total_timesteps": 200}, ("total_timesteps", 100, 200)),
    ({"eval_freq": 10}, ("eval_freq", 1_000, 10)),
    ({"n_eval_episodes": 3}, ("n_eval_episodes", 10, 3)),
    ({"evaluation": "published"}, ("evaluation", "fixed", "published")),
    ({"normalize": True}, ("normalize", False, True)),
    ({"device": "cuda"}, ("device", "cpu", "cuda")),
    ({"hyperparams": {"gamma": 0.5}}, ("gamma", 0.99, 0.5)),
    ({"hyperparams": {"policy_delay": 3}}, ("policy_delay", 2, 3)),
    ({"hyperparams": {"target_policy_noise": 0.1}}, ("target_policy_noise", 0.2, 0.1)),
    ({"hyperparams": {"target_noise_clip": 0.1}}, ("target_noise_clip", 0.5, 0.1)),
    ({"hyperparams": {"train_freq": 4}}, ("train_freq", 1, 4)),
    ({"hyperparams": {"gradient_steps": 4}}, ("gradient_steps", 1, 4)),
    (
        {"hyperparams": {"policy_kwargs": {"net_arch": [64, 32]}}},
        ("policy_kwargs.net_arch", [256, 256], [64, 32]),
    ),
    (
        {"hyperparams": {"policy_kwargs": {"activation_fn": "Tanh"}}},
        ("policy_kwargs.activation_fn", "default", "Tanh"),
    ),
]


@pytest.mark.parametrize("algo", ["td3", "td3_reference"])
@pytest.mark.parametrize(("changes", "expected"), CHANGES, ids=str)
def test_each_setting_shows_by_its_one_name_beside_either_td3(
    algo: str, changes: dict[str, Any], expected: tuple[str, Any, Any]
) -> None:
    assert differences(settings(algo), settings(**changes)) == [expected]
    name, one, other = expected
    assert differences(settings(**changes), settings(algo)) == [(name, other, one)]


def test_several_environments_side_by_side_show_with_what_follows() -> None:
    found = differences(settings(), settings(n_envs=4, vec_env="subproc"))
    assert found == [
        ("n_envs", 1, 4),
        ("vec_env", "dummy", "subproc"),
        ("gradient_steps", 1, 4),
    ]


@pytest.mark.parametrize("env_id", ["rocket-v0", "Hopper-v4"])
def test_both_td3s_as_they_come_differ_in_nothing(env_id: str) -> None:
    sides = settings(env_id=env_id), settings("td3_reference", env_id=env_id)
    assert differences(*sides) == []
    assert differences_text("a", "b", []).startswith("Settings: the same for a and b")


def test_what_means_the_same_is_not_listed() -> None:
    same = {"net_arch": {"pi": [256, 256], "qf": [256, 256]}}
    for hyperparams in ({"policy_kwargs": same}, {"train_freq": [1, "step"]}, {"gamma": 0.99}):
        assert differences(settings(), settings(hyperparams=hyperparams)) == []
    assert differences(settings(), settings(env_id="envs:rocket-v0", seed=3, label="x")) == []


def test_layers_that_are_left_to_sb3_are_those_that_it_has() -> None:
    name = "policy_kwargs.net_arch"
    layers = {one: other for one, _, other in differences(settings(), settings(**SB3_DEFAULT))}
    assert layers[name] == [400, 300]
    ddpg = differences(settings(**SB3_DEFAULT), settings("ddpg", **SB3_DEFAULT))
    assert name not in [one for one, *_ in ddpg]
    sac = {one: other for one, *other in differences(settings(**SB3_DEFAULT),
                                                     settings("sac", **SB3_DEFAULT))}  # fmt: skip
    assert sac[name] == [[400, 300], [256, 256]]
    ppo = {one: other for one, *other in differences(settings("tqc"), settings("ppo"))}
    assert ppo[name] == ["default of tqc", "default of ppo"]


def test_the_papers_settings_show_in_full() -> None:
    found = differences(settings(), settings("td3_reference", preset="paper"))
    assert sorted(found) == [
        ("batch_size", 256, 100),
        ("gradient_steps", 1, -1),
        ("learning_rate", 3e-4, 1e-3),
        ("policy_kwargs.net_arch", [256, 256], [400, 300]),
        ("scale_noise", True, False),
        ("train_freq", 1, [1, "episode"]),
    ]


def test_a_length_of_rollouts_is_not_taken_for_that_of_returns() -> None:
    names = [name for name, *_ in differences(settings("tqc"), settings("ppo"))]
    assert "gamma" not in names
    assert not [name for name in names if "n_steps" in name]


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", [3, 5])
def test_they_stand_below_the_verdict(
    num_seeds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or below what stands for it where there are too few seeds; and in its record."""
    set_optimum(monkeypatch)
    monkeypatch.setattr("benchmarks.report.gallery.has_optimum", lambda env_id: False)
    for seed in range(num_seeds):
        made_up_run(tmp_path / "runs", "a", seed, [-9.0, -1.0], gamma=0.9)
        made_up_run(tmp_path / "runs", "b", seed, [-9.0, -1.0], gamma=0.8, n_envs=2)
        made_up_run(tmp_path / "runs", "c", seed, [-9.0, -1.0], gamma=0.9)
    write_report(tmp_path / "runs", tmp_path / "report")
    page = (tmp_path / "report/report.html").read_text()
    line = "Settings that differ, a / b: n_envs 1 / 2; gamma 0.9 / 0.8."
    verdict = "Pendulum-v1, a against b" if num_seeds == 5 else "Pendulum-v1: 3 of 3 runs of a"
    assert page.index(verdict) < page.index(line)
    assert "Settings: the same for a and c, but" in page
    assert page.index(line) < page.index("<h2")
    records = json.loads((tmp_path / "report/verdicts.json").read_text())
    settings = [["n_envs", 1, 2], ["gamma", 0.9, 0.8]]
    assert [record["settings"] for record in records[:2]] == [settings, []]
    compared = compare_page(tmp_path / "runs")
    assert "n_envs 1 / 2; gamma 0.9 / 0.8." in compared
