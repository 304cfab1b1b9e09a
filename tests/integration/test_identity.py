"""An environment has one name, wherever it is written and however its module is given."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.analysis.comparisons import compare_all
from benchmarks.analysis.load import groups, load_results
from benchmarks.declaration import refuse_mismatch
from benchmarks.experiments import EXPERIMENT_FILE, Experiment
from benchmarks.optimum.tasks import has_optimum
from benchmarks.policies.record import run_of
from benchmarks.report.gallery import showcase
from tests.helpers.comparison import compare_page
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError, RunConfig, env_name, env_stem, refuse_name_clashes
from training.sb3.algorithms import environment_family

OWN = Experiment(
    description="one environment of the user's own",
    implementations={"a": {"algo": "td3"}, "b": {"algo": "td3"}},
    total_timesteps={"my.module:Own-v1": 100},
    seeds=(0, 1, 2),
    against="b",
    margins={"my.module:Own-v1": 7.5},
)


def own_runs(root: Path) -> Path:
    """Runs of both implementations, written down with different prefixes by their makers."""
    for seed in range(3):
        made_up_run(root, "a", seed, [0.0, 1.0 + seed], env_id="my.module:Own-v1")
        made_up_run(root, "b", seed, [0.0, 1.0 + seed], env_id="my.module:Own-v1")
    (root / EXPERIMENT_FILE).write_text(json.dumps(OWN.to_json()))
    return root


@pytest.mark.parametrize(
    ("env_id", "name", "stem", "family"),
    [
        ("rocket-v0", "rocket-v0", "rocket-v0", "rocket"),
        ("envs:rocket-v0", "rocket-v0", "rocket-v0", "rocket"),
        ("my.module:space/Own-v1", "space/Own-v1", "space-Own-v1", "Own"),
    ],
)
def test_the_name_is_the_id_without_its_module(
    env_id: str, name: str, stem: str, family: str
) -> None:
    assert (env_name(env_id), env_stem(env_id), environment_family(env_id)) == (name, stem, family)
    run = RunConfig(algo="td3", env_id=env_id, total_timesteps=1)
    assert run.directory == f"td3/{stem}_0"


@pytest.mark.slow
def test_a_declared_margin_holds_wherever_the_runs_are_compared(tmp_path: Path) -> None:
    root = own_runs(tmp_path / "runs")
    assert OWN.to_json()["declaration"]["margins"] == {"Own-v1": 7.5}
    results = load_results(root)
    assert groups(results) == [("Own-v1", "a"), ("Own-v1", "b")]
    (each,) = compare_all(results)
    assert each.verdict
    assert each.verdict.typical.margin == 7.5
    for env_id in (None, "Own-v1", "my.module:Own-v1"):
        page = compare_page(root, env_id)
        assert f"Margin: declared in {root / EXPERIMENT_FILE}" in page
        assert "[-17.4, 17.4] | [-22.7, 22.7] |    7.5 |" in page


@pytest.mark.slow
def test_a_margin_declared_with_arguments_for_all_runs_holds_in_compare(tmp_path: Path) -> None:
    for label in ("a", "b"):
        for seed in range(3):
            kwargs = {"dt": 0.02, "mass": 2} if label == "a" else {"mass": 2, "dt": 0.02}
            made_up_run(tmp_path, label, seed, [0.0, 1.0 + seed], "my.module:Own-v1",
                        env_kwargs=kwargs)  # fmt: skip
    (tmp_path / EXPERIMENT_FILE).write_text(json.dumps(OWN.to_json()))
    page = compare_page(tmp_path)
    assert f"Margin: declared in {tmp_path / EXPERIMENT_FILE}" in page


def test_a_known_margin_is_declared_though_the_module_is_given() -> None:
    experiment = Experiment(
        description="", implementations={}, total_timesteps={"envs:rocket-v0": 9}, seeds=(0,)
    )
    declared = experiment.to_json()["declaration"]
    assert declared["margins"] == {"rocket-v0": 20.0}
    assert declared["failure_regrets"] == {"rocket-v0": 50.0}


def test_a_declaration_from_before_there_was_one_name_is_still_the_same(tmp_path: Path) -> None:
    declared = OWN.to_json()
    for name, value in (("margins", 7.5), ("failure_regrets", None)):
        declared["declaration"][name] = {"my.module:Own-v1": value}
    (tmp_path / EXPERIMENT_FILE).write_text(json.dumps(declared))
    refuse_mismatch(OWN, tmp_path)
    with pytest.raises(ConfigError, match=r"margin of Own-v1 is 7\.5 there and None here"):
        refuse_mismatch(dataclasses.replace(OWN, margins={}), tmp_path)


def test_a_recording_is_of_the_run_however_its_environment_is_named(tmp_path: Path) -> None:
    path = made_up_run(tmp_path, "a", 0, [0.0, 1.0], "my.module:Own-v1", env_kwargs={"dt": 0.5})
    for env_id in (None, "Own-v1", "my.module:Own-v1"):
        run, output = run_of([str(path)], env_id)
        assert run.env_kwargs == {"dt": 0.5}
        assert output == Path("recordings/a+Own-v1_0")
    assert run_of([str(path)], "Pendulum-v1")[0].env_kwargs == {}


def test_the_optimum_is_not_that_of_a_namesake() -> None:
    assert has_optimum("Pendulum-v1")
    assert has_optimum("envs:rocket-v0")
    assert not has_optimum("my.module:Pendulum-v1")


def test_a_time_limit_of_ones_own_makes_another_task() -> None:
    def config(**changes: Any) -> RunConfig:
        return RunConfig(algo="td3", env_id="envs:rocket-v0", total_timesteps=1, **changes)

    assert config().is_as_registered
    assert not config(max_episode_steps=50).is_as_registered
    assert not config(env_kwargs={"dt": 0.1}).is_as_registered
    assert config().task == "rocket-v0"
    tasks = {config(env_kwargs=kwargs).task for kwargs in ({"a": 1, "b": 2}, {"b": 2, "a": 1})}
    assert tasks == {"rocket-v0 ('a', 1) ('b', 2)"}
    assert config(max_episode_steps=50).task == "rocket-v0 ('max_episode_steps', 50)"


def test_no_regret_is_taken_from_the_optimum_of_another_task(tmp_path: Path) -> None:
    made_up_run(tmp_path, "a", 0, [0.0, 1.0], env_id="rocket-v0", max_episode_steps=50)
    assert load_results(tmp_path).finals["mean_regret"].isna().all()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a:Own-v0", "b:Own-v0"),
        ("space/Own-v0", "space-Own-v0"),
        ("own-v0", "Own-v0"),
        ("a:Pendulum-v1", "Pendulum-v1"),
    ],
)
def test_different_environments_of_one_name_or_place_are_refused(
    first: str, second: str, tmp_path: Path
) -> None:
    words = "two of the environments would be called alike"
    with pytest.raises(ConfigError, match=words):
        refuse_name_clashes([first, second])
    experiment = dataclasses.replace(OWN, total_timesteps={first: 100, second: 100})
    with pytest.raises(ConfigError, match=words):
        experiment.runs()
    made_up_run(tmp_path, "a", 0, [0.0, 1.0], env_id=first)
    made_up_run(tmp_path, "b", 0, [0.0, 1.0], env_id=second)
    with pytest.raises(ConfigError, match=words):
        load_results(tmp_path)


def test_one_environment_under_two_names_is_one_and_not_run_twice(tmp_path: Path) -> None:
    refuse_name_clashes(["rocket-v0", "envs:rocket-v0"])
    made_up_run(tmp_path, "a", 0, [0.0, 1.0], env_id="rocket-v0", evaluation="published")
    made_up_run(tmp_path, "b", 0, [0.0, 1.0], env_id="envs:rocket-v0", evaluation="published")
    assert groups(load_results(tmp_path)) == [("rocket-v0", "a"), ("rocket-v0", "b")]
    twice = dataclasses.replace(OWN, total_timesteps={"rocket-v0": 100, "envs:rocket-v0": 100})
    with pytest.raises(ConfigError, match="named twice"):
        twice.runs()


def test_animations_of_like_sounding_pairs_do_not_replace_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``x`` with ``y_z`` and ``x_y`` with ``z`` once had one file."""
    import gymnasium as gym

    for env_id in ("x-v0_y-v0", "x-v0"):
        gym.register(env_id, "gymnasium.envs.classic_control:PendulumEnv", max_episode_steps=3)
    made_up_run(tmp_path, "y-v0_z", 0, [0.0, 1.0], env_id="x-v0")
    made_up_run(tmp_path, "z", 0, [0.0, 1.0], env_id="x-v0_y-v0")
    monkeypatch.setattr("benchmarks.report.gallery._load", lambda source, env: constant)
    names = [each.name for each in showcase(load_results(tmp_path), tmp_path).animations]
    assert len(set(names)) == 2


class Constant:
    def predict(self, observation: object, *_: object, **__: object) -> tuple[object, None]:
        import numpy as np

        return np.zeros((1, 1), np.float32), None


constant = Constant()
