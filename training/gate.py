"""The checks that every run must pass before anything is written, whatever its implementation.

Two failures are only noted, since training is still possible: if episodes do not follow their
seeds, and if a stopped run cannot be continued. A run that fails any other check is refused.
"""

import io
import warnings
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch

from envs.checks.play import action_sequence, global_generators_preserved, play, same
from envs.rollout import Env
from envs.saved_state import find_restore_fault, get_state, set_state
from envs.step_check import CLOCK
from training.config import FIRST_SEED, ConfigError, RunConfig, one_line
from training.endings import exits_as_errors
from training.environments import SAME_STEP, log_once, make_env, make_native_env
from training.run_directory import BEGINS_ANEW
from training.supervisor import Learner

STEPS = 10  # played after each of the resets that are compared


class Passed(NamedTuple):
    """A run that may begin.

    :param learner: its agent and environment; nothing has been played in the environment
    :param notes: what a reader of its results must know, a line each
    :param resumable: whether it can go on where it stopped, or has to begin anew
    """

    learner: Learner
    notes: list[str]
    resumable: bool


def pass_gate(
    config: RunConfig, make_learner: Callable[[Env], Learner], check: bool = True
) -> Passed:
    """Refuse what cannot be run, and note what a reader of the results must know.

    The checks play in environments of their own, never in the one for training. Two environments
    show whether episodes follow their seeds, two more whether a saved state is complete. The
    checks restore the global generators. The checker's remarks are logged, each once.

    :param make_learner: makes the agent and its environment, given another one to inspect; refuses
        unsuitable spaces and hyperparameters
    :param check: whether to run SB3's checker on the environment. It acts at random but finds the
        same each time, so once is enough for many runs on the same environment
    :raises ConfigError: if the run cannot work
    """
    check_device(config.device)
    CLOCK.enter("the checks before the run")
    with (
        exits_as_errors(lambda: "in the checks before the run", ConfigError),
        closing(make_env(config)) as env,
    ):
        refuse_unbounded_actions(config, env)
        refuse_endless_episodes(config, env)
        with global_generators_preserved():
            remarks = remarks_of_checker(config, env) if check else []
            notes = notes_on_seeds(config, env)
        # Last, since it seeds an action space, which environments of one class may share.
        learner = make_learner(env)
        reason = learner.reason_not_resumable()
        if reason is None:
            with global_generators_preserved():
                reason = reason_not_restorable(config)
    CLOCK.leave()
    if reason is not None:
        notes.append(f"{BEGINS_ANEW}: {reason}")
    for line in [*(f"SB3's checker on {config.env_id}: {remark}" for remark in remarks), *notes]:
        log_once(line)
    return Passed(learner, notes, reason is None)


def check_device(name: str) -> None:
    """Refuse a device that is not available; SB3 would use the CPU silently.

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


class _CheckerView(gym.Wrapper[Any, Any, Any, Any]):
    """Gives the checker the attributes that training finds: ``compute_reward``, action masks.

    The checker looks below all wrappers for ``compute_reward``, which marks a goal environment. An
    environment whose observations a wrapper has flattened is no longer one.
    """

    @property
    def unwrapped(self) -> "_CheckerView":
        return self

    def __getattr__(self, name: str) -> Any:
        flattened = not isinstance(self.env.observation_space, gym.spaces.Dict)
        if name.startswith("__") or (name == "compute_reward" and flattened):
            raise AttributeError(name)
        return self.env.get_wrapper_attr(name)


def remarks_of_checker(config: RunConfig, env: Env) -> list[str]:
    """Run SB3's checker on an environment, wrapped as it is for training.

    :return: what it, and Gymnasium's own checker, warn of
    :raises ConfigError: saying why it refuses
    """
    from stable_baselines3.common.env_checker import check_env

    with warnings.catch_warnings(record=True) as caught, redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        try:
            check_env(_CheckerView(env), skip_render_check=True)
        except Exception as error:  # a user's environment may raise anything
            raise ConfigError(
                f"SB3's checker refuses {config.env_id}: {type(error).__name__}:"
                f" {one_line(error)};"
                " python -m envs.checks says more, --no-check goes on all the same"
            ) from error
    return [str(warning.message) for warning in caught]


def notes_on_seeds(config: RunConfig, env: Env) -> list[str]:
    """Note if episodes with the same seed differ.

    :param env: in which something was played before; compared with itself and with a new one
    """
    actions = list(islice(action_sequence(env.action_space, "random", 0), STEPS))
    with closing(make_env(config)) as fresh, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        play(env, None, actions)
        first, again, anew = (play(each, FIRST_SEED, actions) for each in (env, env, fresh))
    where = "a second" if not same(first, again) else "another environment's"
    note = f"starts do not follow seeds on {config.env_id}:"
    for other in (again, anew):
        if not same(first[0], other[0]):
            return [f"{note} {where} reset with the same seed starts differently"]
        if not same(first, other):
            what = f"after {where} reset with the same seed, the same actions lead elsewhere"
            return [f"{note} {what}"]
    return []


def reason_not_restorable(config: RunConfig) -> str | None:
    """Why an environment's saved state cannot be restored; None if it can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if config.vec_env != "native":
            return find_restore_fault(partial(make_env, config), get_state, set_state)
        return find_restore_fault(
            partial(make_native_env, config, config.n_envs, autoreset_mode=SAME_STEP),
            lambda env: env.get_state(),
            lambda env, state: env.set_state(state),
        )
