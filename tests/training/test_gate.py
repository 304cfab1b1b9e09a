"""What every run passes before anything is written is the same for both implementations."""

import json
import logging
import subprocess
import sys
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.__main__ import show_overview
from benchmarks.analysis.load import load_results
from benchmarks.choice import with_settings
from benchmarks.experiments import BOTH, Experiment
from benchmarks.report.page import write_report
from benchmarks.sweep.scheduler import refuse_unworkable
from benchmarks.sweep.worker import run_on_worker
from envs.rocket_vector import RocketVectorEnv
from tests.helpers.continuation import content
from tests.helpers.gate_envs import STEPS, Drift
from training import environments, gate, supervisor
from training.config import REFERENCE, ConfigError, RunConfig
from training.endings import RunStopped
from training.environments import make_env, make_native_env
from training.evaluation import Evaluator
from training.open_run import OpenRun
from training.run import run
from training.run_directory import BEGINS_ANEW, RunDirectory, refuse_other_settings

both = pytest.mark.parametrize("algo", ["td3", "td3_reference"])
SMALL = {
    "td3": {"policy_kwargs": {"net_arch": [4]}, "learning_starts": 10, "batch_size": 4},
    "td3_reference": {"hidden_sizes": [4], "learning_starts": 10, "batch_size": 4},
}


def config(algo: str, env_id: str, **changes: Any) -> RunConfig:
    settings = {"total_timesteps": 40, "eval_freq": 20, "n_eval_episodes": 1, "eval_envs": 1}
    env_id = env_id if env_id in gym.registry else f"tests.helpers.gate_envs:{env_id}"
    return RunConfig(algo=algo, env_id=env_id, hyperparams=SMALL[algo], **{**settings, **changes})


@pytest.fixture(autouse=True)
def few_late_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.evaluation.N_FINAL_EPISODES", 3)
    monkeypatch.setattr(environments, "_said", set())


# 1. Refused, the same way by both.

REFUSED = {
    "Nowhere-v0": "unknown environment",
    "Failing-v0": "the simulator does not start",
    "UnboundedActions-v0": "must have finite bounds",
    "HalfBoundedActions-v0": "must have finite bounds",
    "ActionsOfNoWidth-v0": "the lower below the upper",
    "FarObservation-v0": "SB3's checker refuses",
    "ObservationOfDoubles-v0": "SB3's checker refuses",
    "OldReset-v0": "SB3's checker refuses",
    "NamedActions-v0": "NamedActions-v0",
    "Endless-v0": "--max-episode-steps N",
}


@both
@pytest.mark.parametrize("env_id", REFUSED)
def test_a_faulty_environment_is_refused_before_anything_is_written(
    algo: str, env_id: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=REFUSED[env_id]) as refusal:
        run(config(algo, env_id), tmp_path)
    assert "\n" not in str(refusal.value)
    assert not any(tmp_path.iterdir())


@both
@pytest.mark.parametrize("device", ["nope", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(algo: str, device: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cpu"):
        run(config(algo, "Drift-v0", device=device), tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@both
def test_a_sweep_refuses_them_before_its_first_run_and_has_no_check_too(
    algo: str, tmp_path: Path
) -> None:
    faulty = [config(algo, name) for name in ("Drift-v0", "FarObservation-v0")]
    with pytest.raises(ConfigError, match=r"SB3.s checker refuses.*--no-check"):
        refuse_unworkable(faulty, tmp_path)
    refuse_unworkable(faulty, tmp_path, check=False)
    assert not any(tmp_path.iterdir())


@both
def test_a_workers_runs_are_not_checked_again(algo: str, tmp_path: Path) -> None:
    (tmp_path / ".session").write_text("name")
    faulty = config(algo, "FarObservation-v0")
    assert run_on_worker(faulty, tmp_path, "name").state == "done"
    endless = config(algo, "Endless-v0")
    assert "--max-episode-steps" in run_on_worker(endless, tmp_path, "name").message


# 2. The checker's own words.


@both
def test_the_checkers_remarks_are_shown_once_each(
    algo: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in (0, 1):
        run(config(algo, "LopsidedActions-v0", seed=seed), tmp_path)
    remarks = [line for line in caplog.messages if "SB3's checker on" in line]
    assert len(remarks) == 1
    assert "symmetric and normalized Box action space" in remarks[0]
    assert "\n" not in remarks[0]


def test_a_correct_goal_environment_is_accepted_as_it_is_trained_on(tmp_path: Path) -> None:
    path = run(config("td3", "Goal-v0"), tmp_path)
    assert RunDirectory(path).is_done()


@both
def test_a_goal_environment_whose_observations_are_flattened_is_none_any_more(
    algo: str, tmp_path: Path
) -> None:
    assert RunDirectory(run(config(algo, "FlatGoal-v0"), tmp_path)).is_done()


STARTS = {
    "UnseededStarts-v0": "a second reset with the same seed starts differently",
    "GlobalStarts-v0": "a second reset with the same seed starts differently",
    "StartsWanderOn-v0": "a second reset with the same seed starts differently",
    "EachHasItsOwnStart-v0": "another environment's reset with the same seed starts differently",
    "UnseededVelocity-v0": "the same actions lead elsewhere",
}


@both
@pytest.mark.parametrize("env_id", STARTS)
def test_starts_that_do_not_follow_seeds_are_noted_for_whoever_reads_the_results(
    algo: str, env_id: str, tmp_path: Path
) -> None:
    path = run(config(algo, env_id), tmp_path)
    assert STARTS[env_id] in (path / "log.txt").read_text()
    (note,) = load_results(tmp_path).notes
    assert note.startswith("starts do not follow seeds")
    assert STARTS[env_id] in note


@pytest.mark.slow
def test_the_report_says_at_its_head_that_starts_do_not_follow_seeds(tmp_path: Path) -> None:
    for algo in BOTH:
        run(config(algo, "UnseededStarts-v0"), tmp_path / "runs")
    text = write_report(tmp_path / "runs", tmp_path / "report")
    assert text.startswith("Note: starts do not follow seeds")
    page = (tmp_path / "report/report.html").read_text()
    assert 0 < page.index("starts do not follow seeds") < page.index('id="figures"')


@pytest.mark.slow
@both
@pytest.mark.parametrize("env_id", ["Saved-v0", "Pendulum-v1", "rocket-v0"])
def test_there_is_nothing_to_note_of_a_healthy_environment(
    algo: str, env_id: str, tmp_path: Path
) -> None:
    path = run(config(algo, env_id), tmp_path)
    assert "notes" not in json.loads((path / "provenance.json").read_text())
    assert (path / "log.txt").read_text().startswith("step 0: mean return")


# 3. Duck typing.

STATES = {
    "Drift-v0": "no get_state()",
    "StateIsAnArray-v0": "cannot be saved and restored (TypeError: Object of type ndarray",
    "StateTakesTwo-v0": "cannot be saved and restored (TypeError",
    "StateWithoutVelocity-v0": "went on differently",
    "StateWithoutGenerator-v0": "differently",
}


@both
@pytest.mark.parametrize("env_id", STATES)
def test_a_state_that_cannot_be_taken_up_is_found_before_training(
    algo: str, env_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    monkeypatch.setattr(OpenRun, "save_checkpoint", lambda _, step, files: saved.append(step))
    path = run(config(algo, env_id), tmp_path, checkpoint_freq=1)
    first, *_ = (path / "log.txt").read_text().splitlines()
    assert first.startswith(BEGINS_ANEW)
    assert STATES[env_id] in first
    assert not saved


@pytest.mark.parametrize(
    ("forgotten", "words"),
    [("_v", "went on differently"), ("_elapsed", "went on differently"), (None, "ndarray")],
)
def test_the_state_of_a_native_vector_environment_is_tried_too(
    forgotten: str | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_state = RocketVectorEnv.get_state

    def partial(self: RocketVectorEnv) -> Any:
        state = get_state(self)
        if forgotten is None:
            return {**state, "_x": np.array(state["_x"])}
        return {name: value for name, value in state.items() if name != forgotten}

    native = config("td3", "rocket-v0", vec_env="native", n_envs=2, max_episode_steps=20)
    assert gate.reason_not_restorable(native) is None
    monkeypatch.setattr(RocketVectorEnv, "get_state", partial)
    path = run(native, tmp_path)
    assert words in (path / "log.txt").read_text().splitlines()[0]


@both
def test_a_failing_save_is_logged_and_the_run_goes_on(
    algo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run(config(algo, "FailsToSaveLater-v0"), tmp_path, checkpoint_freq=1)
    assert RunDirectory(path).is_done()
    lines = (path / "log.txt").read_text().splitlines()
    failures = [line for line in lines if "not saved" in line]
    assert len(failures) == 1
    assert "OSError: the simulator does not answer" in failures[0]


@both
def test_a_disk_that_is_full_when_a_run_is_saved_does_not_end_it(
    algo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("training.open_run.save_checkpoint", full)
    path = run(config(algo, "Saved-v0"), tmp_path, checkpoint_freq=1)
    assert RunDirectory(path).is_done()
    assert "No space left" in (path / "log.txt").read_text()


# 4. Evaluation that can end.


@both
def test_a_time_limit_can_be_set_for_any_environment(algo: str, tmp_path: Path) -> None:
    path = run(config(algo, "Endless-v0", max_episode_steps=7), tmp_path)
    found = np.load(path / "evaluations.npz")
    assert set(found["ep_lengths"].ravel()) == set(found["late_ep_lengths"].ravel()) == {7}
    assert json.loads((path / "config.json").read_text())["config"]["max_episode_steps"] == 7


@pytest.mark.parametrize("vec_env", ["dummy", "native"])
def test_it_is_set_for_vector_environments_too(vec_env: str, tmp_path: Path) -> None:
    limited = config("td3", "rocket-v0", vec_env=vec_env, n_envs=2, max_episode_steps=7)
    path = run(limited, tmp_path)
    lengths = np.loadtxt(path / "train.monitor.csv", skiprows=2, delimiter=",")[:, 1]
    assert set(lengths) == {7}
    assert set(np.load(path / "evaluations.npz")["ep_lengths"].ravel()) == {7}


@pytest.mark.parametrize("value", [0, -1, 2.5])
def test_a_time_limit_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="max_episode_steps must be"):
        config("td3", "Endless-v0", max_episode_steps=value)
    with pytest.raises(ConfigError, match="given twice"):
        config("td3", "Endless-v0", max_episode_steps=5, env_kwargs={"max_episode_steps": 6})


@pytest.mark.parametrize("settings", [{}, {"max_episode_steps": 5}])
def test_a_dry_run_returns(settings: dict[str, int], tmp_path: Path, capsys: Any) -> None:
    experiment = Experiment(
        description="",
        implementations={name: {"algo": name, "hyperparams": SMALL[name]} for name in BOTH},
        total_timesteps={"tests.helpers.gate_envs:Endless-v0": 150},
        seeds=(0,),
    )
    experiment = with_settings(experiment, **settings)
    if not settings:
        with pytest.raises(ConfigError, match="--max-episode-steps"):
            show_overview(experiment, tmp_path)
        return
    show_overview(experiment, tmp_path)
    assert "2 runs of up to 150 steps" in capsys.readouterr().out


@pytest.mark.slow
@both
@pytest.mark.parametrize("point", [0, 20, 40])
def test_a_run_stops_within_an_evaluation_and_goes_on_as_if_it_had_not(
    algo: str, point: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "EVALUATION_PATIENCE", 0.0)
    settings = config(algo, "Saved-v0", max_episode_steps=100)
    undisturbed = run(settings, tmp_path / "undisturbed", checkpoint_freq=1)

    asked: Counter[str] = Counter()
    play = Evaluator._play

    def note(self: Evaluator, *arguments: Any) -> Any:
        if self._pending[0] == point:
            asked["within"] += 1
        return play(self, *arguments)

    def should_stop() -> bool:
        asked["steps"] += asked["within"] > 0
        return asked["steps"] > 3

    monkeypatch.setattr(Evaluator, "_play", note)
    before = Drift.steps[0]
    with pytest.raises(RunStopped, match=f"in the evaluation at step {point}"):
        run(settings, tmp_path / "stopped", should_stop=should_stop, checkpoint_freq=1)
    assert Drift.steps[0] - before < 1500  # not three late evaluations of 300 steps each, and more
    monkeypatch.setattr(Evaluator, "_play", play)
    goes_on = run(settings, tmp_path / "stopped", checkpoint_freq=1)
    for name in ("evaluations.npz", "log.txt", "config.json"):
        assert content(goes_on / name) == content(undisturbed / name)


# 5. Evaluation that fits.


@both
@pytest.mark.parametrize(("eval_envs", "players"), [(1, 1), (2, 2), (None, 3)])
def test_evaluation_environments_are_made_once_for_a_run_of_twenty_evaluations(
    algo: str, eval_envs: int | None, players: int, tmp_path: Path
) -> None:
    Drift.made.clear()
    path = run(config(algo, "Drift-v0", eval_freq=2, eval_envs=eval_envs), tmp_path)
    assert len(np.load(path / "evaluations.npz")["timesteps"]) == 21
    assert len(Drift.made) == 2 + 1 + players  # the gate, training, evaluations


class Camera(gym.Env[Any, Any]):
    """Sees a picture at each step; knows how many of them are still held."""

    observation_space = gym.spaces.Box(0, 255, (96, 96, 3), np.uint8)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    held = most = 0

    def picture(self) -> Any:
        picture = np.zeros((96, 96, 3), np.uint8)
        Camera.held += 1
        Camera.most = max(Camera.most, Camera.held)
        weakref.finalize(picture, self.forget)
        return picture

    @staticmethod
    def forget() -> None:
        Camera.held -= 1

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.picture(), {}

    def step(self, action: Any) -> Any:
        return self.picture(), 1.0, False, False, {}


class MeasuringCamera(Camera):
    episode_measures = {"pictures": lambda episode: len(episode.observations)}  # noqa: RUF012


class Still:
    """A policy that does nothing, whatever it is asked for at a time."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: Any = 0
    ) -> Any:
        return np.zeros((len(observation), 1), np.float32), None


gym.register("Camera-v0", f"{__name__}:Camera", max_episode_steps=30)
gym.register("MeasuringCamera-v0", f"{__name__}:MeasuringCamera", max_episode_steps=30)


@pytest.mark.parametrize(
    ("env_id", "eval_envs", "at_most"),
    [
        ("Camera-v0", 1, 3),
        ("Camera-v0", 4, 4 * 3),
        ("Camera-v0", None, 8 * 3),
        ("MeasuringCamera-v0", 1, 31 + 2),  # one whole episode, released before the next
    ],
)
def test_no_more_pictures_are_held_than_are_measured(
    env_id: str, eval_envs: int | None, at_most: int, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("training.evaluation.N_FINAL_EPISODES", 8)
    settings = config("td3", env_id, eval_envs=eval_envs, eval_freq=40)
    evaluator = Evaluator(settings, OpenRun(tmp_path))
    Camera.most = Camera.held
    before = Camera.held
    evaluator.evaluate_if_due(Still(), 0)
    evaluator.finish(Still(), settings.total_timesteps)
    assert Camera.most - before <= at_most
    found = np.load(tmp_path / "evaluations.npz")
    assert (found["late_ep_lengths"] == 30).all()
    if "late_pictures" in found:
        assert (found["late_pictures"] == 31).all()


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["rocket-v0", "Pendulum-v1"])
def test_the_size_of_the_groups_does_not_change_the_episodes(env_id: str, tmp_path: Path) -> None:
    found = []
    for eval_envs in (None, 1, 2, 5):
        settings = config("td3", env_id, eval_envs=eval_envs, n_eval_episodes=5)
        path = tmp_path / str(eval_envs)
        path.mkdir()
        evaluator = Evaluator(settings, OpenRun(path))
        evaluator.evaluate_if_due(Still(), 20)
        evaluator.finish(Still(), settings.total_timesteps)
        found.append((path / "evaluations.npz").read_bytes())
    assert found[1:] == found[:1] * 3


def test_late_policies_are_those_of_the_last_ten_points_and_the_final_one_is_the_last(
    tmp_path: Path,
) -> None:
    settings = config("td3", "Pendulum-v1", total_timesteps=145, eval_freq=10)
    evaluator = Evaluator(settings, OpenRun(tmp_path))
    for step in range(0, 145, 5):
        evaluator.evaluate_if_due(Still(), step)
        if step == 70:  # as after a stop
            evaluator = Evaluator(settings, OpenRun(tmp_path))
            evaluator.resume()
    evaluator.finish(Still(), settings.total_timesteps)
    found = np.load(tmp_path / "evaluations.npz")
    assert found["late_timesteps"].tolist() == found["timesteps"][-10:].tolist()
    assert found["late_results"].shape == found["late_ep_lengths"].shape == (10, 3)
    assert found["late_results"][-1].tolist() == found["final_results"].tolist()
    assert (found["late_results"] == found["late_results"][0]).all()  # a policy that never changes


def test_a_run_from_before_these_settings_is_the_same_run(tmp_path: Path) -> None:
    settings = config("td3", "Drift-v0", eval_envs=None).to_json()
    assert not {"max_episode_steps", "eval_envs"} & settings.keys()
    old = RunDirectory(tmp_path)
    with_none = {**settings, "max_episode_steps": None, "eval_envs": None}
    for there in (settings, with_none):
        old.write_json("config.json", {"config": there, "hyperparameters": {}})
        for here in (settings, with_none):
            refuse_other_settings(old, {"config": here, "hyperparameters": {}})
    limited = config("td3", "Drift-v0", max_episode_steps=5).to_json()
    with pytest.raises(ConfigError, match="max_episode_steps is None there and 5 here"):
        refuse_other_settings(old, {"config": limited, "hyperparameters": {}})


# 6. Noise.


@pytest.mark.parametrize("env_id", ["CartPole-v0", "FrozenLake-v1"])
def test_old_versions_are_not_spoken_of_at_each_making(env_id: str, recwarn: Any) -> None:
    for _ in range(3):
        make_env(config("td3", env_id)).close()
    assert not recwarn.list


def test_nor_is_a_vector_environments(recwarn: Any) -> None:
    make_native_env(config("td3", "CartPole-v0"), 2).close()
    assert not recwarn.list


def test_mujoco_warns_once_and_writes_no_log_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any, capfd: Any
) -> None:
    mujoco = pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        make_env(config("td3", "HalfCheetah-v4")).close()
    assert mujoco.get_mju_user_warning() is not None
    assert not any(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
    assert len(caplog.messages) == len(set(caplog.messages))


@pytest.mark.slow
def test_the_environments_of_other_processes_repeat_no_remarks(tmp_path: Path) -> None:
    settings = f"train_sb3.py --algo td3 --env-id Pendulum-v1 --root {tmp_path} --n-envs 2"
    settings += " --vec-env subproc --total-timesteps 20 --n-eval-episodes 1 --eval-envs 1"
    settings += " --max-episode-steps 5"
    command = [sys.executable, *settings.split()]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    assert finished.stderr.count("SB3's checker on Pendulum-v1") == 1


def test_both_implementations_are_named_as_they_are_here() -> None:
    assert {REFERENCE, "td3"} == set(SMALL) == set(BOTH)
    assert gym.spec("Drift-v0").max_episode_steps == STEPS
