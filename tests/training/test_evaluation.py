"""The evaluation protocol: when, on which start states, and without traces in the training."""

import random
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from envs.rollout import Evaluation, Policy, Score, rollout
from training.config import RunConfig
from training.environments import make_env
from training.evaluation import Evaluator
from training.open_run import OpenRun
from training.run import run


class Coasting:
    """No thrust; draws from the global generators, as a careless policy would."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        random.random()
        np.random.random()  # noqa: NPY002
        torch.rand(1)
        return np.zeros((len(observation), 1), np.float32), None


class Halting:
    """Stops as fast as it can, wherever that is; after two seconds it pushes to and fro."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        step = state or 0
        if step < 200:
            return np.clip(-observation[:, 1:] / 0.01, -1, 1), step + 1
        return np.full((len(observation), 1), -0.3 if step % 2 else 0.3), step + 1


def evaluations(
    path: Path, steps: list[int], policy: Policy | None = None, **changes: Any
) -> dict[str, np.ndarray]:
    policy = policy or Coasting()
    settings = {"total_timesteps": 250, "eval_freq": 100, "n_eval_episodes": 2, **changes}
    config = RunConfig(**{"algo": "td3", "env_id": "rocket-v0", **settings})
    evaluator = Evaluator(config, OpenRun(path))
    for step in steps:
        evaluator.evaluate_if_due(policy, step)
    evaluator.finish(policy, config.total_timesteps)
    return dict(np.load(path / "evaluations.npz"))


def test_evaluations_come_at_step_0_at_every_grid_point_and_at_the_last_step(
    tmp_path: Path,
) -> None:
    found = evaluations(tmp_path, list(range(251)))
    assert found["timesteps"].tolist() == [0, 100, 200, 250]
    for name in ("results", "ep_lengths", "successes"):
        assert found[name].shape == (4, 2)


def test_a_last_step_on_the_grid_is_evaluated_once(tmp_path: Path) -> None:
    found = evaluations(tmp_path, list(range(201)), total_timesteps=200)
    assert found["timesteps"].tolist() == [0, 100, 200]


def test_an_evaluation_is_recorded_at_the_step_that_was_reached(tmp_path: Path) -> None:
    found = evaluations(tmp_path, [0, 64, 128, 192, 256], total_timesteps=300)
    assert found["timesteps"].tolist() == [0, 128, 256, 300]
    assert found["late_timesteps"].tolist() == [0, 128, 256, 300]


def test_points_that_are_passed_together_are_one_evaluation(tmp_path: Path) -> None:
    found = evaluations(tmp_path, [0, 150, 300, 450], total_timesteps=450, eval_freq=50)
    assert found["timesteps"].tolist() == [0, 150, 300, 450]
    assert found["results"].shape == (4, 2)


def test_start_states_are_the_protocols_own_at_every_checkpoint(tmp_path: Path) -> None:
    found = evaluations(tmp_path, [0, 100, 200])
    env = gym.make("rocket-v0")
    expected = [rollout(Coasting(), env, 10_000 + k).episode_return for k in range(2)]
    assert found["results"].tolist() == [expected] * 4


@pytest.mark.slow
def test_the_final_policy_is_scored_on_100_further_starts(tmp_path: Path) -> None:
    found = evaluations(tmp_path, [0, 100, 200], n_eval_episodes=3)
    env = gym.make("rocket-v0")
    expected = [rollout(Coasting(), env, 20_000 + k).episode_return for k in range(100)]
    assert found["final_results"].tolist() == expected
    assert not set(expected) & set(found["results"].ravel())


def test_the_final_scoring_measures_how_the_rockets_rest(tmp_path: Path) -> None:
    limit = 1.2  # m: a rocket that starts away from the origin may be lost before it halts
    found = evaluations(tmp_path, [0, 100, 200], Halting(), env_kwargs={"position_limit": limit})
    env = gym.make("rocket-v0")
    x, v = np.array([env.reset(seed=20_000 + k)[0] for k in range(100)], np.float64).T
    halt = x + v * np.abs(v) / 2
    lost = (x * v > 0) & (np.abs(halt) > limit)
    assert 10 < lost.sum() < 90
    assert (found["final_ep_lengths"] == 500).tolist() == (~lost).tolist()
    expected = np.where(lost, np.nan, np.abs(halt))
    # While pushing it drifts by 1.5 mm/s.
    assert found["final_steady_state_error"] == pytest.approx(expected, abs=0.01, nan_ok=True)
    expected = np.where(lost, np.nan, 0.6)
    assert found["final_jitter"] == pytest.approx(expected, abs=1e-6, nan_ok=True)


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["td3", "td3_reference"])
@pytest.mark.parametrize("env_id", ["rocket-v0", "rocket-landing-v0", "Pendulum-v1"])
def test_only_an_environment_with_measures_of_its_own_adds_them(
    algo: str, env_id: str, tmp_path: Path
) -> None:
    nets = {"policy_kwargs": {"net_arch": [8]}} if algo == "td3" else {"hidden_sizes": [8]}
    config = RunConfig(
        algo=algo, env_id=env_id, total_timesteps=10, n_eval_episodes=1, hyperparams=nets
    )
    path = run(config, tmp_path)
    found = dict(np.load(path / "evaluations.npz"))
    names = ["timesteps", "results", "ep_lengths"]
    names += [f"late_{name}" for name in names] + ["final_results", "final_ep_lengths"]
    if env_id == "Pendulum-v1":
        assert list(found) == names
        return
    for late in ("late", "final"):
        names += [f"{late}_{name}" for name in ("successes", "steady_state_error", "jitter")]
    assert sorted(found) == sorted([*names, "successes"])
    assert found["late_jitter"].shape == (2, 100)
    for name in names[-2:]:
        assert found[name].shape == (100,)
        # A crash or a landing leaves no steady state.
        assert np.isfinite(found[name]).tolist() == (found["final_ep_lengths"] == 500).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["td3", "td3_reference"])
def test_published_starts_are_a_runs_own_and_come_again_at_each_evaluation(
    algo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[list[Any]] = []

    class Recorder(gym.Wrapper[Any, Any, Any, Any]):
        def reset(self, **arguments: Any) -> Any:
            observation, info = super().reset(**arguments)
            starts[-1].append(observation.tolist())
            return observation, info

    def make_recorder(config: RunConfig) -> Recorder:
        starts.append([])
        return Recorder(make_env(config))

    monkeypatch.setattr("training.evaluation.make_env", make_recorder)
    for seed in (3, 4):
        config = RunConfig(
            algo=algo,
            env_id="rocket-v0",
            env_kwargs={"max_episode_steps": 5},
            seed=seed,
            total_timesteps=20,
            eval_freq=10,
            n_eval_episodes=3,
            evaluation="published",
        )
        run(config, tmp_path)
        env = gym.make("rocket-v0")
        first, _ = env.reset(seed=seed + 100)
        expected = [first.tolist(), *(env.reset()[0].tolist() for _ in range(99))]
        assert starts[-1] == [*expected[:3], *expected] * 3  # at step 0, 10 and 20
    assert len(starts) == 2  # an environment for each run
    assert starts[0] != starts[1]


def test_published_episodes_follow_each_other_in_one_environment(tmp_path: Path) -> None:
    """On ice that makes slip by chance, which the environment draws from its one generator."""
    lengths = []
    env = gym.make("FrozenLake-v1")
    env.reset(seed=107)
    for _ in range(100):
        over, length = False, 0
        while not over:
            _, _, terminated, truncated, _ = env.step(2)
            over, length = terminated or truncated, length + 1
        lengths.append(length)
        env.reset()

    class Right(Coasting):
        def predict(self, observation: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
            return np.full(len(observation), 2), None

    found = evaluations(
        tmp_path, [0, 100, 200], Right(), env_id="FrozenLake-v1", seed=7, evaluation="published"
    )
    assert found["ep_lengths"].tolist() == [lengths[:2]] * 4
    assert found["final_ep_lengths"].tolist() == lengths
    assert len(set(lengths)) > 5


@pytest.mark.slow
@pytest.mark.parametrize("evaluation", ["fixed", "published"])
def test_an_evaluation_leaves_the_global_generators_as_they_were(
    tmp_path: Path, evaluation: str
) -> None:
    def draws() -> tuple[float, float, float]:
        return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002

    def seed() -> None:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)

    seed()
    expected = draws()
    seed()
    evaluations(tmp_path, [0, 100, 200], evaluation=evaluation)
    assert draws() == pytest.approx(expected, abs=0)


def test_successes_that_are_reported_at_some_endings_only_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = iter([np.array([True, False]), None, np.array([True, True]), None])

    def score(scores: list[Score]) -> Evaluation:
        n = len(scores)
        return Evaluation(np.zeros(n), np.ones(n, np.int64), next(scored) if n == 2 else None, {})

    monkeypatch.setattr("training.evaluation.evaluate", score)
    found = evaluations(tmp_path, list(range(251)))
    assert found["results"].shape == (4, 2)
    assert "successes" not in found
