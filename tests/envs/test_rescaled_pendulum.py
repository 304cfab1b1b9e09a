"""The rescaled pendulum is Pendulum-v1, except for the unit of its actions."""

import gymnasium as gym
import numpy as np
import pytest

import envs  # noqa: F401  (registers it)
from benchmarks.experiments import EXPERIMENTS
from training.environments import make_env
from training.run import refuse_impossible


@pytest.mark.parametrize("bound", [2, 1, 0.5])
def test_the_same_torques_give_the_same_episode(bound: float) -> None:
    plain, rescaled = gym.make("Pendulum-v1"), gym.make("Pendulum-rescaled-v1", action_bound=bound)
    assert isinstance(rescaled.action_space, gym.spaces.Box)
    assert rescaled.action_space.high == np.float32(bound)
    rng = np.random.default_rng(0)
    assert np.array_equal(plain.reset(seed=3)[0], rescaled.reset(seed=3)[0])
    for _ in range(200):
        torque = rng.uniform(-2.0, 2.0, 1).astype(np.float32)
        ours, theirs = plain.step(torque), rescaled.step(torque * np.float32(bound / 2.0))
        assert np.array_equal(ours[0], theirs[0])
        assert ours[1:4] == theirs[1:4]
    assert ours[3]


def test_sb3_accepts_it_and_only_the_third_implementation_sees_other_units() -> None:
    runs = EXPERIMENTS["action_scale"].runs()
    spaces = {run.label: str(make_env(run).action_space) for run in runs}
    plain, rescaled = "Box(-2.0, 2.0, (1,), float32)", "Box(-1.0, 1.0, (1,), float32)"
    assert spaces == {"td3": plain, "td3_reference": plain, "td3_reference_rescaled": rescaled}
    refuse_impossible(runs[-1])
    assert len(runs) == 30
