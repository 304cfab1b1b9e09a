"""A model.zip: written so that equal models give equal files, and read without unpickling.

SB3's own ``load`` unpickles parts of the file, and a pickle can run any code. Here, only the
weights of a trained policy are read, and the rest of the model is built anew.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch

from envs.rollout import Env
from training.config import ConfigError, RunConfig, one_line
from training.sb3.algorithms import (
    ALGORITHMS,
    NOT_HYPERPARAMETERS,
    build_model,
    constructor_parameters,
    find_algorithm,
    policy_name,
)
from training.sb3.hyperparameters import to_arguments

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

# Wall-clock times, and the last training episodes, which contain some; learn() sets both anew.
TIMED_ATTRIBUTES = ["start_time", "ep_info_buffer"]
PICKLED = ":serialized:"  # key in the entry of an attribute that SB3 could not write as JSON
# Settings that only training uses, at values that need no memory, no environment (as SAC's target
# entropy would) and no optimiser (as its entropy coefficient would).
UNUSED = {"buffer_size": 1, "target_entropy": 0.0, "ent_coef": 0.0, "learning_starts": 0}


def model_bytes(model: "BaseAlgorithm") -> bytes:
    """Content of a model.zip that SB3's own ``load`` reads.

    SB3 stamps the archive with the time of writing, describes the machine in it, and prints
    memory addresses beside each pickled attribute; all three are left out.
    """
    saved = io.BytesIO()
    model.save(saved, exclude=TIMED_ATTRIBUTES)
    result = io.BytesIO()
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(result, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "system_info.txt":
                continue
            if name == "data":
                content = _without_descriptions(content)
            target.writestr(zipfile.ZipInfo(name), content)  # ZipInfo's own date is 1980
    return result.getvalue()


def _without_descriptions(data: bytes) -> bytes:
    """Keep type and pickle of each pickled attribute, and drop the text meant for people."""
    kept = {":type:", PICKLED}
    attributes = {
        name: {key: value[key] for key in value if key in kept}
        if isinstance(value, dict) and PICKLED in value
        else value
        for name, value in json.loads(data).items()
    }
    return json.dumps(attributes, indent=4).encode()


def rebuilt(
    content: bytes, config: RunConfig, hyperparameters: dict[str, Any], env: Env
) -> "BaseAlgorithm":
    """The model of a run, with the weights of a model.zip.

    :param content: of the model.zip
    :param hyperparameters: as resolved
    :param env: an environment in which the model is to act
    :raises ConfigError: if there are no weights, or they do not fit or are not finite
    """
    model = _untrained(config, hyperparameters, env)
    weights = policy_weights(content)
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise ConfigError(f"weight {name} is NaN or infinite")
    try:
        model.policy.load_state_dict(weights)
    except RuntimeError as error:
        message = one_line(error)
        raise ConfigError(f"not trained on {config.env_id} as {config.algo}: {message}") from error
    if model.use_sde:
        model.policy.reset_noise()  # type: ignore[operator]
    return model


class NoOptimizer:
    """In place of a torch optimiser, of which the first takes two seconds of imports to make."""

    def __init__(self, *arguments: object, **settings: object) -> None:
        pass


def _untrained(config: RunConfig, hyperparameters: dict[str, Any], env: Env) -> "BaseAlgorithm":
    """A model for the weights; SB3's algorithms get no optimiser and the smallest replay buffer."""
    if config.algo not in ALGORITHMS:
        return build_model(config, hyperparameters, env)
    algorithm = find_algorithm(config.algo).load()
    known = constructor_parameters(algorithm).keys() - NOT_HYPERPARAMETERS
    values = {**hyperparameters, **{k: v for k, v in UNUSED.items() if k in hyperparameters}}
    arguments = {k: v for k, v in to_arguments(values).items() if k in known}
    try:
        spaces = algorithm._wrap_env(env, monitor_wrapper=False)
        arguments |= {"env": None, "device": "cpu", "_init_setup_model": False}
        model = algorithm(policy_name(config.algo, env), **arguments)
        model.observation_space, model.action_space = spaces.observation_space, spaces.action_space
        model.n_envs = config.n_envs
        if "optimizer_class" in signature(model.policy_class).parameters:
            model.policy_kwargs["optimizer_class"] = NoOptimizer
        model._setup_model()
    except Exception as error:  # SB3 may raise anything for settings that no training has used
        message = one_line(error)
        raise ConfigError(f"{config.algo} cannot be built as it was: {message}") from error
    return model


def policy_weights(content: bytes) -> dict[str, torch.Tensor]:
    """The policy's weights by name.

    :raises ConfigError: if there are none
    """
    try:
        saved = _entry(content, "policy.pth")
    except KeyError as error:
        raise ConfigError(
            "it holds no policy.pth of torch, and pickled weights could run any code"
        ) from error
    weights = torch.load(io.BytesIO(saved), map_location="cpu", weights_only=True)
    if not isinstance(weights, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in weights.items()
    ):
        raise ConfigError("its policy.pth holds no weights")
    return dict(weights)


def plain_settings(content: bytes) -> dict[str, Any]:
    """The settings in a model.zip without a run directory, those that are pickled left out.

    :raises ConfigError: if its policy is described in pickled form
    """
    values = json.loads(_entry(content, "data"))
    if not isinstance(values, dict):
        raise ConfigError("its data is no dictionary")
    pickled = {k for k, v in values.items() if isinstance(v, dict) and PICKLED in v}
    if "policy_kwargs" in pickled:
        raise ConfigError("its policy is described in pickled form, which could run any code")
    return {name: value for name, value in values.items() if name not in pickled}


def _entry(content: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name)
