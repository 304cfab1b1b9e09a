"""A reference run that was stopped and continued is, bit for bit, one that was never stopped."""

import io
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy as safetensors
from stable_baselines3.common.monitor import load_results

from tests.helpers.continuation import outcome
from training.config import RunConfig
from training.open_run import OpenRun
from training.reference import ReferenceLearner
from training.run import run as train

HYPERPARAMS = {"learning_starts": 30, "batch_size": 16, "hidden_sizes": [16], "buffer_size": 95}
LIMIT = 10  # steps of an episode
# In the warm-up; at the end of a Pendulum episode; after an odd number of updates, in
# mid-episode; when the memory of 95 is just full, at an evaluation; after it has wrapped; before
# the last step.
CUTS = (17, 80, 71, 95, 133, 149)


def config(env_id: str, **changes: Any) -> RunConfig:
    settings: dict[str, Any] = {
        "seed": 3,
        "total_timesteps": 150,
        "eval_freq": 95,
        "n_eval_episodes": 2,
    }
    settings |= {"max_episode_steps": LIMIT, "hyperparams": HYPERPARAMS}
    if env_id == "rocket-v0":
        settings["env_kwargs"] = {"dt": 0.2}  # coarse, so that it crashes within an episode
    return RunConfig(algo="td3_reference", env_id=env_id, **{**settings, **changes})


def run_with_stops(
    run: RunConfig, root: Path, cuts: list[int], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Train, breaking off after each of the given steps as soon as it is saved."""
    save = OpenRun.save_checkpoint

    def save_and_stop(self: OpenRun, step: int, files: dict[str, bytes]) -> None:
        if step in cuts:
            save(self, step, files)
            raise KeyboardInterrupt

    monkeypatch.setattr(OpenRun, "save_checkpoint", save_and_stop)
    for _ in cuts:
        with pytest.raises(KeyboardInterrupt):
            train(run, root, checkpoint_freq=1)
    path = train(run, root, checkpoint_freq=1)
    monkeypatch.undo()
    assert not (path / "checkpoint").exists()
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("undisturbed")
    return {name: train(config(name), root) for name in ("Pendulum-v1", "rocket-v0")}


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "rocket-v0"])
@pytest.mark.parametrize("cut", CUTS)
def test_a_run_cut_anywhere_ends_as_if_it_had_not_been(
    cut: int,
    env_id: str,
    undisturbed: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = run_with_stops(config(env_id), tmp_path, [cut], monkeypatch)
    assert outcome(path) == outcome(undisturbed[env_id])


@pytest.mark.slow
def test_a_run_cut_at_the_end_of_a_crashed_episode_and_many_times_more_ends_the_same(
    undisturbed: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = undisturbed["rocket-v0"]
    lengths = load_results(str(path))["l"]
    crash = int(np.argmax(lengths < LIMIT))
    assert lengths[crash] < LIMIT
    ends = np.cumsum(lengths).tolist()
    assert len(ends) >= 2
    cuts = sorted({*ends, ends[crash] - 1, ends[crash] + 1, 133, 134, 147})
    again = run_with_stops(config("rocket-v0"), tmp_path, cuts, monkeypatch)
    assert outcome(again) == outcome(path)


@pytest.mark.slow
def test_the_papers_settings_continue_exactly_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hyperparams = {**HYPERPARAMS, "update_after_episode": True, "scale_noise": False}
    run = config("Pendulum-v1", hyperparams=hyperparams)
    path = train(run, tmp_path / "undisturbed")
    cut = run_with_stops(run, tmp_path / "cut", [35, 120, 121], monkeypatch)
    assert outcome(cut) == outcome(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("state.json", ("loop", "generator")),
        ("state.json", ("loop", "observation")),
        ("state.json", ("env", "base")),
        ("state.json", ("env", "wrappers")),
        ("state.json", ("monitor", "rewards")),
        ("agent.safetensors", ("critic_optimizer",)),
        ("agent.safetensors", ("actor_target",)),
        ("agent.safetensors", ("updates",)),
        ("buffer.npz", ("position",)),
        ("buffer.npz", ("actions",)),
    ],
)
def test_every_part_of_the_state_matters(
    file: str,
    part: tuple[str, ...],
    undisturbed: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Put an old value of one part into the checkpoint: the outcome must differ."""
    state = ReferenceLearner.save_state
    old: dict[str, bytes] = {}

    def mixed_state(self: ReferenceLearner) -> dict[str, bytes]:
        new = state(self)
        if self.step == 62:
            old.update(new)
        return {**new, file: mix(file, part, old[file], new[file])} if old else new

    monkeypatch.setattr(ReferenceLearner, "save_state", mixed_state)
    path = run_with_stops(config("Pendulum-v1"), tmp_path, [133], monkeypatch)
    assert outcome(path) != outcome(undisturbed["Pendulum-v1"])


def mix(file: str, part: tuple[str, ...], old: bytes, new: bytes) -> bytes:
    """The new file with one part of the old one; with zeros for a part of the memory."""
    if file == "state.json":
        mixed, source = json.loads(new), json.loads(old)
        mixed[part[0]][part[1]] = source[part[0]][part[1]]
        return json.dumps(mixed).encode()
    if file == "agent.safetensors":
        tensors = safetensors.load(old)
        kept = {name: tensors[name] for name in tensors if name.startswith(part[0])}
        return safetensors.save({**safetensors.load(new), **kept})
    arrays = dict(np.load(io.BytesIO(new)))
    buffer = io.BytesIO()
    np.savez(buffer, **{**arrays, part[0]: np.zeros_like(arrays[part[0]])})
    return buffer.getvalue()


TRAIN = """
import json, sys
from training.config import RunConfig
from training.run import run
run(RunConfig.from_json(json.loads(sys.argv[1])), sys.argv[2], checkpoint_freq=20)
"""


def says_running(status: Path, since: int) -> bool:
    """Whether a status written since then, not one left by a killed process, says so."""
    try:
        is_new = status.stat().st_mtime_ns > since
        return is_new and json.loads(status.read_text())["state"] == "running"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["Pendulum-v1", "rocket-v0"])
def test_a_process_killed_at_random_moments_ends_as_if_it_had_not_been(
    env_id: str, tmp_path: Path
) -> None:
    run = config(env_id, total_timesteps=6000, eval_freq=1000, max_episode_steps=200)
    path = train(run, tmp_path / "undisturbed")
    command = [sys.executable, "-c", TRAIN, json.dumps(run.to_json()), str(tmp_path / "killed")]
    rng = random.Random(0)
    steps_when_killed = []
    for _ in range(8):
        started = time.time_ns()
        process = subprocess.Popen(command)
        status = tmp_path / "killed" / run.directory / "status.json"
        # A run that was killed after its end is complete: the next process has nothing to do.
        while process.poll() is None and not says_running(status, started):
            time.sleep(0.01)
        time.sleep(rng.uniform(0.5, 2.0))
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        steps_when_killed.append(json.loads(status.read_text())["step"])
    assert len(steps_when_killed) >= 3
    subprocess.run(command, check=True)
    assert outcome(tmp_path / "killed" / run.directory) == outcome(path)
