"""Complete run directories whose scores are known, without any training."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from training.config import RunConfig
from training.open_run import open_run
from training.provenance import with_digest
from training.run_directory import RunDirectory


def made_up_run(
    root: Path,
    label: str,
    seed: int,
    means: Sequence[float],
    env_id: str = "Pendulum-v1",
    gamma: float = 0.9,
    finals: ArrayLike | None = None,
    arrays: dict[str, Any] | None = None,
    **config: Any,
) -> Path:
    """A complete run whose evaluations have the given means, every 100 steps.

    :param finals: returns on the held-out starts; default: ten times the last mean on all
    :param arrays: further arrays for evaluations.npz
    :param config: further fields of the configuration
    """

    total = max(100 * (len(means) - 1), 1)
    settings = {"algo": "td3", "total_timesteps": total, "n_eval_episodes": 2, **config}
    run_config = RunConfig(label=label, env_id=env_id, seed=seed, **settings)
    with open_run(run_config, {"gamma": gamma}, root) as run:
        buffer = io.BytesIO()
        content = {
            "timesteps": 100 * np.arange(len(means)),
            "results": np.array([[mean - 1, mean + 1] for mean in means]),
            "ep_lengths": np.full((len(means), 2), 200),
            "final_results": np.full(100, 10 * means[-1]) if finals is None else np.array(finals),
            **{name: np.array(values) for name, values in (arrays or {}).items()},
        }
        np.savez(buffer, **content)  # type: ignore[arg-type]
        run.write_bytes("evaluations.npz", buffer.getvalue())
        run.step = int(content["timesteps"][-1])
    return run.path


def edit_provenance(path: Path, **values: Any) -> None:
    """Change entries of a run's provenance.json."""
    run = RunDirectory(path)
    run.write_json("provenance.json", with_digest({**run.provenance(), **values}))


def set_optimum(monkeypatch: pytest.MonkeyPatch, value: float = 0.0, loss: float = 1.0) -> None:
    """Make the optimum cheap: V* is ``value`` everywhere, less ``loss`` for a gamma below 1."""
    monkeypatch.setattr(
        "benchmarks.optimum.values.mean_return",
        lambda env_id, first_seed, n, gamma=1.0: value - loss * (gamma < 1.0),
    )
