"""SB3's algorithms by name, presets and hyperparameters."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import DDPG, DQN, SAC, TD3, HerReplayBuffer
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from torch import nn

from training.config import ConfigError, RunConfig
from training.environments import make_env
from training.reference import resolve_hyperparameters as resolve_reference
from training.run import run
from training.run_directory import RunDirectory
from training.sb3.algorithms import (
    ALGORITHMS,
    build_model,
    check_spaces,
    policy_name,
    resolve_hyperparameters,
)
from training.sb3.hyperparameters import to_arguments

SPACES = {
    "Box": spaces.Box(-1.0, 1.0, (2,)),
    "Discrete": spaces.Discrete(3),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiBinary": spaces.MultiBinary(2),
}


class Spaces(gym.Env[Any, Any]):
    """An environment with given spaces, to build models on."""

    def __init__(
        self, action_space: spaces.Space[Any], observation_space: spaces.Space[Any] | None = None
    ) -> None:
        self.action_space = action_space
        self.observation_space = observation_space or spaces.Box(-1.0, 1.0, (3,))

    def action_masks(self) -> None:
        """Only its presence matters."""


def layer_sizes(network: nn.Module) -> list[int]:
    return [layer.out_features for layer in network.modules() if isinstance(layer, nn.Linear)]


def config(algo: str = "td3", env_id: str = "rocket-v0", **changes: Any) -> RunConfig:
    return RunConfig(algo=algo, env_id=env_id, total_timesteps=100, **changes)


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("algo", ALGORITHMS)
def test_the_table_of_action_spaces_agrees_with_what_sb3_accepts(algo: str, kind: str) -> None:
    run = config(algo)
    hyperparameters = {**resolve_hyperparameters(run)}
    if "buffer_size" in hyperparameters:
        hyperparameters["buffer_size"] = 10
    env = Spaces(SPACES[kind])
    if kind in ALGORITHMS[algo].action_spaces:
        check_spaces(run, env)
        build_model(run, hyperparameters, env)
    else:
        with pytest.raises(ConfigError, match=f"algorithms that do: .*(ppo|{algo})"):
            check_spaces(run, env)
        with pytest.raises(ConfigError):
            build_model(run, hyperparameters, env)


def test_td3_has_the_authors_settings_and_not_sb3s() -> None:
    env = make_env(config())
    model = build_model(config(), resolve_hyperparameters(config()), env)
    assert isinstance(model, TD3)
    assert layer_sizes(model.actor) == [256, 256, 1]
    assert layer_sizes(model.critic) == [256, 256, 1, 256, 256, 1]
    assert model.lr_schedule(1.0) == 3e-4
    assert isinstance(model.action_noise, NormalActionNoise)
    assert model.action_noise._sigma.tolist() == [0.1]
    values = (model.batch_size, model.buffer_size, model.tau, model.gamma, model.learning_starts)
    assert values == (256, 1_000_000, 0.005, 0.99, 1_000)
    frequency: Any = model.train_freq
    assert frequency == TrainFreq(1, TrainFrequencyUnit.STEP)
    assert (model.gradient_steps, model.policy_delay) == (1, 2)
    assert (model.target_policy_noise, model.target_noise_clip) == (0.2, 0.5)


def test_sb3s_own_defaults_have_a_name() -> None:
    run = config(preset="sb3_default")
    model = build_model(run, resolve_hyperparameters(run), make_env(run))
    assert isinstance(model, TD3)
    assert layer_sizes(model.actor) == [400, 300, 1]
    assert model.action_noise is None
    assert (model.lr_schedule(1.0), model.learning_starts) == (1e-3, 100)


@pytest.mark.parametrize("algo", ["ddpg", "sac"])
def test_ddpg_and_sac_take_the_settings_that_they_have(algo: str) -> None:
    run = config(algo)
    model = build_model(run, resolve_hyperparameters(run), make_env(run))
    assert isinstance(model, OffPolicyAlgorithm)
    assert model.policy_kwargs["net_arch"] == [256, 256]
    assert (model.learning_starts, model.learning_rate) == (1_000, 3e-4)
    assert (model.action_noise is not None) == (algo == "ddpg")


@pytest.mark.parametrize(
    "env_id", ["rocket-v0", "Pendulum-v1", "Hopper-v4", "Humanoid-v5", "Ant-v4"]
)
def test_sb3_and_the_reference_have_the_same_settings(env_id: str) -> None:
    sb3 = resolve_hyperparameters(config(env_id=env_id))
    reference = resolve_reference(config("td3_reference", env_id))
    sb3_names = {
        "policy_noise": "target_policy_noise",
        "noise_clip": "target_noise_clip",
        "policy_freq": "policy_delay",
    }
    # As in SB3, where there is no such choice.
    own = {"scale_noise": True, "update_after_episode": False, "compile": False}
    assert {name: reference.pop(name) for name in own} == own
    for name, value in reference.items():
        if name == "hidden_sizes":
            assert sb3["policy_kwargs"]["net_arch"] == list(value)
        else:
            assert sb3[sb3_names.get(name, name)] == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algo": "nope"}, "must be one of a2c, ars, .*tqc, trpo, or package.module:Class"),
        ({"preset": "nope"}, "must be one of released, sb3_default"),
        ({"algo": "ppo", "preset": "released"}, "must be one of sb3_default"),
        ({"hyperparams": {"gama": 1}}, "gama; it has .*gamma"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_hyperparameters(config(**changes))


def test_overrides_win_over_the_preset() -> None:
    assert resolve_hyperparameters(config(hyperparams={"gamma": 0.5}))["gamma"] == 0.5


def test_the_policy_class_follows_the_observation_space() -> None:
    vector = spaces.Box(-1.0, 1.0, (2,))
    image = spaces.Box(0, 255, (64, 64, 3), dtype=np.uint8)
    named = spaces.Dict({"position": vector})
    envs = [Spaces(vector, space) for space in (vector, image, named)]
    names = [policy_name("ppo", env) for env in envs]
    assert names == ["MlpPolicy", "CnnPolicy", "MultiInputPolicy"]
    recurrent = [policy_name("recurrent_ppo", env) for env in envs]
    assert recurrent == ["MlpLstmPolicy", "CnnLstmPolicy", "MultiInputLstmPolicy"]


class PassesOn(TD3):
    """A user's algorithm with a hyperparameter of its own and all of TD3's."""

    def __init__(self, *arguments: Any, patience: float = 2.0, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.patience = patience


def test_an_algorithm_that_passes_its_arguments_on_has_those_of_its_base_too() -> None:
    overrides = {"patience": 3.0, "gamma": 0.5, "buffer_size": 10}
    run = config(f"{__name__}:PassesOn", hyperparams=overrides)
    hyperparameters = resolve_hyperparameters(run)
    assert "verbose" not in hyperparameters
    assert "policy_delay" not in resolve_hyperparameters(replace(run, preset="sb3_default"))
    model: Any = build_model(run, hyperparameters, make_env(run))
    assert (model.patience, model.gamma, model.tau) == (3.0, 0.5, 0.005)
    assert run.label == "passeson"
    with pytest.raises(ConfigError, match=r"gamma of .* must be a number from 0 up to 1"):
        resolve_hyperparameters(config(f"{__name__}:PassesOn", hyperparams={"gamma": 2}))


class Inherits(TD3):
    """Settings as TD3's, and the constructor too."""


class OfDDPG(DDPG):
    pass


class OfSAC(SAC):
    pass


class WithoutDelay(TD3):
    """It has not all of TD3's settings."""

    def __init__(self, policy: Any, env: Any, learning_rate: float = 1e-3, gamma: float = 0.9,
                 seed: int | None = None, device: str = "cpu") -> None:  # fmt: skip
        super().__init__(policy, env, learning_rate, 10, gamma=gamma, seed=seed, device=device)


class OwnRate(TD3):
    """It sets itself what the preset sets too."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, learning_rate=1e-3, **options)  # type: ignore[misc]


class TakesNumbers(SAC):
    """With a constructor of its own, which may take other actions than SAC's."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        raise NotImplementedError


class OfDQN(DQN):
    pass


class OfRecurrent(RecurrentPPO):
    pass


class OfMaskable(MaskablePPO):
    pass


def own(kind: type) -> str:
    return f"{__name__}:{kind.__name__}"


@pytest.mark.parametrize(
    ("algo", "ancestor"),
    [
        (own(Inherits), "td3"),
        (own(OfDDPG), "ddpg"),
        (own(OfSAC), "sac"),
        ("stable_baselines3:TD3", "td3"),
        ("stable_baselines3.td3.td3:TD3", "td3"),
        ("sb3_contrib:TQC", "tqc"),
    ],
)
@pytest.mark.parametrize("env_id", ["rocket-v0", "Hopper-v4"])
def test_presets_follow_the_class(algo: str, ancestor: str, env_id: str) -> None:
    for preset in (None, "sb3_default"):
        ours = resolve_hyperparameters(config(algo, env_id, preset=preset))
        assert ours == resolve_hyperparameters(config(ancestor, env_id, preset=preset))
    with pytest.raises(ConfigError, match=r"must be one of .*sb3_default"):
        resolve_hyperparameters(config(algo, preset="nope"))


def test_a_class_gets_of_a_preset_what_it_takes() -> None:
    run = config(own(WithoutDelay), hyperparams={"gamma": 0.5})
    assert resolve_hyperparameters(run) == {"learning_rate": 3e-4, "gamma": 0.5}
    hyperparameters = resolve_hyperparameters(config(own(PassesOn)))
    assert hyperparameters.pop("patience") == 2.0
    td3 = resolve_hyperparameters(config())
    assert hyperparameters == {name: td3[name] for name in hyperparameters}
    assert {"policy_delay", "exploration_noise", "policy_kwargs"} <= hyperparameters.keys()


def test_a_class_that_sets_itself_what_the_preset_sets_is_told_the_way_out() -> None:
    run = config(own(OwnRate))
    with pytest.raises(ConfigError, match="preset sb3_default leaves its settings to the class"):
        build_model(run, resolve_hyperparameters(run), make_env(run))
    run = replace(run, preset="sb3_default", hyperparams={"buffer_size": 10})
    build_model(run, resolve_hyperparameters(run), make_env(run))


def test_action_spaces_and_policies_follow_the_class_too() -> None:
    vector = spaces.Box(-1.0, 1.0, (2,))
    whole = Spaces(spaces.Discrete(2), vector)
    for kind, able in ((Inherits, False), (OfDQN, True), (TakesNumbers, True)):
        run = config(own(kind))
        if able:
            check_spaces(run, whole)
        else:
            with pytest.raises(ConfigError, match=r"does not take the Discrete actions"):
                check_spaces(run, whole)
    with pytest.raises(ConfigError, match=r"does not take the Box actions"):
        check_spaces(config(own(OfDQN)), Spaces(vector, vector))
    with pytest.raises(ConfigError, match=r"OfMaskable needs action_masks\(\)"):
        check_spaces(config(own(OfMaskable)), gym.make("CartPole-v1"))
    assert policy_name(own(OfRecurrent), whole) == "MlpLstmPolicy"


def test_a_linear_schedule_falls_to_zero_and_is_saved_without_code_of_ours() -> None:
    schedule = to_arguments({"learning_rate": "linear:0.4"})["learning_rate"]
    assert [schedule(left) for left in (1.0, 0.5, 0.0)] == pytest.approx([0.4, 0.2, 0.0])
    assert type(schedule).__module__.startswith("stable_baselines3.")


def test_updates_once_an_episode_need_a_single_environment() -> None:
    with pytest.raises(ConfigError, match="n_envs 1"):
        resolve_hyperparameters(config(n_envs=2, hyperparams={"train_freq": [1, "episode"]}))


@pytest.mark.slow
def test_hindsight_replay_trains_on_a_goal_environment(tmp_path: Path) -> None:
    small = {"learning_starts": 40, "batch_size": 8, "policy_kwargs": {"net_arch": [8]}}
    made = config(
        env_id="tests.helpers.gate_envs:Goal-v0",
        hyperparams={"replay_buffer_class": "her", "replay_buffer_kwargs": {"n_sampled_goal": 2},
                     "policy": "MultiInputPolicy", **small},
        eval_freq=50,
        n_eval_episodes=2,
    )  # fmt: skip
    path = run(made, tmp_path)
    assert RunDirectory(path).is_done()
    env = make_env(made)
    model = build_model(made, resolve_hyperparameters(made), env)
    assert isinstance(model, OffPolicyAlgorithm)
    assert isinstance(model.replay_buffer, HerReplayBuffer)
    assert model.replay_buffer.n_sampled_goal == 2


def test_classes_are_given_by_name() -> None:
    chosen = config(
        hyperparams={
            "policy": "stable_baselines3.td3:MlpPolicy",
            "exploration_noise": "ou:0.3",
            "policy_kwargs": {"optimizer_class": "SGD", "activation_fn": "Tanh",
                              "features_extractor_class": "FlattenExtractor"},
        }
    )  # fmt: skip
    model = build_model(chosen, resolve_hyperparameters(chosen), make_env(chosen))
    assert isinstance(model, TD3)
    assert isinstance(model.actor.optimizer, torch.optim.SGD)
    assert isinstance(model.actor.features_extractor, FlattenExtractor)
    assert isinstance(model.action_noise, OrnsteinUhlenbeckActionNoise)
    assert "policy" not in resolve_hyperparameters(config())


@pytest.mark.parametrize(
    ("hyperparams", "message"),
    [
        ({"policy_kwargs": {"optimizer_class": "Adamm"}}, "must be a class of torch.optim"),
        ({"policy": "my_module:Nope"}, "policy must be a class of SB3"),
        ({"policy": "NopePolicy"}, "NopePolicy unknown"),
        ({"exploration_noise": "ou:-1"}, "exploration_noise of td3 must be"),
        ({"replay_buffer_class": "her"}, "cannot be built"),  # the rocket has no goals
    ],
)
def test_classes_that_there_are_not_are_refused(hyperparams: dict[str, Any], message: str) -> None:
    chosen = config(hyperparams=hyperparams)
    with pytest.raises(ConfigError, match=message):
        build_model(chosen, resolve_hyperparameters(chosen), make_env(chosen))
