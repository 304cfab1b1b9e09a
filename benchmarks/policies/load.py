"""Policies by name or path: controllers, run directories, saved models."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from envs.controllers import CONTROLLERS, make_controller
from envs.rollout import Env, Policy
from training.config import ConfigError, RunConfig, is_trusted, one_line, uses_reference
from training.run_directory import RunDirectory
from training.sb3.normalization import Normalization, NormalizedPolicy


class LoadedPolicy(NamedTuple):
    """A policy, what to call it, and the discount that it was trained for, if any."""

    name: str
    policy: Policy
    gamma: float | None


def load_policy(source: str, env: Env, algo: str | None = None) -> LoadedPolicy:
    """The policy that a user names.

    :param source: a controller's name, a run directory, or a model.zip of SB3's
    :param env: what it is to act in
    :param algo: the algorithm of a model.zip that lies in no run directory
    :raises ConfigError: if there is no such policy, or it is not one for that environment
    """
    path = Path(source)
    if source in CONTROLLERS:
        try:
            return LoadedPolicy(source, make_controller(source, env), None)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    if path.is_dir():
        loaded = _from_run(path, env)
    elif path.is_file():
        loaded = _from_model_file(path, algo, env)
    else:
        raise ConfigError(
            f"no policy {source!r}: it must be a run directory, a model.zip, or one of the"
            f" controllers {', '.join(CONTROLLERS)}"
        )
    refuse_unable(source, loaded.policy, env)
    return loaded


def refuse_unable(source: str, policy: Policy, env: Env) -> None:
    """Refuse a policy that cannot act in an environment.

    :param source: the user's name for it, for the message
    :raises ConfigError: saying why
    """
    observation, _ = env.reset()
    space = env.observation_space
    empty: Any = create_empty_array(space, 1)
    batch: Any = concatenate(space, [observation], empty)
    try:
        action, _ = policy.predict(batch, deterministic=True)
    except Exception as error:  # whatever a user's policy may raise
        message = one_line(error)
        raise ConfigError(
            f"{source} cannot act in {env.spec and env.spec.id}: {message}"
        ) from error
    if np.shape(action)[1:] != env.action_space.shape:
        raise ConfigError(f"{source} has actions of another shape than {env.spec and env.spec.id}")


def recorded_run(path: Path) -> RunConfig | None:
    """The configuration of a run directory; None for anything else."""
    settings = _settings(path)
    return RunConfig.from_json(settings["config"]) if settings else None


def _settings(path: Path) -> dict[str, Any] | None:
    """Content of a run's config.json; None without one, or if another program wrote it."""
    try:
        return RunDirectory(path).settings() if path.is_dir() else None
    except ConfigError:
        if (path / "status.json").exists():
            raise
        return None


def _from_run(path: Path, env: Env) -> LoadedPolicy:
    settings = _settings(path)
    if settings is None:
        raise ConfigError(f"{path} is not a run directory: it has no config.json of a run")
    from training.custom import POLICY, is_custom
    from training.custom import build_agent as custom_agent

    hyperparameters = settings["hyperparameters"]
    config = RunConfig.from_json(settings["config"])
    policy: Any
    if is_custom(config.algo):
        policy = custom_agent(config, hyperparameters, env)
        policy.load(io.BytesIO(_content(path / POLICY)))
    elif uses_reference(config.algo):
        policy = _reference(path / "policy.safetensors", config, hyperparameters, env)
    else:
        policy = _sb3_model(path / "model.zip", config, hyperparameters, env)
        if config.normalize:
            policy = NormalizedPolicy(policy, _normalization(path / "normalization.npz"))
    return LoadedPolicy(f"{config.label} {config.seed}", policy, hyperparameters.get("gamma"))


def _reference(file: Path, config: RunConfig, hyperparameters: dict[str, Any], env: Env) -> Policy:
    from safetensors.torch import load

    from training.reference import build_agent

    content = _content(file)
    try:
        agent = build_agent(config, hyperparameters, env, np.random.default_rng(0))
        agent.actor.load_state_dict(load(content))
    except ConfigError:
        raise
    except Exception as error:  # whatever torch and safetensors raise for any content
        raise ConfigError(
            f"{file.parent} was not trained on {env.spec and env.spec.id}: {one_line(error)}"
        ) from error
    if not all(np.isfinite(each.numpy()).all() for each in agent.actor.state_dict().values()):
        raise ConfigError(f"{file} is damaged: it holds weights that are NaN or infinite")
    return agent


def _from_model_file(path: Path, algo: str | None, env: Env) -> LoadedPolicy:
    run = recorded_run(path.parent)
    algo = algo or (run.algo if run else None)
    if algo is None:
        raise ConfigError(f"the algorithm of {path} is not known: give it, as in --algo td3")
    hyperparameters: dict[str, Any] | None = None
    if run is not None and run.algo == algo:
        hyperparameters = (_settings(path.parent) or {})["hyperparameters"]
    else:
        run = RunConfig(algo=algo, env_id=str(env.spec and env.spec.id), total_timesteps=1)
    model = _sb3_model(path, run, hyperparameters, env)
    gamma = getattr(model, "gamma", None)
    statistics = path.with_name(path.name.replace("model.zip", "normalization.npz"))
    if statistics.suffix == ".npz" and statistics.is_file():
        model = NormalizedPolicy(model, _normalization(statistics))
    return LoadedPolicy(path.stem, model, gamma)


def _content(file: Path) -> bytes:
    """Content of a policy's file; in a run directory it is checked against the run's digest.

    :raises ConfigError: if it cannot be read, or has changed since the run
    """
    run = RunDirectory(file.parent)
    try:
        return run.read_verified(file.name) if _settings(run.path) else file.read_bytes()
    except OSError as error:
        reason = "the run is not complete"
        if run.status()["state"] == "done":
            reason = "it was deleted, or not published with the run"
        raise ConfigError(
            f"{file.parent} holds no {file.name} that can be read: {reason}"
        ) from error


def _normalization(file: Path) -> Normalization:
    content = _content(file)
    try:
        return Normalization.load(io.BytesIO(content))
    except Exception as error:  # whatever NumPy raises for any content
        raise ConfigError(f"{file} is damaged: {one_line(error)}") from error


def _sb3_model(
    path: Path, config: RunConfig, hyperparameters: dict[str, Any] | None, env: Env
) -> Any:
    """The model of a file: rebuilt, without unpickling anything unless the file is trusted.

    :param hyperparameters: as resolved; None if only the file has them
    """
    from training.sb3.algorithms import ALGORITHMS, find_algorithm
    from training.sb3.model_zip import plain_settings, rebuilt

    content = _content(path)
    try:
        if is_trusted(str(path)) and (hyperparameters is None or config.algo not in ALGORITHMS):
            return find_algorithm(config.algo).load().load(io.BytesIO(content), device="cpu")
        return rebuilt(content, config, hyperparameters or plain_settings(content), env)
    except Exception as error:  # whatever torch, SB3 or zipfile raise for any content
        hint = f"; if you trust the file, add --trust {path}" if "pickled" in str(error) else ""
        raise ConfigError(
            f"{path} is not a saved {config.algo} model for {env.spec and env.spec.id}:"
            f" {one_line(error)}{hint}"
        ) from error
