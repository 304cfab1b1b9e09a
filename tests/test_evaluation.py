"""The evaluation protocol: when, on which start states, and without traces in the training."""

import random
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from envs.rollout import Evaluation, rollout
from sb3_training.config import RunConfig
from sb3_training.evaluation import Evaluator
from sb3_training.run_directory import RunDirectory


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


def evaluations(path: Path, steps: list[int], **changes: Any) -> dict[str, np.ndarray]:
    settings = {"total_timesteps": 250, "eval_freq": 100, "n_eval_episodes": 2, **changes}
    config = RunConfig(algo="td3", env_id="rocket-v0", **settings)
    evaluator = Evaluator(config, RunDirectory(path))
    for step in steps:
        evaluator.catch_up(Coasting(), step)
    evaluator.finish(Coasting())
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


def test_a_step_past_the_grid_point_is_recorded_as_the_grid_point(tmp_path: Path) -> None:
    found = evaluations(tmp_path, [0, 64, 128, 192, 256])
    assert found["timesteps"].tolist() == [0, 100, 200, 250]


def test_start_states_are_the_protocols_own_at_every_checkpoint(tmp_path: Path) -> None:
    found = evaluations(tmp_path, [0, 100, 200])
    env = gym.make("rocket-v0")
    expected = [rollout(Coasting(), env, 10_000 + k).episode_return for k in range(2)]
    assert found["results"].tolist() == [expected] * 4


def test_the_final_policy_is_scored_on_100_further_starts(tmp_path: Path) -> None:
    found = evaluations(tmp_path, [0, 100, 200], n_eval_episodes=3)
    env = gym.make("rocket-v0")
    expected = [rollout(Coasting(), env, 20_000 + k).episode_return for k in range(100)]
    assert found["final_results"].tolist() == expected
    assert not set(expected) & set(found["results"].ravel())


def test_an_evaluation_leaves_the_global_generators_as_they_were(tmp_path: Path) -> None:
    def draws() -> tuple[float, float, float]:
        return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002

    def seed() -> None:
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)

    seed()
    expected = draws()
    seed()
    evaluations(tmp_path, [0, 100, 200])
    assert draws() == pytest.approx(expected, abs=0)


def test_successes_that_are_reported_at_some_endings_only_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = iter([np.array([True, False]), None, np.array([True, True]), None, None])

    def play(self: Evaluator, policy: Any, first_seed: int, n_episodes: int) -> Evaluation:
        return Evaluation(np.zeros(n_episodes), np.ones(n_episodes, np.int64), next(scored))

    monkeypatch.setattr(Evaluator, "_play", play)
    found = evaluations(tmp_path, list(range(251)))
    assert found["results"].shape == (4, 2)
    assert "successes" not in found
