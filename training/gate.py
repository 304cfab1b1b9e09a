"""What every run has to pass before anything is written, whichever implementation it names.

Two parts are tried and, where they fail, noted, since training is possible all the same: whether
episodes follow their seeds, and whether a stopped run can be continued. The rest is refused.
"""

import io
import warnings
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch

from envs.checks.play import action_sequence, play, same
from envs.rollout import Env
from envs.saved_state import get_state, set_state, state_fault
from envs.step_check import CLOCK
from training.config import ConfigError, RunConfig
from training.environments import SAME_STEP, make_env, make_native_env, say_once
from training.escapes import escapes_named
from training.evaluation import global_generators_untouched
from training.run_directory import BEGINS_ANEW

SEED = 10_000  # of the resets that are compared: the first of the evaluation protocol
STEPS = 10  # that follow each of them
Trial = Callable[[Env], str | None]


class Passed(NamedTuple):
    """What was found out about a run that may begin.

    :param notes: what a reader of its results must know, a line each
    :param can_continue: whether it can go on where it stopped, or has to begin anew
    """

    notes: list[str]
    can_continue: bool


def pass_gate(config: RunConfig, trial: Trial, check: bool = True) -> Passed:
    """Refuse what cannot be run, and note what a reader of the results must know.

    Its draws from global generators are taken back. The checker's remarks are logged, each once.

    :param trial: refuses spaces and hyperparameters by building the agent for an environment, and
        says why such an agent cannot be continued where it stopped, None if it can
    :param check: whether SB3's checker is to look at the environment. It acts at random and says
        the same each time, so one look is enough for many runs on the same environment
    :raises ConfigError: if the run cannot work
    """
    check_device(config.device)
    CLOCK.enter("the checks before the run")
    escapes = escapes_named(lambda: "in the checks before the run", ConfigError)
    with escapes, global_generators_untouched(), ExitStack() as stack:
        env = make_env(config)
        stack.callback(env.close)
        refuse_unbounded_actions(config, env)
        fault = trial(env)
        refuse_endless_episodes(config, env)
        remarks = remarks_of_checker(config, env) if check else []
        fresh = make_env(config)
        stack.callback(fresh.close)
        notes = []
        if broken := seed_fault(env, fresh):
            notes.append(f"starts do not follow seeds on {config.env_id}: {broken}")
        if fault is None:
            fault = continuation_fault(config)
    CLOCK.leave()
    if fault is not None:
        notes.append(f"{BEGINS_ANEW}: {fault}")
    for remark in remarks:
        say_once(f"SB3's checker on {config.env_id}: {remark}")
    for note in notes:
        say_once(note)
    return Passed(notes, fault is None)


def check_device(name: str) -> None:
    """Refuse a device that is not there; SB3 would take the CPU without a word.

    :raises ConfigError: if torch does not know it or cannot use it
    """
    try:
        torch.zeros(1, device=name).item()
    except (AssertionError, RuntimeError) as error:
        message = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used, cpu always can: {message}") from error


def refuse_endless_episodes(config: RunConfig, env: Env) -> None:
    """Refuse an environment without a time limit: a policy may never end an episode of it.

    :raises ConfigError: saying how to set one
    """
    layer: Any = env
    while isinstance(layer, gym.Wrapper):
        if isinstance(layer, gym.wrappers.TimeLimit):
            return
        layer = layer.env
    raise ConfigError(
        f"{config.env_id} has no time limit, so an evaluation may never end: set one with"
        " --max-episode-steps N (max_episode_steps in a RunConfig); if its episodes end by"
        " themselves, an N that none of them reaches changes nothing"
    )


def refuse_unbounded_actions(config: RunConfig, env: Env) -> None:
    """Refuse a Box of actions that exploration cannot cover and no policy can be scaled to.

    :raises ConfigError: if a bound is infinite, or lowest and highest are the same
    """
    space = env.action_space
    if not isinstance(space, gym.spaces.Box):
        return
    width = np.subtract(space.high, space.low, dtype=np.float64)
    if not (np.isfinite(width) & (width > 0)).all():
        raise ConfigError(
            f"actions of {config.env_id} must have finite bounds, the lower below the upper;"
            f" it has {space}"
        )


class _AsTrained(gym.Wrapper[Any, Any, Any, Any]):
    """Finds attributes wherever they are below, as training does: ``compute_reward``, masks.

    The checker looks below wrappers to tell a goal environment; one whose observations a wrapper
    has flattened is none any more.
    """

    @property
    def unwrapped(self) -> "_AsTrained":
        return self

    def __getattr__(self, name: str) -> Any:
        flattened = not isinstance(self.env.observation_space, gym.spaces.Dict)
        if name.startswith("__") or (name == "compute_reward" and flattened):
            raise AttributeError(name)
        return self.env.get_wrapper_attr(name)


def remarks_of_checker(config: RunConfig, env: Env) -> list[str]:
    """Let SB3's checker look at an environment, wrapped as it is trained on.

    :return: what it, and Gymnasium's own checker, warn of
    :raises ConfigError: saying why it refuses
    """
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings(record=True) as caught, redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            check_env(_AsTrained(env), skip_render_check=True)
        except Exception as error:  # whatever a stranger's environment may raise
            message = " ".join(str(error).split())
            raise ConfigError(
                f"SB3's checker refuses {config.env_id}: {type(error).__name__}: {message};"
                " python -m envs.checks says more, --no-check goes on all the same"
            ) from error
    return [str(warning.message) for warning in caught]


def seed_fault(env: Env, fresh: Env) -> str | None:
    """How episodes of one seed differ, in words; None if they do not.

    :param env: in which something was played before
    :param fresh: a new one
    """
    actions = list(islice(action_sequence(env.action_space, "random", 0), STEPS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        play(env, None, actions)
        first, again, anew = (play(each, SEED, actions) for each in (env, env, fresh))
    where = "a second" if not same(first, again) else "another environment's"
    for other in (again, anew):
        if not same(first[0], other[0]):
            return f"{where} reset with the same seed starts differently"
        if not same(first, other):
            return f"after {where} reset with the same seed, the same actions lead elsewhere"
    return None


def continuation_fault(config: RunConfig) -> str | None:
    """What is wrong with the state that the environment saves, None if nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if config.vec_env != "native":
            return state_fault(partial(make_env, config), get_state, set_state)
        return state_fault(
            partial(make_native_env, config, config.n_envs, autoreset_mode=SAME_STEP),
            lambda env: env.get_state(),
            lambda env, state: env.set_state(state),
        )
