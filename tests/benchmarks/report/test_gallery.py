"""Policies from the same start: played, drawn and measured."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.analysis.load import load_results
from benchmarks.experiments import EXPERIMENT_FILE, Experiment
from benchmarks.plot_style import POSITION, VELOCITY
from benchmarks.report.gallery import FRAME, FRAMES, SEED, showcase
from envs import rocket_metrics as trajectories
from envs.controllers import make_controller
from envs.rollout import rollout
from tests.helpers.made_up_runs import made_up_run, set_optimum
from training.config import RunConfig
from training.environments import make_env
from training.run import run
from training.run_directory import RunDirectory


@pytest.fixture(autouse=True)
def no_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    set_optimum(monkeypatch)
    monkeypatch.setattr("benchmarks.report.gallery.has_optimum", lambda env_id: False)


@pytest.mark.slow
def test_a_trained_policy_and_the_controllers_are_played_from_the_same_start(
    tmp_path: Path,
) -> None:
    root = tmp_path / "runs"
    small = {"hidden_sizes": [8], "learning_starts": 50, "batch_size": 4}
    experiment = Experiment(
        description="a test",
        implementations={"td3_reference": {"algo": "td3_reference", "hyperparams": small}},
        total_timesteps={"rocket-v0": 60},
        seeds=(0,),
        baselines=("pd",),
        settings={"n_eval_episodes": 2},
    )
    for config in experiment.runs():
        run(config, root)
    RunDirectory(root).write_json(EXPERIMENT_FILE, experiment.to_json())
    shown = showcase(load_results(root), root)
    assert shown.missing == []
    assert [each.name for each in shown.animations] == [
        "showcase_rocket-v0+td3_reference",
        "showcase_rocket-v0+pd",
    ]
    assert shown.table is not None
    env = make_env(RunConfig(algo="any", env_id="rocket-v0", total_timesteps=1))
    episode = rollout(make_controller("pd", env), env, SEED)
    rows = shown.table.data.set_index("policy")
    assert rows["return"]["pd"] == pytest.approx(episode.episode_return)
    error = rows["steady-state error in m"]["pd"]
    assert error == pytest.approx(trajectories.steady_state_error(episode))
    assert rows["jitter in m/s²"]["pd"] == pytest.approx(trajectories.jitter(episode))
    with Image.open(io.BytesIO(shown.animations[1].gif)) as animation:
        assert 10 < animation.n_frames <= FRAMES  # type: ignore[attr-defined]
        assert animation.width == FRAME[0]
    (picture,) = shown.pictures
    assert picture.svg.startswith(b"<?xml")
    with Image.open(io.BytesIO(picture.png)) as figure:
        assert np.asarray(figure.convert("L")).min() < 100
    for colour in (POSITION, VELOCITY):
        assert colour.lower().encode() in picture.svg


def test_what_cannot_be_played_is_named_and_spoils_nothing(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    made_up_run(root, "td3", 0, [-3.0, -1.0])  # it has no model
    made_up_run(root, "td3", 0, [-3.0, -1.0], env_id="my:env-v3")
    shown = showcase(load_results(root), root)
    assert shown.table is None
    assert not shown.animations
    assert not shown.pictures
    first, second = shown.missing
    assert "holds no model.zip" in first
    assert "my:env-v3" in second


@pytest.mark.slow
def test_a_damaged_policy_is_named_and_the_others_are_shown(tmp_path: Path) -> None:
    experiment = Experiment(
        description="a test",
        implementations={"td3_reference": {"algo": "td3_reference"}},
        total_timesteps={"rocket-v0": 100},
        seeds=(0,),
        baselines=("pd", "brake"),
    )
    path = made_up_run(tmp_path, "td3_reference", 0, [-3.0, -1.0], "rocket-v0",
                       algo="td3_reference")  # fmt: skip
    (path / "policy.safetensors").write_bytes(b"no weights")
    RunDirectory(tmp_path).write_json(EXPERIMENT_FILE, experiment.to_json())
    shown = showcase(load_results(tmp_path), tmp_path)
    assert [line.split(":")[0] for line in shown.missing] == ["td3_reference on rocket-v0"]
    assert shown.table is not None
    assert shown.table.data["policy"].tolist() == ["pd", "brake"]


def test_a_complete_run_without_its_model_is_named_without_the_folder_it_lies_in(
    tmp_path: Path,
) -> None:
    made_up_run(tmp_path, "td3", 0, [-3.0, -1.0], env_id="rocket-v0")
    (line,) = showcase(load_results(tmp_path), tmp_path).missing
    assert "td3/rocket-v0_0 holds no model.zip" in line
    assert "not complete" not in line
    assert str(tmp_path) not in line
