"""The run directory: when a run counts as done, and what happens when it does not end well."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training.config import ConfigError, RunConfig
from training.open_run import OpenRun, RunBusyError, open_run
from training.run_directory import RunDirectory

CONFIG = RunConfig(algo="td3", env_id="rocket-v0", total_timesteps=10)
SETTINGS = {"gamma": 0.9, "layers": (2, 3)}


class Body:
    """Writes one file and counts how often it was asked to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.calls = 0
        self.error = error

    def __call__(self, run: OpenRun) -> None:
        self.calls += 1
        run.write_bytes("evaluations.npz", b"results")
        run.report(5)
        if self.error is not None:
            raise self.error


def carry_out(
    root: Path,
    body: Callable[[OpenRun], None],
    settings: dict[str, Any] = SETTINGS,
    config: RunConfig = CONFIG,
) -> RunDirectory:
    with open_run(config, settings, root) as run:
        if not run.was_done:
            body(run)
    return RunDirectory(run.path)


def test_a_complete_run_is_not_repeated(tmp_path: Path) -> None:
    body = Body()
    run = carry_out(tmp_path, body)
    carry_out(tmp_path, body)
    assert body.calls == 1
    assert run.is_done()
    assert run.status()["state"] == "done"
    assert run.status()["step"] == 5  # as reached, not as asked


@pytest.mark.parametrize("name", ["evaluations.npz", "config.json"])
def test_a_run_whose_files_are_damaged_or_gone_is_not_done(tmp_path: Path, name: str) -> None:
    run = carry_out(tmp_path, Body())
    content = (run.path / name).read_bytes()
    (run.path / name).write_bytes(content + b" ")
    assert not run.is_done()
    (run.path / name).unlink()
    assert not run.is_done()
    (run.path / name).write_bytes(content)
    assert run.is_done()


def test_other_settings_in_the_same_place_are_refused_with_the_difference(tmp_path: Path) -> None:
    run = carry_out(tmp_path, Body())
    before = {file: file.read_bytes() for file in run.path.iterdir()}
    body = Body()
    with pytest.raises(ConfigError, match=r"gamma is 0\.9 there and 0\.5 here"):
        carry_out(tmp_path, body, {**SETTINGS, "gamma": 0.5})
    assert body.calls == 0
    assert {file: file.read_bytes() for file in run.path.iterdir()} == before


def test_a_run_from_before_a_setting_existed_was_made_with_its_default(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path, Body(KeyboardInterrupt()))
    run = RunDirectory(tmp_path / CONFIG.directory)
    settings = json.loads((run.path / "config.json").read_text())
    del settings["config"]["evaluation"]
    run.write_json("config.json", settings)
    with pytest.raises(ConfigError, match=r"\(evaluation is 'fixed' there and 'published' here\)"):
        carry_out(tmp_path, Body(), config=replace(CONFIG, evaluation="published"))
    carry_out(tmp_path, Body())
    assert run.is_done()


@pytest.mark.parametrize(
    ("error", "state"), [(ValueError("boom"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_run_that_breaks_off_says_so_and_begins_anew(
    tmp_path: Path, error: BaseException, state: str
) -> None:
    with pytest.raises(type(error)):
        carry_out(tmp_path, Body(error))
    run = RunDirectory(tmp_path / CONFIG.directory)
    assert run.status()["state"] == state
    assert run.status()["step"] == 5
    assert type(error).__name__ in (run.path / "log.txt").read_text()
    again = Body()
    carry_out(tmp_path, again)
    assert again.calls == 1
    assert run.is_done()
    assert not (run.path / "log.txt").exists()


def test_a_running_run_whose_process_is_gone_counts_as_interrupted(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.write_status("running", 3)
    with run.lock().acquire(timeout=0):
        assert RunDirectory(tmp_path).status()["state"] == "running"
    assert RunDirectory(tmp_path).status()["state"] == "interrupted"


def test_a_directory_that_another_process_writes_to_is_refused(tmp_path: Path) -> None:
    run = carry_out(tmp_path, Body())
    with run.lock().acquire(timeout=0), pytest.raises(RunBusyError, match="another process"):
        carry_out(tmp_path, Body())


def test_settings_are_written_as_resolved(tmp_path: Path) -> None:
    run = carry_out(tmp_path, Body())
    assert json.loads((run.path / "config.json").read_text()) == {
        "config": CONFIG.to_json(),
        "hyperparameters": {"gamma": 0.9, "layers": [2, 3]},
    }


def test_progress_is_passed_on_with_the_last_returns() -> None:
    seen: list[tuple[float | None, ...]] = []
    run = OpenRun(Path("unused"), lambda *values: seen.append(values))
    run._status_written = float("inf")  # write nothing
    run.report(1)
    run.last_return = -3.0
    run.report(2, -5.0)
    assert seen == [(1, None, None), (2, -3.0, -5.0)]


def test_checkpoints_without_a_configuration_are_nobodys(tmp_path: Path) -> None:
    found = []

    def stop_early(run: OpenRun) -> None:
        run.save_checkpoint(5, {"state.json": b"{}"})
        raise KeyboardInterrupt

    def look(run: OpenRun) -> None:
        found.append(run.load_checkpoint())

    with pytest.raises(KeyboardInterrupt):
        carry_out(tmp_path, stop_early)
    (tmp_path / CONFIG.directory / "config.json").unlink()
    carry_out(tmp_path, look, {"gamma": 0.5})
    assert found == [None]


def test_an_error_of_the_run_itself_is_not_taken_for_one_of_the_directory(tmp_path: Path) -> None:

    def fail(run: OpenRun) -> None:
        raise PermissionError("the user's own file")

    with pytest.raises(PermissionError, match="own file"):
        carry_out(tmp_path, fail)


@pytest.mark.parametrize(
    "name", ["checkpoint", "tensorboard", "log.txt", "evaluations.npz.tmp", ".lock"]
)
def test_links_are_never_followed_out_of_a_run_directory(name: str, tmp_path: Path) -> None:
    """What a link points to is neither written nor removed, and the link is named."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "000000000123").mkdir(parents=True)
    (elsewhere / "000000000123" / "precious").write_text("data")
    run = RunDirectory(tmp_path / "root" / CONFIG.directory)
    run.path.mkdir(parents=True)
    is_folder = name in ("checkpoint", "tensorboard")
    (run.path / name).symlink_to(elsewhere if is_folder else elsewhere / "created")
    with pytest.raises(ConfigError, match=f"{name} is a link"):
        carry_out(tmp_path / "root", Body())
    assert [path.name for path in run.path.iterdir()] == [name]
    assert sorted(path.name for path in elsewhere.rglob("*")) == ["000000000123", "precious"]
