"""How Stable-Baselines3's TD3 and the published code still differ from the reference.

With equal settings these differences remain. Each is shown once, so that none is claimed that is
not there, and none goes away unnoticed with another version of SB3.
"""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.wrappers import TimeLimit
from stable_baselines3 import TD3 as SB3TD3
from stable_baselines3.common.buffers import ReplayBuffer as SB3ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

import envs  # noqa: F401  (registers rocket-v0)
from td3_reference import TD3, Batch, LoopConfig, RunLoop, TD3Config
from tests.helpers.probe_envs import TwoSteps
from training.config import RunConfig
from training.evaluation import Evaluator
from training.open_run import OpenRun

Env = gym.Env[Any, Any]


class Recorder(gym.Wrapper[Any, Any, Any, Any]):
    """Notes the actions taken, the seeds of the resets and the episodes' first observations."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self.actions: list[np.ndarray] = []
        self.seeds: list[int | None] = []
        self.starts: list[list[float]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        self.seeds.append(seed)
        self.starts.append(observation.tolist())
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self.actions.append(np.array(action))
        return self.env.step(action)


def sb3_agent(env: Env, noise: ActionNoise | None = None, **settings: Any) -> SB3TD3:
    """SB3's TD3, small, with random actions during the first 20 steps."""
    defaults: dict[str, Any] = {"learning_starts": 20, "batch_size": 8, "buffer_size": 100}
    return SB3TD3(
        "MlpPolicy",
        env,
        action_noise=noise,
        policy_kwargs={"net_arch": [8]},
        device="cpu",
        **{"seed": 3, **defaults, **settings},
    )


def sb3_buffer(agent: SB3TD3) -> SB3ReplayBuffer:
    assert agent.replay_buffer is not None
    return agent.replay_buffer


def reference_loop(env: Env, steps: int, **settings: Any) -> RunLoop:
    """The reference with settings like those of :func:`sb3_agent`."""
    observations, actions = env.observation_space, env.action_space
    assert isinstance(observations, gym.spaces.Box)
    assert isinstance(actions, gym.spaces.Box)
    low, high = actions.low.tolist(), actions.high.tolist()
    agent = TD3(TD3Config(observations.shape[0], low, high, hidden_sizes=(8,)))
    config = LoopConfig(**{"learning_starts": 20, "batch_size": 8, **settings})
    return RunLoop(env, agent, config, steps, seed=3, rng=np.random.default_rng(3))


@pytest.mark.parametrize(("env_id", "max_action"), [("Pendulum-v1", 2.0), ("rocket-v0", 1.0)])
def test_sb3_remembers_actions_in_half_widths_and_ours_in_environment_units(
    env_id: str, max_action: float
) -> None:
    """SB3's critics see actions scaled to [-1, 1], ours see what the environment gets."""
    sb3_env = Recorder(gym.make(env_id))
    sb3 = sb3_agent(sb3_env).learn(30)
    stored = sb3_buffer(sb3).actions[:30, 0]
    assert stored == pytest.approx(np.array(sb3_env.actions) / max_action, abs=1e-6)

    env = Recorder(gym.make(env_id))
    loop = reference_loop(env, 30)
    list(loop)
    assert np.array_equal(loop.buffer.get_state()["actions"], np.array(env.actions))
    # Both went far enough for the unit to show.
    for recorder in (sb3_env, env):
        assert np.abs(recorder.actions).max() > 0.6 * max_action


def test_sb3_adds_exploration_noise_to_the_random_actions_too_and_ours_does_not() -> None:
    """SB3's warm-up actions are uniform plus noise, clipped; ours are uniform."""

    def sb3_actions(noise: ActionNoise | None) -> np.ndarray:
        env = Recorder(gym.make("rocket-v0"))
        sb3_agent(env, noise).learn(20)
        return np.array(env.actions)

    # A constant noise of 0.5 makes the sum predictable.
    shifted = sb3_actions(NormalActionNoise(np.array([0.5]), np.array([0.0])))
    assert shifted == pytest.approx(np.clip(sb3_actions(None) + 0.5, -1, 1), abs=1e-6)

    def our_actions(noise: float) -> np.ndarray:
        env = Recorder(gym.make("rocket-v0"))
        list(reference_loop(env, 25, exploration_noise=noise))
        return np.array(env.actions)

    quiet, noisy = our_actions(0.0), our_actions(0.5)
    assert np.array_equal(quiet[:20], noisy[:20])
    assert not np.isclose(quiet[20:], noisy[20:]).any()


class UpdatesSeen(BaseCallback):
    """Notes how many updates the model has had when each step is reported."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[tuple[int, int]] = []

    def _on_step(self) -> bool:
        assert isinstance(self.model, SB3TD3)
        self.counts.append((self.num_timesteps, self.model._n_updates))
        return True


def test_sb3s_callbacks_see_the_model_before_the_steps_update_and_ours_is_seen_after_it() -> None:
    """At step t after the warm-up SB3's model has had one update fewer than ours."""
    seen = UpdatesSeen()
    sb3 = sb3_agent(gym.make("rocket-v0"), learning_starts=5).learn(12, seen)
    loop = reference_loop(gym.make("rocket-v0"), 12, learning_starts=5)
    ours = [(step, loop.agent.updates) for step in loop]
    assert ours == [(step, max(0, step - 5)) for step in range(1, 13)]
    assert seen.counts == [(step, max(0, updates - 1)) for step, updates in ours]
    # In the end there were as many updates.
    assert sb3._n_updates == loop.agent.updates == 7


def published_evaluation(env: Env, run_seed: int) -> None:
    """Start states as in the published protocol: seeded anew, then two episodes."""
    env.reset(seed=run_seed + 100)
    env.reset()


def test_sb3s_evaluations_differ_in_their_starts_and_begin_after_step_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SB3's EvalCallback draws ever new starts, the published protocol and ours repeat theirs."""
    sb3_env = Recorder(gym.make("Pendulum-v1", max_episode_steps=3))
    vec_env = DummyVecEnv([lambda: sb3_env])
    vec_env.seed(103)
    training_env = gym.make("Pendulum-v1", max_episode_steps=50)
    callback = EvalCallback(
        vec_env, n_eval_episodes=2, eval_freq=5, log_path=str(tmp_path), warn=False
    )
    sb3_agent(training_env).learn(10, callback)
    assert callback.evaluations_timesteps == [5, 10]
    assert [len(lengths) for lengths in callback.evaluations_length] == [2, 2]
    assert sb3_env.seeds == [103] + [None] * (len(sb3_env.seeds) - 1)
    assert len(np.unique(sb3_env.starts, axis=0)) == len(sb3_env.starts) >= 4

    published_env = Recorder(gym.make("Pendulum-v1"))
    for _ in range(2):
        published_evaluation(published_env, run_seed=3)
    assert published_env.starts[:2] == published_env.starts[2:]
    assert published_env.starts[0] != published_env.starts[1]
    # Seeded equally, SB3's first evaluation starts like each of the published.
    assert sb3_env.starts[:2] == published_env.starts[:2]

    made: list[Recorder] = []

    def make_recorder(_: RunConfig) -> Recorder:
        made.append(Recorder(gym.make("Pendulum-v1", max_episode_steps=3)))
        return made[-1]

    monkeypatch.setattr("training.players.make_env", make_recorder)
    config = RunConfig(
        algo="td3", env_id="Pendulum-v1", total_timesteps=10, eval_freq=5, n_eval_episodes=2
    )
    evaluator = Evaluator(config, OpenRun(tmp_path))
    policy = TD3(TD3Config(3, [-2.0], [2.0], hidden_sizes=(8,)))
    for step in (0, 5):
        evaluator.catch_up(policy, step)
    assert len(made) == 100  # one environment for each episode side by side, also at step 0
    for recorder in made[:2]:
        curve, late, again, late_again = recorder.starts
        assert curve == again != late == late_again


def published_done(over: bool, steps_so_far: int, max_episode_steps: int) -> float:
    """What the published code stores: whatever happens on the last allowed step is no end."""
    return float(over) if steps_so_far < max_episode_steps else 0.0


@pytest.mark.parametrize(
    ("max_episode_steps", "done"),
    [pytest.param(2, 1.0, id="terminates"), pytest.param(1, 0.0, id="is truncated")],
)
def test_a_termination_on_the_last_allowed_step_is_forgotten_by_the_published_code_only(
    max_episode_steps: int, done: float
) -> None:
    """The published code takes it for a truncation; ours and SB3 tell the two apart."""
    forgotten = published_done(True, max_episode_steps, max_episode_steps) != done
    assert forgotten == (max_episode_steps == 2)

    loop = reference_loop(TimeLimit(TwoSteps(), max_episode_steps), 30)
    list(loop)
    ours = loop.buffer.sample(100, np.random.default_rng(0))
    sb3 = sb3_agent(TimeLimit(TwoSteps(), max_episode_steps)).learn(30)
    theirs = sb3_buffer(sb3).sample(100)
    for observations, dones in (
        (ours.observations, 1 - ours.not_terminated),
        (theirs.observations.numpy(), theirs.dones.numpy()),
    ):
        last = observations == max_episode_steps - 1
        assert last.any()
        assert (dones[last] == done).all()
        assert (dones[~last] == 0).all()


def flat(networks: list[nn.Module]) -> torch.Tensor:
    return torch.cat([nn.utils.parameters_to_vector(n.parameters()).detach() for n in networks])


def test_equal_seeds_give_each_implementation_its_own_weights_and_never_the_same() -> None:
    """SB3 draws weights from torch's global generator, ours from a generator of its own."""

    def sb3_weights(seed: int) -> torch.Tensor:
        agent = sb3_agent(gym.make("Pendulum-v1"), seed=seed)
        return flat([agent.actor, agent.critic])

    def our_weights(seed: int) -> torch.Tensor:
        agent = TD3(TD3Config(3, [-2.0], [2.0], (8,)), np.random.default_rng(seed))
        return flat([agent.actor, agent.critic])

    for weights in (sb3_weights, our_weights):
        assert torch.equal(weights(3), weights(3))
        assert not torch.equal(weights(3), weights(4))
    assert sb3_weights(3).shape == our_weights(3).shape
    assert torch.isclose(sb3_weights(3), our_weights(3), rtol=1e-3).float().mean() < 0.05

    # SB3 draws the targets' weights too, though copies replace them: the actor, its target, both
    # critics, their targets.
    torch.manual_seed(3)
    actor, _, q1, q2, *_ = [
        nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, 1))
        for inputs in (3, 3, 4, 4, 4, 4)
    ]
    after = torch.rand(1)
    assert torch.equal(sb3_weights(3), flat([actor, q1, q2]))
    assert torch.equal(torch.rand(1), after)


LOW, HIGH = [0.0, -1.0], [5.0, 3.0]


def published_actions(before_tanh: np.ndarray, high: list[float]) -> np.ndarray:
    """The published policy: its one action limit is the first dimension's upper bound."""
    actions: np.ndarray = high[0] * np.tanh(before_tanh)
    return actions


def test_the_published_policy_does_not_fit_asymmetric_bounds_and_ours_fills_them() -> None:
    """One number as limit leaves some bounds and misses others, whichever dimension it is from."""
    before_tanh = np.array([[-20.0, -20.0], [20.0, 20.0]])
    low_corner, high_corner = published_actions(before_tanh, HIGH)
    assert (low_corner < LOW).all()
    assert high_corner[1] > HIGH[1]
    # With the dimensions the other way around the limit is 3, and 5 is out of reach.
    swapped = published_actions(before_tanh, HIGH[::-1])
    assert swapped[:, 1].max() < HIGH[0] - 1

    agent = TD3(TD3Config(2, LOW, HIGH, hidden_sizes=(8,)))
    observations = 1e3 * np.random.default_rng(0).standard_normal((200, 2)).astype(np.float32)
    actions = agent.actions(observations)
    assert actions.min(axis=0) == pytest.approx(LOW, abs=1e-4)
    assert actions.max(axis=0) == pytest.approx(HIGH, abs=1e-4)


def smoothed_target_actions(observations: np.ndarray, noise: np.ndarray) -> tuple[Any, Any]:
    """The target policy's actions, and those that the target critics get in an update."""
    agent = TD3(TD3Config(2, LOW, HIGH, hidden_sizes=(8,)))
    seen: list[np.ndarray] = []
    agent.critic_target.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[1].numpy().copy())
    )
    n = len(observations)
    ones = np.ones((n, 1), np.float32)
    without_noise = agent.target_actions(observations)
    agent.update(Batch(observations, without_noise, observations, ones, ones), noise)
    (actions,) = seen
    return without_noise, actions


@pytest.mark.parametrize(
    ("noise", "shift"),
    [
        pytest.param(1.0, [0.2 * 2.5, 0.2 * 2.0], id="scaled"),
        pytest.param(1e3, [0.5 * 2.5, 0.5 * 2.0], id="clipped"),
        pytest.param(-1e3, [-0.5 * 2.5, -0.5 * 2.0], id="clipped below"),
    ],
)
def test_target_noise_is_scaled_by_each_dimensions_half_width(
    noise: float, shift: list[float]
) -> None:
    """The published code scales the noise of all dimensions by the one limit."""
    # Near the centre of the action range nothing is clipped to its bounds.
    observations = np.zeros((1, 2), np.float32)
    before, after = smoothed_target_actions(observations, np.full((1, 2), noise, np.float32))
    assert (after - before)[0] == pytest.approx(shift, abs=1e-5)
    published_shift = float(np.clip(0.2 * HIGH[0] * noise, -0.5 * HIGH[0], 0.5 * HIGH[0]))
    assert np.abs(np.array(shift) - published_shift).min() > 0.4


def test_noisy_target_actions_stay_in_asymmetric_bounds() -> None:
    """The published code clips target actions to plus and minus the one limit."""
    rng = np.random.default_rng(0)
    observations = 1e3 * rng.standard_normal((200, 2)).astype(np.float32)
    noise = 10 * rng.standard_normal((200, 2)).astype(np.float32)
    before, after = smoothed_target_actions(observations, noise)
    shift = np.clip(0.2 * noise, -0.5, 0.5) * [2.5, 2.0]
    assert after == pytest.approx(np.clip(before + shift, LOW, HIGH), abs=1e-5)
    assert after.min(axis=0).tolist() == LOW
    assert after.max(axis=0).tolist() == HIGH
    # Clipped to [-5, 5], as published, the same actions would not have stayed.
    published = np.clip(before + shift, -HIGH[0], HIGH[0])
    assert (published.min(axis=0) < LOW).all()
    assert published[:, 1].max() > HIGH[1]
