"""An example file of each format, read back; and what no reader may read silently."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.analysis.sources.frame import KEYS, ReadOptions
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
    with pytest.raises(ConfigError, match="several seeds, environments or algorithms"):
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
    with pytest.raises(ConfigError, match=r"runs\.csv must have a seed, step and return"):
        read_source(tmp_path)  # some runs tell their environment, others do not
    write(tmp_path / "runs.csv", f"run_name,global_step,charts/episodic_return\n{rows[:-6]}\n")
    assert read_source(tmp_path).curves["mean_return"].tolist() == [5.0, 6.0]
