"""An example file of each format, read back; and what no reader may read silently."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.analysis.sources.frame import KEYS, ReadOptions, parse_columns
from benchmarks.analysis.sources.source import FORMATS, Source, read_source
from training.config import ConfigError

EXAMPLES = Path("tests/data/curves")
PENDULUM = "Pendulum-v1"
COLUMNS = {"seed": "run_id", "step": "global_step", "return": "episode_reward"}
TD3 = [(PENDULUM, "td3", "0"), (PENDULUM, "td3", "1")]
RUNS: dict[str, list[tuple[str, str, str]]] = {
    "eval_callback": [("", "", ".")],
    "zoo": [(PENDULUM, "sac", "1"), (PENDULUM, "td3", "1"), (PENDULUM, "td3", "2")],
    "zoo/td3": [(PENDULUM, "td3", "1"), (PENDULUM, "td3", "2")],
    "monitor": [(PENDULUM, "", ".")],
    "author": [(PENDULUM, "TD3", "0"), (PENDULUM, "TD3", "1")],
    "tianshou/merged": TD3,
    "tianshou/per_seed": TD3,
    "cleanrl": [("ALE/Pong-v5", "td3_continuous_action", "3")],
    "wandb": [(PENDULUM, "td3", "1"), (PENDULUM, "td3", "2"), (PENDULUM, "td3", "7")],
    "wandb_evaluations": [(PENDULUM, "td3", "7")],
    "openrlbenchmark": [(PENDULUM, "td3", "4")],
    "table": [("", "", "a"), ("", "", "b")],
}
CURVES = {  # steps of the first run, and its last return
    "eval_callback": ([200, 400], -1525.990344),
    "monitor": ([200, 400, 600, 800, 1000, 1200], -1046.764925),
    "author": ([0, 5_000, 10_000, 15_000], -1198.950999),
    "tianshou/merged": ([0, 5_000, 10_000], -906.2327),
    "tianshou/per_seed": ([0, 5_000, 10_000], -905.4426),
    "cleanrl": ([300, 600, 900, 1300, 1600, 1900], -16.0),
    "wandb": ([200, 400], -1200.5),
    "wandb_evaluations": ([200, 400], -1250.0),
    "openrlbenchmark": ([200, 400, 600], -1200.0),
    "table": ([100, 200], -4.5),
}


def example(name: str, **options: Any) -> Source:
    if name == "table":
        options = {"columns": COLUMNS}
    return read_source(EXAMPLES / name, options=ReadOptions(**options))


@pytest.mark.parametrize("name", RUNS)
def test_an_example_tells_its_runs(name: str) -> None:
    curves = example(name).curves
    assert sorted(set(curves[KEYS].itertuples(index=False, name=None))) == RUNS[name]


@pytest.mark.parametrize("name", CURVES)
def test_an_example_has_its_steps_and_returns(name: str) -> None:
    curves = example(name).curves
    (_, first), *_ = curves.groupby(KEYS)
    steps, last = CURVES[name]
    assert first["step"].tolist() == steps
    assert first["mean_return"].iloc[-1] == pytest.approx(last, abs=1e-6)


def test_every_format_has_an_example() -> None:
    assert {example(name).kind for name in RUNS} == set(FORMATS)


def test_the_distance_of_evaluations_can_be_said() -> None:
    curves = example("author", eval_freq=1_000).curves
    assert sorted(set(curves["step"])) == [0, 1_000, 2_000, 3_000]


def test_a_single_file_is_a_source() -> None:
    source = read_source(EXAMPLES / "author/TD3_Pendulum-v1_1.npy")
    assert source.curves["run"].unique().tolist() == ["1"]


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_columns_tell_environments_and_algorithms_apart(tmp_path: Path) -> None:
    rows = "A-v0,x,0,1,5\nA-v0,y,0,1,6\nB-v0,x,0,1,7\n"
    write(tmp_path / "all.csv", f"task,algo,seed,step,return\n{rows}")
    with pytest.raises(ConfigError, match="its column task has several values"):
        read_source(tmp_path)
    columns = {"env": "task", "label": "algo"}
    curves = read_source(tmp_path, options=ReadOptions(columns=columns)).curves
    assert curves.groupby(KEYS)["mean_return"].sum().to_dict() == {
        ("A-v0", "x", "0"): 5.0, ("A-v0", "y", "0"): 6.0, ("B-v0", "x", "0"): 7.0
    }  # fmt: skip


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "run,steps,reward\n0,1,2\n")
    for columns in ({}, {"step": "steps", "return": "score"}):
        with pytest.raises(ConfigError, match=r"a\.csv with the columns run, steps, reward"):
            read_source(tmp_path, options=ReadOptions(columns=columns))
    columns = {"step": "steps", "return": "reward"}  # then a file is a run
    assert len(read_source(tmp_path, options=ReadOptions(columns=columns)).curves) == 1


def test_a_mean_over_a_group_of_runs_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "Step,td3 - r,td3 - r__MIN,td3 - r__MAX\n1,2,1,3\n")
    with pytest.raises(ConfigError, match="export runs, not group means"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("0,1,5\n0,2,6\n0,2,7", "they repeat from 2 to 2"),
        ("0,1,5\n0,2,6\n0,1,7", "they go back from 2 to 1"),
        ("0,1,5\n0,2,nan", r"got nan at step 2 \(1 of 2 rows\)"),
    ],
)
def test_what_makes_no_curve_is_named(rows: str, complaint: str, tmp_path: Path) -> None:
    write(tmp_path / "runs.csv", f"seed,step,return\n{rows}\n")
    with pytest.raises(ConfigError, match=rf"runs\.csv .*{complaint}"):
        read_source(tmp_path)


def test_a_restarted_run_of_several_event_files_is_refused(tmp_path: Path) -> None:
    (folder,) = (EXAMPLES / "cleanrl/ALE").iterdir()
    copy = shutil.copytree(folder, tmp_path / folder.name)
    first = min(copy.iterdir())
    shutil.copy(first, copy / f"{first.name}.again")
    with pytest.raises(ConfigError, match="they go back from 900 to 300"):
        read_source(tmp_path)


def test_arrays_of_another_kind_are_described(tmp_path: Path) -> None:
    np.save(tmp_path / "TD3_Hopper-v1_0.npy", np.zeros((3, 2)))
    np.savez(tmp_path / "other.npz", a=[1], b=[2])
    with pytest.raises(ConfigError) as error:
        read_source(tmp_path)
    assert "TD3_Hopper-v1_0.npy with an array of shape (3, 2)" in str(error.value)
    assert "other.npz with the arrays a, b" in str(error.value)
    for kind in FORMATS:
        assert kind.accepted in str(error.value)


def test_the_database_of_openrlbenchmark_is_refused_with_where_its_curves_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "openrlbenchmark.sqlite").write_bytes(b"SQLite format 3\0")
    for path in (tmp_path, tmp_path / "openrlbenchmark.sqlite"):
        with pytest.raises(ConfigError, match=r"no curves, they are in its run_df\.csv files"):
            read_source(path)


def test_training_episodes_count_where_there_are_no_evaluations(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "monitor", tmp_path, dirs_exist_ok=True)
    assert read_source(tmp_path).kind.is_episodes
    shutil.copytree(EXAMPLES / "eval_callback", tmp_path, dirs_exist_ok=True)
    assert not read_source(tmp_path).kind.is_episodes


def test_columns_of_one_source_leave_others_as_they_are() -> None:
    options = ReadOptions(columns=COLUMNS)
    for name in ("author", "zoo", "tianshou/merged", "monitor"):
        curves = read_source(EXAMPLES / name, options=options).curves
        assert sorted(set(curves[KEYS].itertuples(index=False, name=None))) == RUNS[name]


def test_a_nan_that_was_logged_is_no_step_without_a_return(tmp_path: Path) -> None:
    logs = ("200,-5\n300,\n400,NaN", "global_step,charts/episodic_return")
    chart = ("200,1,1,1\n300,,,\n400,NaN,NaN,NaN", "Step,a - r,a - r__MIN,a - r__MAX")
    for rows, header in (logs, chart):
        write(tmp_path / "run.csv", f"{header}\n{rows}\n")
        with pytest.raises(ConfigError, match=r"got nan at step 400 \(1 of 2 rows\)"):
            read_source(tmp_path)


def test_a_column_of_names_tells_runs_apart(tmp_path: Path) -> None:
    rows = "a__td3__0__17,1,5\na__td3__0__17,2,\na__td3__0__17,3,6\nb,1,7\n"
    write(tmp_path / "runs.csv", f"run_name,global_step,charts/episodic_return\n{rows}")
    with pytest.raises(ConfigError, match=r"runs\.csv must have a name of the environment in"):
        read_source(tmp_path)  # some runs tell their environment, others do not
    write(tmp_path / "runs.csv", f"run_name,global_step,charts/episodic_return\n{rows[:-6]}\n")
    assert read_source(tmp_path).curves["mean_return"].tolist() == [5.0, 6.0]


@pytest.mark.parametrize("step", ["0.5", "1.5", "-5", "inf", "-inf"])
def test_steps_must_be_whole_numbers_of_environment_steps(step: str, tmp_path: Path) -> None:
    write(tmp_path / "runs.csv", f"seed,step,return\n0,{step},5\n")
    with pytest.raises(ConfigError, match=rf"runs\.csv must count whole .* from 0, got {step}: "):
        read_source(tmp_path)


def test_steps_may_be_written_as_floats(tmp_path: Path) -> None:
    write(tmp_path / "runs.csv", "seed,step,return\n0,0.0,5\n0,1e3,6\n0,2E+03,7\n")
    assert read_source(tmp_path).curves["step"].tolist() == [0, 1_000, 2_000]


@pytest.mark.parametrize(
    "arrays",
    [
        {"timesteps": [1], "results": [[1j]]},
        {"timesteps": ["1"], "results": [[1.0]]},
        {"timesteps": [True], "results": [[1.0]]},
    ],
)
def test_steps_and_returns_must_be_real_numbers(arrays: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "evaluations.npz", **arrays)
    with pytest.raises(ConfigError, match=r"evaluations\.npz must have numbers as steps and"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("seed,step,return,return\n0,1,5,6\n", "return"),
        # two runs of one name, as Weights & Biases exports them
        ("Step,a - r,a - r__MIN,a - r__MAX,a - r,a - r__MIN,a - r__MAX\n1,2,2,2,7,7,7\n", "a - r"),
        ("env_step,rew,rew\n0,1,2\n", "rew"),
    ],
)
def test_two_columns_of_one_name_are_refused(text: str, name: str, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", text)
    with pytest.raises(ConfigError, match=rf"a\.csv: it has 2 columns called {name}$"):
        read_source(tmp_path)


def test_a_column_is_named_once() -> None:
    for words in (("step=a", "step=b"), ("step=a", "return=a"), ("step=a", "step=a")):
        with pytest.raises(ConfigError, match="named once each, got step=a "):
            parse_columns(1, words)


def test_a_point_beside_decimal_commas_is_not_read_as_a_decimal_point(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "seed;step;return\n0;10.000;-5,3\n0;20.000;-4,2\n")
    with pytest.raises(ConfigError, match=r"sign is a comma, but 10\.000 has a point"):
        read_source(tmp_path)
    write(tmp_path / "a.csv", "seed;step;return\n0;10000;-5,3\n")
    assert read_source(tmp_path).curves["mean_return"].tolist() == [-5.3]
    write(tmp_path / "a.csv", "seed;step;return\n0;10000;-5.3\n")
    assert read_source(tmp_path).curves["mean_return"].tolist() == [-5.3]


def test_spaces_around_cells_do_not_count(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "seed , step, return\n0, 1, 5\n0 , 2, 6 \n 0, 3,7\n")
    curves = read_source(tmp_path).curves
    assert curves["run"].tolist() == ["0"] * 3
    assert curves["mean_return"].tolist() == [5, 6, 7]


def test_quoted_separators_in_a_header_separate_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", 'seed;step;return;"a, b, c, d"\n0;1;5,5;x\n')
    assert read_source(tmp_path).curves["mean_return"].tolist() == [5.5]


def test_evaluations_count_before_training_episodes_in_an_export(tmp_path: Path) -> None:
    header = "global_step,rollout/ep_rew_mean,eval/mean_reward"
    write(tmp_path / "run.csv", f"{header}\n100,-9,\n200,-8,\n200,,-5\n")
    source = read_source(tmp_path)
    assert not source.kind.is_episodes
    assert source.curves["mean_return"].tolist() == [-5.0]


def test_several_metrics_of_a_chart_are_not_one_curve(tmp_path: Path) -> None:
    ends = ("", "__MIN", "__MAX")
    header = ",".join(f"td3 - {name}{end}" for name in ("eval/mean_reward", "loss") for end in ends)
    write(tmp_path / "a.csv", f"Step,{header}\n1,2,2,2,,,\n2,,,,8,8,8\n")
    with pytest.raises(ConfigError, match="it has the metrics eval/mean_reward, loss: export one"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            "algo,seed,step,return\nsac,0,1,5\ntd3,1,1,9\n",
            "algo .* sac and td3.* label or env=algo",
        ),
        ("Env_ID,seed,step,return\nA,0,1,5\nB,1,1,9\n", "Env_ID .* A and B"),
        ("seed,global_step,charts/episodic_return\n0,1,5\n1,1,9\n", "seed .* 0 and 1.* seed=seed"),
        ("exp_name,_step,eval/mean_reward\nsac,1,5\ntd3,2,9\n", "exp_name .* sac and td3"),
    ],
)
def test_a_column_that_tells_runs_apart_is_not_ignored(
    text: str, names: str, tmp_path: Path
) -> None:
    write(tmp_path / "a.csv", text)
    with pytest.raises(ConfigError, match=rf"a\.csv: its column {names}"):
        read_source(tmp_path)


def test_columns_that_are_the_same_in_all_rows_tell_nothing_apart(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "algo,note,seed,step,return\ntd3,x,0,1,5\ntd3,y,1,1,9\n")
    assert len(read_source(tmp_path).curves) == 2


def monitor(file: Path, rows: str, env_id: str = PENDULUM) -> Path:
    return write(file, f'#{{"t_start": 0.0, "env_id": "{env_id}"}}\nr,l,t\n{rows}\n')


def test_a_restarted_run_that_was_appended_to_a_monitor_file_is_refused(tmp_path: Path) -> None:
    file = monitor(tmp_path / "monitor.csv", "1,10,5\n2,10,9\n3,10,1")
    with pytest.raises(ConfigError, match=r"times go back in monitor\.csv: was a restarted run"):
        read_source(file)


def test_the_files_of_one_run_are_of_one_environment(tmp_path: Path) -> None:
    monitor(tmp_path / "0.monitor.csv", "1,10,5")
    monitor(tmp_path / "1.monitor.csv", "1,10,5", "Other-v0")
    with pytest.raises(ConfigError, match="files of one run are of Pendulum-v1 and Other-v0"):
        read_source(tmp_path)


def test_episodes_of_an_evaluation_are_not_pooled_with_training_episodes(tmp_path: Path) -> None:
    monitor(tmp_path / "train.monitor.csv", "1,10,5")
    monitor(tmp_path / "eval.monitor.csv", "9,10,5")
    curves = read_source(tmp_path).curves
    assert curves.set_index("label")["mean_return"].to_dict() == {"": 1, "eval": 9}


def test_a_mean_over_tianshou_s_seeds_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "test_rew_10seeds.csv", "env_step,rew,rew:shaded\n0,1,2\n5000,3,1\n")
    with pytest.raises(ConfigError, match="rew is a mean over seeds"):
        read_source(tmp_path)


def test_tianshou_s_training_episodes_stand_beside_its_evaluations(tmp_path: Path) -> None:
    folder = tmp_path / "HalfCheetah-v3/td3"
    for kind, value in (("train", 1), ("test", 2)):
        write(folder / f"{kind}_rew.csv", f"env_step,rew,time\n0,{value},1\n")
    source = read_source(tmp_path)
    assert source.curves["mean_return"].tolist() == [2]
    assert source.left_out == ["HalfCheetah-v3/td3/train_rew.csv"]


UUID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.mark.parametrize(
    ("folder", "env_id", "run"),
    [
        (f"Pendulum-v1_1_{UUID}", "Pendulum-v1", f"1_{UUID}"),
        ("ALE-Pong-v5_2", "ALE-Pong-v5", "2"),
        ("my_env_2-v12_3", "my_env_2-v12", "3"),
        ("MyEnv_1", "MyEnv", "1"),
        (f"my_env_7_1_{UUID}", "my_env_7", f"1_{UUID}"),
    ],
)
def test_algorithms_in_a_zoo_s_folders_are_kept_apart(
    folder: str, env_id: str, run: str, tmp_path: Path
) -> None:
    for label in ("sac", "td3"):
        write(tmp_path / label / folder / env_id / "args.yml", "")
        np.savez(tmp_path / label / folder / "evaluations.npz", timesteps=[1], results=[[1.0]])
    curves = read_source(tmp_path).curves
    assert curves[KEYS].to_numpy().tolist() == [[env_id, "sac", run], [env_id, "td3", run]]


def test_folders_of_several_algorithms_that_no_file_names_are_not_pooled(tmp_path: Path) -> None:
    for folder in ("sac/seed_0", "sac/seed_1", "td3/seed_0", "td3/seed_1"):
        (tmp_path / folder).mkdir(parents=True)
        np.savez(tmp_path / folder / "evaluations.npz", timesteps=[1], results=[[1.0]])
    with pytest.raises(ConfigError, match="folders that cross, such as sac and td3: make each"):
        read_source(tmp_path)
    assert sorted(read_source(tmp_path / "sac").curves["run"]) == ["seed_0", "seed_1"]


def test_a_folder_for_each_run_may_have_others_above_and_below(tmp_path: Path) -> None:
    for folder in ("day_1/seed_0/logs", "day_1/seed_1/logs", "day_2/seed_2/logs"):
        (tmp_path / folder).mkdir(parents=True)
        np.savez(tmp_path / folder / "evaluations.npz", timesteps=[1], results=[[1.0]])
    assert read_source(tmp_path).curves["run"].nunique() == 3


def test_each_file_without_seeds_is_a_run(tmp_path: Path) -> None:
    for name in ("0", "1"):
        write(tmp_path / f"{name}.csv", "step,return\n1,5\n2,6\n")
    options = ReadOptions(columns={"step": "step", "return": "return"})
    curves = read_source(tmp_path, options=options).curves
    assert curves["run"].unique().tolist() == [f"{tmp_path.name}/0", f"{tmp_path.name}/1"]


def test_files_of_other_kinds_are_refused_by_their_suffix(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv.gz", "seed,step,return\n0,1,5\n")
    with pytest.raises(ConfigError, match=r"a\.csv\.gz with content of another kind, \.gz"):
        read_source(file)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("", "must have a row for each evaluation or episode, but has none"),
        ("A-v0,x,0,1,5\nA-v0,x,,2,6", "must have a seed in each row, but 1 of 2 have none"),
        ("A-v0,x,0,1,5\nA-v0,,0,2,6", "must have a name of the algorithm in each row"),
        (",x,0,1,5\nA-v0,x,0,2,6", "must have a name of the environment in each row"),
        ("A-v0,x,0,,5", "must have a step in each row"),
        ("A-v0,x,0,1,", "must have finite returns, got nan .* or is a cell empty"),
    ],
)
def test_what_is_missing_is_named(rows: str, complaint: str, tmp_path: Path) -> None:
    write(tmp_path / "runs.csv", f"env,label,seed,step,return\n{rows}\n")
    with pytest.raises(ConfigError, match=rf"runs\.csv {complaint}"):
        read_source(tmp_path)


def test_an_environment_without_episodes_leaves_those_of_the_others(tmp_path: Path) -> None:
    monitor(tmp_path / "0.monitor.csv", "1,10,1\n2,10,3")
    monitor(tmp_path / "1.monitor.csv", "5,10,2\n6,10,4")
    monitor(tmp_path / "2.monitor.csv", "")
    curves = read_source(tmp_path).curves
    assert curves["step"].tolist() == [10, 20, 30, 40]
    assert curves["mean_return"].tolist() == [1, 5, 2, 6]


def test_a_device_is_no_source() -> None:
    with pytest.raises(ConfigError, match="/dev/null must be a file or directory"):
        read_source(Path("/dev/null"))
