"""The runs that last for days go on bit for bit: MuJoCo, rollouts, batch norm, other processes."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from tests.helpers.continuation import assert_same, content, outcome, trained, trained_with_stops
from training.config import RunConfig
from training.run import run as train

SMALL: dict[str, Any] = {"policy_kwargs": {"net_arch": [16]}}
MEMORY = {**SMALL, "learning_starts": 40, "batch_size": 16, "buffer_size": 120}
ROLLOUT = {**SMALL, "n_steps": 16, "batch_size": 16}
HYPERPARAMS: dict[str, dict[str, Any]] = {
    "td3": MEMORY,
    "sac": MEMORY,
    "crossq": MEMORY,
    "dqn": {**MEMORY, "target_update_interval": 50, "exploration_fraction": 0.9},
    "qrdqn": {**MEMORY, "target_update_interval": 50, "exploration_fraction": 0.9},
    "a2c": SMALL,
    "ppo": {**ROLLOUT, "n_epochs": 2, "clip_range": "linear:0.2"},
    "trpo": ROLLOUT,
    "recurrent_ppo": {**ROLLOUT, "n_epochs": 2, "policy_kwargs": {"lstm_hidden_size": 8}},
    "maskable_ppo": {**ROLLOUT, "n_epochs": 2},
    "td3_reference": {
        "learning_starts": 40, "batch_size": 16, "hidden_sizes": [16], "buffer_size": 120,
    },
}  # fmt: skip
OTHERS = [
    ("a2c", "CartPole-v1"),
    ("ppo", "CartPole-v1"),
    ("trpo", "rocket-v0"),
    ("recurrent_ppo", "rocket-v0"),
    ("maskable_ppo", "MaskedCartPole-v0"),
    ("crossq", "Pendulum-v1"),
    ("dqn", "CartPole-v1"),
    ("qrdqn", "CartPole-v1"),
]
# In the warm-up; at the end of an episode; after an odd number of updates, in mid-episode; when
# the memory of 120 is just full; after it has wrapped. With rollouts, at the next one's start.
CUTS = (27, 60, 91, 120, 163)


class MaskedCartPole(CartPoleEnv):
    """Which must not be pushed to the side that it has left."""

    def action_masks(self) -> Any:
        position = np.asarray(self.state)[0]
        return np.array([position > -0.02, position < 0.02])

    def get_state(self) -> Any:
        generator = self.np_random.bit_generator.state
        return [np.asarray(self.state).tolist(), self.steps_beyond_terminated, generator]

    def set_state(self, state: Any) -> None:
        values, self.steps_beyond_terminated, generator = state
        self.state = np.array(values)
        self.np_random.bit_generator.state = generator


gym.register("MaskedCartPole-v0", lambda **options: MaskedCartPole(**options))


@pytest.fixture(autouse=True)
def few_late_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.evaluation.N_FINAL_EPISODES", 2)


def config(algo: str, env_id: str, **changes: Any) -> RunConfig:
    settings: dict[str, Any] = {
        "seed": 3,
        "total_timesteps": 200,
        "eval_freq": 100,
        "n_eval_episodes": 2,
        "max_episode_steps": 30,
        "hyperparams": HYPERPARAMS[algo],
    }
    return RunConfig(algo=algo, env_id=env_id, **{**settings, **changes})


def assert_cuts_change_nothing(run: RunConfig, root: Path) -> None:
    straight = trained(run, root / "straight")
    assert_same(straight, trained_with_stops(run, root / "cut", CUTS))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algo", "env_id"),
    [
        ("a2c", "rocket-v0"),
        ("ppo", "rocket-v0"),
        ("crossq", "rocket-v0"),
        *OTHERS,
    ],
)
def test_a_run_stopped_five_times_ends_like_one_that_was_not(
    algo: str, env_id: str, tmp_path: Path
) -> None:
    assert_cuts_change_nothing(config(algo, env_id), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"normalize": True}, {"n_envs": 2}, {"n_envs": 2, "vec_env": "native", "normalize": True}],
    ids=str,
)
def test_so_does_ppo_with_other_environments(changes: dict[str, Any], tmp_path: Path) -> None:
    assert_cuts_change_nothing(config("ppo", "rocket-v0", **changes), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)  # on a loaded machine
def test_so_does_one_with_environments_in_processes_of_their_own(tmp_path: Path) -> None:
    run = config("td3", "rocket-v0", n_envs=2, vec_env="subproc")
    straight = trained(run, tmp_path / "straight")
    assert_same(straight, trained_with_stops(run, tmp_path / "cut", CUTS))
    # They are the same environments as those in this process, so the outcome is the same too.
    here = trained(config("td3", "rocket-v0", n_envs=2), tmp_path / "here")
    assert straight["evaluations.npz"] == here["evaluations.npz"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "env_id",
    [
        "HalfCheetah-v4",
        "Hopper-v5",
        "Walker2d-v5",
        "Ant-v5",
        "Reacher-v5",
        "InvertedPendulum-v5",
    ],
)
def test_so_does_one_on_a_mujoco_task(env_id: str, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    assert_cuts_change_nothing(config("td3", env_id), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["td3", "td3_reference", "ppo"])
def test_so_does_any_algorithm_on_half_cheetah(algo: str, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    assert_cuts_change_nothing(config(algo, "HalfCheetah-v5"), tmp_path)


TRAIN = """
import json, sys
import training.evaluation
from training.config import RunConfig
from training.run import run
training.evaluation.N_FINAL_EPISODES = 2
run(RunConfig.from_json(json.loads(sys.argv[1])), sys.argv[2], checkpoint_freq=100, check=False)
"""


@pytest.mark.slow
@pytest.mark.timeout(3600)  # on a loaded machine
@pytest.mark.parametrize("algo", ["td3_reference", "td3"])
def test_half_cheetah_killed_at_random_moments_ends_as_if_it_had_not_been(
    algo: str, tmp_path: Path
) -> None:
    pytest.importorskip("mujoco")
    run = config(algo, "HalfCheetah-v5", total_timesteps=1500, eval_freq=500)
    straight = train(run, tmp_path / "straight", check=False)
    command = [sys.executable, "-c", TRAIN, json.dumps(run.to_json()), str(tmp_path / "killed")]
    path = tmp_path / "killed" / run.directory
    rng = random.Random(algo)
    kills = 0
    for from_step in (200, 600, 1000):
        with subprocess.Popen(command) as process:
            while step_saved(path) < from_step and process.poll() is None:
                time.sleep(0.02)
            time.sleep(rng.uniform(0.0, 0.2))
            process.send_signal(signal.SIGKILL)
        kills += process.returncode == -signal.SIGKILL
    subprocess.run(command, check=True)
    assert kills >= 2
    assert content(path / "evaluations.npz") == content(straight / "evaluations.npz")
    assert_same(outcome(straight), outcome(path))


def step_saved(path: Path) -> int:
    """Step of the newest checkpoint; 0 where there is none."""
    names = [each.name for each in path.glob("checkpoint/*-*")]
    return max((int(name.partition("-")[0]) for name in names), default=0)
