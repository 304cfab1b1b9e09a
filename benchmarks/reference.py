"""Training the reference TD3 into one run directory."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from safetensors.torch import save
from stable_baselines3.common.monitor import Monitor

from sb3_training.algorithms import environment_family
from sb3_training.config import ConfigError, RunConfig
from sb3_training.environments import make_env
from sb3_training.evaluation import Evaluator
from sb3_training.run_directory import Progress, RunDirectory, execute
from td3_reference.published import published_settings
from td3_reference.run_loop import LoopConfig, RunLoop
from td3_reference.td3 import TD3, TD3Config

AGENT_SETTINGS = {f.name: f.default for f in fields(TD3Config) if f.default is not MISSING}
LOOP_SETTINGS = {f.name: f.default for f in fields(LoopConfig)}


def train_reference(
    config: RunConfig, root: str | Path = "runs", on_progress: Progress | None = None
) -> Path:
    """Train as configured; a run that is already complete is left as it is.

    :param root: folder that holds the run directories
    :param on_progress: called with the environment step and the last mean evaluation return
    :return: the run directory
    :raises ConfigError: if the configuration cannot be run, before anything is written
    """
    torch.set_num_threads(1)
    hyperparameters = resolve_hyperparameters(config)
    env = make_env(config)
    build_agent(config, hyperparameters, env)  # a trial: what is refused is refused now
    env.close()

    def body(run: RunDirectory) -> None:
        env = Monitor(make_env(config), str(run.path / "train.monitor.csv"))
        weights_rng, loop_rng = np.random.default_rng(config.seed).spawn(2)
        agent = build_agent(config, hyperparameters, env, weights_rng)
        loop_config = LoopConfig(**{name: hyperparameters[name] for name in LOOP_SETTINGS})
        loop = RunLoop(env, agent, loop_config, config.total_timesteps, config.seed, loop_rng)
        evaluator = Evaluator(config, run)
        evaluator.catch_up(agent, step=0)
        for step in loop:
            evaluator.catch_up(agent, step)
            run.report(step)
        evaluator.finish(agent)
        run.write_bytes("policy.safetensors", save(agent.actor.state_dict()))
        env.close()

    return execute(config, hyperparameters, root, body, on_progress)


def resolve_hyperparameters(config: RunConfig) -> dict[str, Any]:
    """Every hyperparameter of the run: defaults, then the preset, then the overrides.

    :raises ConfigError: if the preset or an overridden name does not exist
    """
    resolved = AGENT_SETTINGS | LOOP_SETTINGS
    unknown = [name for name in config.hyperparams if name not in resolved]
    if unknown:
        raise ConfigError(
            f"unknown hyperparameters of {config.algo}: {', '.join(unknown)};"
            f" it has {', '.join(resolved)}"
        )
    try:
        preset = published_settings(config.preset or "released", environment_family(config.env_id))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return resolved | preset | config.hyperparams


def build_agent(
    config: RunConfig,
    hyperparameters: dict[str, Any],
    env: gym.Env[Any, Any],
    rng: np.random.Generator | None = None,
) -> TD3:
    """The agent for an environment.

    :param rng: draws the initial weights
    :raises ConfigError: if observations or actions are not vectors of bounded numbers
    """
    observations, actions = env.observation_space, env.action_space
    for name, space in (("observations", observations), ("actions", actions)):
        if not (isinstance(space, gym.spaces.Box) and len(space.shape) == 1):
            raise ConfigError(
                f"{config.algo} takes a vector of numbers as {name} (a one-dimensional Box);"
                f" {config.env_id} has {space}"
            )
    assert isinstance(observations, gym.spaces.Box)
    assert isinstance(actions, gym.spaces.Box)
    settings = {name: hyperparameters[name] for name in AGENT_SETTINGS}
    try:
        td3_config = TD3Config(
            observations.shape[0], actions.low.tolist(), actions.high.tolist(), **settings
        )
    except ValueError as error:
        raise ConfigError(f"{config.algo} on {config.env_id}: {error}") from error
    return TD3(td3_config, rng)
