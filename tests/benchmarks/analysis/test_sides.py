"""Sources made comparable, on made-up runs whose scores are known by hand."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.analysis.sides import (
    Side,
    common_grid,
    common_step,
    default_score,
    environments,
    scores,
    sides_on,
    spelled_alike,
)
from benchmarks.analysis.sources.frame import ReadOptions
from benchmarks.analysis.sources.source import Source, read_source
from tests.benchmarks.analysis.sources.test_source import write_csv, write_evaluations, write_events
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError

COLUMNS = ReadOptions(columns={"env": "env", "label": "algo"})


def source(folder: Path, rows: str, name: str = "") -> Source:
    """Rows of env, algo, seed, step, return."""
    write_csv(folder / "a.csv", rows, "env,algo,seed,step,return")
    return read_source(folder, name or folder.name, COLUMNS)


def pair(tmp_path: Path, first: str, second: str) -> list[Source]:
    return [source(tmp_path / "a", first), source(tmp_path / "b", second)]


def test_versions_are_compared_when_the_environment_is_named(tmp_path: Path) -> None:
    sources = pair(tmp_path, "X-v1,td3,0,1,5", "X-v4,td3,0,1,6\nY-v0,td3,0,1,7")
    with pytest.raises(ConfigError, match="X-v1 in a and X-v4, Y-v0 in b"):
        environments(sources, ())
    assert [side.env_id for side in sides_on(sources, "X")] == ["X-v1", "X-v4"]
    with pytest.raises(ConfigError, match="got X-v1"):
        sides_on(sources, "X-v1")
    both = source(tmp_path / "c", "X-v1,td3,0,1,5\nX-v4,td3,0,1,6")
    with pytest.raises(ConfigError, match="one of X-v1, X-v4, all in c"):
        sides_on([both, sources[0]], "X")
    assert [side.env_id for side in sides_on([both, sources[0]], "X-v1")] == ["X-v1", "X-v1"]


def test_all_common_environments_are_compared_unless_some_are_named(tmp_path: Path) -> None:
    rows = "X-v1,td3,0,1,5\nY-v0,td3,0,1,5\n"
    sources = pair(tmp_path, f"{rows}Z-v0,td3,0,1,5", rows.replace("Y-v0", "my_module:Y-v0"))
    assert environments(sources, ()) == ["X-v1", "Y-v0"]
    assert environments(sources, ("my_module:Y-v0",)) == ["Y-v0"]


def test_a_source_of_several_implementations_is_split(tmp_path: Path) -> None:
    sources = pair(tmp_path, "X-v1,sac,0,1,5\nX-v1,td3,0,1,9", "X-v1,td3,0,1,7")
    sides = sides_on(sources, "X-v1")
    assert [side.name for side in sides] == ["a:sac", "a:td3", "b"]
    assert [side.curves_at(np.array([1.0])).tolist() for side in sides] == [
        [[5.0]],
        [[9.0]],
        [[7.0]],
    ]


def curve(steps: range, seed: int = 0) -> str:
    return "\n".join(f"X-v1,td3,{seed},{step},{step + seed}" for step in steps)


def matched(tmp_path: Path, first: range, second: range) -> list[Side]:
    return sides_on(pair(tmp_path, curve(first), curve(second)), "X-v1")


def test_the_largest_common_step_ends_the_comparison(tmp_path: Path) -> None:
    sides = matched(tmp_path, range(0, 101, 10), range(0, 121, 5))
    assert common_step(sides, None) == 100
    assert common_grid(sides, 100).tolist() == list(range(0, 101, 10))
    assert common_grid(sides, common_step(sides, 55)).tolist() == list(range(0, 51, 10))
    for at in (-1, 101):
        with pytest.raises(ConfigError, match="from 0 to 100, where a run of a ends"):
            common_step(sides, at)


def test_without_common_steps_others_are_put_on_the_coarsest_grid(tmp_path: Path) -> None:
    sides = matched(tmp_path, range(1, 102, 10), range(0, 101, 4))
    assert common_step(sides, None) == 100
    grid = common_grid(sides, 100)
    assert grid.tolist() == list(range(1, 92, 10))
    assert sides[1].curves_at(grid).tolist() == [[0, 8, 20, 28, 40, 48, 60, 68, 80, 88]]


def test_an_end_without_evaluations_near_is_refused(tmp_path: Path) -> None:
    sides = matched(tmp_path, range(0, 101, 50), range(20, 51, 10))
    assert common_step(sides, None) == 50
    with pytest.raises(ConfigError, match="at must be a step at which all were evaluated, got 40"):
        common_grid(sides, common_step(sides, 40))
    sides = matched(tmp_path, range(0, 101, 20), range(0, 31, 10))
    with pytest.raises(ConfigError, match="such as 20, got 30: a run was last evaluated at 20"):
        common_grid(sides, common_step(sides, None))


def test_scores_are_those_of_the_common_steps(tmp_path: Path) -> None:
    rows = f"{curve(range(0, 121, 10))}\n{curve(range(0, 121, 10), 3)}"
    sides = sides_on(pair(tmp_path, rows, curve(range(0, 111, 10))), "X-v1")
    grid = common_grid(sides, common_step(sides, None))
    known = {"final": 110, "last_10": 65, "auc": 55, "max": 110, "max_of_mean": 110}
    for score, value in known.items():
        assert scores(sides[0], score, grid).tolist() == [value, value + 3]


def test_the_maximum_of_the_mean_is_one_step_for_all_runs(tmp_path: Path) -> None:
    rows = "X-v1,td3,0,1,9\nX-v1,td3,0,2,4\nX-v1,td3,1,1,0\nX-v1,td3,1,2,8"
    sides = sides_on(pair(tmp_path, rows, rows), "X-v1")
    assert scores(sides[0], "max_of_mean", np.array([1.0, 2.0])).tolist() == [4.0, 8.0]
    assert scores(sides[0], "max", np.array([1.0, 2.0])).tolist() == [9.0, 8.0]


def test_training_episodes_are_averaged_since_the_step_before(tmp_path: Path) -> None:
    episodes = [(5, 1.0), (8, 3.0), (10, 5.0), (35, 9.0)]
    write_events(tmp_path / "c/X-v1__td3__0__17", episodes)
    other = source(tmp_path / "a", curve(range(0, 31, 10)))
    sides = sides_on([read_source(tmp_path / "c", "c"), other], "X-v1")
    grid = common_grid(sides, common_step(sides, None))
    assert grid.tolist() == [10, 20, 30]  # at 0 no episode had ended
    assert sides[0].curves_at(grid).tolist() == [[3.0, 3.0, 3.0]]
    hundredths = np.arange(15, 101) * 0.35  # the first episode ended at step 5
    assert common_grid(sides[:1], 35.0).tolist() == pytest.approx(hundredths)


def test_held_out_starts_count_where_all_runs_were_scored_on_them(tmp_path: Path) -> None:
    for label in ("td3", "sac"):
        made_up_run(tmp_path / "runs", label, 0, [1.0, 2.0], "X-v1")
    ours = [read_source(tmp_path / f"runs/{label}") for label in ("td3", "sac")]
    sides = sides_on(ours, "X-v1")
    assert default_score(sides, None) == "final_return"
    assert scores(sides[0], "final_return", np.array([100.0])).tolist() == [20.0]
    assert default_score(sides, 100) == "last_10"
    made_up_run(tmp_path / "runs", "sac", 1, [1.0, 2.0, 3.0], "X-v1")  # ends at a later step
    longer = sides_on([ours[0], read_source(tmp_path / "runs/sac")], "X-v1")
    assert default_score(longer, None) == "last_10"
    foreign = sides_on([ours[0], source(tmp_path / "a", curve(range(0, 101, 50)))], "X-v1")
    assert default_score(foreign, None) == "last_10"
    with pytest.raises(ConfigError, match="which a has not"):
        scores(foreign[1], "final_return", np.array([100.0]))


def test_the_order_of_the_sides_changes_no_steps(tmp_path: Path) -> None:
    # Without common steps and with as many evaluations each, the later ones make the grid.
    sides = matched(tmp_path, range(10, 111, 20), range(15, 96, 20))
    for each in (sides, sides[::-1]):
        assert common_grid(each, common_step(each, None)).tolist() == [15, 35, 55, 75, 95]


def test_every_run_must_be_evaluated_near_the_last_step(tmp_path: Path) -> None:
    sides = matched(tmp_path, range(3_000, 9_001, 3_000), range(4_000, 8_001, 4_000))
    for each in (sides, sides[::-1]):
        assert common_step(each, None) == 8_000
        with pytest.raises(ConfigError, match=r"got 8,000: a run was last evaluated at 6,000"):
            common_grid(each, 8_000)


@pytest.mark.parametrize("at", [None, 50])
def test_runs_that_share_no_steps_are_refused(at: int | None, tmp_path: Path) -> None:
    sides = matched(tmp_path, range(0, 101, 10), range(200, 301, 10))
    message = "one of b begins at 200, and one of a ends at 100"
    with pytest.raises(ConfigError, match=message):
        common_step(sides, at)
    write_events(tmp_path / "c/X-v1__td3__0__17", [(200, 1.0), (300, 2.0)])
    episodes = sides_on([sides[0].source, read_source(tmp_path / "c", "b")], "X-v1")
    with pytest.raises(ConfigError, match=message):
        common_step(episodes, at)


def test_the_area_between_steps_that_are_not_whole_is_exact(tmp_path: Path) -> None:
    write_events(tmp_path / "c/X-v1__td3__0__17", [(1, 0.0), (2, 0.0), (3, 6.0)])
    sides = sides_on([read_source(tmp_path / "c", name) for name in "ab"], "X-v1")
    grid = common_grid(sides, 3.0)
    values = np.where(np.arange(34, 101) < 100, 0.0, 6.0)  # the last hundredth has the episode
    assert scores(sides[0], "auc", grid) == pytest.approx(np.trapezoid(values, grid) / 1.98)


def test_a_source_names_the_environment_of_all_runs_or_of_none(tmp_path: Path) -> None:
    write_evaluations(tmp_path / "td3/X-v1_1", timesteps=[1], results=[[5.0]])
    write_evaluations(tmp_path / "td3/mine", timesteps=[1], results=[[9.0]])
    sources = [read_source(tmp_path), source(tmp_path / "a", curve(range(2)))]
    for names in ((), ("X-v1",)):
        with pytest.raises(ConfigError, match=r"or of none, but td3/mine/evaluations\.npz names"):
            environments(sources, names)


def test_environments_are_compared_once_and_have_names(tmp_path: Path) -> None:
    sources = pair(tmp_path, curve(range(2)), curve(range(2)))
    assert environments(sources, ("X-v1", "X", "X-v1")) == ["X-v1", "X"]
    with pytest.raises(ConfigError, match="env must be names of environments"):
        environments(sources, ("",))


def test_sides_have_names_of_their_own(tmp_path: Path) -> None:
    both = source(tmp_path / "both", "X-v1,sac,0,1,5\nX-v1,td3,0,1,9", "a")
    with pytest.raises(ConfigError, match="two sides are called a:td3"):
        sides_on([both, source(tmp_path / "one", curve(range(2)), "a:td3")], "X-v1")


def test_a_hyphen_in_a_folder_s_name_is_the_slash_of_a_namespace(tmp_path: Path) -> None:
    write_evaluations(tmp_path / "zoo/dqn/ALE-Pong-v5_1", timesteps=[1], results=[[5.0]])
    other = source(tmp_path / "a", "ALE/Pong-v5,dqn,0,1,6\nX-Y-v0,dqn,0,1,7")
    sources = spelled_alike([read_source(tmp_path / "zoo"), other])
    assert environments(sources, ()) == ["ALE/Pong-v5"]
    sides = sides_on(sources, "ALE/Pong-v5")
    assert [side.env_id for side in sides] == ["ALE/Pong-v5", "ALE/Pong-v5"]
    assert set(sources[1].curves["env_id"]) == {"ALE/Pong-v5", "X-Y-v0"}
