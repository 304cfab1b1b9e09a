"""Any policy, on the protocol's starts, leaves a run directory like a trained one's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.policies.evaluate import evaluate
from training.config import ConfigError, RunConfig
from training.run_directory import RunDirectory

HERE = __name__


def zero(observation: Any) -> Any:
    return np.zeros(1, np.float32)


class Zero:
    def __init__(self, env: Any) -> None:
        self.shape = env.action_space.shape

    def predict(self, observation: Any, *_: Any, **__: Any) -> Any:
        return np.zeros((len(observation), *self.shape), np.float32), None


def config(source: str) -> RunConfig:
    label = source.rpartition(":")[2].lower() + ("_class" if source.endswith("Zero") else "")
    return RunConfig(label=label, algo=source, env_id="rocket-v0", total_timesteps=1)


@pytest.mark.slow
def test_function_class_and_controller_play_the_same_ten_and_hundred_starts(tmp_path: Path) -> None:
    found = []
    for source in (f"{HERE}:zero", f"{HERE}:Zero", "zero"):
        made = config(source)
        if ":" not in source:
            made = RunConfig(**{**made.to_json(), "label": "controller"})
        text = evaluate(source, made, tmp_path)
        assert "10 starts" in text
        assert "100 held-out starts" in text
        assert RunDirectory(tmp_path / made.directory).is_done()
        with np.load(tmp_path / made.directory / "evaluations.npz") as arrays:
            found.append(arrays["final_results"])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize(
    ("source", "message"),
    [("nowhere:policy", "cannot import policy 'nowhere:policy'"), (f"{HERE}:HERE", "is no policy"),
     ("ppd", "no policy 'ppd'")],
)  # fmt: skip
def test_what_is_no_policy_is_refused_in_a_line(source: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(source, config(source), tmp_path)


def takes_nothing() -> int:
    return 0


def two_actions(observation: Any) -> Any:
    return np.zeros(2, np.float32)


@pytest.mark.parametrize(
    ("name", "message"),
    [("takes_nothing", "cannot act in rocket-v0: takes_nothing\\(\\) takes 0 positional"),
     ("two_actions", "has actions of another shape than rocket-v0")],
)  # fmt: skip
def test_what_cannot_act_is_refused_before_anything_is_written(
    name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate(f"{HERE}:{name}", config(f"{HERE}:{name}"), tmp_path)
    assert list(tmp_path.iterdir()) == []
