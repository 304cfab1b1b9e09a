"""The reference TD3 as a run needs it."""

import importlib
import io
import json
from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from safetensors.torch import load, save
from stable_baselines3.common.monitor import Monitor

from envs.rollout import Env
from envs.saved_state import NOT_SAVEABLE, can_be_saved, get_state, set_state
from td3_reference.config import LoopConfig, TD3Config, published_settings
from td3_reference.run_loop import RunLoop
from td3_reference.td3 import TD3
from training.config import ConfigError, RunConfig, refuse_untrusted
from training.environments import MONITOR_STATE, make_guarded, record_episodes
from training.open_run import OpenRun
from training.run_directory import MONITOR
from training.sb3.algorithms import environment_family
from training.supervisor import Learner, Supervisor

COMPILE = "compile"  # the one setting that changes speed and last bits, not the algorithm
AGENT_SETTINGS = {f.name: f.default for f in fields(TD3Config) if f.default is not MISSING}
LOOP_SETTINGS = {f.name: f.default for f in fields(LoopConfig)}


def resolve_hyperparameters(config: RunConfig) -> dict[str, Any]:
    """Every hyperparameter of the run: defaults, then the preset, then the overrides.

    :raises ConfigError: if the preset or an overridden name does not exist, or the configuration
        asks for what the reference does not support
    """
    if config.device != "cpu":
        raise ConfigError(f"{config.algo} runs on device cpu alone, got {config.device!r}")
    if config.n_envs > 1 or config.normalize or config.vec_env != "dummy":
        raise ConfigError(f"{config.algo} takes one environment, which is not normalised")
    resolved = AGENT_SETTINGS | LOOP_SETTINGS | {COMPILE: False}
    config.refuse_unknown(resolved)
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
    try:
        return agent_class(config.algo)(td3_config, rng, compile=hyperparameters[COMPILE])
    except RuntimeError as error:
        raise ConfigError(f"{config.algo} cannot be compiled: {error}") from error


def agent_class(algo: str) -> type[TD3]:
    """The reference, or the subclass of it that ``td3_reference:my_module:MyTD3`` names.

    :raises ConfigError: if there is none
    """
    _, _, name = algo.partition(":")
    if not name:
        return TD3
    module, _, class_name = name.partition(":")
    refuse_untrusted(module, algo)
    try:
        found = getattr(importlib.import_module(module), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"there is no {name!r}: {error}") from error
    if not (isinstance(found, type) and issubclass(found, TD3)):
        raise ConfigError(f"{name} must be a subclass of td3_reference.td3.TD3")
    return found


class ReferenceLearner(Learner):
    """The reference TD3 and the environment that it trains on.

    :param hyperparameters: from :func:`resolve_hyperparameters`
    :param env: not used: the spaces of the training environment are checked
    :raises ConfigError: if the configuration asks for what the reference does not support
    """

    evaluates_between_steps = True
    resolve_hyperparameters = staticmethod(resolve_hyperparameters)

    def __init__(self, config: RunConfig, hyperparameters: dict[str, Any], env: Env) -> None:
        self.config, self.hyperparameters = config, hyperparameters
        weights_rng, self._loop_rng = np.random.default_rng(config.seed).spawn(2)
        self.env = Monitor(make_guarded(config))
        try:
            self.agent = build_agent(config, self.hyperparameters, self.env, weights_rng)
        except ConfigError:
            self.env.close()
            raise
        self.loop: RunLoop | None = None

    @property
    def step(self) -> int:
        """Environment steps so far."""
        return 0 if self.loop is None else self.loop.timestep

    @property
    def policy(self) -> TD3:
        """The agent."""
        return self.agent

    def reason_not_resumable(self) -> str | None:
        """Why a stopped run has to begin anew; None if it can be continued."""
        return None if can_be_saved(self.env.env) else NOT_SAVEABLE

    def learn(self, run: OpenRun, supervisor: Supervisor, saved: dict[str, bytes] | None) -> None:
        """Train to the end, from the start or from a saved state."""
        record_episodes(self.env, self.config, run.path / MONITOR, saved is not None)
        settings = LoopConfig(**{name: self.hyperparameters[name] for name in LOOP_SETTINGS})
        with supervisor.guarded(self._step_of):
            self.loop = loop = RunLoop(
                self.env,
                self.agent,
                settings,
                self.config.total_timesteps,
                self.config.seed,
                self._loop_rng,
            )
        if saved is not None:
            self.restore_state(saved)
            supervisor.resume()
        if self._may_evaluate():  # at step 0, or where an evaluation was broken off
            supervisor.evaluate_if_due()
        with supervisor.guarded(self._step_of):
            for _ in loop:
                returns = self.env.episode_returns
                supervisor.after_step(returns[-1] if returns else None, self._may_evaluate())
                supervisor.between_steps()
        supervisor.finish()

    def weights(self) -> Iterable[tuple[str, torch.Tensor]]:
        """All weights by name."""
        return self.agent.weights.items()

    def save_state(self) -> dict[str, bytes]:
        """All that the rest of the run depends on, between two steps, as files without pickle."""
        assert self.loop is not None
        buffer = io.BytesIO()
        np.savez(buffer, **self.loop.buffer.get_state())  # type: ignore[arg-type]
        state = {
            "loop": self.loop.get_state(),
            "env": get_state(self.env.env),  # the Monitor's own state follows
            "monitor": {name: getattr(self.env, name) for name in MONITOR_STATE},
        }
        return {
            "agent.safetensors": save(self.agent.get_state()),
            "buffer.npz": buffer.getvalue(),
            "state.json": json.dumps(state).encode(),
        }

    def restore_state(self, saved: dict[str, bytes]) -> None:
        """Go on from what :meth:`save_state` returned."""
        assert self.loop is not None
        self.agent.set_state(load(saved["agent.safetensors"]))
        with np.load(io.BytesIO(saved["buffer.npz"])) as arrays:
            self.loop.buffer.set_state(dict(arrays))
        state = json.loads(saved["state.json"])
        self.loop.set_state(state["loop"])
        set_state(self.env.env, state["env"])
        for name, value in state["monitor"].items():
            setattr(self.env, name, value)

    def policy_files(self) -> dict[str, bytes]:
        """The actor's weights."""
        weights = self.agent.actor.state_dict()
        return {
            "policy.safetensors": save({name: tensor.clone() for name, tensor in weights.items()})
        }

    def _may_evaluate(self) -> bool:
        """Whether it may evaluate here: the paper's code does so only at the end of an episode."""
        assert self.loop is not None
        return not self.loop.config.update_after_episode or self.loop.episode_steps == 0

    def _step_of(self, at_reset: bool) -> int:
        """The step of an environment's error: a reset comes after its step has been counted."""
        return 0 if self.loop is None else self.loop.timestep + (not at_reset)
