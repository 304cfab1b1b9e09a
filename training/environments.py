"""Making the environment that a configuration names."""

import difflib
import importlib
import logging
import re
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

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
from envs.step_check import StepGuard
from training.config import ConfigError, RunConfig, env_name
from training.trust import refuse_untrusted

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

SAME_STEP = "SameStep"  # the autoreset mode that SB3 knows
COLOURS = re.compile("\x1b" + r"\[\d*m")

logger = logging.getLogger(__name__)
_said: set[str] = set()


def make_env(config: RunConfig, **arguments: Any) -> Env:
    """Make the environment of a run, with its registered wrappers and time limit.

    :param arguments: on top of the configuration's
    :raises ConfigError: if there is no such environment, it refuses its arguments, or its module
        is not trusted
    """
    refuse_untrusted(config.env_id.rpartition(":")[0], config.env_id)
    try:
        with quiet_construction(config.env_id):
            return gym.make(config.env_id, **_arguments(config), **arguments)
    except gym.error.UnregisteredEnv:
        raise ConfigError(_unknown_environment(config.env_id)) from None
    except Exception as error:  # whatever a stranger's environment may raise
        message = " ".join(str(error).split())
        raise ConfigError(f"cannot make environment {config.env_id!r}: {message}") from error


def _arguments(config: RunConfig) -> dict[str, Any]:
    """What is handed to ``gym.make``; a time limit only where one is configured."""
    limit = config.max_episode_steps
    return {**config.env_kwargs, **({} if limit is None else {"max_episode_steps": limit})}


@contextmanager
def quiet_construction(env_id: str) -> Iterator[None]:
    """Keep quiet what is said at each making of an environment: it is made again and again.

    Gymnasium warns of old versions; MuJoCo prints, and writes MUJOCO_LOG.TXT: its warnings are
    logged instead, each once.
    """
    spec = gym.registry.get(env_name(env_id))
    if "mujoco" in str(spec and spec.entry_point).lower() or "mujoco" in sys.modules:
        with suppress(ImportError):  # then the environment says so itself
            mujoco = importlib.import_module("mujoco")
            mujoco.set_mju_user_warning(lambda text: say_once(f"MuJoCo: {text}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def say_once(text: str) -> None:
    """Log a remark on one line, unless this process has logged the same before."""
    line = COLOURS.sub("", " ".join(str(text).split()))
    if line not in _said:
        _said.add(line)
        logger.warning("%s", line)


def leave_remarks_to_parent() -> None:
    """Log no remarks in this process: the one that began it has made them at its gate."""
    logger.setLevel(logging.ERROR)


def make_batch_env(config: RunConfig, n: int) -> BatchEnv | None:
    """The run's environment as one vector environment of n, if it has one that serves.

    :return: None unless :func:`envs.rollout.play_in_batch` could play in it
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
    """Play noise-free episodes in environments of their own, episode k from ``seeds[k]``."""
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
        message = " ".join(str(error).split())
        raise ConfigError(
            f"{config.env_id} has no native vector environment that SB3 can train on"
            f" ({message}); use vec_env dummy"
        ) from error


def make_training_env(
    config: RunConfig,
    gamma: float = 0.99,
    monitor_file: str | None = None,
    append: bool = False,
) -> "VecEnv":
    """What SB3 trains on, its episodes recorded in a Monitor file.

    :param gamma: discount, for the normalisation of rewards
    :param append: whether to go on in the Monitor file that is there
    :raises ConfigError: if the environment cannot be made
    """
    from stable_baselines3.common.monitor import Monitor, ResultsWriter
    from stable_baselines3.common.vec_env import (
        DummyVecEnv,
        SubprocVecEnv,
        VecEnv,
        VecMonitor,
        VecNormalize,
    )

    from training.sb3.native_vec_env import NativeVecEnv

    env: VecEnv
    if config.n_envs == 1 and config.vec_env == "dummy":
        single = Monitor(make_guarded(config), monitor_file, override_existing=not append)
        env = DummyVecEnv([lambda: single])
    else:
        if config.vec_env == "native":
            native = make_native_env(config, config.n_envs, autoreset_mode=SAME_STEP)
            bare: VecEnv = NativeVecEnv(native)
        else:
            kind = SubprocVecEnv if config.vec_env == "subproc" else DummyVecEnv
            maker = _make_in_worker if config.vec_env == "subproc" else make_guarded
            bare = kind([partial(maker, config)] * config.n_envs)
        env = monitored = VecMonitor(bare)
        if monitor_file is not None:
            header: dict[str, float | str] = {"t_start": monitored.t_start, "env_id": config.env_id}
            writer = ResultsWriter(monitor_file, header=header, override_existing=not append)
            monitored.results_writer = writer
    if config.normalize and not isinstance(env.observation_space, gym.spaces.Box):
        raise ConfigError(
            f"observations of {config.env_id} cannot be normalised: they must be a Box,"
            f" not {env.observation_space}"
        )
    return VecNormalize(env, gamma=gamma) if config.normalize else env


def make_guarded(config: RunConfig) -> Env:
    """Make the environment of a run for training: all that it returns is checked and copied."""
    return StepGuard(make_env(config))


def _make_in_worker(config: RunConfig) -> Env:
    """Make an environment in a process of its own, which leaves it to its parent when to stop.

    To its parent too it leaves the checks, since an error here would only be seen as a process
    that is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all processes
    leave_remarks_to_parent()
    return StepGuard(make_env(config), checks=False)


def _unknown_environment(env_id: str) -> str:
    near = difflib.get_close_matches(env_id, gym.registry, n=3, cutoff=0.8)
    accepted = "a registered Gymnasium id such as rocket-v0 or Pendulum-v1, or module:Id-v0"
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"unknown environment {env_id!r}: it must be {accepted}{hint}"
