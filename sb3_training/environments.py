"""Making the environment that a configuration names."""

import difflib
from functools import partial
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

import envs  # noqa: F401  (registers this project's tasks)
from envs.rollout import BatchEnv, Env, can_play_in_batch
from sb3_training.config import ConfigError, RunConfig

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

SAME_STEP = "SameStep"  # the autoreset mode that SB3 knows


def make_env(config: RunConfig) -> Env:
    """Make the environment of a run, with its registered wrappers and time limit.

    :raises ConfigError: if there is no such environment or it refuses its arguments
    """
    try:
        return gym.make(config.env_id, **config.env_kwargs)
    except gym.error.UnregisteredEnv:
        raise ConfigError(_unknown_environment(config.env_id)) from None
    except (gym.error.Error, ImportError, TypeError, ValueError) as error:
        message = " ".join(str(error).split())
        raise ConfigError(f"cannot make environment {config.env_id!r}: {message}") from error


def make_batch_env(config: RunConfig, n: int) -> BatchEnv | None:
    """The run's environment as one vector environment of n, if it has one that serves.

    :return: None unless :func:`envs.rollout.play_in_batch` could play in it
    """
    entry_point: Any = gym.spec(config.env_id.split(":")[-1]).vector_entry_point
    if isinstance(entry_point, str):
        entry_point = load_env_creator(entry_point)
    if not getattr(entry_point, "metadata", {}).get("seed_per_env"):
        return None
    env = make_native_env(config, n)
    return env if can_play_in_batch(env) else None


def make_native_env(config: RunConfig, n: int, **arguments: Any) -> BatchEnv:
    """The vector environment that is registered for the run's environment.

    :raises ConfigError: if there is none, or it refuses its arguments
    """
    try:
        return gym.make_vec(
            config.env_id,
            num_envs=n,
            vectorization_mode="vector_entry_point",
            **config.env_kwargs,
            **arguments,
        )
    except (gym.error.Error, TypeError, ValueError) as error:
        message = " ".join(str(error).split())
        raise ConfigError(
            f"{config.env_id} has no native vector environment that SB3 can train on"
            f" ({message}); use vec_env dummy"
        ) from error


def make_training_env(config: RunConfig, monitor_file: str | None = None) -> "Env | VecEnv":
    """What SB3 trains on, its episodes recorded in a Monitor file.

    :raises ConfigError: if the environment cannot be made
    """
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

    from sb3_training.vector_environment import NativeVecEnv

    if config.vec_env == "native":
        native = make_native_env(config, config.n_envs, autoreset_mode=SAME_STEP)
        return VecMonitor(NativeVecEnv(native), monitor_file)
    if config.n_envs == 1:
        return Monitor(make_env(config), monitor_file)
    return VecMonitor(DummyVecEnv([partial(make_env, config)] * config.n_envs), monitor_file)


def _unknown_environment(env_id: str) -> str:
    near = difflib.get_close_matches(env_id, gym.registry, n=3, cutoff=0.8)
    accepted = "a registered Gymnasium id such as rocket-v0 or Pendulum-v1, or module:Id-v0"
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"unknown environment {env_id!r}: it must be {accepted}{hint}"
