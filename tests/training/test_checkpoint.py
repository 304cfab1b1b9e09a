"""Checkpoints: whole or not there."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from training.checkpoint import load_checkpoint, save_checkpoint

FILES = {"a.bin": b"alpha", "b.bin": b"beta"}


def test_a_checkpoint_gives_back_what_was_saved(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", 3, FILES)
    assert load_checkpoint(tmp_path / "checkpoint") == FILES


def test_the_newest_counts_and_the_two_newest_are_kept(tmp_path: Path) -> None:
    for step in (9, 10, 200):
        save_checkpoint(tmp_path, step, {"step": str(step).encode()})
    assert load_checkpoint(tmp_path) == {"step": b"200"}
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["a.bin", "manifest.json"])
@pytest.mark.parametrize("damage", [b"", b"alphb", None])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, name: str, damage: bytes | None
) -> None:
    save_checkpoint(tmp_path, 1, {"a.bin": b"old"})
    save_checkpoint(tmp_path, 2, FILES)
    (file,) = tmp_path.glob(f"000000000002-*/{name}")
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    assert load_checkpoint(tmp_path) == {"a.bin": b"old"}


def test_a_checkpoint_that_was_never_finished_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "a.bin").write_bytes(b"half")
    assert load_checkpoint(tmp_path) is None
    save_checkpoint(tmp_path, 1, FILES)
    assert load_checkpoint(tmp_path) == FILES


@pytest.mark.parametrize("broken", ["rename", "rmtree"])
def test_a_step_that_is_saved_again_is_never_lost(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash at any moment of the second saving leaves the first checkpoint, or the second."""

    def crash(*_: Any, **options: Any) -> None:
        if not options:  # the removal of what an earlier crash left is not of interest
            raise KeyboardInterrupt

    save_checkpoint(tmp_path, 5, {"a.bin": b"first"})
    with monkeypatch.context() as patch:
        patch.setattr(Path if broken == "rename" else shutil, broken, crash)
        for content in (b"second", b"third"):
            with suppress(KeyboardInterrupt):
                save_checkpoint(tmp_path, 5, {"a.bin": content})
            assert load_checkpoint(tmp_path) in ({"a.bin": b"first"}, {"a.bin": content})
    save_checkpoint(tmp_path, 5, FILES)
    assert load_checkpoint(tmp_path) == FILES
    assert len(list(tmp_path.iterdir())) == 2


def test_there_is_none_before_the_first(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "checkpoint") is None
