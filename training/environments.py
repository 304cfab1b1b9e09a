"""Make the environment that a configuration names, with guards if it is for training."""

import difflib
import importlib
import logging
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator

import envs  # noqa: F401  (registers this project's tasks)
from envs.rollout import (
    BatchEnv,
    Env,
    Episode,
    Policy,
    can_play_in_batch,
    play_in_batch,
    play_side_by_side,
)
from envs.step_check import NotFiniteError, SpaceMismatchError, StepGuard
from training.config import (
    BrokenEnvironmentError,
    ConfigError,
    DivergedError,
    RunConfig,
    env_name,
    one_line,
    refuse_untrusted,
)

# What SB3's Monitor carries from step to step.
MONITOR_STATE = ("rewards", "needs_reset", "total_steps", "t_start")
SAME_STEP = "SameStep"  # the autoreset mode that SB3 knows
COLOURS = re.compile("\x1b" + r"\[\d*m")

logger = logging.getLogger(__name__)
_said: set[str] = set()


def make_env(config: RunConfig, **arguments: Any) -> Env:
    """Make the environment of a run, with its registered wrappers and time limit.

    :param arguments: in addition to the configuration's
    :raises ConfigError: if there is no such environment, it refuses its arguments, or its module
        is not trusted
    """
    refuse_untrusted(config.env_id.rpartition(":")[0], config.env_id)
    try:
        with quiet_construction(config.env_id):
            return gym.make(config.env_id, **_arguments(config), **arguments)
    except gym.error.UnregisteredEnv:
        raise ConfigError(_unknown_environment(config.env_id)) from None
    except Exception as error:  # a user's environment may raise anything
        text = one_line(error)
        raise ConfigError(f"cannot make environment {config.env_id!r}: {text}") from error


def _arguments(config: RunConfig) -> dict[str, Any]:
    """Arguments for ``gym.make``; a time limit only if one is configured."""
    limit = config.max_episode_steps
    return {**config.env_kwargs, **({} if limit is None else {"max_episode_steps": limit})}


@contextmanager
def quiet_construction(env_id: str) -> Iterator[None]:
    """Suppress messages that would be repeated each time an environment is made.

    Gymnasium's warnings of old versions are dropped. MuJoCo's warnings are logged, each once,
    instead of being printed and written to MUJOCO_LOG.TXT.
    """
    spec = gym.registry.get(env_name(env_id))
    if "mujoco" in str(spec and spec.entry_point).lower() or "mujoco" in sys.modules:
        with suppress(ImportError):  # making the environment then raises it
            mujoco = importlib.import_module("mujoco")
            mujoco.set_mju_user_warning(lambda text: log_once(f"MuJoCo: {text}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def log_once(text: str) -> None:
    """Log a remark on one line, unless this process has logged the same before."""
    line = COLOURS.sub("", one_line(text))
    if line not in _said:
        _said.add(line)
        logger.warning("%s", line)


def silence_remarks() -> None:
    """Log no remarks in this process: its parent has logged them in the checks before the run."""
    logger.setLevel(logging.ERROR)


def make_batch_env(config: RunConfig, n: int) -> BatchEnv | None:
    """Make the run's environment as one vector environment of n, if it has a suitable one.

    :return: None unless :func:`envs.rollout.play_in_batch` can play in it
    """
    spec = gym.registry.get(env_name(config.env_id))  # None for an id without a version
    entry_point: Any = spec and spec.vector_entry_point
    if isinstance(entry_point, str):
        entry_point = load_env_creator(entry_point)
    if not getattr(entry_point, "metadata", {}).get("seed_per_env"):
        return None
    env = make_native_env(config, n)
    return env if can_play_in_batch(env) else None


def play_from_seeds(policy: Policy, config: RunConfig, seeds: Sequence[int]) -> list[Episode]:
    """Play noise-free episodes in new environments, episode k from ``seeds[k]``."""
    batch = make_batch_env(config, len(seeds))
    if batch is not None:
        episodes = play_in_batch(policy, batch, seeds)
        batch.close()
        return episodes
    singles = [make_env(config) for _ in seeds]
    episodes = play_side_by_side(policy, singles, seeds)
    for env in singles:
        env.close()
    return episodes


def make_native_env(config: RunConfig, n: int, **arguments: Any) -> BatchEnv:
    """The vector environment that is registered for the run's environment.

    :raises ConfigError: if there is none, or it refuses its arguments
    """
    refuse_untrusted(config.env_id.rpartition(":")[0], config.env_id)
    try:
        with quiet_construction(config.env_id):
            return gym.make_vec(
                config.env_id,
                num_envs=n,
                vectorization_mode="vector_entry_point",
                **_arguments(config),
                **arguments,
            )
    except (gym.error.Error, TypeError, ValueError) as error:
        raise ConfigError(
            f"{config.env_id} has no native vector environment that SB3 can train on"
            f" ({one_line(error)}); use vec_env dummy"
        ) from error


def make_guarded(config: RunConfig) -> Env:
    """Make the environment of a run for training: all that it returns is checked and copied."""
    return StepGuard(make_env(config))


@contextmanager
def errors_with_step(step_of: Callable[[bool], int], where: str = "") -> Iterator[None]:
    """Add to the errors of a guarded environment the training step at which they occurred.

    :param step_of: returns the step, given whether the error occurred in ``reset``
    :param where: added to the message
    :raises DivergedError: if a number is NaN or infinite
    :raises BrokenEnvironmentError: if something does not fit the spaces
    """
    try:
        yield
    except NotFiniteError as error:
        raise DivergedError(f"{error} at step {step_of(error.at_reset)}{where}") from error
    except SpaceMismatchError as error:
        text = f"{error}, at step {step_of(error.at_reset)}{where}"
        raise BrokenEnvironmentError(text) from error


def record_episodes(recorder: Any, config: RunConfig, file: Path, append: bool) -> None:
    """Let SB3's Monitor or VecMonitor write the episodes from now on to a file.

    :param append: whether to append to an existing file
    """
    from stable_baselines3.common.monitor import ResultsWriter

    recorder.t_start = time.time()
    header: dict[str, float | str] = {"t_start": recorder.t_start, "env_id": config.env_id}
    recorder.results_writer = ResultsWriter(str(file), header, override_existing=not append)


def _unknown_environment(env_id: str) -> str:
    near = difflib.get_close_matches(env_id, gym.registry, n=3, cutoff=0.8)
    accepted = "a registered Gymnasium id such as rocket-v0 or Pendulum-v1, or module:Id-v0"
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"unknown environment {env_id!r}: it must be {accepted}{hint}"
