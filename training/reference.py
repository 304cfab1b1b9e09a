"""Training the reference TD3 into one run directory."""

import importlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
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
from training.config import ConfigError, RunConfig
from training.environments import make_guarded
from training.evaluation import Evaluator
from training.gate import Passed, pass_gate
from training.guard import refuse_weights, training_guarded
from training.run_directory import MONITOR, Progress, RunDirectory, execute
from training.sb3.algorithms import environment_family
from training.signals import RunStopped
from training.trust import refuse_untrusted

COMPILE = "compile"  # the one setting that changes speed and last bits, not the algorithm
AGENT_SETTINGS = {f.name: f.default for f in fields(TD3Config) if f.default is not MISSING}
CHECKPOINT_INTERVAL = 60.0  # s
MONITOR_ATTRIBUTES = ("rewards", "needs_reset", "total_steps", "t_start")
LOOP_SETTINGS = {f.name: f.default for f in fields(LoopConfig)}


def train_reference(
    config: RunConfig,
    root: str | Path = "runs",
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    check: bool = True,
    allow_mixed: bool = False,
) -> Path:
    """Train as configured; a run that is already complete is left as it is.

    :param root: folder that holds the run directories
    :param on_progress: called with the environment step, the last mean evaluation return and
        the return of the last training episode
    :param should_stop: asked at every step, of evaluations too; once it says yes, the run is
        saved and stops
    :param check: whether SB3's checker is to look at the environment first
    :param allow_mixed: whether to go on with what other software began
    :return: the run directory
    :raises ConfigError: if the configuration cannot be run, before anything is written
    :raises training.config.DivergedError: if a number is NaN or infinite
    :raises training.config.BrokenEnvironmentError: if what the environment returns does not
        fit its spaces
    :raises training.signals.RunStopped: if it was asked to stop
    """
    torch.set_num_threads(1)
    passed = inspect(config, check)
    hyperparameters = resolve_hyperparameters(config)

    def body(run: RunDirectory) -> None:
        reference_run = ReferenceRun(config, hyperparameters, run, should_stop, passed.can_continue)
        try:
            reference_run.learn()
        finally:
            reference_run.close()
        weights = reference_run.agent.actor.state_dict()
        copies = {name: tensor.clone() for name, tensor in weights.items()}
        run.write_bytes("policy.safetensors", save(copies))

    return execute(config, hyperparameters, root, body, on_progress, passed.notes, allow_mixed)


def inspect(config: RunConfig, check: bool = True) -> Passed:
    """Pass the gate for the reference: see :func:`training.gate.pass_gate`.

    :raises ConfigError: if the configuration cannot be run
    """
    if config.device != "cpu":
        raise ConfigError(f"{config.algo} runs on device cpu alone, got {config.device!r}")
    if config.n_envs > 1 or config.normalize or config.vec_env != "dummy":
        raise ConfigError(f"{config.algo} takes one environment, which is not normalised")

    def trial(env: Env) -> str | None:
        build_agent(config, resolve_hyperparameters(config), env)
        return None if can_be_saved(env) else NOT_SAVEABLE

    return pass_gate(config, trial, check)


class ReferenceRun:
    """A run in progress, begun anew or continued from the run directory's checkpoint.

    :param hyperparameters: from :func:`resolve_hyperparameters`
    :param should_stop: asked at every step, of evaluations too
    :param can_continue: whether the run is saved, so that it can go on where it stopped
    """

    def __init__(
        self,
        config: RunConfig,
        hyperparameters: dict[str, Any],
        run: RunDirectory,
        should_stop: Callable[[], bool] = lambda: False,
        can_continue: bool = True,
    ) -> None:
        self.run, self.should_stop, self.can_continue = run, should_stop, can_continue
        saved = run.load_checkpoint() if can_continue else None
        monitor_file = str(run.path / MONITOR)
        self.env = Monitor(make_guarded(config), monitor_file, override_existing=saved is None)
        weights_rng, loop_rng = np.random.default_rng(config.seed).spawn(2)
        self.agent = build_agent(config, hyperparameters, self.env, weights_rng)
        with training_guarded(lambda _: 0, lambda: None):
            self.loop = RunLoop(
                self.env,
                self.agent,
                LoopConfig(**{name: hyperparameters[name] for name in LOOP_SETTINGS}),
                config.total_timesteps,
                config.seed,
                loop_rng,
            )
        self.evaluator = Evaluator(config, run, should_stop)
        if saved is not None:
            self._restore(saved)

    def learn(self) -> None:
        """Take all steps that are left, evaluating and saving on the way.

        :raises training.signals.RunStopped: once it should stop
        """
        try:
            self._evaluate()  # at step 0, or where an evaluation was broken off
            with training_guarded(self._step_of, self._refuse_weights):
                self._take_steps()
            self._evaluate(at_end=True)
            self._refuse_weights()
            self.evaluator.finish(self.agent, self.loop.timestep)
        except RunStopped:
            if self.can_continue:
                self.run.try_to_save(self.loop.timestep, self._state)
            raise

    def _take_steps(self) -> None:
        saved_at = time.monotonic()
        for step in self.loop:
            self._evaluate()
            if self.env.episode_returns:
                self.run.last_training_return = self.env.episode_returns[-1]
            self.run.report(step)
            if self.should_stop():
                raise RunStopped(f"asked to stop at step {step}")
            if self.can_continue and time.monotonic() - saved_at > CHECKPOINT_INTERVAL:
                self.run.try_to_save(step, self._state)
                saved_at = time.monotonic()

    def _evaluate(self, at_end: bool = False) -> None:
        """Evaluate where that is due and allowed.

        The paper's code evaluates at the ends of episodes, the author's later code anywhere.

        :param at_end: whether training is over, when it is allowed in mid-episode too
        """
        is_allowed = not self.loop.config.update_after_episode or self.loop.episode_steps == 0
        if (at_end or is_allowed) and self.evaluator.is_due(self.loop.timestep):
            self._refuse_weights()
            self.evaluator.catch_up(self.agent, self.loop.timestep)

    def _refuse_weights(self) -> None:
        refuse_weights(self.agent.weights.items(), self.loop.timestep)

    def _step_of(self, at_reset: bool) -> int:
        """The step of an error of the environment: its reset comes after its step is counted."""
        return self.loop.timestep + (not at_reset)

    def close(self) -> None:
        """Close the environments."""
        self.env.close()
        self.evaluator.close()

    def _state(self) -> dict[str, bytes]:
        """All that an exact continuation needs, between two steps, as files without pickle."""
        buffer = io.BytesIO()
        np.savez(buffer, **self.loop.buffer.get_state())  # type: ignore[arg-type]
        state = {
            "loop": self.loop.get_state(),
            "env": get_state(self.env.env),  # the Monitor's own state follows
            "monitor": {name: getattr(self.env, name) for name in MONITOR_ATTRIBUTES},
        }
        return {
            "agent.safetensors": save(self.agent.get_state()),
            "buffer.npz": buffer.getvalue(),
            "state.json": json.dumps(state).encode(),
        }

    def _restore(self, saved: dict[str, bytes]) -> None:
        self.agent.set_state(load(saved["agent.safetensors"]))
        with np.load(io.BytesIO(saved["buffer.npz"])) as arrays:
            self.loop.buffer.set_state(dict(arrays))
        state = json.loads(saved["state.json"])
        self.loop.set_state(state["loop"])
        set_state(self.env.env, state["env"])
        self.run.resume_at(self.loop.timestep)
        for name, value in state["monitor"].items():
            setattr(self.env, name, value)
        self.evaluator.resume()


def resolve_hyperparameters(config: RunConfig) -> dict[str, Any]:
    """Every hyperparameter of the run: defaults, then the preset, then the overrides.

    :raises ConfigError: if the preset or an overridden name does not exist
    """
    resolved = AGENT_SETTINGS | LOOP_SETTINGS | {COMPILE: False}
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
