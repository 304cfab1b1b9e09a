"""The optimum of the protocol's start states is data, and the data is what is computed."""

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.experiments import EXPERIMENTS
from benchmarks.optimum import tasks
from benchmarks.optimum.policy import OpenLoopPolicy, optimal_policy
from benchmarks.optimum.shipped import GAMMAS, SHOWN_SEED, STARTS, computed, read
from benchmarks.optimum.values import mean_return
from benchmarks.report.gallery import SEED
from envs.rollout import rollout

# Of the grids; test_tasks.py shows them.
STATED_ERROR = {"rocket-v0": 0.01, "rocket-landing-v0": 0.5, "Pendulum-v1": 5.0}


@pytest.fixture
def no_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("dynamic programming was begun")

    monkeypatch.setattr(tasks, "solution", refuse)


@pytest.mark.usefixtures("no_computing")
@pytest.mark.parametrize("env_id", tasks.TASKS)
def test_nothing_is_computed_for_the_starts_of_the_protocol(env_id: str) -> None:
    for first, n in STARTS.items():
        best, *discounted = (mean_return.__wrapped__(env_id, first, n, g) for g in GAMMAS[::-1])
        assert all(best >= value - STATED_ERROR[env_id] for value in discounted)
        assert np.isfinite([best, *discounted]).all()
    few = tasks.protocol_starts(env_id, 3, 10_000)
    assert tasks.optimal_value(env_id, few[::-1]).tolist() == [
        tasks.optimal_value(env_id, state[None]).item() for state in few[::-1]
    ]


@pytest.mark.usefixtures("no_computing")
def test_another_start_or_discount_is_computed() -> None:
    known = tasks.protocol_starts("rocket-v0", 2)
    for states, gamma in ((np.array([known[0], [0.5, 0.0]]), 1.0), (known, 0.9)):
        with pytest.raises(AssertionError, match="dynamic programming"):
            tasks.gamma_optimal_return("rocket-v0", states, gamma)


def test_the_discounts_of_all_experiments_are_known() -> None:
    used = {
        settings.get("hyperparams", {}).get("gamma", 0.99)
        for experiment in EXPERIMENTS.values()
        for settings in experiment.implementations.values()
    }
    assert used <= set(GAMMAS)


@pytest.mark.parametrize("env_id", tasks.TASKS)
def test_the_known_actions_earn_the_optimum_in_the_real_environment(env_id: str) -> None:
    policy = optimal_policy(env_id, SEED)
    assert SEED == SHOWN_SEED
    assert isinstance(policy, OpenLoopPolicy)
    env = gym.make(env_id)
    episode = rollout(policy, env, SEED)
    best = tasks.optimal_value(env_id, tasks.protocol_starts(env_id, 1, SEED))
    assert len(episode.rewards) == len(policy.thrusts)
    assert episode.episode_return == pytest.approx(best.item(), abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", tasks.TASKS)
def test_the_data_is_what_dynamic_programming_computes(env_id: str) -> None:
    for name, values in computed(env_id, (0.99, 1.0)).items():
        shipped = read()[name]
        assert shipped == pytest.approx(values, abs=1e-3), name
