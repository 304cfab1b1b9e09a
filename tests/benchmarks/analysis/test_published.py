"""The published seeds, read from the files that their makers ship. Skipped where these are absent.

They are looked for at $PUBLISHED_CURVES, else in ../shared/published_curves beside this repository.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.analysis.sides import common_grid, common_step, scores, sides_on
from benchmarks.analysis.sources.source import Source, read_source
from benchmarks.analysis.verdict import Answer, decide
from benchmarks.report.scores import TABLE_1

HOME = Path(
    os.environ.get("PUBLISHED_CURVES", Path(__file__).parents[4] / "shared/published_curves")
)
pytestmark = pytest.mark.skipif(not HOME.is_dir(), reason="the published curves are not here")


@pytest.fixture(scope="module")
def author() -> Source:
    return read_source(HOME / "fujimoto", "author")


@pytest.fixture(scope="module")
def tianshou() -> Source:
    return read_source(HOME / "tianshou", "tianshou")


def author_scores(author: Source, tianshou: Source, name: str, score: str) -> np.ndarray:
    first, _ = sides_on([author, tianshou], name)
    return scores(first, score, common_grid([first], common_step([first], None)))


def test_the_author_s_files_are_seven_tasks_of_ten_seeds_and_a_million_steps(
    author: Source,
) -> None:
    runs = author.curves.groupby(["env_id", "run"])["step"]
    assert len(runs) == 70
    assert (runs.max() == 1_000_000).all()
    assert (runs.count() == 201).all()
    assert {each.removesuffix("-v1") for each in set(author.curves["env_id"])} == set(TABLE_1)


@pytest.mark.parametrize("name", TABLE_1)
def test_table_1_is_the_maximum_of_the_mean(name: str, author: Source, tianshou: Source) -> None:
    values = author_scores(author, tianshou, name, "max_of_mean")
    mean, std = values.mean(), values.std()
    if name == "Reacher":  # printed as -3.60 +- 0.56
        assert [round(mean, 1), round(std, 1)] == [-3.7, 0.5]
    else:
        assert [round(mean, 2), round(std, 2)] == [
            pytest.approx(printed, abs=0.0051) for printed in TABLE_1[name]
        ]


@pytest.mark.parametrize(
    ("name", "mean"),
    [("HalfCheetah", 9_533), ("Hopper", 3_305), ("Walker2d", 4_565), ("Ant", 4_185)],
)
def test_last_10_means(name: str, mean: int, author: Source, tianshou: Source) -> None:
    assert round(author_scores(author, tianshou, name, "last_10").mean()) == mean


def test_halfcheetah_at_100_000_steps(author: Source, tianshou: Source) -> None:
    side, _ = sides_on([author, tianshou], "HalfCheetah")
    values = scores(side, "final", common_grid([side], common_step([side], 100_000)))
    assert (round(values.mean()), round(values.std(ddof=1)), len(values)) == (5_514, 584, 10)


@pytest.mark.parametrize("name", TABLE_1)
def test_tianshou_differs_from_the_author_on_walker2d_and_reacher_alone(
    name: str, author: Source, tianshou: Source
) -> None:
    sides = sides_on([tianshou, author], name)
    grid = common_grid(sides, common_step(sides, None))
    assert grid[-1] == 1_000_000
    first, second = (scores(side, "last_10", grid) for side in sides)
    verdict = decide(first, second, None)
    differs = name in ("Walker2d", "Reacher")
    for part in (verdict.typical, verdict.mean):
        assert part.answer is (Answer.DIFFERENT if differs else Answer.UNDECIDED)
