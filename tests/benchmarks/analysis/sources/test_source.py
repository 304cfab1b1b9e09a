"""Learning curves made elsewhere: files as their makers write them, read back."""

import pickle
import zipfile
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import TD3
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.monitor import Monitor
from torch.utils.tensorboard import SummaryWriter

from benchmarks.analysis.sources.cleanrl import TAG
from benchmarks.analysis.sources.frame import KEYS, ReadOptions
from benchmarks.analysis.sources.source import read_source
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError

Points = list[tuple[int, float]]


def write_events(folder: Path, points: Points, tag: str = TAG) -> Path:
    """Log as CleanRL does; gives the event file."""
    writer = SummaryWriter(str(folder))
    writer.add_text("hyperparameters", "|param|value|")
    for step, value in points:
        writer.add_scalar(tag, value, step)
    writer.add_scalar("charts/SPS", 1_000, 1)
    writer.close()
    (file,) = folder.glob("events*")
    return file


def write_csv(file: Path, rows: str, header: str = "seed,step,return") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{header}\n{rows}\n")
    return file


def write_evaluations(folder: Path, **arrays: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "evaluations.npz", **arrays)
    return folder / "evaluations.npz"


def runs_of(path: Path, **options: Any) -> list[tuple[str, str, str]]:
    """(env_id, label, run) of all runs."""
    return sorted(
        set(
            read_source(path, options=ReadOptions(**options))
            .curves[KEYS]
            .itertuples(index=False, name=None)
        )
    )


def points(directory: Path) -> list[tuple[str, int, float]]:
    """(run, step, return) of all rows."""
    rows = read_source(directory).curves[["run", "step", "mean_return"]]
    return sorted(rows.itertuples(index=False, name=None))


@pytest.mark.slow
def test_what_an_eval_callback_wrote_is_read_beside_its_logs(tmp_path: Path) -> None:
    for seed in (0, 1):
        folder = tmp_path / f"seed_{seed}"
        env = Monitor(gym.make("Pendulum-v1"), str(folder / "train"))
        callback = EvalCallback(
            Monitor(gym.make("Pendulum-v1")),
            n_eval_episodes=2,
            eval_freq=100,
            log_path=str(folder),
            verbose=0,
        )
        model = TD3("MlpPolicy", env, policy_kwargs={"net_arch": [4]}, seed=seed,
                    learning_starts=195, tensorboard_log=str(folder))  # fmt: skip
        model.learn(200, callback)
    assert {file.suffix for file in folder.iterdir()} >= {".npz", ".csv"}
    assert list(folder.rglob("*tfevents*"))
    expected = []
    for seed in (0, 1):
        with np.load(tmp_path / f"seed_{seed}/evaluations.npz") as arrays:
            expected += [
                (f"seed_{seed}", 100 * (i + 1), arrays["results"][i].mean()) for i in (0, 1)
            ]
    assert points(tmp_path) == expected
    runs = read_source(tmp_path)
    assert runs.curves["final_return"].isna().all()
    assert runs.left_out == []


def test_one_csv_file_of_many_seeds_reads_as_many_files_of_one(tmp_path: Path) -> None:
    write_csv(tmp_path / "one/all.csv", "0,100,-5\n7,100,-6\n0,200,-4\n7,200,-3.5")
    write_csv(tmp_path / "many/a.csv", "0,100,-5\n0,200,-4")
    write_csv(tmp_path / "many/b/b.csv", "x,100,-6,7\nx,200,-3.5,7", "note,step,return,seed")
    expected = [("0", 100, -5.0), ("0", 200, -4.0), ("7", 100, -6.0), ("7", 200, -3.5)]
    assert points(tmp_path / "one") == points(tmp_path / "many") == expected


def test_a_cleanrl_folder_tells_environment_experiment_and_seed(tmp_path: Path) -> None:
    episodes = [(100, -9.0), (900, -4.0), (900, -3.0), (1_000, -2.0)]
    write_events(tmp_path / "Hopper-v4__td3_continuous_action__3__1700000000", episodes)
    assert runs_of(tmp_path) == [("Hopper-v4", "td3_continuous_action", "3")]
    assert points(tmp_path) == sorted(("3", *episode) for episode in episodes)


def test_another_folder_of_events_is_a_run_by_its_own_name(tmp_path: Path) -> None:
    write_events(tmp_path / "first", [(10, 1.0)])
    write_events(tmp_path / "second", [(10, 2.0)])
    assert points(tmp_path) == [("first", 10, 1.0), ("second", 10, 2.0)]


@pytest.mark.slow
def test_no_event_is_left_out_of_many(tmp_path: Path) -> None:
    write_events(tmp_path / "run", [(step, step % 7) for step in range(10_001)])
    assert len(read_source(tmp_path).curves) == 10_001  # TensorBoard shows a sample of 10,000


def test_our_runs_say_what_they_are_and_have_their_further_starts(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 3, [-3.0, -2.0], env_id="my:Env-v3", n_eval_episodes=2)
    runs = read_source(tmp_path)
    assert runs_of(tmp_path) == [("Env-v3", "td3", "3")]
    last = runs.curves.iloc[-1]
    assert last[["step", "mean_return", "fixed_starts", "final_return"]].tolist() == [
        100,
        -2,
        2,
        -20,
    ]


def test_arguments_of_an_environment_make_it_another(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 0, [-3.0, -2.0], env_id="rocket-v0", env_kwargs={"dt": 0.02})
    assert read_source(tmp_path).curves["env_id"].unique().tolist() == ["rocket-v0 ('dt', 0.02)"]


def test_runs_of_ours_that_are_not_complete_are_left_out_and_named(tmp_path: Path) -> None:
    made_up_run(tmp_path, "td3", 0, [-3.0, -2.0])
    stopped = made_up_run(tmp_path, "td3", 1, [-3.0, -2.0])
    (stopped / "status.json").write_text('{"state": "interrupted", "digests": {}}')
    write_evaluations(stopped / "checkpoint/000000000100", timesteps=[0], results=[[1.0]])
    runs = read_source(tmp_path)
    assert runs.curves["run"].unique().tolist() == ["0"]
    assert runs.left_out == ["td3/Pendulum-v1_1/evaluations.npz"]


def test_files_of_the_same_kind_without_a_curve_are_named(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", "0,100,-5")
    write_csv(tmp_path / "progress.csv", "100,1", "time/total_timesteps,time/fps")
    assert read_source(tmp_path).left_out == ["progress.csv"]


def test_a_directory_must_hold_one_format(tmp_path: Path) -> None:
    accepted = ("evaluations.npz", "seed, step, return", TAG)
    write_csv(tmp_path / "nothing.csv", "1,2", "a,b")
    write_events(tmp_path / "other", [(1, 1.0)], tag="rollout/ep_rew_mean")
    with pytest.raises(ConfigError, match="holds no complete run") as none:
        read_source(tmp_path)
    write_csv(tmp_path / "a.csv", "0,100,-5")
    write_evaluations(tmp_path, timesteps=[100], results=[[1.0]])
    with pytest.raises(ConfigError, match=r"holds evaluations\.npz .* and CSV") as several:
        read_source(tmp_path)
    assert "make each a source of its own" in str(several.value)
    assert all(name in str(none.value) for name in accepted)
    for error in (none, several):
        assert "\n" not in str(error.value)
    for name in ("missing",):
        with pytest.raises(ConfigError, match=f"{name} must be a file or directory"):
            read_source(tmp_path / name)


def truncated(file: Path) -> Path:
    file.write_bytes(file.read_bytes()[:-5])
    return file


def empty(folder: Path, name: str) -> Path:
    folder.mkdir()
    (folder / name).touch()
    return folder / name


DAMAGED = {
    "cut evaluations": lambda d: truncated(write_evaluations(d, timesteps=[1], results=[[1.0]])),
    "no evaluations": lambda d: empty(d, "evaluations.npz"),
    "no results": lambda d: write_evaluations(d, timesteps=[1]),
    "no row": lambda d: write_evaluations(d, timesteps=[], results=np.empty((0, 2))),
    "flat results": lambda d: write_evaluations(d, timesteps=[1, 2], results=[1.0, 2.0]),
    "too few steps": lambda d: write_evaluations(d, timesteps=[1], results=[[1.0], [2.0]]),
    "NaN result": lambda d: write_evaluations(d, timesteps=[1], results=[[np.nan]]),
    "a step twice": lambda d: write_evaluations(d, timesteps=[1, 1], results=[[1.0], [2.0]]),
    "empty CSV": lambda d: empty(d, "a.csv"),
    "no line": lambda d: write_csv(d / "a.csv", ""),
    "NaN return": lambda d: write_csv(d / "a.csv", "0,1,nan"),
    "infinite return": lambda d: write_csv(d / "a.csv", "0,1,-inf"),
    "a word": lambda d: write_csv(d / "a.csv", "0,1,good"),
    "long rows": lambda d: write_csv(d / "a.csv", "9,0,1,2\n9,0,2,3"),
    "a long row": lambda d: write_csv(d / "a.csv", "0,1,2\n0,2,3,"),
    "no seed": lambda d: write_csv(d / "a.csv", ",1,2"),
    "short line": lambda d: write_csv(d / "a.csv", "0,1"),
    "mixed CSV": lambda d: write_csv(d / "a.csv", "0,1,2,A\n0,1,3,B", "seed,step,return,task"),
    "empty events": lambda d: empty(d, "events.out.tfevents.1"),
    "cut events": lambda d: truncated(write_events(d, [(1, 1.0), (2, 2.0)])),
    "NaN episode": lambda d: write_events(d, [(1, np.nan)]),
    "no events": lambda d: write_csv(d / "events.out.tfevents.1", "text, not events"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named_in_one_line(damage: str, tmp_path: Path) -> None:
    file = DAMAGED[damage](tmp_path / "run")
    with pytest.raises(ConfigError) as error:
        read_source(tmp_path)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


class Surprise:
    """Raises an error of its own kind when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('unpickled')",))


def test_a_damaged_file_of_another_format_is_left_out_and_named(tmp_path: Path) -> None:
    write_evaluations(tmp_path / "0", timesteps=[100], results=[[1.0]])
    (tmp_path / "0/progress.csv").touch()  # as SB3's logger leaves it before its first dump
    runs = read_source(tmp_path)
    assert runs.kind.patterns == ("evaluations.npz",)
    assert runs.left_out == ["0/progress.csv"]


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    results = np.array([[Surprise()]], dtype=object)
    write_evaluations(tmp_path / "array", timesteps=[1], results=results)
    (tmp_path / "file").mkdir()
    (tmp_path / "file/evaluations.npz").write_bytes(pickle.dumps(Surprise()))
    with zipfile.ZipFile(tmp_path / "array/evaluations.npz") as archive:
        assert b"unpickled" in archive.read("results.npy")
    for name in ("array", "file"):
        with pytest.raises(ConfigError, match="cannot read"):
            read_source(tmp_path / name)


def test_a_run_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", "0,100,-5")
    write_csv(tmp_path / "b.csv", "0,200,-5")
    with pytest.raises(ConfigError, match=r"must hold a run once, got a\.csv and b\.csv"):
        read_source(tmp_path)


def test_event_files_of_different_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    for seed, step in ((1, 10), (2, 20)):  # as if the second continued the first
        writer = SummaryWriter(str(tmp_path / "logs"), filename_suffix=f".{seed}")
        writer.add_text("hyperparameters", f"|param|value|\n|-|-|\n|seed|{seed}|")
        writer.add_scalar(TAG, 5.0, step)
        writer.close()
    with pytest.raises(ConfigError, match=r"logs/events.* several runs, with run 1 and 2$"):
        read_source(tmp_path)


def write_monitor(file: Path, episodes: str, env_id: str = "X-v1", t_start: float = 0.0) -> None:
    """As SB3's Monitor does; episodes are lines of return, length and seconds since t_start."""
    write_csv(file, episodes, f'#{{"t_start": {t_start}, "env_id": "{env_id}"}}\nr,l,t')


def test_an_environment_without_a_name_has_none(tmp_path: Path) -> None:
    write_monitor(tmp_path / "monitor.csv", "5,10,1", "None")  # what SB3 writes then
    assert runs_of(tmp_path) == [("", "", ".")]


def test_monitor_files_in_a_run_s_folder_may_have_names(tmp_path: Path) -> None:
    write_monitor(tmp_path / "td3/X-v1_1/train.monitor.csv", "5,10,1")
    assert runs_of(tmp_path) == [("X-v1", "td3", "X-v1_1/train")]


def test_numbered_monitor_files_that_follow_each_other_are_not_one_run(tmp_path: Path) -> None:
    write_monitor(tmp_path / "0.monitor.csv", "5,10,1\n6,10,4", t_start=100.0)
    write_monitor(tmp_path / "1.monitor.csv", "7,10,2\n8,10,3", t_start=100.5)
    assert points(tmp_path) == [(".", 10, 5.0), (".", 20, 7.0), (".", 30, 8.0), (".", 40, 6.0)]
    write_monitor(tmp_path / "1.monitor.csv", "7,10,2\n8,10,3", t_start=104.5)
    with pytest.raises(ConfigError, match=r"files of each run in a folder of its own"):
        read_source(tmp_path)


def test_runs_that_have_only_training_episodes_are_left_out_and_named(tmp_path: Path) -> None:
    for run in (1, 2):
        write_monitor(tmp_path / f"td3/X-v1_{run}/0.monitor.csv", "5,10,1")
    write_evaluations(tmp_path / "td3/X-v1_1/eval", timesteps=[1], results=[[5.0]])
    assert read_source(tmp_path).left_out == ["td3/X-v1_2/0.monitor.csv"]


def test_a_damaged_csv_file_beside_good_ones_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", "0,100,-5")
    write_csv(tmp_path / "b.csv", "1,100,-5").write_bytes(b"seed,step,return\n\xff")
    with pytest.raises(ConfigError, match=r"cannot read .*/b\.csv: .*utf-8"):
        read_source(tmp_path)


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    for root, run in (("here", 1), ("there", 2), ("there", 3)):
        folder = tmp_path / root / f"td3/X-v1_{run}"
        write_evaluations(folder, timesteps=[1], results=[[5.0]])
    (tmp_path / "here/td3/X-v1_2").symlink_to(tmp_path / "there/td3/X-v1_2")
    (tmp_path / "here/latest").symlink_to(tmp_path / "here/td3/X-v1_1")  # inside: another name
    (tmp_path / "here/td3/loop").symlink_to(tmp_path / "here")
    (tmp_path / "here/td3/above").symlink_to(tmp_path)
    (tmp_path / "there/td3/X-v1_2/loop").symlink_to(tmp_path / "there/td3/X-v1_2")
    assert runs_of(tmp_path / "here") == [("X-v1", "td3", "1"), ("X-v1", "td3", "2")]
