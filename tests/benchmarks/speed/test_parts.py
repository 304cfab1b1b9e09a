"""The parts of a training step: all are measured, and they add up."""

from pathlib import Path

import pytest

from benchmarks.speed.parts import (
    GRADIENTS,
    PARTS,
    critics_and_delayed_actor,
    draw_parts,
    parts_table,
    reference_parts,
    repeated,
    sb3_parts,
    split_step_time,
)
from benchmarks.speed.td3 import reference_loop, sb3_model

MEASURED = {"environment": 20.0, "action selection": 100.0, "sampling": 30.0, "forward": 2000.0,
            "Adam": 400.0, "targets": 50.0}  # fmt: skip


def test_parts_add_up_to_the_step() -> None:
    for gradients, update in ((6000.0, None), (None, 6480.0)):
        parts = MEASURED | ({} if gradients is None else {GRADIENTS: gradients})
        times = split_step_time(parts, step=7000.0, update=update)
        assert list(times) == list(PARTS)
        assert sum(times.values()) == pytest.approx(7000.0)
        assert times["backward"] == 4000.0
        assert times["Python"] == 400.0


def test_the_policy_has_half_as_many_updates_as_the_critics() -> None:
    calls: list[str] = []
    critics_and_delayed_actor(lambda: calls.append("critics"), lambda: calls.append("actor"))(6)
    assert (calls.count("critics"), calls.count("actor")) == (6, 3)
    repeated(lambda: calls.append("each"))(4)
    assert calls.count("each") == 4


def test_every_part_of_both_implementations_can_be_measured() -> None:
    loop = reference_loop()
    ours, theirs = reference_parts(loop), sb3_parts(sb3_model())
    assert set(ours) == {*MEASURED, GRADIENTS}
    assert set(theirs) == set(MEASURED)
    before = loop.agent.weights["critic"].clone()
    for work in (*ours.values(), *theirs.values()):
        work(2)
    assert not loop.agent.weights["critic"].equal(before)


def test_the_table_and_the_picture_show_every_implementation(tmp_path: Path) -> None:
    times = {
        name: split_step_time({**MEASURED, GRADIENTS: 6000.0}, 7000.0, None)
        for name in ("SB3", "x")
    }
    lines = parts_table(times, 4600.0).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        *PARTS, "**a step**", "matrix products alone",
    ]  # fmt: skip
    draw_parts(times, 4600.0, tmp_path / "reports" / "speed.png")
    assert (tmp_path / "reports" / "speed.png").stat().st_size > 10_000
