"""SB3's algorithms by name, and their hyperparameters."""

import importlib
import inspect
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from sb3_training.config import ConfigError, RunConfig

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

PRESETS = Path(__file__).parent / "presets"
SB3_DEFAULT = "sb3_default"
# Constructor arguments that are not hyperparameters: they are set from the configuration, or
# concern what is printed. Exploration noise is given by its size, as `exploration_noise`.
NOT_HYPERPARAMETERS = {
    "self", "policy", "env", "seed", "device", "verbose", "tensorboard_log", "stats_window_size",
    "action_noise", "_init_setup_model",
}  # fmt: skip


@dataclass(frozen=True)
class Algorithm:
    """Where an algorithm is found, and the kinds of action space that it takes."""

    module: str
    class_name: str
    action_spaces: tuple[str, ...]

    def load(self) -> "type[BaseAlgorithm]":
        """Import the class (and torch with it)."""
        algorithm: type[BaseAlgorithm] = getattr(
            importlib.import_module(self.module), self.class_name
        )
        return algorithm


_ANY = ("Box", "Discrete", "MultiDiscrete", "MultiBinary")
ALGORITHMS = {
    "a2c": Algorithm("stable_baselines3", "A2C", _ANY),
    "ddpg": Algorithm("stable_baselines3", "DDPG", ("Box",)),
    "dqn": Algorithm("stable_baselines3", "DQN", ("Discrete",)),
    "ppo": Algorithm("stable_baselines3", "PPO", _ANY),
    "sac": Algorithm("stable_baselines3", "SAC", ("Box",)),
    "td3": Algorithm("stable_baselines3", "TD3", ("Box",)),
}


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of that name.

    :raises ConfigError: if there is none
    """
    if name not in ALGORITHMS:
        raise ConfigError(f"unknown algorithm {name!r}: it must be one of {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]


def check_spaces(config: RunConfig, env: gym.Env[Any, Any]) -> None:
    """Refuse an environment whose actions the algorithm cannot take.

    :raises ConfigError: naming the algorithms that could
    """
    kind = type(env.action_space).__name__
    if kind not in find_algorithm(config.algo).action_spaces:
        able = [name for name, entry in ALGORITHMS.items() if kind in entry.action_spaces]
        raise ConfigError(
            f"{config.algo} does not take the {kind} actions of {config.env_id};"
            f" algorithms that do: {', '.join(able) or 'none'}"
        )


def resolve_hyperparameters(config: RunConfig) -> dict[str, Any]:
    """Every hyperparameter of the run: SB3's defaults, then the preset, then the overrides.

    :raises ConfigError: if the preset or an overridden name does not exist
    """
    algorithm = find_algorithm(config.algo).load()
    signature = inspect.signature(algorithm.__init__).parameters
    resolved = {
        name: parameter.default
        for name, parameter in signature.items()
        if name not in NOT_HYPERPARAMETERS
    }
    if "action_noise" in signature:
        resolved["exploration_noise"] = 0.0
    unknown = [name for name in config.hyperparams if name not in resolved]
    if unknown:
        raise ConfigError(
            f"unknown hyperparameters of {config.algo}: {', '.join(unknown)};"
            f" it has {', '.join(resolved)}"
        )
    values = resolved | preset_values(config)
    # With n environments a step yields n transitions; updates per transition stay what they were.
    if config.n_envs > 1 and values.get("gradient_steps", -1) > 0:
        values["gradient_steps"] *= config.n_envs
    return values | config.hyperparams


def preset_values(config: RunConfig) -> dict[str, Any]:
    """What the preset says for the configuration's algorithm and environment.

    :raises ConfigError: if the algorithm has no preset of that name
    """
    path = PRESETS / f"{config.algo}.toml"
    presets = tomllib.loads(path.read_text()) if path.exists() else {SB3_DEFAULT: {}}
    name = config.preset or next(iter(presets))
    if name not in presets:
        raise ConfigError(
            f"{config.algo} has no preset {name!r}: it must be one of {', '.join(presets)}"
        )
    values = dict(presets[name])
    by_environment = values.pop("environments", {})
    return {**values, **by_environment.get(environment_family(config.env_id), {})}


def environment_family(env_id: str) -> str:
    """The id without module, namespace and version: ``Hopper`` for ``gym:mujoco/Hopper-v4``."""
    return env_id.split(":")[-1].split("/")[-1].rsplit("-v", 1)[0]


def build_model(
    config: RunConfig, hyperparameters: dict[str, Any], env: "gym.Env[Any, Any] | VecEnv"
) -> "BaseAlgorithm":
    """Construct the SB3 model. Seeds the global generators, as SB3 does.

    :param hyperparameters: from :func:`resolve_hyperparameters`
    :raises ConfigError: if SB3 refuses
    """
    arguments = dict(hyperparameters)
    noise = arguments.pop("exploration_noise", 0.0)
    if noise > 0:
        from stable_baselines3.common.noise import NormalActionNoise

        # SB3 adds the noise to actions scaled to [-1, 1], so it is in units of the half-width.
        size = env.action_space.shape or ()
        arguments["action_noise"] = NormalActionNoise(np.zeros(size), np.full(size, noise))
    try:
        return find_algorithm(config.algo).load()(
            policy_name(env), env, seed=config.seed, device=config.device, **arguments
        )
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        message = " ".join(str(error).split())
        raise ConfigError(f"{config.algo} cannot be built: {message}") from error


def policy_name(env: "gym.Env[Any, Any] | VecEnv") -> str:
    """SB3's name of the policy class that suits the observation space."""
    from stable_baselines3.common.preprocessing import is_image_space

    if isinstance(env.observation_space, gym.spaces.Dict):
        return "MultiInputPolicy"
    return "CnnPolicy" if is_image_space(env.observation_space) else "MlpPolicy"
