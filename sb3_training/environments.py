"""Making the environment that a configuration names."""

import difflib
from typing import Any

import gymnasium as gym

import envs  # noqa: F401  (registers this project's tasks)
from sb3_training.config import ConfigError, RunConfig


def make_env(config: RunConfig) -> gym.Env[Any, Any]:
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


def _unknown_environment(env_id: str) -> str:
    near = difflib.get_close_matches(env_id, gym.registry, n=3, cutoff=0.8)
    accepted = "a registered Gymnasium id such as rocket-v0 or Pendulum-v1, or module:Id-v0"
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"unknown environment {env_id!r}: it must be {accepted}{hint}"
