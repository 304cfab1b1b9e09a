"""SB3 on a native vector environment: what it learns from is what DummyVecEnv would give it."""

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import TD3
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv as BaseVecEnv

from envs.rocket import RocketEnv
from envs.rocket_vector import RocketVectorEnv
from train_sb3 import RunConfig, train
from training.config import ConfigError
from training.sb3.vec_env import NativeVecEnv

N, LIMIT, STEPS = 6, 40, 600
EASY_GOAL = {"goal_tolerance": 0.3, "start_low": 0.35, "goal_reward": 1000.0, "dt": 0.1}


class RecordingRockets(RocketVectorEnv):
    """Writes down at which states each rocket has started."""

    def __init__(self, *arguments: Any, **parameters: Any) -> None:
        super().__init__(*arguments, **parameters)
        self.starts: list[list[np.ndarray]] = [[] for _ in range(self.num_envs)]

    def _start(self, rows: np.ndarray, starts: np.ndarray | None = None) -> None:
        super()._start(rows, starts)
        for k in rows:
            self.starts[k].append(self.state[k])


class ScriptedRocket(RocketEnv):
    """Starts at given states, one after the other."""

    def __init__(self, starts: list[np.ndarray], **parameters: Any) -> None:
        super().__init__(**parameters)
        self.starts = iter(starts)

    def reset(self, **arguments: Any) -> Any:
        return super().reset(options={"initial_state": next(self.starts)})


def collected_by(env: VecEnv) -> TD3:
    """A model that has filled its replay buffer with random actions."""
    model = TD3("MlpPolicy", env, seed=0, learning_starts=10**6, buffer_size=N * STEPS)
    return model.learn(N * STEPS)


@pytest.mark.slow
def test_the_replay_buffer_holds_what_dummy_vec_env_would_have_put_there() -> None:
    rockets = RecordingRockets(N, LIMIT, autoreset_mode="SameStep", **EASY_GOAL)
    native = collected_by(NativeVecEnv(rockets)).replay_buffer

    def single(k: int) -> Any:
        return gym.wrappers.TimeLimit(ScriptedRocket(rockets.starts[k], **EASY_GOAL), LIMIT)

    dummy = collected_by(DummyVecEnv([partial(single, k) for k in range(N)])).replay_buffer
    assert native is not None
    assert dummy is not None
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        one, other = getattr(native, name), getattr(dummy, name)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert np.array_equal(one, other), name
    ended = native.dones.astype(bool)
    assert ended.sum() > 100
    assert (native.rewards[ended] > 500).sum() > 10  # landings
    assert (native.rewards[ended] < -300).sum() > 10  # crashes
    assert native.timeouts.sum() > 10  # truncations


def test_infos_are_those_of_dummy_vec_env() -> None:
    arguments: dict[str, Any] = {"goal_tolerance": 0.3}
    native: BaseVecEnv = NativeVecEnv(RocketVectorEnv(2, 2, autoreset_mode="SameStep", **arguments))
    dummy = DummyVecEnv([lambda: gym.make("envs:rocket-v0", 2, **arguments)] * 2)
    for env in (native, dummy):
        env.seed(7)
    starts: list[Any] = [native.reset(), dummy.reset()]
    assert np.array_equal(*starts)
    assert native.reset_infos == dummy.reset_infos
    actions = np.zeros((2, 1), np.float32)
    for _ in range(2):
        got, expected = native.step(actions), dummy.step(actions)
        for info, other in zip(got[3], expected[3], strict=True):
            assert info.keys() == other.keys()
            assert np.array_equal(
                info.pop("terminal_observation", 0), other.pop("terminal_observation", 0)
            )
            assert info == other
        for one, other_array in zip(got[1:3], expected[1:3], strict=True):
            assert np.asarray(one).dtype == np.asarray(other_array).dtype
            assert np.array_equal(one, other_array)
    assert got[3][0]["TimeLimit.truncated"] is True


def test_a_vector_environment_that_resets_a_step_late_is_refused() -> None:
    with pytest.raises(ValueError, match="SameStep"):
        NativeVecEnv(RocketVectorEnv(2))


@pytest.mark.slow
@pytest.mark.parametrize("vec_env", ["dummy", "native"])
def test_training_with_several_environments_keeps_the_updates_per_step(
    vec_env: str, tmp_path: Path
) -> None:
    config = RunConfig(
        algo="td3",
        env_id="rocket-v0",
        n_envs=4,
        vec_env=vec_env,
        total_timesteps=200,
        eval_freq=50,
        n_eval_episodes=2,
        hyperparams={"learning_starts": 100},
    )
    path = train(config, tmp_path)
    with np.load(path / "evaluations.npz") as evaluations:
        assert evaluations["timesteps"].tolist() == [0, 52, 100, 152, 200]
    model = TD3.load(path / "model.zip")
    # One update for each of the 100 steps after the warm-up; the last step of it trains too.
    assert model._n_updates in (100, 104)
    assert (path / "train.monitor.csv").exists()


def test_an_environment_without_a_native_version_is_refused(tmp_path: Path) -> None:
    for env_id in ("Pendulum-v1", "CartPole-v1"):
        config = RunConfig(
            algo="ppo", env_id=env_id, n_envs=2, vec_env="native", total_timesteps=100
        )
        with pytest.raises(ConfigError, match="use vec_env dummy"):
            train(config, tmp_path)
    assert list(tmp_path.iterdir()) == []
