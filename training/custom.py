"""An agent with a training loop of its own, as a run needs it: see docs/your_algorithm.md."""

import importlib
import inspect
import io
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.monitor import Monitor

from envs.rollout import Env, Policy
from training.config import ConfigError, RunConfig, one_line, refuse_untrusted
from training.environments import make_guarded, record_episodes
from training.open_run import OpenRun
from training.run_directory import MONITOR
from training.sb3.hyperparameters import check_values
from training.supervisor import Learner, Supervisor

POLICY = "policy.bin"  # what an agent with ``save(file)`` writes
NOT_HYPERPARAMETERS = ("self", "env", "seed")  # constructor arguments that are not hyperparameters


def is_custom(algo: str) -> bool:
    """Whether a name is that of a class with ``predict`` and a ``learn`` that takes ``on_step``."""
    module, colon, name = algo.partition(":")
    if not colon:
        return False
    refuse_untrusted(module, algo)
    try:
        found = getattr(importlib.import_module(module), name)
        return hasattr(found, "predict") and "on_step" in inspect.signature(found.learn).parameters
    except Exception:  # a user's module may raise anything; reported when the agent is built
        return False


def resolve_hyperparameters(config: RunConfig) -> dict[str, Any]:
    """The constructor's named arguments: their defaults, then the configuration's.

    :raises ConfigError: if an argument is unknown or has no value, or a preset is given
    """
    parameters = inspect.signature(_class(config.algo)).parameters
    named = {
        name: each.default for name, each in parameters.items() if name not in NOT_HYPERPARAMETERS
    }
    if config.preset is not None:
        raise ConfigError(f"{config.algo} has no presets, got {config.preset!r}")
    config.refuse_unknown(named)
    values = {**named, **config.hyperparams}
    if missing := [name for name, value in values.items() if value is inspect.Parameter.empty]:
        raise ConfigError(f"{config.algo} needs hyperparameters: {', '.join(missing)}")
    known = {k: v for k, v in config.hyperparams.items() if named[k] is not inspect.Parameter.empty}
    check_values(config.algo, known, named)
    return values


def build_agent(config: RunConfig, hyperparameters: dict[str, Any], env: Env) -> Any:
    """Seed the global generators, and make the agent for an environment.

    :raises ConfigError: if its class refuses
    """
    random.seed(config.seed)
    np.random.seed(config.seed)  # noqa: NPY002
    torch.manual_seed(config.seed)
    agent_class = _class(config.algo)
    seed = {"seed": config.seed} if "seed" in inspect.signature(agent_class).parameters else {}
    try:
        return agent_class(env, **seed, **hyperparameters)
    except Exception as error:  # a user's algorithm may raise anything
        raise ConfigError(f"{config.algo} cannot be built: {one_line(error)}") from error


def _class(algo: str) -> Any:
    module, _, name = algo.partition(":")
    refuse_untrusted(module, algo)
    return getattr(importlib.import_module(module), name)


class CustomLearner(Learner):
    """An agent of the user's own and the environment that it trains on.

    :param hyperparameters: from :func:`resolve_hyperparameters`
    :param env: not needed: the agent is built for the one that it trains on
    :raises ConfigError: if the configuration asks for what only SB3's algorithms support
    """

    resolve_hyperparameters = staticmethod(resolve_hyperparameters)

    def __init__(self, config: RunConfig, hyperparameters: dict[str, Any], env: Env) -> None:
        if config.n_envs > 1 or config.normalize or config.vec_env != "dummy":
            raise ConfigError(f"{config.algo} takes one environment, which is not normalised")
        if config.device != "cpu":
            raise ConfigError(f"{config.algo} chooses its device itself, got {config.device!r}")
        self.config, self.hyperparameters = config, hyperparameters
        self.env = Monitor(make_guarded(config))
        self.agent = build_agent(config, self.hyperparameters, self.env)
        self._seen = 0  # number of calls of on_step

    @property
    def step(self) -> int:
        """Environment steps so far, as counted outside the agent."""
        return self.env.get_total_steps()

    @property
    def policy(self) -> Policy:
        """The agent."""
        policy: Policy = self.agent
        return policy

    def reason_not_resumable(self) -> str | None:
        """Why a stopped run has to begin anew."""
        return f"the training loop of {self.config.algo} keeps its state to itself"

    def learn(self, run: OpenRun, supervisor: Supervisor, saved: dict[str, bytes] | None) -> None:
        """Train to the end.

        :raises RuntimeError: if the agent does not report each step
        """
        record_episodes(self.env, self.config, run.path / MONITOR, append=False)

        def on_step(*_: Any) -> None:
            self._seen += 1
            self._check_steps_reported()
            returns = self.env.get_episode_rewards()
            supervisor.after_step(returns[-1] if returns else None)

        supervisor.evaluate_if_due()
        config = self.config
        with supervisor.guarded(lambda at_reset: self.step + (not at_reset)):
            steps = self.agent.learn(self.env, config.total_timesteps, config.seed, on_step)
            if inspect.isgenerator(steps):
                for _ in steps:
                    on_step()
        self._check_steps_reported()
        supervisor.finish()

    def _check_steps_reported(self) -> None:
        if self._seen != self.step:
            raise RuntimeError(
                f"{self.config.algo} has taken {self.step} steps in the environment and called"
                f" on_step() {self._seen} times: it must call it after each step, or yield there"
            )

    def weights(self) -> Iterable[tuple[str, torch.Tensor]]:
        """Weights of the networks that the agent has as attributes."""
        for name, part in getattr(self.agent, "__dict__", {}).items():
            if isinstance(part, torch.nn.Module):
                yield from ((f"{name}.{each}", w) for each, w in part.named_parameters())

    def save_state(self) -> dict[str, bytes]:
        """Never called: see :meth:`reason_not_resumable`."""
        raise NotImplementedError

    def policy_files(self) -> dict[str, bytes]:
        """What the agent writes, if it has ``save(file)``."""
        if not hasattr(self.agent, "save"):
            return {}
        file = io.BytesIO()
        self.agent.save(file)
        return {POLICY: file.getvalue()}
