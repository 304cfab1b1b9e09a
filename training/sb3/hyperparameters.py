"""Hyperparameters as typed on a command line: read, checked, and turned into SB3's arguments."""

import ast
import json
import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

from training.config import ConfigError

LINEAR = "linear:"  # prefix of a value that falls linearly to 0 over the run
SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf", "delta_std")


class Range(NamedTuple):
    """Which numbers a hyperparameter may have.

    :param whole: only whole numbers
    :param low: least value; not itself included if ``above``
    :param high: greatest value
    """

    whole: bool
    low: float
    high: float = math.inf
    above: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        low = f"{'above' if self.above else 'from'} {self.low:g}"
        return f"{kind} {low}" + ("" if self.high == math.inf else f" up to {self.high:g}")

    def __contains__(self, value: Any) -> bool:
        if type(value) is not int and (self.whole or type(value) is not float):
            return False
        if isinstance(value, float) and not math.isfinite(value):
            return False
        return (value > self.low if self.above else value >= self.low) and value <= self.high


POSITIVE = Range(whole=False, low=0.0, above=True)
NOT_NEGATIVE = Range(whole=False, low=0.0)
FRACTION = Range(whole=False, low=0.0, high=1.0)
COUNT = Range(whole=True, low=1)
# Finite, though SB3 takes more: it accepts gamma=2, tau=-1, batch_size=0 and buffer_size=-5.
RANGES = {
    "alive_bonus_offset": Range(whole=False, low=-math.inf),
    "batch_size": COUNT,
    "buffer_size": COUNT,
    "cg_damping": NOT_NEGATIVE,
    "cg_max_steps": COUNT,
    "clip_range": POSITIVE,
    "clip_range_vf": POSITIVE,
    "delta_std": POSITIVE,
    "ent_coef": NOT_NEGATIVE,
    "exploration_final_eps": FRACTION,
    "exploration_fraction": FRACTION,
    "exploration_initial_eps": FRACTION,
    "exploration_noise": NOT_NEGATIVE,
    "gae_lambda": FRACTION,
    "gamma": FRACTION,
    "gradient_steps": Range(whole=True, low=-1),
    "learning_rate": POSITIVE,
    "learning_starts": Range(whole=True, low=0),
    "line_search_max_iter": COUNT,
    "line_search_shrinking_factor": Range(whole=False, low=0.0, high=1.0, above=True),
    "max_grad_norm": POSITIVE,
    "n_critic_updates": COUNT,
    "n_delta": COUNT,
    "n_epochs": COUNT,
    "n_eval_episodes": COUNT,
    "n_steps": COUNT,
    "n_top": COUNT,
    "policy_delay": COUNT,
    "rms_prop_eps": POSITIVE,
    "sde_sample_freq": Range(whole=True, low=-1),
    "sub_sampling_factor": COUNT,
    "target_entropy": Range(whole=False, low=-math.inf),
    "target_kl": POSITIVE,
    "target_noise_clip": NOT_NEGATIVE,
    "target_policy_noise": NOT_NEGATIVE,
    "target_update_interval": COUNT,
    "tau": Range(whole=False, low=0.0, high=1.0, above=True),
    "top_quantiles_to_drop_per_net": Range(whole=True, low=0),
    "train_freq": COUNT,
    "vf_coef": NOT_NEGATIVE,
}


def parse_overrides(texts: list[str]) -> dict[str, Any]:
    """What a user typed, as nested values.

    ``learning_rate=1e-3``, ``policy_kwargs.net_arch=[64,64]``, ``learning_rate=linear:1e-3``:
    values are Python literals, or else text.

    :raises ConfigError: for text without a name and a value, or a name given twice
    """
    overrides: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        parts = name.split(".")
        if not equals or not value or not all(part.isidentifier() for part in parts):
            raise ConfigError(f"{text!r} must be name=value, such as learning_rate=1e-3")
        place = overrides
        for part in parts[:-1]:
            place = place.setdefault(part, {}) if isinstance(place, dict) else place
        if not isinstance(place, dict) or parts[-1] in place:
            raise ConfigError(f"{name} is given twice")
        place[parts[-1]] = _literal(value)
    try:
        values: dict[str, Any] = json.loads(json.dumps(overrides))  # as config.json will hold them
    except TypeError as error:
        raise ConfigError(
            f"values must be numbers, text, lists or dictionaries: {error}"
        ) from error
    return values


def _literal(text: str) -> Any:
    """The value of a Python literal; any other text as it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def check_values(algo: str, values: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Refuse values of the wrong type or out of range.

    :param values: those that differ from the defaults
    :param defaults: of the algorithm, by name; None allows None
    :raises ConfigError: naming what would be accepted
    """
    for name, value in values.items():
        accepted = _accepted(name, value, defaults[name])
        if accepted is not None:
            raise ConfigError(f"{name} of {algo} must be {accepted}, got {value!r}")


def _accepted(name: str, value: Any, default: Any) -> str | None:
    """What a hyperparameter may be; None if the value is that."""
    if value == default and type(value) is type(default):
        return None
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "True or False"
    if name == "policy_kwargs" and isinstance(value, dict):
        sizes = value.get("net_arch") or []
        return None if _are_sizes(sizes) else f"given with {COUNT} for each layer of net_arch"
    if name.endswith("_kwargs"):
        return None if isinstance(value, dict) else f"given by its parts, as in {name}.name=value"
    if name.endswith("_class"):
        return f"left at its default; {name} cannot be given here"
    if name not in RANGES:  # an algorithm of the user's own: its default's type must do
        fits = default is None or isinstance(value, type(default)) or type(value) is int
        return None if fits else f"of type {type(default).__name__}"
    texts = [str(RANGES[name])]
    fits = value in RANGES[name]
    if default is None:
        texts.append("None")
        fits = fits or value is None
    if name in SCHEDULES:
        texts.append(f"{LINEAR}NUMBER, falling to 0 over the run")
        fits = fits or _linear_start(value) in RANGES[name]
    if default == "auto":
        texts.append("auto")
        fits = fits or value == "auto"
        if name == "ent_coef":
            texts.append("auto_NUMBER, its initial value")
            fits = fits or _automatic_start(value) in POSITIVE
    if name == "train_freq":
        texts.append("[COUNT, 'step' or 'episode']")
        fits = fits or _is_frequency(value)
    return None if fits else " or ".join(texts)


def _are_sizes(value: Any) -> bool:
    """Whether ``net_arch`` lists sizes of layers, or does so by the networks' names."""
    if isinstance(value, dict):
        return all(_are_sizes(part) for part in value.values())
    return isinstance(value, list | tuple) and all(size in COUNT for size in value)


def _linear_start(value: Any) -> float | None:
    """1e-3 of ``linear:1e-3``."""
    if not isinstance(value, str) or not value.startswith(LINEAR):
        return None
    number = _literal(value.removeprefix(LINEAR))
    return number if type(number) in (int, float) else None


def _automatic_start(value: Any) -> float | None:
    """0.1 of ``auto_0.1``."""
    if not isinstance(value, str) or not value.startswith("auto_"):
        return None
    number = _literal(value.removeprefix("auto_"))
    return number if type(number) in (int, float) else None


def _is_frequency(value: Any) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return value[0] in COUNT and value[1] in ("step", "episode")


def to_arguments(values: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters as SB3's constructors take them: schedules, tuples and classes.

    :raises ConfigError: if an activation function is not one of torch's
    """
    arguments = deepcopy(values)  # SB3 writes into policy_kwargs
    for name in SCHEDULES:
        start = _linear_start(arguments.get(name))
        if start is not None:
            arguments[name] = linear_schedule(start)
    if isinstance(arguments.get("train_freq"), list):
        arguments["train_freq"] = tuple(arguments["train_freq"])
    policy = arguments.get("policy_kwargs") or {}
    if "activation_fn" in policy:
        arguments["policy_kwargs"] = {
            **policy,
            "activation_fn": _activation(policy["activation_fn"]),
        }
    return arguments


def linear_schedule(start: float) -> Callable[[float], float]:
    """A value that falls linearly from ``start`` to 0 over the run.

    SB3's own class: a function of ours would be saved in the model as code.

    :return: function of the part of the run that is left, 1 to 0
    """
    from stable_baselines3.common.utils import LinearSchedule

    return LinearSchedule(start, 0.0, 1.0)


def _activation(name: Any) -> Any:
    from torch.nn.modules import activation

    if name not in activation.__all__:
        raise ConfigError(
            f"activation_fn must be an activation of torch.nn such as ReLU, got {name!r}"
        )
    return getattr(activation, name)
