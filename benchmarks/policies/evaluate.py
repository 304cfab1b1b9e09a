"""Evaluate any policy from the protocol's starts, and write a run directory."""

import importlib
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.policies.load import load_policy, refuse_unable
from envs.rollout import Env, Policy
from training.config import ConfigError, RunConfig, one_line
from training.environments import make_env
from training.evaluation import Evaluator
from training.open_run import open_run


class OneByOne:
    """A policy that calls a function for one observation after another."""

    def __init__(self, act: Any) -> None:
        self._act = act

    def predict(self, observation: Any, *_: Any, **__: Any) -> tuple[Any, None]:
        """Actions (n, ...) for observations (n, ...), dictionaries included."""
        if isinstance(observation, dict):
            n = len(next(iter(observation.values())))
            each = [{name: part[i] for name, part in observation.items()} for i in range(n)]
        else:
            each = list(observation)
        return np.stack([self._act(one) for one in each]), None


def evaluate(source: str, config: RunConfig, root: Path) -> str:
    """Play the ten and the hundred starts, and write a run directory of a run without training.

    :param source: ``my_module:policy``: an object with SB3's ``predict``, a class of such whose
        constructor takes the environment, or a function of an observation; or what
        :func:`benchmarks.policies.load.load_policy` takes
    :param config: its label, environment, seed and evaluation
    :return: the mean returns and the run directory, as lines to print
    :raises ConfigError: if there is no such policy, or it cannot act there
    """
    with closing(make_env(config)) as env:
        policy = find_policy(source, env)
    with open_run(config, {}, root) as run:
        if not run.was_done:
            with closing(Evaluator(config, run)) as evaluator:
                evaluator.evaluate_if_due(policy, 0)
                run.step = config.total_timesteps
                evaluator.finish(policy, config.total_timesteps)
    with np.load(run.path / "evaluations.npz") as arrays:
        few, many = arrays["results"][-1], arrays["final_results"]
    return (
        f"{config.label} on {config.env_id}: mean return {few.mean():.2f} on the learning curve's"
        f" {len(few)} starts, {many.mean():.2f} on {len(many)} held-out starts\n{run.path}"
    )


def find_policy(source: str, env: Env) -> Policy:
    """The policy that a user names.

    :raises ConfigError: if there is none, or it cannot act in the environment
    """
    module, colon, name = source.partition(":")
    if not colon:
        return load_policy(source, env).policy
    try:
        found: Any = getattr(importlib.import_module(module), name)
        found = found(env) if isinstance(found, type) else found
    except Exception as error:  # whatever a user's module may raise
        raise ConfigError(f"cannot import policy {source!r}: {one_line(error)}") from error
    if not (hasattr(found, "predict") or callable(found)):
        raise ConfigError(f"{source!r} is no policy: it must have predict, or be a function")
    policy: Policy = found if hasattr(found, "predict") else OneByOne(found)
    refuse_unable(source, policy, env)
    return policy
