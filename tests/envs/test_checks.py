"""The environment checker: each broken environment yields its own finding, healthy ones none."""

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from envs.checks import __main__ as checks_command
from envs.checks.checker import Limits, check_environment, check_id
from envs.checks.findings import EXPLANATIONS, finding, format_report, has_errors
from tests.helpers import broken_envs
from tests.helpers.broken_envs import BROKEN, BROKEN_VECTORS, Healthy, HealthyVector

LIMITS = Limits(max_steps=1_000, compared_steps=60)
CLASSIC = [
    "CartPole-v1",
    "Pendulum-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Acrobot-v1",
    "FrozenLake-v1",
    "Blackjack-v1",
    "envs:rocket-v0",
]
MUJOCO = [
    "HalfCheetah-v5",
    "Hopper-v5",
    "Walker2d-v5",
    "Ant-v5",
    "Reacher-v5",
    "InvertedPendulum-v5",
    "InvertedDoublePendulum-v5",
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_each_broken_environment_yields_its_own_finding_and_no_other(broken: type[Healthy]) -> None:
    findings = check_environment(broken, limits=LIMITS)
    assert [(found.key, found.severity) for found in findings] == [BROKEN[broken]], findings


def test_other_threads_that_read_the_clock_change_no_finding() -> None:
    stop = threading.Event()

    def read_clocks() -> None:
        while not stop.is_set():
            time.perf_counter()

    thread = threading.Thread(target=read_clocks)
    thread.start()
    try:
        findings = check_environment(broken_envs.StepAsLongAsItTakes, limits=LIMITS)
    finally:
        stop.set()
        thread.join()
    assert [found.key for found in findings] == ["wall-clock"], findings


@pytest.mark.parametrize("vector", BROKEN_VECTORS)
def test_a_vector_version_that_disagrees_is_found(vector: type[HealthyVector]) -> None:
    findings = check_environment(Healthy, vector, LIMITS)
    assert [found.key for found in findings] == ["vector-disagrees"], findings


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_healthy_vector_version_yields_nothing(mode: AutoresetMode) -> None:
    def make_vector(rows: int) -> HealthyVector:
        return HealthyVector(rows, autoreset_mode=mode)

    assert check_environment(Healthy, make_vector, LIMITS) == []


def test_a_vector_version_that_starts_elsewhere_is_not_compared() -> None:
    (found,) = check_environment(Healthy, broken_envs.VectorStartsElsewhere, LIMITS)
    assert (found.key, found.severity) == ("not-checked", "note")


@pytest.mark.parametrize(
    "healthy", [Healthy, broken_envs.NestedAndDiscrete, broken_envs.TellsTheStepsLeft]
)
def test_healthy_environments_yield_nothing(healthy: type[Healthy]) -> None:
    assert check_environment(healthy, limits=LIMITS) == []


def test_every_finding_has_a_broken_environment() -> None:
    explained = {(key, severity) for severity, keys in EXPLANATIONS.items() for key in keys}
    assert {*BROKEN.values(), ("vector-disagrees", "error")} == explained


def test_the_public_checkers_notice_as_many_of_the_broken_environments_as_the_readme_says() -> None:
    verdicts = list(broken_envs.public_verdicts().values())
    assert len(verdicts) == 54
    assert [sum(noticed) for noticed in zip(*verdicts, strict=True)] == [10, 24]
    assert sum(not any(verdict) for verdict in verdicts) == 30


def test_an_environment_that_cannot_be_made_is_an_error() -> None:
    def make() -> Healthy:
        raise ZeroDivisionError

    (found,) = check_environment(make, limits=LIMITS)
    assert found.key == "interface"
    assert "ZeroDivisionError" in found.observed


def test_global_generators_and_clocks_are_left_as_found_and_environments_closed() -> None:
    made: list[Healthy] = []

    class Closing(Healthy):
        is_closed = False

        def __init__(self, render_mode: str | None = None) -> None:
            super().__init__(render_mode)
            made.append(self)

        def close(self) -> None:
            self.is_closed = True

    clock = time.perf_counter
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    check_environment(Closing, limits=LIMITS)
    drawn = random.random(), np.random.random()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert drawn == (random.random(), np.random.random())  # noqa: NPY002
    assert time.perf_counter is clock
    assert all(env.is_closed for env in made if isinstance(env, Closing))


@pytest.mark.slow
@pytest.mark.parametrize("env_id", CLASSIC)
def test_public_environments_have_no_errors(env_id: str) -> None:
    findings = check_id(env_id, Limits(compared_steps=200))
    assert not has_errors(findings), findings


@pytest.mark.slow
@pytest.mark.parametrize("env_id", MUJOCO)
def test_mujoco_environments_have_no_errors(env_id: str, tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    # In a process of its own: without a display, a second failure to render ends the process.
    result = subprocess.run(
        [sys.executable, "-m", "envs.checks", env_id],
        cwd=tmp_path,  # MuJoCo writes a log there
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING: copy-loses-state" in result.stdout


def command_line(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["checks", *arguments])
    with pytest.raises(SystemExit) as stop:
        checks_command.main()
    assert isinstance(stop.value.code, int)
    return stop.value.code


@pytest.mark.parametrize(
    ("env_id", "status", "summary"),
    [
        ("Ball-v0", 0, "0 errors, 0 warnings, 0 notes"),
        ("NanBall-v0", 1, "1 error, 0 warnings, 0 notes"),
        ("UnlikeBall-v0", 1, "1 error, 0 warnings, 0 notes"),
    ],
)
def test_the_exit_status_tells_of_errors(
    env_id: str,
    status: int,
    summary: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    env_id = f"tests.helpers.broken_envs:{env_id}"
    assert command_line(monkeypatch, env_id, "--compared-steps", "60") == status
    assert capsys.readouterr().out.splitlines()[-1] == f"{env_id}: {summary}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["CartPol-v1"], "give the id of an installed environment"),
        (["no_such_module:A-v0"], "No module named 'no_such_module'"),
        (["CartPole-v1", "--episodes", "1"], "episodes must be 6 or more, got 1"),
    ],
)
def test_nonsense_is_refused_in_one_line(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command_line(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


def test_a_package_that_is_missing_is_refused_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def entry_point(**_: Any) -> Healthy:
        raise gym.error.DependencyNotInstalled("install physics first")

    monkeypatch.setitem(
        gym.registry, "Needy-v0", gym.envs.registration.EnvSpec("Needy-v0", entry_point)
    )
    assert command_line(monkeypatch, "Needy-v0") == 2
    assert "install physics first" in capsys.readouterr().err


def test_the_report_gives_observation_reason_and_remedy_and_ends_with_a_summary() -> None:
    findings = [finding("frame", "render() returned None"), finding("spec", "it differs")]
    lines = format_report("My-v0", findings).splitlines()
    assert lines[0] == "ERROR: frame"
    assert [line.split()[0] for line in lines[1:4]] == ["observed", "matters", "mend"]
    assert lines[-1] == "My-v0: 1 error, 0 warnings, 1 note"
    assert has_errors(findings)
    assert not has_errors(findings[1:])
