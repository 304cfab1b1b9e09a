"""The table of policies: its numbers are those of the episodes."""

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.optimum.tasks import gamma_optimal_return, optimal_value, start_state
from benchmarks.policies.score import scores_page
from envs.controllers import make_controller
from envs.rocket_metrics import jitter, steady_state_error
from envs.rollout import play_side_by_side
from train_sb3 import train
from training.config import ConfigError, RunConfig


def cells(page: str, policy: str) -> list[str]:
    """The cells of a policy's row."""
    (line,) = [
        line
        for line in page.splitlines()
        if line.split("|")[1:2] and policy == line.split("|")[1].strip()
    ]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_tells_the_mean_over_the_protocols_starts() -> None:
    page = scores_page(["brake", "pd"], ["rocket-v0"], 8)
    envs = [gym.make("rocket-v0") for _ in range(8)]
    states = []
    for k, env in enumerate(envs):
        env.reset(seed=20_000 + k)
        states.append(start_state(env))
    best = optimal_value("rocket-v0", np.array(states))
    for name in ("brake", "pd"):
        policy = make_controller(name, envs[0])
        episodes = play_side_by_side(policy, envs, range(20_000, 20_008))
        returns = np.array([episode.episode_return for episode in episodes])
        expected = [f"{a.mean():.1f} ± {a.std(ddof=1):.1f}" for a in (returns, best - returns)]
        rest = [np.mean([of(each) for each in episodes]) for of in (steady_state_error, jitter)]
        assert cells(page, name) == [name, *expected, "-", "-", "0.00", *(f"{a:.4f}" for a in rest)]
    assert "Episodes that ended on the goal of 1e-8, with its 500 extra: 0." in page


@pytest.mark.slow
def test_a_trained_policys_regret_is_the_sum_of_its_two_gaps(tmp_path: Path) -> None:
    config = RunConfig(
        algo="td3",
        env_id="rocket-landing-v0",
        total_timesteps=100,
        eval_freq=100,
        n_eval_episodes=1,
        hyperparams={"gamma": 0.98},
    )
    path = train(config, tmp_path)
    page = scores_page([str(path)], ["rocket-landing-v0"], 5)
    texts = [text.replace(",", "") for text in cells(page, "td3 0")]
    _, _, regret, objective, learning, *_ = texts
    assert float(regret.split(" ")[0]) == pytest.approx(
        float(objective) + float(learning), abs=0.11
    )
    env = gym.make("rocket-landing-v0")
    states = []
    for k in range(5):
        env.reset(seed=20_000 + k)
        states.append(start_state(env))
    starts = np.array(states)
    gap = optimal_value("rocket-landing-v0", starts)
    gap -= gamma_optimal_return("rocket-landing-v0", starts, 0.98)
    assert float(objective) == pytest.approx(gap.mean(), abs=0.051)


def test_what_cannot_be_scored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 or more"):
        scores_page([], ["rocket-v0"], 1)
    with pytest.raises(ConfigError, match="name the policies"):
        scores_page([], ["Pendulum-v1"], 5)
    config = RunConfig(algo="td3", env_id="rocket-v0", env_kwargs={"dt": 0.02}, total_timesteps=1)
    settings = {"config": config.to_json(), "hyperparameters": {}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match="was trained with"):
        scores_page([str(tmp_path)], ["rocket-v0"], 5)
