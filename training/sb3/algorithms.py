"""SB3's algorithms by name, and their hyperparameters."""

import importlib
import inspect
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from training.config import ConfigError, RunConfig, env_name, one_line, refuse_untrusted
from training.sb3.hyperparameters import check_values, exploration, find_class, to_arguments

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

PRESETS = Path(__file__).parent / "presets"
SB3_DEFAULT = "sb3_default"
POLICY = "policy"  # an optional hyperparameter: SB3's name of the policy, or my_module:MyPolicy
VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
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
_SB3, _CONTRIB = "stable_baselines3", "sb3_contrib"
ALGORITHMS = {
    "a2c": Algorithm(_SB3, "A2C", _ANY),
    "ars": Algorithm(_CONTRIB, "ARS", ("Box", "Discrete")),
    "crossq": Algorithm(_CONTRIB, "CrossQ", ("Box",)),
    "ddpg": Algorithm(_SB3, "DDPG", ("Box",)),
    "dqn": Algorithm(_SB3, "DQN", ("Discrete",)),
    "maskable_ppo": Algorithm(_CONTRIB, "MaskablePPO", _ANY[1:]),
    "ppo": Algorithm(_SB3, "PPO", _ANY),
    "qrdqn": Algorithm(_CONTRIB, "QRDQN", ("Discrete",)),
    "recurrent_ppo": Algorithm(_CONTRIB, "RecurrentPPO", _ANY),
    "sac": Algorithm(_SB3, "SAC", ("Box",)),
    "td3": Algorithm(_SB3, "TD3", ("Box",)),
    "tqc": Algorithm(_CONTRIB, "TQC", ("Box",)),
    "trpo": Algorithm(_CONTRIB, "TRPO", _ANY),
}


def find_algorithm(name: str) -> Algorithm:
    """The algorithm of that name, or the class that ``package.module:Class`` names.

    :raises ConfigError: if there is none
    """
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    module, colon, class_name = name.partition(":")
    if not colon:
        raise ConfigError(
            f"unknown algorithm {name!r}: it must be one of {', '.join(ALGORITHMS)},"
            " or package.module:Class"
        )
    refuse_untrusted(module, name)
    try:
        found = getattr(importlib.import_module(module), class_name)
    except Exception as error:  # a user's module may raise anything
        text = f"cannot import algorithm {name!r}: {one_line(error)}"
        raise ConfigError(text) from error
    from stable_baselines3.common.base_class import BaseAlgorithm

    if not (isinstance(found, type) and issubclass(found, BaseAlgorithm)):
        raise ConfigError(
            f"{name!r} is not an algorithm: it must be a subclass of SB3's, or have predict and"
            " learn(env, total_timesteps, seed, on_step)"
        )
    # A class with a constructor of its own may take other actions than its base class.
    owner = next(base for base in found.__mro__ if "__init__" in vars(base))
    known = next(iter(_known_names(owner.__mro__[:1])), None)
    return Algorithm(module, class_name, ALGORITHMS[known].action_spaces if known else _ANY)


def lineage(name: str) -> list[str]:
    """Names of the known algorithms that an algorithm is or is derived from, the nearest first.

    ``["ddpg", "td3"]`` for a subclass of SB3's DDPG, which is itself a subclass of TD3.

    :raises ConfigError: if there is no algorithm of that name
    """
    return _known_names(find_algorithm(name).load().__mro__)


def _known_names(classes: Iterable[type]) -> list[str]:
    found = {(entry.module, entry.class_name): name for name, entry in ALGORITHMS.items()}
    keys = [(one.__module__.partition(".")[0], one.__name__) for one in classes]
    return [found[key] for key in keys if key in found]


def list_algorithms() -> str:
    """The algorithms by name with the action spaces that they take, a line each."""
    lines = [
        f"{name:14} {entry.module}.{entry.class_name}: {', '.join(entry.action_spaces)}"
        for name, entry in ALGORITHMS.items()
    ]
    return "\n".join([*lines, "package.module:Class  any subclass of SB3's BaseAlgorithm"])


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
    if "maskable_ppo" in lineage(config.algo) and not env.has_wrapper_attr("action_masks"):
        raise ConfigError(f"{config.algo} needs action_masks(), which {config.env_id} has not")


def resolve_hyperparameters(config: RunConfig) -> dict[str, Any]:
    """Every hyperparameter of the run: SB3's defaults, then the preset, then the overrides.

    :raises ConfigError: if the preset or an overridden name does not exist
    """
    algorithm = find_algorithm(config.algo).load()
    signature = constructor_parameters(algorithm)
    defaults = {
        name: parameter.default
        for name, parameter in signature.items()
        if name not in NOT_HYPERPARAMETERS and parameter.default is not parameter.empty
    }
    if "action_noise" in signature:
        defaults["exploration_noise"] = 0.0
    if POLICY in config.hyperparams:  # else SB3's policy that suits the observations
        defaults[POLICY] = None
    config.refuse_unknown(defaults)
    check_values(config.algo, config.hyperparams, defaults)
    # Only the class's own defaults: what it passes on to its base class, it may set itself.
    own = inspect.signature(algorithm).parameters.keys() | {"exploration_noise"}
    values = {name: value for name, value in defaults.items() if name in own}
    # A user's class may lack some hyperparameters of its base class.
    values |= {name: value for name, value in preset_values(config).items() if name in defaults}
    # With n environments a step yields n transitions; updates per transition stay the same.
    if config.n_envs > 1 and values.get("gradient_steps", -1) > 0:
        values["gradient_steps"] *= config.n_envs
    for name, value in config.hyperparams.items():
        nested = isinstance(value, dict) and isinstance(values.get(name), dict)
        values[name] = {**values[name], **value} if nested else value
    frequency = values.get("train_freq")
    if config.n_envs > 1 and isinstance(frequency, list | tuple) and frequency[1] == "episode":
        raise ConfigError(f"train_freq in episodes needs n_envs 1, got {config.n_envs}")
    if config.algo == "ars" and config.n_envs > 1 and values.get("n_eval_episodes", 1) > 1:
        raise ConfigError(
            "ars counts its steps several times over with more than one of both: use n_envs 1"
            f" or n_eval_episodes 1, got {config.n_envs} and {values['n_eval_episodes']}"
        )
    return values


def constructor_parameters(algorithm: type) -> dict[str, inspect.Parameter]:
    """Parameters of a class's constructor, and of those to which it passes ``**kwargs`` on."""
    parameters: dict[str, inspect.Parameter] = {}
    for base in algorithm.__mro__:
        if "__init__" not in vars(base):
            continue
        own = inspect.signature(vars(base)["__init__"]).parameters
        named = {name: one for name, one in own.items() if one.kind not in VARIABLE}
        parameters = {**named, **parameters}
        if all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in own.values()):
            break
    return parameters


def preset_values(config: RunConfig) -> dict[str, Any]:
    """The preset's values for the configuration's algorithm and environment.

    A user's class has the presets of its nearest base class that has any, so that the two differ
    only in the algorithm.

    :raises ConfigError: if the algorithm has no preset of that name
    """
    files = (PRESETS / f"{name}.toml" for name in lineage(config.algo))
    path = next((file for file in files if file.exists()), None)
    presets = tomllib.loads(path.read_text()) if path else {SB3_DEFAULT: {}}
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
    return env_name(env_id).rpartition("/")[2].rsplit("-v", 1)[0]


def build_model(
    config: RunConfig, hyperparameters: dict[str, Any], env: "gym.Env[Any, Any] | VecEnv"
) -> "BaseAlgorithm":
    """Construct the SB3 model. Seeds the global generators, as SB3 does.

    :param hyperparameters: from :func:`resolve_hyperparameters`
    :raises ConfigError: if SB3 refuses
    """
    arguments = to_arguments(hyperparameters)
    policy = arguments.pop(POLICY, None) or policy_name(config.algo, env)
    if ":" in policy:
        policy = find_class(policy, POLICY, "SB3 (as MlpPolicy)")
    noise = exploration(arguments.pop("exploration_noise", 0.0), env.action_space.shape or ())
    if noise is not None:
        arguments["action_noise"] = noise
    try:
        return find_algorithm(config.algo).load()(
            policy, env, seed=config.seed, device=config.device, **arguments
        )
    except Exception as error:  # a user's algorithm may raise anything
        message = one_line(error)
        if "multiple values" in message:  # the class sets what the preset sets too
            message += f"; preset {SB3_DEFAULT} leaves its settings to the class"
        raise ConfigError(f"{config.algo} cannot be built: {message}") from error


def policy_name(algo: str, env: "gym.Env[Any, Any] | VecEnv") -> str:
    """SB3's name of the policy class that suits the algorithm and the observation space."""
    from stable_baselines3.common.preprocessing import is_image_space

    if isinstance(env.observation_space, gym.spaces.Dict):
        kind = "MultiInput"
    else:
        kind = "Cnn" if is_image_space(env.observation_space) else "Mlp"
    return f"{kind}{'Lstm' if 'recurrent_ppo' in lineage(algo) else ''}Policy"
