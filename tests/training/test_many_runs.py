"""Many runs in one process, as a sweep's worker makes them."""

import gc
import threading
from pathlib import Path
from typing import Any

import pytest
from stable_baselines3.common.base_class import BaseAlgorithm

from td3_reference.td3 import TD3
from training.config import RunConfig
from training.run import run

HYPERPARAMS: dict[str, dict[str, Any]] = {
    "td3": {"learning_starts": 10, "policy_kwargs": {"net_arch": [8]}},
    "td3_reference": {"learning_starts": 10, "hidden_sizes": [8]},
}


def left_behind() -> dict[str, int]:
    """What a run must not leave in its process."""
    gc.collect()
    agents = [each for each in gc.get_objects() if issubclass(type(each), BaseAlgorithm | TD3)]
    files = Path("/proc/self/fd")  # on Linux
    return {
        "threads": threading.active_count(),
        "open files": len(list(files.iterdir())) if files.exists() else 0,
        "agents": len(agents),
    }


@pytest.mark.slow
@pytest.mark.parametrize("algo", HYPERPARAMS)
def test_runs_leave_no_threads_files_or_agents_behind(
    algo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.evaluation.N_FINAL_EPISODES", 2)

    def train(seed: int) -> None:
        settings: dict[str, Any] = {"n_eval_episodes": 1, "hyperparams": HYPERPARAMS[algo]}
        run(RunConfig(algo=algo, env_id="rocket-v0", seed=seed, total_timesteps=20, **settings),
            tmp_path, check=False)  # fmt: skip

    train(0)
    before = left_behind()
    for seed in range(1, 7):
        train(seed)
    assert left_behind() == before
