"""train_sb3.py, as a command and as a library."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import TD3
from stable_baselines3.common.monitor import Monitor, load_results
from stable_baselines3.common.vec_env import DummyVecEnv

import train_sb3
from envs.rollout import evaluate, play_side_by_side
from train_sb3 import RunConfig, train
from training.environments import make_env
from training.run_directory import RunDirectory
from training.sb3 import learner

SHORT: dict[str, Any] = {"total_timesteps": 150, "eval_freq": 50, "n_eval_episodes": 2}
LIMIT = 20  # steps of an episode
TINY = {"learning_starts": 50, "batch_size": 16, "policy_kwargs": {"net_arch": [8]}}


def short_run(root: Path, **changes: Any) -> Path:
    settings = {"algo": "td3", "env_id": "rocket-v0", "hyperparams": TINY, **SHORT}
    settings |= {"max_episode_steps": LIMIT, **changes}
    return train(RunConfig(**settings), root)


def command(monkeypatch: pytest.MonkeyPatch, root: Path, *arguments: str) -> int:
    """Exit status of the command line."""
    monkeypatch.setattr(sys, "argv", ["train_sb3.py", "--root", str(root), *arguments])
    try:
        train_sb3.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["a2c", "ddpg", "ppo", "sac", "td3"])
def test_every_algorithm_for_continuous_actions_leaves_a_complete_run(
    algo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = ["--total-timesteps", "600", "--eval-freq", "300", "--n-eval-episodes", "2"]
    assert command(monkeypatch, tmp_path, "--algo", algo, "--env-id", "rocket-v0", *steps) == 0
    path = tmp_path / algo / "rocket-v0_0"
    assert "is complete" in capsys.readouterr().out
    assert RunDirectory(path).is_done()
    reached = 2048 if algo == "ppo" else 600  # which ends with a rollout
    assert np.load(path / "evaluations.npz")["timesteps"].tolist() == [0, 300, reached]
    assert (path / "model.zip").exists()


@pytest.mark.slow
def test_the_command_line_takes_the_published_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ["--total-timesteps", "10", "--n-eval-episodes", "1", "--env-id", "CartPole-v1"]
    options = ["--algo", "dqn", "--evaluation", "published"]
    assert command(monkeypatch, tmp_path, *short, *options) == 0
    settings = RunDirectory(tmp_path / "dqn/CartPole-v1_0").read_json("config.json")
    assert settings is not None
    assert settings["config"]["evaluation"] == "published"
    assert command(monkeypatch, tmp_path, *short, "--evaluation", "live") == 2


def test_dqn_trains_on_discrete_actions(tmp_path: Path) -> None:
    hyperparams = {"learning_starts": 50}
    path = train(
        RunConfig(algo="dqn", env_id="CartPole-v1", hyperparams=hyperparams, **SHORT), tmp_path
    )
    assert RunDirectory(path).is_done()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    first, second = short_run(tmp_path / "a"), short_run(tmp_path / "b")
    other = short_run(tmp_path / "a", seed=1)
    for name in ("evaluations.npz", "model.zip", "config.json", "log.txt", "status.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert (first / "evaluations.npz").read_bytes() != (other / "evaluations.npz").read_bytes()


@pytest.mark.slow
def test_evaluating_more_often_does_not_change_the_training(tmp_path: Path) -> None:
    seldom, often = (
        short_run(tmp_path / "a", eval_freq=150),
        short_run(tmp_path / "b", eval_freq=25),
    )
    weights = [TD3.load(path / "model.zip").get_parameters()["policy"] for path in (seldom, often)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


@pytest.mark.slow
def test_the_saved_model_is_the_one_that_was_scored_last(tmp_path: Path) -> None:
    path = short_run(tmp_path)
    model = TD3.load(path / "model.zip", device="cpu")
    config = RunConfig(algo="td3", env_id="rocket-v0", max_episode_steps=LIMIT, **SHORT)
    envs = [make_env(config) for _ in range(2)]
    with np.load(path / "evaluations.npz") as found:
        assert (
            evaluate(play_side_by_side(model, envs, [10_000, 10_001])).returns.tolist()
            == found["results"][-1].tolist()
        )


def test_only_the_first_training_episode_is_seeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int | None] = []
    starts: list[tuple[float, ...]] = []

    class Recorder(gym.Wrapper[Any, Any, Any, Any]):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            observation, info = self.env.reset(seed=seed, options=options)
            seeds.append(seed)
            starts.append(tuple(observation))
            return observation, info

    def make(config: RunConfig, gamma: float) -> Any:
        return DummyVecEnv([lambda: Monitor(Recorder(make_env(config)))])

    monkeypatch.setattr(learner, "make_training_env", make)
    short_run(tmp_path, env_id="Pendulum-v1", total_timesteps=4 * LIMIT, seed=6)
    assert seeds == [6, None, None, None, None]
    assert len(set(starts)) == 5


def test_the_monitor_file_is_read_by_sb3s_own_tools(tmp_path: Path) -> None:
    run = short_run(tmp_path, env_id="Pendulum-v1", total_timesteps=2 * LIMIT)
    assert load_results(str(run))["l"].tolist() == [LIMIT, LIMIT]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--algo", "nope"], "must be one of a2c, ars, crossq, ddpg,"),
        (["--env-id", "nope-v0"], "must be a registered Gymnasium id"),
        (["--env-id", "roket-v0"], "did you mean rocket-v0?"),
        (["--env-id", "rocket-v7"], "rocket-v0"),
        (["--env-id", "no_such_module:Thing-v0"], "no_such_module"),
        (
            ["--env-id", "CartPole-v1"],
            "algorithms that do: a2c, ars, dqn, maskable_ppo, ppo, qrdqn",
        ),
        (["--algo", "dqn"], "algorithms that do: a2c, ars, crossq, ddpg, ppo, recurrent_ppo, sac"),
        (["--total-timesteps", "-1"], "total_timesteps must be 1 or more"),
        (["--total-timesteps", "0"], "total_timesteps must be 1 or more"),
        (["--seed", "-1"], "seed must be from 0 to 4294967295"),
        (["--eval-freq", "0"], "eval_freq must be 1 or more"),
        (["--n-eval-episodes", "-3"], "n_eval_episodes must be 1 or more"),
        (["--preset", "nope"], "must be one of released, sb3_default"),
        (["--algo", "SAC"], "must be one of a2c, ars, crossq, ddpg,"),
        (["--device", "nope"], "Expected one of cpu, cuda"),
        (["--device", "cuda:99"], "device 'cuda:99' cannot be used, cpu always can"),
        (["--label", "A b"], "label must be lower-case"),
    ],
)
def test_nonsense_is_refused_in_one_line_before_anything_is_written(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(monkeypatch, tmp_path, *arguments) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert message in output.err
    assert list(tmp_path.iterdir()) == []


def test_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys, train_sb3\n"
        "sys.argv = ['train_sb3.py', '--help']\n"
        "try:\n    train_sb3.main()\n"
        "except SystemExit as stop:\n    assert stop.code == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert "--total-timesteps" in finished.stdout
