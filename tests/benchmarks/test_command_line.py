"""``python -m benchmarks``: refusals in one line, and what a command line makes of experiments."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as command_line
from benchmarks.choice import (
    choose_experiment,
    recorded_experiment,
    with_compiled_reference,
    with_env_version,
)
from benchmarks.declaration import (
    DECLARATIONS,
    GROWTH,
    REJUDGEMENT,
    declare,
    history_text,
    refuse_mismatch,
)
from benchmarks.experiments import EXPERIMENT_FILE, EXPERIMENTS, Experiment, declaration_hash
from benchmarks.request import ExperimentRequest
from training.config import ConfigError
from training.run_directory import RunDirectory

OWN = ["--algos", "td3", "--envs", "rocket-v0", "--seeds", "2", "--total-timesteps"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep", "nope"], "must be one of action_scale, action_scale_again, algorithms"),
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
        (["sweep", "smoke", "--eval-freq", "9", "--preset", "paper"], "--preset, --eval-freq goes"),
        (["sweep", "nope.toml"], "nope.toml: "),
        (
            ["sweep", "nope.toml", "--algos", "td3"],
            "has its algorithms and environments: change it",
        ),
        (["sweep", "smoke", "--extend", "--seeds", "2"], "no experiment in runs/smoke that could"),
        (["sweep", "mine", *OWN, "9", "--against", "sac"], "unknown against: sac; known are td3"),
        (
            ["sweep", "mine", *OWN, "9", "--baselines", "pp"],
            "unknown baselines: pp; known are bang",
        ),
        (["sweep", "mine", *OWN, "9", "--settings", "slow:n_envs=2"], "known are td3"),
        (
            ["sweep", "mine", *OWN, "9", "--settings", "td3:n_env=2"],
            "unknown settings of td3: n_env",
        ),
        (["sweep", "mine", *OWN, "9", "--algos", "=td3"], "must be LABEL=ALGORITHM"),
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
    return choose_experiment(ExperimentRequest(experiment=experiment, **options))


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
    quick = with_compiled_reference(EXPERIMENTS["quick"])
    assert quick.implementations == {
        "td3": {"algo": "td3"},
        "td3_reference_compiled": {"algo": "td3_reference", "hyperparams": {"compile": True}},
    }
    assert quick.against == "td3_reference_compiled"
    assert with_compiled_reference(EXPERIMENTS["gamma"]) == EXPERIMENTS["gamma"]
    paper = {"td3_reference": {"algo": "td3_reference", "hyperparams": {"gamma": 0.5}}}
    (settings,) = with_compiled_reference(
        replace(quick, implementations=paper)
    ).implementations.values()
    assert settings["hyperparams"] == {"gamma": 0.5, "compile": True}


def test_a_compiled_sweep_goes_to_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    monkeypatch.setattr(command_line, "show_overview", lambda _, root, *rest: folders.append(root))
    monkeypatch.setattr("td3_reference.networks.require_compiler", lambda: None)
    command_line.sweep(ExperimentRequest(experiment="quick", root=tmp_path), dry_run=True)
    command_line.sweep(
        ExperimentRequest(experiment="quick", root=tmp_path, compile=True), dry_run=True
    )
    assert folders == [tmp_path / "quick", tmp_path / "quick_compiled"]


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="needs a C\\+\\+ compiler"):
        with_compiled_reference(EXPERIMENTS["quick"])


def test_the_paper_s_experiment_can_run_on_newer_environments() -> None:
    newer, name = with_env_version(EXPERIMENTS["paper"], "paper", "v5")
    assert name == "paper_v5"
    assert {env_id.rpartition("-")[2] for env_id in newer.total_timesteps} == {"v5"}
    assert len(newer.total_timesteps) == len(EXPERIMENTS["paper"].total_timesteps)
    with pytest.raises(ConfigError, match="env-version is for MuJoCo"):
        with_env_version(EXPERIMENTS["quick"], "quick", "v5")


HASHES = {  # of declarations: what was declared before runs must not change after them
    "quick": "68f11930e3810e0bd38b8866172fc5f1803f563f1e8ee0d8027c17758d8f6cf1",
    "pendulum_verdict": "f120d9c8d2902ea578c4c062328056ec6584ade79fe912e1cfc8ddaef237e9b6",
    "standard": "f1d742c3cccf23b937aeb701dac156996ece200742774a72113fd9910829dc75",
    "action_scale": "bc310943febd31b55b68137cb98939c4fe02cf2b8c6866c26d3c84e9c44a7d23",
    "action_scale_again": "ad2c2c0f6a0b1ccc501d5cbb205836064ed52afa602d70dc496e00b662d3c613",
    "rocket_early": "79c6317121a9ec8153acd54b330b90653913259a21647e0335339cb46bc38de2",
    "algorithms": "b4b83050653b7ef90c34801ec79ff5101e708eb4fbbad319378d7a91de05ae51",
    "sb3_defaults": "5f4d422e5797cb9c851c0a0974a03561ecac47e26bb0c257feb46da5688d297c",
    "warmup": "6fe5da18fe3acc95bd88a99ba3c93801fe3cb5cd28522b046ac773fb22cd07f1",
    "gamma": "aa5f25f0392ae84903fac3f8425d7273a90ca2f39c2a866e626bcceb23234e37",
    "paper": "8502d6bf93c60fc4c412d140ad1f27f87cdd0ba21348af55ce405d589607e5c0",
    "smoke": "68ac5c3426fee1d452fc9c23b2b2aaa92e7e6ecd9f2030f6d6464da4154e066a",
}


def test_declarations_of_the_catalogue_are_what_they_have_been() -> None:
    assert {name: EXPERIMENTS[name].to_json()["sha256"] for name in HASHES} == HASHES


OWN_FILE = """
description = "mine"
seeds = 2
against = "td3"

[total_timesteps]
Pendulum-v1 = 500

[settings]
eval_freq = 250
hyperparams = { gamma = 0.98 }

[implementations]
td3 = {}
slow = { algo = "td3", seeds = 1, hyperparams = { learning_rate = 1e-4 }, n_envs = 2 }
"""


def test_a_file_says_all_that_a_run_has_for_each_implementation_and_for_all(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(OWN_FILE)
    experiment, name = chosen(str(file))
    assert name == "mine"
    assert sorted(run.directory for run in experiment.runs()) == [
        "slow/Pendulum-v1_0", "td3/Pendulum-v1_0", "td3/Pendulum-v1_1"
    ]  # fmt: skip
    slow = next(run for run in experiment.runs() if run.label == "slow")
    assert slow.hyperparams == {"gamma": 0.98, "learning_rate": 1e-4}
    assert (slow.eval_freq, slow.n_envs) == (250, 2)
    typed, _ = chosen(
        "mine", algos=("td3", "slow=td3"), envs=("Pendulum-v1",), seeds=2, total_timesteps=500,
        eval_freq=250, hyperparams={"gamma": 0.98},
        settings=("slow:seeds=1", "slow:hyperparams.learning_rate=1e-4", "slow:n_envs=2"),
    )  # fmt: skip
    assert typed.runs() == experiment.runs()
    assert chosen(str(file), seeds=1, total_timesteps=100)[1] == "mine_1x100"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('description = "mine"', "", "it has no description"),
        ("seeds = 2", 'seeds = "two"', "seeds must be a list, got 'two'"),
        ("seeds = 2", "sedes = 2", "unknown fields: sedes; known are against"),
        ("eval_freq", "evalfreq", "unknown settings: evalfreq"),
        ("n_envs", "envs", "unknown settings of slow: envs"),
        ("td3 = {}", 'td3 = "td3"', "implementations.td3 must be a table"),
        ("= 500", "= 0", "total_timesteps must be 1 or more, got 0"),
        ("[settings]", "[settings", "Expected ']'"),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_name(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(OWN_FILE.replace(old, new, 1))
    with pytest.raises(ConfigError, match=r"mine\.toml: ") as error:
        chosen(str(tmp_path / "mine.toml"))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_experiment_grows_by_seeds_algorithms_and_environments(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    begun, _ = chosen("mine", algos=("td3",), envs=("rocket-v0",), seeds=2, total_timesteps=500)
    declare(begun, root)

    def extended(**options: Any) -> Experiment:
        return chosen("mine", extend=True, root=tmp_path, **options)[0]

    grown = extended(seeds=3, algos=("td3", "sac"), envs=("Pendulum-v1",), total_timesteps=100)
    refuse_mismatch(grown, root, extend=True)
    assert grown.seeds == (0, 1, 2)
    before, after = ({run.directory for run in each.runs()} for each in (begun, grown))
    assert before < after
    assert dict(grown.total_timesteps) == {"rocket-v0": 500, "Pendulum-v1": 100}
    with pytest.raises(ConfigError, match="--extend lets it grow"):
        refuse_mismatch(grown, root)
    declare(grown, root)
    rejudged = extended(margin=50.0)
    declare(rejudged, root)
    history = json.loads((root / EXPERIMENT_FILE).read_text())[DECLARATIONS]
    assert [len(each["changes"]) > 0 for each in history] == [False, True, True]
    assert {kind for kind, _ in history[1]["changes"]} == {GROWTH}
    assert {kind for kind, _ in history[2]["changes"]} == {REJUDGEMENT}
    assert history[2]["changes"][0][1] == "margin of rocket-v0 20.0 -> 50.0"
    line = history_text(json.loads((root / EXPERIMENT_FILE).read_text()), num_runs=0)
    assert "new: implementation sac" in line
    assert "margin of rocket-v0 20.0 -> 50.0" in line
    assert line.count("a re-judgement") == 1
    other = extended(algos=("td3=sac",))
    with pytest.raises(ConfigError, match=r"implementation td3 is .'algo': 'td3'. there"):
        refuse_mismatch(other, root, extend=True)
    with pytest.raises(ConfigError, match="has 3 seeds already, got 2"):
        extended(seeds=2)
    with pytest.raises(ConfigError, match="has 500 steps on rocket-v0 already, got 400"):
        extended(total_timesteps=400)
    with pytest.raises(ConfigError, match="hyperparams cannot change"):
        extended(hyperparams={"gamma": 0.9})


def test_an_experiment_grows_by_steps_where_they_are_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    envs = ("rocket-v0", "Pendulum-v1")
    begun, _ = chosen("mine", algos=("td3",), envs=envs, seeds=1, total_timesteps=500)
    declare(begun, root)
    for env_id, seed in (("rocket-v0", 0), ("Pendulum-v1", 0)):
        (root / f"td3/{env_id}_{seed}").mkdir(parents=True)
        (root / f"td3/{env_id}_{seed}/config.json").touch()

    def extended(**options: Any) -> Experiment:
        return chosen("mine", extend=True, root=tmp_path, total_timesteps=900, **options)[0]

    assert dict(extended().total_timesteps) == {"rocket-v0": 900, "Pendulum-v1": 900}
    grown = extended(envs=("rocket-v0",))
    assert dict(grown.total_timesteps) == {"rocket-v0": 900, "Pendulum-v1": 500}
    with pytest.raises(ConfigError, match="steps on rocket-v0 is 500 there and 900 here"):
        refuse_mismatch(grown, root)
    refuse_mismatch(grown, root, extend=True)
    declare(grown, root)
    with pytest.raises(ConfigError, match="steps on rocket-v0 is 900 there and 500 here"):
        refuse_mismatch(begun, root, extend=True)
    content = json.loads((root / EXPERIMENT_FILE).read_text())
    assert content[DECLARATIONS][1]["changes"] == [[GROWTH, "steps on rocket-v0 500 -> 900"]]
    line = history_text(content, num_runs=2)
    assert "2 runs and no verdicts before it (1 of fewer steps), 1 run after" in line
