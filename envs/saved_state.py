"""Save an environment's state in mid-episode, as JSON values, and go on from it.

Covers this project's environments, Gymnasium's classic control and MuJoCo tasks, and any other
whose base environment offers ``get_state()`` and ``set_state(state)``.
"""

import importlib
import json
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import islice
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from envs.checks.play import action_sequence, same
from envs.step_check import StepGuard

Env = gym.Env[Any, Any]
Getter = Callable[[Any], Any]
Setter = Callable[[Any, Any], object]
NOT_SAVEABLE = "its environment has no get_state() and set_state(), or wrappers without them"
BEFORE, AFTER = 12, 25  # steps before and after the save in find_restore_fault()
WRAPPERS = (TimeLimit, OrderEnforcing, PassiveEnvChecker)  # those that gym.make adds
CLASSIC_CONTROL = "gymnasium.envs.classic_control"
# All that Gymnasium's classic-control environments carry from one step to the next.
CLASSIC_ATTRIBUTES = ("state", "last_u", "steps_beyond_terminated")
MUJOCO = "gymnasium.envs.mujoco"


@runtime_checkable
class Saveable(Protocol):
    """An environment that can return its state, generator included, as JSON values."""

    def get_state(self) -> Any:
        """All that the next steps and resets depend on."""
        ...

    def set_state(self, state: Any) -> None:
        """Go on from a state that :meth:`get_state` returned."""
        ...


def can_be_saved(env: Env) -> bool:
    """Whether :func:`get_state` can save this environment with its wrappers."""
    base = env.unwrapped
    known = _is_of(MUJOCO, base) or _is_of(CLASSIC_CONTROL, base) or isinstance(base, Saveable)
    return known and all(type(layer) in WRAPPERS for layer in _wrappers(env))


def _is_of(package: str, base: Env) -> bool:
    return type(base).__module__.startswith(package)


def get_state(env: Env) -> dict[str, Any]:
    """State of an environment, of its generator and of Gymnasium's wrappers around it.

    :raises TypeError: if the environment's state cannot be saved
    """
    base = env.unwrapped
    if not can_be_saved(env):
        raise TypeError(f"the state of {env} cannot be saved: no get_state(), or other wrappers")
    if _is_of(MUJOCO, base):
        state = _mujoco_state(base)
    elif isinstance(base, Saveable):
        state = base.get_state()
    else:
        present = [name for name in CLASSIC_ATTRIBUTES if hasattr(base, name)]
        state = {name: encode(getattr(base, name)) for name in present}
        state["generator"] = base.np_random.bit_generator.state
    return {"base": state, "wrappers": [_wrapper_state(layer) for layer in _wrappers(env)]}


def set_state(env: Env, state: dict[str, Any]) -> None:
    """Put an equal environment into a state that :func:`get_state` returned."""
    base = env.unwrapped
    if _is_of(MUJOCO, base):  # its own set_state is another: it takes positions and velocities
        _set_mujoco_state(base, state["base"])
    elif isinstance(base, Saveable):
        base.set_state(state["base"])
    else:
        values = dict(state["base"])
        base.np_random.bit_generator.state = values.pop("generator")
        for name, value in values.items():
            setattr(base, name, decode(value))
    for layer, attributes in zip(_wrappers(env), state["wrappers"], strict=True):
        for name, value in attributes.items():
            setattr(layer, name, value)


def _mujoco_state(base: Any) -> dict[str, Any]:
    """All that a MuJoCo task carries from one step to the next.

    The integration state alone is not enough: after a step, MuJoCo's derived quantities (positions
    of bodies, for one) are those of the last substep's start, and some tasks read them before the
    next step. If they were computed anew, they would differ.
    """
    mujoco = importlib.import_module("mujoco")
    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    integration = np.empty(mujoco.mj_stateSize(base.model, kind))
    mujoco.mj_getState(base.model, base.data, integration, kind)
    derived = {name: encode(getattr(base.data, name)) for name in _arrays_of_fixed_size(base)}
    generator = base.np_random.bit_generator.state
    return {"integration": encode(integration), "derived": derived, "generator": generator}


def _set_mujoco_state(base: Any, state: dict[str, Any]) -> None:
    mujoco = importlib.import_module("mujoco")
    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    mujoco.mj_setState(base.model, base.data, decode(state["integration"]), kind)
    for name, values in state["derived"].items():
        getattr(base.data, name)[...] = decode(values)
    base.np_random.bit_generator.state = state["generator"]


def _arrays_of_fixed_size(base: Any) -> list[str]:
    """Names of MjData's floating-point arrays of fixed size.

    Those of contacts and constraints are left out: each step computes them anew, and in new MjData
    they are empty.
    """
    new = importlib.import_module("mujoco").MjData(base.model)
    arrays = {name: getattr(new, name) for name in dir(new) if not name.startswith("_")}
    return [
        name
        for name, array in arrays.items()
        if isinstance(array, np.ndarray) and array.dtype == np.float64 and array.size
    ]


def find_restore_fault(make: Callable[[], Any], get: Getter, put: Setter) -> str | None:
    """Save an environment's state in mid-episode, set it in another, and compare what follows.

    :param make: returns a new environment, single or vector
    :param get: such as :func:`get_state`
    :param put: such as :func:`set_state`
    :return: what is wrong with the state; None if the other environment goes on exactly alike
    """
    first, second = make(), make()
    try:
        actions = action_sequence(first.action_space, "random", 0)
        first.reset(seed=0)
        second.reset(seed=1)
        _steps(first, islice(actions, BEFORE))
        _steps(second, islice(actions, BEFORE // 2))
        put(second, json.loads(json.dumps(get(first))))
        rest = list(islice(actions, AFTER))
        if not same(_steps(first, rest), _steps(second, rest)):
            return "another environment that took up its state went on differently"
        starts = [env.reset()[0] for env in (first, second)]
        if not same(*starts) or not same(_steps(first, rest), _steps(second, rest)):
            return "another environment that took up its state began its next episode differently"
    except Exception as error:  # a user's environment may raise anything
        message = " ".join(str(error).split())
        return f"its state cannot be saved and restored ({type(error).__name__}: {message})"
    finally:
        first.close()
        second.close()
    return None


def _steps(env: Any, actions: Iterable[Any]) -> list[Any]:
    """Step an environment, and return all that it returns, except infos; reset single ones."""
    returned = []
    for action in actions:
        *step, _ = env.step(deepcopy(action))
        returned.append(deepcopy(step))
        if isinstance(env, gym.Env) and (step[2] or step[3]):
            returned.append([deepcopy(env.reset()[0])])
    return returned


def _wrappers(env: Env) -> list[Env]:
    layers: list[Env] = []
    while isinstance(env, gym.Wrapper):
        if not isinstance(env, StepGuard):  # a StepGuard has no state
            layers.append(env)
        env = env.env
    return layers


def _wrapper_state(layer: Env) -> dict[str, Any]:
    if isinstance(layer, TimeLimit):
        return {"_elapsed_steps": layer._elapsed_steps}
    if isinstance(layer, OrderEnforcing):
        return {"_has_reset": layer._has_reset}
    if isinstance(layer, PassiveEnvChecker):  # checks only the first reset and step
        return {"checked_reset": True, "checked_step": True, "checked_data_reuse": True}
    return {}


def encode(value: Any) -> Any:
    """Convert a number, text, tuple, dictionary or array to JSON values that keep its type."""
    if isinstance(value, np.ndarray | np.generic):
        return {"dtype": str(value.dtype), "values": value.tolist()}
    if isinstance(value, tuple):
        return {"tuple": [encode(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": {name: encode(item) for name, item in value.items()}}
    return value


def decode(value: Any) -> Any:
    """The inverse of :func:`encode`."""
    if isinstance(value, dict) and "dtype" in value:
        array = np.array(value["values"], dtype=value["dtype"])
        return array if array.ndim else array[()]
    if isinstance(value, dict) and "dict" in value:
        return {name: decode(item) for name, item in value["dict"].items()}
    if isinstance(value, dict):
        return tuple(decode(item) for item in value["tuple"])
    return value
