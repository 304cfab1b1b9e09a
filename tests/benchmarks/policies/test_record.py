"""Recording an episode: the files, the figures printed, and what is refused."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from benchmarks.__main__ import main
from benchmarks.policies.drawing import encode_gif
from benchmarks.policies.load import load_policy
from benchmarks.policies.record import Noisy, record
from benchmarks.request import RecordOptions
from envs.controllers import make_controller
from envs.rollout import play_side_by_side, rollout
from training.config import ConfigError, RunConfig
from training.run import run

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two short runs, one of each implementation."""
    root = tmp_path_factory.mktemp("runs")
    return {
        algo: run(
            RunConfig(
                algo=algo,
                env_id="rocket-v0",
                env_kwargs={"dt": 0.02},
                total_timesteps=150,
                eval_freq=150,
                n_eval_episodes=1,
                hyperparams={"learning_starts": 100},
            ),
            root,
        )
        for algo in ("td3", "td3_reference")
    }


def test_a_recording_consists_of_an_animation_in_real_time_and_a_figure(tmp_path: Path) -> None:
    text = record(
        ["lqr"], RecordOptions(output=tmp_path / "new" / "lqr.v1", initial_state=(1.0, 0.0))
    )
    with Image.open(tmp_path / "new" / "lqr.v1.gif") as animation:
        durations = []
        for frame in range(getattr(animation, "n_frames", 1)):
            animation.seek(frame)
            durations.append(animation.info["duration"])
        assert animation.size == (600, 200)
    assert sum(durations) == pytest.approx(5000, abs=40)  # 500 steps of 10 ms
    assert max(durations) - min(durations) <= 10
    with Image.open(tmp_path / "new" / "lqr.v1.png") as figure:
        assert figure.size[0] > 1000
    for line in ("return: ", "regret: ", "within 0.05 m", "overshoot: ", "steady-state error: "):
        assert line in text


@pytest.mark.slow
def test_the_return_and_regret_printed_are_those_of_the_episode(tmp_path: Path) -> None:
    text = record(["brake"], RecordOptions(output=tmp_path / "brake", initial_state=(1.0, 0.0)))
    # At rest at 1 m: 1/2 + 1 at each of 500 steps.
    assert "return: 750.00 in 500 steps, at the time limit" in text
    best = float(text.split("the optimum is ")[1].split(")")[0])
    regret = float(text.split("regret: ")[1].split(" ")[0])
    assert regret == pytest.approx(best - 750.0, abs=0.011)
    assert "steady-state error: 1.00000 m" in text
    assert "after: - s" in text


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["td3", "td3_reference"])
def test_a_run_directory_plays_its_own_policy_in_its_own_environment(
    algo: str, runs: dict[str, Path], tmp_path: Path
) -> None:
    text = record([str(runs[algo])], RecordOptions(output=tmp_path / "run"))
    env = gym.make("rocket-v0", dt=0.02)
    _, policy, gamma = load_policy(str(runs[algo]), env)
    episode = rollout(policy, env, seed=10_000)
    assert f"{algo} 0 on rocket-v0" in text
    assert f"return: {episode.episode_return:.2f} in {len(episode.rewards)} steps" in text
    assert gamma == 0.99
    assert "regret" not in text  # the optimum is known for the registered task alone


@pytest.mark.slow
def test_a_saved_model_needs_its_algorithm_unless_it_lies_in_a_run_directory(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    inside = runs["td3"] / "model.zip"
    alone = tmp_path / "model.zip"
    alone.write_bytes(inside.read_bytes())
    env = gym.make("rocket-v0")
    observation = np.array([[0.5, -0.5]], np.float32)
    actions = [
        load_policy(str(source), env, algo).policy.predict(observation, deterministic=True)[0]
        for source, algo in ((inside, None), (alone, "td3"), (runs["td3"], None))
    ]
    assert np.array_equal(actions[0], actions[1])
    assert np.array_equal(actions[0], actions[2])
    with pytest.raises(ConfigError, match="--algo"):
        load_policy(str(alone), env)


@pytest.mark.slow
def test_a_normalised_run_plays_behind_its_normalisation(tmp_path: Path) -> None:
    path = run(
        RunConfig(
            algo="ppo",
            env_id="rocket-v0",
            normalize=True,
            total_timesteps=200,
            eval_freq=100,
            n_eval_episodes=2,
            hyperparams={"n_steps": 50, "batch_size": 50},
        ),
        tmp_path,
    )
    with np.load(path / "evaluations.npz") as evaluations:
        results, means = evaluations["results"], evaluations["results"].mean(axis=1)
    # From 100 steps on, since at step 0 there are no statistics yet.
    for source, expected in (
        (path, results[-1]),
        (path / "model.zip", results[-1]),
        (path / "best_model.zip", results[means.argmax()]),
    ):
        env = gym.make("rocket-v0")
        policy = load_policy(str(source), env).policy
        rockets = [gym.make("rocket-v0") for _ in range(2)]
        episodes = play_side_by_side(policy, rockets, [10_000, 10_001])
        assert [episode.episode_return for episode in episodes] == expected.tolist()


@pytest.mark.slow
def test_steps_beyond_the_time_limit_are_played_on_request(tmp_path: Path) -> None:
    text = record(["pd"], RecordOptions(output=tmp_path / "pd", extra_steps=100))
    assert "in 600 steps" in text
    assert "regret" not in text


def test_any_environment_that_draws_can_be_recorded(tmp_path: Path) -> None:
    text = record(["random"], RecordOptions(env_id="CartPole-v1", output=tmp_path / "cartpole"))
    assert "terminated" in text
    assert (tmp_path / "cartpole.gif").exists()
    assert not (tmp_path / "cartpole.png").exists()


def test_noise_is_normal_clipped_and_reproducible() -> None:
    env = gym.make("rocket-v0")
    space = env.action_space
    assert isinstance(space, gym.spaces.Box)
    zero = make_controller("zero", env)
    observations = np.zeros((10_000, 2), np.float32)
    actions, _ = Noisy(zero, space, 0.1, seed=0).predict(observations)
    again, _ = Noisy(zero, space, 0.1, seed=0).predict(observations)
    assert np.array_equal(actions, again)
    assert actions.std() == pytest.approx(0.1, rel=0.05)
    large, _ = Noisy(zero, space, 10.0, seed=0).predict(observations)
    assert np.abs(large).max() == 1.0


@pytest.mark.parametrize("fps", [10, 20, 30, 60, 100, 1000])
def test_an_animation_lasts_as_long_as_what_it_shows(fps: int) -> None:
    frames = [np.full((4, 4, 3), i % 256, np.uint8) for i in range(3 * fps)]
    total = 0
    with Image.open(io.BytesIO(encode_gif(frames, fps))) as animation:
        for frame in range(getattr(animation, "n_frames", 1)):
            animation.seek(frame)
            assert animation.info["duration"] >= 20
            total += animation.info["duration"]
    assert total == pytest.approx(3000, abs=60)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["autopilot"], "no policy 'autopilot'"),
        (["README.md"], "algorithm"),
        (["tests"], "not a run directory"),
        (["pd", "--env-id", "Pendulum-v1"], "for the rockets"),
        (["pd", "--env-id", "nowhere-v0"], "unknown environment"),
        (["pd", "--initial-state", "3", "0"], "initial_state"),
        (["pd", "--initial-state", "1"], "initial_state"),
        (["pd", "--noise", "-0.1"], "noise must be"),
        (["random", "--env-id", "CartPole-v1", "--noise", "0.1"], "continuous"),
        (["pd", "--speed", "0"], "speed must be"),
        (["pd", "--extra-steps", "-1"], "extra_steps must be"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_one_line(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", command("benchmarks", ["record", *arguments], tmp_path))
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    refused(capsys.readouterr().err, complaint, tmp_path)


@pytest.mark.slow
def test_it_is_in_a_process_of_its_own_too(tmp_path: Path) -> None:
    words = [sys.executable, "-m", *command("benchmarks", ["record", "autopilot"], tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    refused(done.stderr, "no policy 'autopilot'", tmp_path)


def command(name: str, arguments: list[str], folder: Path) -> list[str]:
    return [name, *arguments, "--output", str(folder / "x")]


def refused(said: str, complaint: str, folder: Path) -> None:
    (line,) = said.splitlines()
    assert line.startswith("error: ")
    assert complaint in line
    assert list(folder.iterdir()) == []


def test_a_policy_for_another_environment_is_refused(runs: dict[str, Path]) -> None:
    other: Any = gym.make("Pendulum-v1")
    for path in runs.values():
        with pytest.raises(ConfigError, match="Pendulum-v1"):
            load_policy(str(path), other)
