"""Hyperparameters: checked, and turned into SB3's arguments."""

import importlib
import math
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from training.config import LINEAR, ConfigError, refuse_untrusted

CORRELATED = "ou:"  # prefix of exploration noise that is correlated in time
BUFFER, HER = "replay_buffer_class", "HerReplayBuffer"
BUFFERS = ("stable_baselines3.common.buffers", "stable_baselines3.her.her_replay_buffer")
POLICY_CLASSES = {  # name in policy_kwargs -> module of SB3 or torch that has these classes
    "activation_fn": "torch.nn.modules.activation",
    "optimizer_class": "torch.optim",
    "features_extractor_class": "stable_baselines3.common.torch_layers",
}
SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf", "delta_std")


class Range(NamedTuple):
    """Which numbers a hyperparameter may have.

    :param whole: only whole numbers
    :param low: smallest value; itself excluded if ``above``
    :param high: largest value
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
# Numbers must be finite. SB3 checks less: it accepts gamma=2, tau=-1, batch_size=0, buffer_size=-5.
BY_RANGE = {
    COUNT: "batch_size buffer_size cg_max_steps line_search_max_iter n_critic_updates n_delta"
    " n_epochs n_eval_episodes n_steps n_top policy_delay sub_sampling_factor"
    " target_update_interval train_freq",
    POSITIVE: "clip_range clip_range_vf delta_std learning_rate max_grad_norm rms_prop_eps"
    " target_kl",
    NOT_NEGATIVE: "cg_damping ent_coef exploration_noise target_noise_clip target_policy_noise"
    " vf_coef",
    FRACTION: "exploration_final_eps exploration_fraction exploration_initial_eps gae_lambda gamma",
    Range(whole=False, low=0.0, high=1.0, above=True): "line_search_shrinking_factor tau",
    Range(whole=False, low=-math.inf): "alive_bonus_offset target_entropy",
    Range(whole=True, low=0): "learning_starts top_quantiles_to_drop_per_net",
    Range(whole=True, low=-1): "gradient_steps sde_sample_freq",
}
RANGES = {name: accepted for accepted, names in BY_RANGE.items() for name in names.split()}


def check_values(algo: str, values: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Refuse values of the wrong type or out of range.

    :param values: those that the configuration sets, by name
    :param defaults: of the algorithm, by name; where one is None, None is accepted
    :raises ConfigError: naming what would be accepted
    """
    for name, value in values.items():
        default = defaults[name]
        if value == default and type(value) is type(default):
            continue
        fits, accepted = _judge(name, value, default)
        if not fits:
            raise ConfigError(f"{name} of {algo} must be {accepted}, got {value!r}")


def _judge(name: str, value: Any, default: Any) -> tuple[bool, str]:
    """Whether a hyperparameter may have a value, and the accepted values in words."""
    if isinstance(default, bool):
        return isinstance(value, bool), "True or False"
    if name == "policy_kwargs" and isinstance(value, dict):
        sizes = value.get("net_arch") or []
        return _are_sizes(sizes), f"given with {COUNT} for each layer of net_arch"
    if name.endswith("_kwargs"):
        return isinstance(value, dict), f"given by its parts, as in {name}.name=value"
    if name in (BUFFER, "policy"):
        return isinstance(value, str), "the name of a class"
    if name.endswith("_class"):
        return False, f"left at its default; {name} cannot be given here"
    if name not in RANGES:  # of a user's algorithm: only the type of its default is known
        fits = default is None or isinstance(value, type(default)) or type(value) is int
        return fits, f"of type {type(default).__name__}"
    accepted = {str(RANGES[name]): value in RANGES[name]}
    if name == "exploration_noise":
        text = f"{CORRELATED}NUMBER, of an Ornstein-Uhlenbeck process"
        accepted[text] = _number_after(CORRELATED, value) in NOT_NEGATIVE
    if default is None:
        accepted["None"] = value is None
    if name in SCHEDULES:
        start = _number_after(LINEAR, value)
        accepted[f"{LINEAR}NUMBER, falling to 0 over the run"] = start in RANGES[name]
    if default == "auto":
        accepted["auto"] = value == "auto"
    if default == "auto" and name == "ent_coef":
        accepted["auto_NUMBER, its initial value"] = _number_after("auto_", value) in POSITIVE
    if name == "train_freq":
        accepted["[COUNT, 'step' or 'episode']"] = _is_frequency(value)
    return any(accepted.values()), " or ".join(accepted)


def _are_sizes(value: Any) -> bool:
    """Whether ``net_arch`` is a list of layer sizes, or a dictionary of them by network."""
    if isinstance(value, dict):
        return all(_are_sizes(part) for part in value.values())
    return isinstance(value, list | tuple) and all(size in COUNT for size in value)


def _number_after(prefix: str, value: Any) -> float | None:
    """The number after a prefix, as in ``linear:1e-3``; None for anything else."""
    if not isinstance(value, str) or not value.startswith(prefix):
        return None
    try:
        return float(value.removeprefix(prefix))
    except ValueError:
        return None


def _is_frequency(value: Any) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return value[0] in COUNT and value[1] in ("step", "episode")


def to_arguments(values: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters as SB3's constructors take them: schedules, tuples and classes.

    :raises ConfigError: if a class does not exist
    """
    from stable_baselines3.common.utils import LinearSchedule

    arguments = deepcopy(values)  # SB3 writes into policy_kwargs
    for name in SCHEDULES:
        start = _number_after(LINEAR, arguments.get(name))
        if start is not None:
            # SB3's own class: a function of ours would be saved in the model as code.
            arguments[name] = LinearSchedule(start, 0.0, 1.0)
    if isinstance(arguments.get("train_freq"), list):
        arguments["train_freq"] = tuple(arguments["train_freq"])
    if isinstance(buffer := arguments.get(BUFFER), str):
        arguments[BUFFER] = find_class(HER if buffer == "her" else buffer, BUFFER, *BUFFERS)
    policy = arguments.get("policy_kwargs") or {}
    for name in POLICY_CLASSES.keys() & policy.keys():
        policy[name] = find_class(policy[name], name, POLICY_CLASSES[name])
    return arguments


def exploration(value: Any, size: tuple[int, ...]) -> Any:
    """SB3's noise, which is added to actions scaled to [-1, 1]; None if its size is 0.

    :param value: standard deviation in half-widths of the action range; after ``ou:`` if the noise
        is correlated in time
    :param size: shape of an action
    """
    from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise

    correlated = _number_after(CORRELATED, value)
    kind: Any = NormalActionNoise if correlated is None else OrnsteinUhlenbeckActionNoise
    sigma = value if correlated is None else correlated
    return kind(np.zeros(size), np.full(size, sigma)) if sigma > 0 else None


def find_class(name: Any, what: str, *modules: str) -> Any:
    """Find a class by its name in SB3 or torch, or as ``my_module:MyClass``.

    :param what: name of the hyperparameter, for the error message
    :param modules: where names without a module are looked up
    :raises ConfigError: if there is no such class
    """
    module, _, short = str(name).rpartition(":")
    refuse_untrusted(module, str(name))
    for each in [module] if module else modules:
        try:
            place = importlib.import_module(each)
            found = getattr(place, short)
        except (ImportError, AttributeError, ValueError):
            continue
        # Names that a torch module only imports for its own use are not accepted.
        if isinstance(found, type) and (module or short in getattr(place, "__all__", [short])):
            return found
    raise ConfigError(
        f"{what} must be a class of {' or '.join(modules)}, or my_module:MyClass, got {name!r}"
    )
