"""A run that is made longer is, byte for byte, one of so many steps from the start."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.continuation import TIMED, content
from training.config import ConfigError, RunConfig
from training.endings import RunStopped
from training.open_run import OpenRun
from training.run import run
from training.run_directory import RunDirectory

SMALL: dict[str, Any] = {"learning_starts": 40, "batch_size": 16}
SB3 = {**SMALL, "policy_kwargs": {"net_arch": [16]}}
REFERENCE = {**SMALL, "hidden_sizes": [16]}
# Off the grid of evaluations, and the longer run's late points begin before the shorter one's end.
SHORT, LONG = 172, 244


def config(algo: str, steps: int = SHORT, **changes: Any) -> RunConfig:
    hyperparams = {"td3_reference": REFERENCE, "ppo": {"n_steps": 32, "batch_size": 32}}.get(
        algo, SB3
    )
    settings = {"eval_freq": 20, "n_eval_episodes": 2, "max_episode_steps": 10,
                "hyperparams": hyperparams, **changes}  # fmt: skip
    return RunConfig(algo=algo, env_id="Pendulum-v1", total_timesteps=steps, **settings)


def outcome(path: Path) -> dict[str, Any]:
    """Files by name; of SB3's best model, which notes how long the run was to be, the weights."""
    assert RunDirectory(path).is_done()
    files = {
        file.name: content(file)
        for file in path.iterdir()
        if file.is_file() and file.name not in TIMED
    }
    if "best_model.zip" in files:
        with zipfile.ZipFile(io.BytesIO(files["best_model.zip"])) as saved:
            files["best_model.zip"] = saved.read("policy.pth")
        del files["status.json"]["digests"]["best_model.zip"]
    return files


def taken_up_at(path: Path) -> int:
    step: int = RunDirectory(path).provenance()["continued_from_step"]
    return step


CONTINUED = {
    "td3": config("td3"),
    "sac, normalised": config("sac", normalize=True),
    "correlated noise": config("td3", hyperparams={**SB3, "exploration_noise": "ou:0.2"}),
    "td3_reference": config("td3_reference"),
    "rollouts": config("ppo"),
    "as in the paper": config("td3_reference", preset="paper"),
    "few late points": config("td3_reference", n_eval_episodes=1, eval_freq=80),
    "a small memory": config("td3_reference", hyperparams={**REFERENCE, "buffer_size": 60}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTINUED)
def test_a_complete_run_with_a_checkpoint_goes_on_as_if_it_had_not_ended(
    name: str, tmp_path: Path
) -> None:
    short = CONTINUED[name]
    long = replace(short, total_timesteps=LONG)
    at_once = outcome(run(long, tmp_path / "at_once", check=False))
    run(short, tmp_path, checkpoint_freq=17, check=False, keep_checkpoint=True)
    path = run(long, tmp_path, check=False, extend=True)
    assert taken_up_at(path) >= SHORT - 2 * 17
    assert outcome(path) == at_once
    assert not (path / "checkpoint").exists()


@pytest.mark.slow
def test_the_late_policies_of_a_longer_run_are_those_of_its_own_last_points(tmp_path: Path) -> None:
    short = config("td3_reference")
    run(short, tmp_path, checkpoint_freq=17, check=False, keep_checkpoint=True)
    path = run(replace(short, total_timesteps=400), tmp_path, check=False, extend=True)
    with np.load(path / "evaluations.npz") as arrays:
        assert arrays["late_timesteps"].tolist() == [*range(220, 401, 20)]
        assert arrays["timesteps"].tolist() == [*range(0, 401, 20)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "short",
    [
        config("sac", 60, hyperparams={**SB3, "use_sde": True}),  # draws its noise too early
        config("td3", 60, hyperparams={**SB3, "learning_rate": "linear:1e-3"}),
    ],
    ids=["state-dependent exploration", "a schedule"],
)
def test_a_run_that_cannot_go_on_starts_over_with_the_same_result(
    short: RunConfig, tmp_path: Path
) -> None:
    long = replace(short, total_timesteps=2 * short.total_timesteps)
    at_once = outcome(run(long, tmp_path / "at_once", check=False))
    run(short, tmp_path, checkpoint_freq=17, check=False, keep_checkpoint=True)
    path = run(long, tmp_path, check=False, extend=True)
    assert taken_up_at(path) == 0
    assert outcome(path) == at_once


@pytest.mark.slow
def test_without_a_checkpoint_a_complete_run_starts_over(tmp_path: Path) -> None:
    short = config("td3_reference", 60)
    long = replace(short, total_timesteps=80)
    at_once = outcome(run(long, tmp_path / "at_once", check=False))
    run(short, tmp_path, checkpoint_freq=17, check=False)
    path = run(long, tmp_path, check=False, extend=True)
    assert taken_up_at(path) == 0
    assert outcome(path) == at_once


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["td3", "td3_reference"])
def test_a_stopped_run_that_is_made_longer_and_broken_off_again_ends_the_same(
    algo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = config(algo)
    long = replace(short, total_timesteps=LONG)
    at_once = outcome(run(long, tmp_path / "at_once", check=False))
    steps: list[int] = []

    def stops(step: int, *_: float | None) -> None:
        steps.append(step)

    with pytest.raises(RunStopped):
        run(short, tmp_path, stops, lambda: bool(steps and steps[-1] >= 84), check=False)

    def killed(self: OpenRun) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(OpenRun, "load_checkpoint", killed)
        with pytest.raises(MemoryError):
            run(long, tmp_path, check=False, extend=True)
    path = run(long, tmp_path, check=False)  # it is the longer run from now on
    assert taken_up_at(path) >= 84
    assert outcome(path) == at_once


def test_more_steps_have_to_be_asked_for_and_fewer_are_refused(tmp_path: Path) -> None:
    short = config("td3_reference", 100, eval_freq=100)
    path = run(short, tmp_path, check=False)
    before = outcome(path)
    with pytest.raises(ConfigError, match="total_timesteps is 100 there and 200 here"):
        run(replace(short, total_timesteps=200), tmp_path, check=False)
    with pytest.raises(ConfigError, match="total_timesteps is 100 there and 50 here"):
        run(replace(short, total_timesteps=50), tmp_path, check=False, extend=True)
    other = replace(short, total_timesteps=200, eval_freq=50)
    with pytest.raises(ConfigError, match=r"\(eval_freq is 100 there and 50 here\)"):
        run(other, tmp_path, check=False, extend=True)
    assert outcome(path) == before
