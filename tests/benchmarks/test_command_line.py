"""``python -m benchmarks``: refusals in one line, and what a command line makes of experiments."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command_line
from benchmarks.choice import Request, choose, compiled, recorded_experiment, with_env_version
from benchmarks.experiments import EXPERIMENT_FILE, EXPERIMENTS, Experiment, declaration_hash
from training.config import ConfigError
from training.run_directory import RunDirectory

OWN = ["--algos", "td3", "--envs", "rocket-v0", "--seeds", "2", "--total-timesteps"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "nope"], "must be one of action_scale, algorithms, article"),
        (["sweep"], "unknown experiment 'custom'"),
        (["status", "nope"], "must be one of action_scale"),
        (["sweep", "smoke", "--workers", "0"], "workers must be 1 or more"),
        (["sweep", "smoke", "--looks", "5"], "--looks goes with --until-decided"),
        (["sweep", "smoke", "--until-decided", "--seeds", "9"], "leave out --seeds"),
        (["sweep", "smoke", "--until-decided", "--looks", "4", "9"], "numbers of seeds from 5 on"),
        (["sweep", "smoke", "--until-decided", "--looks", "9", "5"], "each above the one before"),
        (["sweep", "--algos", "td3", "sac"], "needs --envs, --seeds, --total-timesteps too"),
        (["sweep", *OWN, "0"], "total_timesteps must be 1 or more, got 0"),
        (["sweep", *OWN, "9", "--dry-run", "--algos", "td3", "TD3"], "two of the algorithms"),
        (["sweep", *OWN, "9", "--envs", "a:My-v0", "b:My-v0"], "two of the environments"),
        (["sweep", "mine", *OWN, "9", "--margin", "0"], "margin must be a number above 0, got 0.0"),
        (["sweep", "smoke", "--margin", "5"], "smoke has declared its margins"),
        (["sweep", "smoke", *OWN, "9"], "smoke is an experiment already"),
        (["sweep", "mine", *OWN, "9", "--algos", "nope"], "unknown algorithm 'nope'"),
        (["sweep", "mine", *OWN, "9", "--envs", "CartPole-v1"], "does not take the Discrete"),
        (["sweep", "smoke", "--scheduler", "nowhere"], "no Dask scheduler answers at 'nowhere'"),
        (["report", "smoke"], "run: python -m benchmarks sweep smoke"),
    ],
)
def test_nonsense_is_refused_in_one_line_before_anything_is_written(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    with pytest.raises(SystemExit) as stop:
        command_line.main()
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.glob("**/config.json"))


def chosen(experiment: str, **options: Any) -> tuple[Experiment, str]:
    return choose(Request(experiment=experiment, **options))


def test_a_sweep_of_ones_own_compares_with_the_reference_or_with_the_first() -> None:
    with_reference, name = chosen(
        "mine", algos=("sac", "td3_reference"), envs=("rocket-v0",), seeds=3, total_timesteps=500
    )
    assert name == "mine"
    assert [run.directory for run in with_reference.runs()][:2] == [
        "sac/rocket-v0_0",
        "td3_reference/rocket-v0_0",
    ]
    assert {run.total_timesteps for run in with_reference.runs()} == {500}
    assert with_reference.against == "td3_reference"
    without, _ = chosen(
        "mine",
        algos=("stable_baselines3:SAC", "td3"),
        envs=("rocket-v0",),
        seeds=3,
        total_timesteps=500,
    )
    assert without.against == "sac"


def test_a_margin_of_ones_own_is_declared_for_every_environment() -> None:
    def declared(margin: float | None) -> object:
        own, _ = chosen(
            "mine",
            algos=("td3", "sac"),
            envs=("rocket-v0", "my:My-v0"),
            seeds=3,
            total_timesteps=500,
            margin=margin,
        )
        return own.to_json()["declaration"]["margins"]

    assert declared(None) == {"rocket-v0": 20.0, "My-v0": None}
    assert declared(1.5) == {"rocket-v0": 1.5, "My-v0": 1.5}


def test_a_shortened_experiment_goes_to_a_folder_of_its_own() -> None:
    shortened, name = chosen("algorithms", seeds=3, total_timesteps=10_000)
    assert name == "algorithms_3x10000"
    assert shortened.seeds == (0, 1, 2)
    assert set(shortened.total_timesteps.values()) == {10_000}
    assert shortened.implementations == EXPERIMENTS["algorithms"].implementations
    assert chosen("quick", seeds=None) == (EXPERIMENTS["quick"], "quick")
    shortened, name = chosen("standard", seeds=10)
    assert (name, shortened.looks) == ("standard_10x100000", (5, 10))


def test_more_seeds_than_an_experiment_has_go_on_in_its_folder() -> None:
    longer, name = chosen("quick", seeds=10)
    assert (name, longer.seeds, longer.looks) == ("quick", tuple(range(10)), ())
    assert chosen("quick", seeds=10, total_timesteps=500)[1] == "quick_10x500"


def test_a_sweep_until_decided_runs_as_many_seeds_as_its_last_look() -> None:
    usual, name = chosen("quick", until_decided=True, looks=())
    assert (name, usual.looks, len(usual.seeds)) == ("quick", (5, 10, 20, 40), 40)
    given, _ = chosen("quick", until_decided=True, looks=(6, 12))
    assert (given.looks, len(given.seeds)) == ((6, 12), 12)
    assert given.to_json()["declaration"]["level"] == pytest.approx(0.03, abs=0.002)
    assert chosen("standard", until_decided=True, looks=()) == (EXPERIMENTS["standard"], "standard")
    own, _ = chosen(
        "mine",
        algos=("td3", "sac"),
        envs=("rocket-v0",),
        total_timesteps=500,
        until_decided=True,
        looks=(5, 8),
    )
    assert (own.looks, own.seeds) == ((5, 8), tuple(range(8)))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_read_back_as_it_was_written(name: str, tmp_path: Path) -> None:
    experiment = EXPERIMENTS[name]
    RunDirectory(tmp_path).write_json(EXPERIMENT_FILE, experiment.to_json())
    recorded = recorded_experiment(tmp_path)
    assert recorded is not None
    assert recorded.runs() == experiment.runs()
    assert recorded.to_json() == experiment.to_json()


def test_the_declarations_hash_changes_with_what_decides_and_with_nothing_else() -> None:
    declaration = EXPERIMENTS["quick"].to_json()["declaration"]
    assert EXPERIMENTS["quick"].to_json()["sha256"] == declaration_hash(declaration)
    assert declaration_hash(dict(reversed(declaration.items()))) == declaration_hash(declaration)
    changes: list[dict[str, object]] = [
        {"margins": {"Pendulum-v1": 11.0}}, {"seeds": [0]}, {"metrics": {}}, {"looks": [5]},
        {"level": 0.01}, {"failure_regrets": {}}, {"rate_margin": 0.1}, {"against": "td3"},
    ]  # fmt: skip
    for change in changes:
        assert declaration_hash({**declaration, **change}) != declaration_hash(declaration)


def test_only_the_reference_is_compiled_and_under_a_label_of_its_own() -> None:
    quick = compiled(EXPERIMENTS["quick"])
    assert quick.implementations == {
        "td3": {"algo": "td3"},
        "td3_reference_compiled": {"algo": "td3_reference", "hyperparams": {"compile": True}},
    }
    assert quick.against == "td3_reference_compiled"
    assert compiled(EXPERIMENTS["gamma"]) == EXPERIMENTS["gamma"]
    paper = {"td3_reference": {"algo": "td3_reference", "hyperparams": {"gamma": 0.5}}}
    (settings,) = compiled(replace(quick, implementations=paper)).implementations.values()
    assert settings["hyperparams"] == {"gamma": 0.5, "compile": True}


def test_a_compiled_sweep_goes_to_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    monkeypatch.setattr(command_line, "show_overview", lambda _, root, *rest: folders.append(root))
    monkeypatch.setattr("td3_reference.networks.require_compiler", lambda: None)
    command_line.sweep(Request(experiment="quick", root=tmp_path), dry_run=True)
    command_line.sweep(Request(experiment="quick", root=tmp_path, compile=True), dry_run=True)
    assert folders == [tmp_path / "quick", tmp_path / "quick_compiled"]


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="needs a C\\+\\+ compiler"):
        compiled(EXPERIMENTS["quick"])


def test_the_paper_s_experiment_can_run_on_newer_environments() -> None:
    newer, name = with_env_version(EXPERIMENTS["paper"], "paper", "v5")
    assert name == "paper_v5"
    assert {env_id.rpartition("-")[2] for env_id in newer.total_timesteps} == {"v5"}
    assert len(newer.total_timesteps) == len(EXPERIMENTS["paper"].total_timesteps)
    with pytest.raises(ConfigError, match="env-version is for MuJoCo"):
        with_env_version(EXPERIMENTS["quick"], "quick", "v5")
