"""An SB3 run that was stopped and continued is, bit for bit, one that was never stopped."""

import random
import signal
import subprocess
import sys
import time
from operator import attrgetter
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import TD3
from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise

from tests.helpers.continuation import assert_same, outcome, trained, trained_with_stops
from train_sb3 import RunConfig, train
from training.endings import RunStopped
from training.sb3 import algorithms
from training.sb3 import resume as continuation
from training.sb3.vec_env import layers_of, make_training_env

SMALL = {
    "learning_starts": 30,
    "batch_size": 16,
    "buffer_size": 95,
    "policy_kwargs": {"net_arch": [16]},
}
# In the warm-up; after an odd number of updates, in mid-episode; at the end of a Pendulum episode;
# when the memory of 95 is just full, at an evaluation; after it has wrapped.
CUTS = (17, 71, 80, 95, 133)


def config(algo: str, env_id: str, **changes: Any) -> RunConfig:
    settings: dict[str, Any] = {
        "seed": 3,
        "total_timesteps": 150,
        "eval_freq": 95,
        "n_eval_episodes": 2,
    }
    settings["max_episode_steps"] = 10
    if env_id == "rocket-v0":
        settings["env_kwargs"] = {"dt": 0.2}  # coarse, so that it crashes within an episode
    hyperparams = {**SMALL, **changes.pop("hyperparams", {})}
    return RunConfig(
        algo=algo, env_id=env_id, **{**settings, "hyperparams": hyperparams, **changes}
    )


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["rocket-v0", "Pendulum-v1"])
@pytest.mark.parametrize("algo", ["td3", "ddpg", "sac", "tqc"])
def test_a_run_stopped_five_times_ends_like_one_that_was_not(
    algo: str, env_id: str, tmp_path: Path
) -> None:
    run = config(algo, env_id)
    straight = trained(run, tmp_path / "straight")
    assert_same(straight, trained_with_stops(run, tmp_path / "cut", CUTS))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"n_envs": 3},
        {"n_envs": 3, "vec_env": "native"},
        {"normalize": True},
        {"normalize": True, "n_envs": 2, "vec_env": "native"},
        {"hyperparams": {"learning_rate": "linear:1e-3"}},
        {"hyperparams": {"train_freq": [1, "episode"], "gradient_steps": -1}},
        {"hyperparams": {"n_steps": 3}},
    ],
    ids=str,
)
def test_so_does_one_with_other_settings(changes: dict[str, Any], tmp_path: Path) -> None:
    run = config("td3", "rocket-v0", **changes)
    straight = trained(run, tmp_path / "straight")
    # With updates once an episode, that is also when it can be saved: after these steps.
    assert_same(straight, trained_with_stops(run, tmp_path / "cut", (17, 71)))


@pytest.mark.slow
def test_so_does_one_with_correlated_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_correlated_noise(*arguments: Any) -> Any:
        model: Any = algorithms.build_model(*arguments)
        model.action_noise = OrnsteinUhlenbeckActionNoise(np.zeros(1), np.full(1, 0.3))
        return model

    monkeypatch.setattr("training.sb3.learner.build_model", with_correlated_noise)
    run = config("td3", "rocket-v0")
    straight = trained(run, tmp_path / "straight")
    assert_same(straight, trained_with_stops(run, tmp_path / "cut", (17, 71)))


INGREDIENTS = [
    "actor weights",
    "critic weights",
    "target weights",
    "actor optimiser",
    "critic optimiser",
    "entropy coefficient",
    "entropy optimiser",
    "buffer content",
    "buffer position",
    "buffer fullness",
    "step counter",
    "update counter",
    "last observation",
    "environment state",
    "environment generator",
    "elapsed steps",
    "monitor",
    "action space's generator",
    "numpy's generator",
    "torch's generator",
    "correlated noise",
    "observation statistics",
    "running return",
]


# By an assertion of trained_with_stops() itself: the run does not go on where it was cut.
NOTICED_EARLIER: dict[str, type[Exception]] = {"step counter": AssertionError}


@pytest.mark.slow
@pytest.mark.parametrize("left_out", INGREDIENTS)
def test_every_ingredient_left_out_is_noticed(
    left_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same comparison as above must fail when a part of the state is not restored."""
    algo = "sac" if left_out.startswith("entropy") or left_out.startswith("torch") else "td3"
    cut = 17 if left_out == "action space's generator" else 117  # an episode goes on to its limit
    run = config(algo, "rocket-v0", normalize="statistics" in left_out or "return" in left_out)
    if left_out == "correlated noise":

        def with_correlated_noise(*arguments: Any) -> Any:
            model: Any = algorithms.build_model(*arguments)
            model.action_noise = OrnsteinUhlenbeckActionNoise(np.zeros(1), np.full(1, 0.3))
            return model

        monkeypatch.setattr("training.sb3.learner.build_model", with_correlated_noise)
    straight = trained(run, tmp_path / "straight")
    restore_state = continuation.restore_state

    def restore_all_but_one(model: Any, files: dict[str, bytes]) -> None:
        restored = keeper(model, left_out)
        restore_state(model, files)
        restored()

    monkeypatch.setattr(continuation, "restore_state", restore_all_but_one)
    if left_out in NOTICED_EARLIER:
        with pytest.raises(NOTICED_EARLIER[left_out]):
            trained_with_stops(run, tmp_path / "cut", (cut,))
    else:
        assert trained_with_stops(run, tmp_path / "cut", (cut,)) != straight


def keeper(model: Any, ingredient: str) -> Any:
    """A function that puts one part of the state back to what it is now."""
    if ingredient.endswith("weights") or ingredient.endswith(("optimiser", "coefficient")):
        return _weights_keeper(model, ingredient)
    buffer, env = model.replay_buffer, model.env
    attributes = {
        "buffer position": (buffer, "pos"),
        "buffer fullness": (buffer, "full"),
        "step counter": (model, "num_timesteps"),
        "update counter": (model, "_n_updates"),
    }
    if ingredient in attributes:
        owner, name = attributes[ingredient]
        value = getattr(owner, name) if owner is buffer else 0
        return lambda: setattr(owner, name, value)
    if ingredient == "buffer content":
        return lambda: buffer.rewards.fill(0.0)
    if ingredient == "last observation":
        return lambda: setattr(model, "_last_obs", np.zeros_like(model._last_obs))
    if ingredient == "observation statistics":
        mean = env.obs_rms.mean.copy()
        return lambda: setattr(env.obs_rms, "mean", mean)
    if ingredient == "running return":
        returns = env.returns.copy()
        return lambda: setattr(env, "returns", returns)
    if ingredient == "correlated noise":
        return lambda: model.action_noise.reset()
    if ingredient == "numpy's generator":
        state = np.random.get_state()  # noqa: NPY002
        return lambda: np.random.set_state(state)  # noqa: NPY002
    if ingredient == "torch's generator":
        generator = torch.get_rng_state()
        return lambda: torch.set_rng_state(generator)
    if ingredient == "action space's generator":
        own = model.action_space.np_random.bit_generator.state
        return lambda: setattr(model.action_space.np_random.bit_generator, "state", own)
    single = layers_of(env)[-1].envs[0]  # type: ignore[attr-defined]
    rocket = single.unwrapped
    if ingredient == "monitor":
        rewards = list(single.rewards)
        return lambda: setattr(single, "rewards", rewards)
    if ingredient == "environment generator":
        state = rocket.np_random.bit_generator.state
        return lambda: setattr(rocket.np_random.bit_generator, "state", state)
    if ingredient == "elapsed steps":
        limit = single.env
        while not isinstance(limit, gym.wrappers.TimeLimit):
            limit = limit.env
        return lambda: setattr(limit, "_elapsed_steps", 0)
    assert ingredient == "environment state"
    return lambda: rocket._states.append((0.5, 0.5))


def _weights_keeper(model: Any, ingredient: str) -> Any:
    if ingredient == "entropy coefficient":
        value = model.log_ent_coef.detach().clone()
        return lambda: model.log_ent_coef.data.copy_(value)
    part = {
        "actor weights": "actor",
        "critic weights": "critic",
        "target weights": "critic_target",
        "actor optimiser": "actor.optimizer",
        "critic optimiser": "critic.optimizer",
        "entropy optimiser": "ent_coef_optimizer",
    }[ingredient]
    owner = attrgetter(part)(model)
    values = dict(owner.state_dict())
    if ingredient.endswith("weights"):
        values = {name: value.clone() for name, value in values.items()}
        return lambda: owner.load_state_dict(values)
    return lambda: owner.state.clear()


@pytest.mark.slow
@pytest.mark.parametrize(("algo", "env_id"), [("td3", "rocket-v0"), ("sac", "Pendulum-v1")])
def test_a_run_killed_at_random_moments_ends_like_one_that_was_not(
    algo: str, env_id: str, tmp_path: Path
) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, str(root / "train_sb3.py"), "--algo", algo, "--env-id", env_id]
    command += ["--total-timesteps", "3000", "--eval-freq", "500", "--checkpoint-freq", "200"]
    command += ["--n-eval-episodes", "2", "--hyperparams", "learning_starts=100", "batch_size=32"]
    straight = tmp_path / "straight"
    subprocess.run([*command, "--root", str(straight)], check=True, capture_output=True)
    rng = random.Random(algo)
    kills = 0
    cut = tmp_path / "cut"
    path = cut / algo / f"{env_id}_0"
    for _ in range(6):
        process = subprocess.Popen(
            [*command, "--root", str(cut)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and not (path / "checkpoint").exists():
            time.sleep(0.1)
        time.sleep(rng.uniform(0.5, 6.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += process.returncode == -signal.SIGKILL
    subprocess.run([*command, "--root", str(cut)], check=True, capture_output=True)
    assert kills >= 3
    assert_same(outcome(straight / algo / f"{env_id}_0"), outcome(path))


@pytest.mark.slow
def test_what_cannot_be_continued_begins_anew(tmp_path: Path) -> None:
    run = RunConfig(
        algo="ppo",
        env_id="rocket-v0",
        total_timesteps=300,
        eval_freq=100,
        max_episode_steps=20,
        n_eval_episodes=1,
        hyperparams={"n_steps": 50, "batch_size": 25, "n_epochs": 2, "use_sde": True},
    )
    straight = trained(run, tmp_path / "straight")
    steps: list[int] = []

    def on_progress(step: int, *returns: float | None) -> None:
        steps.append(step)

    with pytest.raises(RunStopped):
        train(
            run,
            tmp_path / "cut",
            on_progress,
            should_stop=lambda: bool(steps) and steps[-1] >= 120,
        )
    assert steps[-1] == 120
    assert_same(straight, trained(run, tmp_path / "cut"))


def test_state_dependent_exploration_is_known_not_to_continue() -> None:
    run = config("sac", "rocket-v0", hyperparams={"use_sde": True})
    env = make_training_env(run)
    model = algorithms.build_model(run, algorithms.resolve_hyperparameters(run), env)
    assert "state-dependent" in (continuation.reason_not_resumable("sac", model) or "")
    plain = TD3("MlpPolicy", env, buffer_size=10)
    assert continuation.reason_not_resumable("td3", plain) is None
