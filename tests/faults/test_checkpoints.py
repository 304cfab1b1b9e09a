"""Saving a checkpoint may end at any call of the file system: one that is whole is always there."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from training import checkpoint
from training.checkpoint import load_checkpoint, save_checkpoint

FILES = ("a.bin", "b.bin")
CALLS = ((Path, "mkdir"), (Path, "rename"), (shutil, "rmtree"), (checkpoint, "write_through"))


class PowerCutError(BaseException):
    """Nothing after this call happens."""


@contextmanager
def power_cut(monkeypatch: pytest.MonkeyPatch, at_call: int, is_done: bool) -> Iterator[list[str]]:
    """Cut the power at a call of the file system, before it or when it is done.

    :return: the calls so far, by name
    """
    calls: list[str] = []

    def counting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            if len(calls) == at_call and not is_done:
                raise PowerCutError
            result = call(*arguments, **options)
            if len(calls) == at_call:
                raise PowerCutError
            return result

        return counted

    with monkeypatch.context() as patch:
        for owner, name in CALLS:
            patch.setattr(owner, name, counting(name, getattr(owner, name)))
        yield calls


def content(number: int) -> dict[str, bytes]:
    return {name: f"{name} {number}".encode() for name in FILES}


@pytest.mark.parametrize("step", [5, 6], ids=["the same step again", "a later step"])
@pytest.mark.parametrize("n_before", [1, 2, 3])
@pytest.mark.parametrize("is_done", [False, True], ids=["before the call", "after it"])
def test_a_power_cut_at_any_call_leaves_a_checkpoint_that_is_whole(
    step: int, n_before: int, is_done: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_call, finished = 0, False
    while not finished:
        at_call += 1
        folder = tmp_path / str(at_call)
        for number in range(n_before):
            save_checkpoint(folder, 5, content(number))
        with power_cut(monkeypatch, at_call, is_done) as calls:
            try:
                save_checkpoint(folder, step, content(n_before))
                finished = True
            except PowerCutError:
                pass
        assert load_checkpoint(folder) in (content(n_before - 1), content(n_before))
        save_checkpoint(folder, step, content(n_before + 1))  # as the run that goes on does
        assert load_checkpoint(folder) == content(n_before + 1)
    assert at_call == len(calls) + 1
    assert len(calls) >= 6  # rmtree, mkdir, two files, manifest, rename
