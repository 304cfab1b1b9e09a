"""In which settings two implementations differ, apart from the algorithm itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from training.config import REFERENCE, RunConfig

Json = dict[str, Any]
Difference = tuple[str, Any, Any]  # name, value of the first, value of the second
DEFAULT = "default"
# Not compared: what names a run, or changes no result. Hyperparameters are compared as resolved.
NOT_COMPARED = ("label", "algo", "env_id", "seed", "preset", "hyperparams", "eval_envs")
LAYERS = "policy_kwargs.net_arch"
SB3_NAMES = {
    "policy_freq": "policy_delay",
    "policy_noise": "target_policy_noise",
    "noise_clip": "target_noise_clip",
    "hidden_sizes": LAYERS,
}
SB3_LAYERS = {"td3": [400, 300], "ddpg": [400, 300], "sac": [256, 256]}  # where none are given
# Fixed behaviour, for which the implementation has no setting.
REFERENCE_FIXED: Json = {"train_freq": 1, "gradient_steps": 1, "n_steps": 1}
REFERENCE_FIXED_AFTER_EPISODES: Json = {**REFERENCE_FIXED, "train_freq": [1, "episode"],
                                 "gradient_steps": -1}  # fmt: skip
SB3_FIXED = {"scale_noise": True}


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """The settings in which two runs differ, by SB3's names.

    Hyperparameters that one of the algorithms does not have are left out.

    :param first: content of its config.json
    """
    of_runs, hyperparameters = (
        [of(settings) for settings in (first, second)] for of in (_of_run, _hyperparameters)
    )
    names = [*dict.fromkeys(name for each in of_runs for name in each)]
    found = [(name, *(each.get(name, DEFAULT) for each in of_runs)) for name in names]
    names = [*dict.fromkeys(name for each in hyperparameters for name in each)]
    found += [
        (name, *(each.get(name, DEFAULT) for each in hyperparameters))
        for name in names
        if name.startswith("policy_kwargs.") or all(name in each for each in hyperparameters)
    ]
    return [(name, one, other) for name, one, other in found if one != other]


def differences_text(first: str, second: str, found: Sequence[Difference]) -> str:
    """One line that says in what two implementations differ.

    :param first: its label
    :param found: from :func:`differences`
    """
    if not found:
        return f"Settings: the same for {first} and {second}, but for what only one of them has."
    texts = [f"{name} {one} / {other}" for name, one, other in found]
    return f"Settings that differ, {first} / {second}: {'; '.join(texts)}."


def _of_run(settings: Mapping[str, Any]) -> Json:
    """What is set outside the algorithm: environment, steps, evaluation, device."""
    values = RunConfig.from_json(settings["config"]).to_json()
    arguments = {f"env_kwargs.{name}": value for name, value in values.pop("env_kwargs").items()}
    return {**{k: v for k, v in values.items() if k not in NOT_COMPARED}, **arguments}


def _hyperparameters(settings: Mapping[str, Any]) -> Json:
    """Hyperparameters by SB3's names, with fixed behaviour that has no setting."""
    algo = settings["config"]["algo"]
    given: Json = dict(settings["hyperparameters"])
    policy = given.pop("policy_kwargs", None) or {}
    values: Json = {SB3_NAMES.get(name, name): value for name, value in given.items()}
    values |= {f"policy_kwargs.{name}": value for name, value in policy.items()}
    if algo == REFERENCE:
        late = values.pop("update_after_episode", False)
        values |= REFERENCE_FIXED_AFTER_EPISODES if late else REFERENCE_FIXED
    else:
        values = {LAYERS: SB3_LAYERS.get(algo, f"{DEFAULT} of {algo}"), **SB3_FIXED, **values}
    if "gae_lambda" in values:  # on-policy: n_steps is the length of a rollout
        values["n_steps of a rollout"] = values.pop("n_steps", DEFAULT)
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """A value in one form, so that settings with the same meaning are equal."""
    if (
        isinstance(value, dict)
        and value
        and all(each == value.get("pi") for each in value.values())
    ):
        return _plain(value["pi"])  # layers given for each network, but the same
    if isinstance(value, list | tuple):
        return value[0] if [*value[1:]] == ["step"] else [*value]  # train_freq
    return value
