"""Every algorithm trains on an environment that suits it, and leaves a run that can be used."""

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stable_baselines3.common.monitor import load_results

import train_sb3
from envs.rollout import evaluate, play_side_by_side
from train_sb3 import RunConfig, train
from training.config import FIRST_SEED
from training.environments import make_env
from training.run_directory import RunDirectory
from training.sb3.algorithms import ALGORITHMS, build_model, resolve_hyperparameters
from training.sb3.model_zip import model_bytes, rebuilt
from training.sb3.normalization import Normalization, NormalizedPolicy
from training.sb3.vec_env import make_training_env

STEPS, EVAL_FREQ = 400, 100
LIMIT = 40  # steps of an episode
NET = {"policy_kwargs": {"net_arch": [16]}}
OFF_POLICY = {**NET, "learning_starts": 100, "batch_size": 16, "buffer_size": STEPS}
SELDOM = {**OFF_POLICY, "train_freq": 4}
ROLLOUTS = {**NET, "n_steps": 50, "batch_size": 25}
HYPERPARAMS: dict[str, dict[str, Any]] = {
    "a2c": NET,
    "ars": {**NET, "n_delta": 2},
    "crossq": SELDOM,
    "ddpg": SELDOM,
    "dqn": OFF_POLICY,
    "maskable_ppo": {**ROLLOUTS, "n_epochs": 2},
    "ppo": {**ROLLOUTS, "n_epochs": 2},
    "qrdqn": OFF_POLICY,
    "recurrent_ppo": {
        **ROLLOUTS,
        "n_epochs": 1,
        "policy_kwargs": {"net_arch": [16], "lstm_hidden_size": 16},
    },
    "sac": SELDOM,
    "td3": SELDOM,
    "tqc": SELDOM,
    "trpo": ROLLOUTS,
}
FEW = 4  # actions


class Masked(gym.Env[NDArray[np.float32], np.int64]):
    """At each step all actions but two are forbidden; who takes one of them is told so.

    The observation does not say which, so that no policy can know it without the mask.
    """

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.action_space = gym.spaces.Discrete(FEW)
        self.forbidden = np.zeros(FEW, dtype=bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        return self.observe(), {}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        if self.forbidden[int(action)]:
            raise ValueError(f"action {action} is forbidden")
        return self.observe(), float(action), False, False, {}

    def observe(self) -> NDArray[np.float32]:
        self.forbidden[:] = False
        self.forbidden[self.np_random.choice(FEW, FEW - 2, replace=False)] = True
        return self.np_random.uniform(-1.0, 1.0, 2).astype(np.float32)

    def action_masks(self) -> NDArray[np.bool_]:
        """True for what may be done."""
        return ~self.forbidden


gym.register("Masked-v0", lambda **kwargs: Masked(**kwargs), max_episode_steps=20)

CONTINUOUS = ["rocket-v0", "Pendulum-v1"]
PAIRS = [
    (algo, env_id)
    for algo, entry in ALGORITHMS.items()
    for env_id in [
        *(CONTINUOUS if "Box" in entry.action_spaces else []),
        *(["CartPole-v1"] if "Discrete" in entry.action_spaces and algo != "maskable_ppo" else []),
        *(["Masked-v0"] if algo == "maskable_ppo" else []),
    ]
]


def config(algo: str, env_id: str, **changes: Any) -> RunConfig:
    settings = {"total_timesteps": STEPS, "eval_freq": EVAL_FREQ, "n_eval_episodes": 2, "seed": 1}
    if env_id in (*CONTINUOUS, "CartPole-v1"):  # elsewhere they are short already
        settings["max_episode_steps"] = LIMIT
    hyperparams = changes.pop("hyperparams", HYPERPARAMS.get(algo, {}))
    return RunConfig(algo=algo, env_id=env_id, **{**settings, **changes}, hyperparams=hyperparams)


def assert_complete(run: RunConfig, path: Path, kind: Any) -> None:
    """All that a finished run must have left, and that its model has learned something.

    :param kind: SB3's class, without anything of this project's
    """
    assert RunDirectory(path).is_done()
    reached = RunDirectory(path).status()["step"]
    assert (path / "best_model.zip").exists()
    with np.load(path / "evaluations.npz") as found:
        assert found["timesteps"].tolist() == [0, 100, 200, 300, reached]
        assert found["results"].shape == found["ep_lengths"].shape == (5, 2)
        assert found["final_results"].shape == (100,)
        assert np.isfinite(found["results"]).all()
        assert np.isfinite(found["final_results"]).all()

    model = kind.load(path / "model.zip", device="cpu")
    assert reached == model.num_timesteps >= STEPS
    env = make_env(run)
    observation, _ = env.reset(seed=0)
    action, _ = model.predict(observation, deterministic=True)
    assert env.action_space.contains(
        action if isinstance(env.action_space, gym.spaces.Box) else int(action)
    )

    assert env.spec is not None
    assert env.spec.max_episode_steps is not None
    lengths = load_results(str(path))["l"]
    assert lengths.between(1, env.spec.max_episode_steps).all()
    # All steps but those of the episode that training broke off.
    steps = model.num_timesteps
    assert steps >= STEPS
    assert steps - env.spec.max_episode_steps <= lengths.sum() <= steps

    untrained = build_model(run, resolve_hyperparameters(run), make_training_env(run))
    first, last = (each.policy.state_dict() for each in (untrained, model))
    assert first.keys() == last.keys()
    assert any((first[name] != last[name]).any() for name in first)


def test_the_matrix_has_every_algorithm() -> None:
    assert HYPERPARAMS.keys() == ALGORITHMS.keys() == {algo for algo, _ in PAIRS}


@pytest.mark.slow
@pytest.mark.parametrize(("algo", "env_id"), PAIRS)
def test_every_algorithm_trains_on_what_suits_it(algo: str, env_id: str, tmp_path: Path) -> None:
    run = config(algo, env_id)
    # SB3's checker takes actions at random, masked ones too.
    path = train(run, tmp_path, check=env_id != "Masked-v0")
    assert_complete(run, path, ALGORITHMS[algo].load())


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"n_envs": 2}, {"normalize": True}], ids=str)
def test_masks_hold_in_training_and_evaluation(changes: dict[str, Any], tmp_path: Path) -> None:
    run = config("maskable_ppo", "Masked-v0", n_eval_episodes=5, **changes)
    path = train(run, tmp_path, check=False)  # the environment would not have had it otherwise
    assert RunDirectory(path).is_done()


@pytest.mark.slow
def test_a_recurrent_policy_remembers_in_its_evaluation(tmp_path: Path) -> None:
    steps = {"total_timesteps": 500, "eval_freq": 500, "max_episode_steps": 200}
    run = config("recurrent_ppo", "Pendulum-v1", **steps)
    path = train(run, tmp_path)
    model = ALGORITHMS["recurrent_ppo"].load().load(path / "model.zip", device="cpu")
    returns = []
    for seed in (FIRST_SEED, FIRST_SEED + 1):
        env = make_env(run)
        observation, _ = env.reset(seed=seed)
        memory, begins, over, total = None, np.ones(1, dtype=bool), False, 0.0
        while not over:
            action, memory = model.predict(observation, memory, begins, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            begins, over = np.zeros(1, dtype=bool), terminated or truncated
            total += float(reward)
        returns.append(total)
    with np.load(path / "evaluations.npz") as found:
        assert found["results"][-1] == pytest.approx(returns, rel=1e-3)


OWN_TASK = """
import gymnasium as gym
import numpy as np


class Corridor(gym.Env):
    def __init__(self, length=5):
        self.length = length
        self.observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return self.observe(), {}

    def step(self, action):
        self.place = max(self.place + (1 if action == 1 else -1), 0)
        return self.observe(), -1.0, self.place == self.length, False, {}

    def observe(self):
        return np.array([self.place / self.length], np.float32)


gym.register("Corridor-v0", Corridor, max_episode_steps=30)
"""
OWN_ALGORITHM = """
from stable_baselines3 import PPO


class ShortSighted(PPO):
    def __init__(self, policy, env, n_steps=50, gamma=0.9, boldness=0.01, **options):
        super().__init__(policy, env, n_steps=n_steps, gamma=gamma, batch_size=25, n_epochs=2,
                         ent_coef=boldness, **options)
"""


@pytest.mark.slow
def test_a_users_own_algorithm_and_environment_train_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_task.py").write_text(OWN_TASK)
    (tmp_path / "own_algorithm.py").write_text(OWN_ALGORITHM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    arguments = ["--algo", "own_algorithm:ShortSighted", "--env-id", "own_task:Corridor-v0"]
    arguments += ["--env-kwargs", "length=4", "--hyperparams", "boldness=0.1", "--seed", "1"]
    arguments += ["--total-timesteps", str(STEPS), "--eval-freq", str(EVAL_FREQ)]
    arguments += ["--n-eval-episodes", "2"]
    monkeypatch.setattr(sys, "argv", ["train_sb3.py", *arguments])
    train_sb3.main()
    assert "runs/shortsighted/Corridor-v0_1 is complete" in capsys.readouterr().out
    run = config(
        "own_algorithm:ShortSighted",
        "own_task:Corridor-v0",
        env_kwargs={"length": 4},
        hyperparams={"boldness": 0.1},
    )
    kind = sys.modules["own_algorithm"].ShortSighted
    path = tmp_path / "runs/shortsighted/Corridor-v0_1"
    assert_complete(run, path, kind)
    assert kind.load(path / "model.zip", device="cpu").ent_coef == 0.1


def test_the_list_names_every_algorithm_with_its_action_spaces(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train_sb3.py", "--list-algos"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    train_sb3.main()
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    for name, entry in ALGORITHMS.items():
        assert lines[name].endswith(f"{entry.class_name}: {', '.join(entry.action_spaces)}")
    assert lines.keys() - ALGORITHMS.keys() == {"package.module:Class"}


@pytest.mark.slow
@pytest.mark.parametrize("n_envs", [1, 2])
@pytest.mark.parametrize("env_id", CONTINUOUS)
@pytest.mark.parametrize("algo", ["td3", "ppo"])
def test_a_normalised_run_saves_the_statistics_that_its_policy_needs(
    algo: str, env_id: str, n_envs: int, tmp_path: Path
) -> None:
    run = config(algo, env_id, normalize=True, n_envs=n_envs, total_timesteps=200)
    path = train(run, tmp_path)
    model: Any = ALGORITHMS[algo].load().load(path / "model.zip", device="cpu")
    policy = NormalizedPolicy(model, Normalization.load(path / "normalization.npz"))
    seeds = [FIRST_SEED, FIRST_SEED + 1]

    def returns(player: Any) -> list[float]:
        episodes = play_side_by_side(player, [make_env(run) for _ in seeds], seeds)
        played: list[float] = evaluate(episodes).returns.tolist()
        return played

    with np.load(path / "evaluations.npz") as found:
        assert found["results"][-1].tolist() == returns(policy)
        assert found["results"][-1].tolist() != returns(model)
    assert Normalization.load(path / "best_normalization.npz").mean.shape == (
        make_env(run).observation_space.shape
    )


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["td3", "ppo"])
def test_environments_in_processes_of_their_own_give_the_same_bytes(
    algo: str, tmp_path: Path
) -> None:
    dummy, subproc = (
        train(
            config(algo, "Pendulum-v1", n_envs=2, vec_env=kind, total_timesteps=200),
            tmp_path / kind,
        )
        for kind in ("dummy", "subproc")
    )
    for name in ("evaluations.npz", "model.zip", "best_model.zip"):
        assert (dummy / name).read_bytes() == (subproc / name).read_bytes(), name
    lengths = [load_results(str(path))["l"].tolist() for path in (dummy, subproc)]
    assert lengths[0] == lengths[1]


@pytest.mark.parametrize(("algo", "env_id"), PAIRS)
def test_every_algorithm_s_model_is_rebuilt_to_act_without_an_optimiser(
    algo: str, env_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = config(algo, env_id)
    hyperparameters = resolve_hyperparameters(run)
    model = build_model(run, hyperparameters, make_training_env(run))
    content = model_bytes(model)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an optimiser was made")

    monkeypatch.setattr(torch.optim.Optimizer, "__init__", refuse)
    env = make_env(run)
    again = rebuilt(content, run, hyperparameters, env)
    expected, actual = (each.policy.state_dict() for each in (model, again))
    assert expected.keys() == actual.keys()
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    observation, _ = env.reset(seed=0)
    action, _ = model.predict(observation, deterministic=True)
    np.testing.assert_array_equal(again.predict(observation, deterministic=True)[0], action)
