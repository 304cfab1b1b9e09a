"""Who made a run: checkpoints, provenance and reports tell all software that had a part in it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train_sb3
from benchmarks.analysis.load import load_results
from benchmarks.experiments import Experiment
from benchmarks.policies.load import load_policy
from benchmarks.report.page import write_report
from benchmarks.sweep.scheduler import refuse_other_software
from tests.helpers.comparison import compare_page
from tests.helpers.made_up_runs import edit_provenance, made_up_run, set_optimum
from training import open_run, provenance
from training.config import ConfigError, RunConfig
from training.endings import RunStopped
from training.environments import make_env
from training.provenance import describe_software
from training.run import run
from training.run_directory import RunDirectory

SMALL = {"learning_starts": 20, "batch_size": 8, "buffer_size": 500}
LAYERS: dict[str, dict[str, Any]] = {
    "td3": {"policy_kwargs": {"net_arch": [8]}},
    "td3_reference": {"hidden_sizes": [8, 8]},
}
STEPS = 60
HERE = describe_software("cpu")
OTHER: dict[str, dict[str, Any]] = {
    "torch": {"packages": {**HERE["packages"], "torch": "9.9.9"}},
    "a package more": {"packages": {**HERE["packages"], "mujoco": "9.9.9"}},
    "python": {"python": "9.9.9"},
    "git_commit": {"git_commit": "0123abc"},
    "git_changes": {"git_changes": "4567def"},
    "cpu": {"cpu": "Another Processor"},
}


def config(algo: str = "td3_reference", **changes: Any) -> RunConfig:
    values: dict[str, Any] = {"total_timesteps": STEPS, "eval_freq": 30, "n_eval_episodes": 1}
    hyperparams = {**SMALL, **LAYERS[algo]}
    return RunConfig(algo=algo, env_id="rocket-v0", hyperparams=hyperparams, **values, **changes)


def stop_after(step: int) -> dict[str, Any]:
    """Options of a run that is asked to stop at a step."""
    seen = [0]

    def note(now: int, *_: object) -> None:
        seen[0] = now

    return {"on_progress": note, "should_stop": lambda: seen[0] >= step}


def stopped(root: Path, algo: str = "td3_reference", step: int = 25, **options: Any) -> Path:
    """A run that was stopped on its way."""
    with pytest.raises(RunStopped):
        run(config(algo), root, **stop_after(step), **options)
    return root / config(algo).directory


def pretend(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    """Let this process have other software."""
    monkeypatch.setattr(open_run, "describe_software", lambda device: {**HERE, **changes})


def contents(path: Path) -> dict[str, bytes]:
    return {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*") if f.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["td3", "td3_reference"])
@pytest.mark.parametrize("what", OTHER)
def test_a_run_is_not_continued_under_other_software(
    algo: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stopped(tmp_path, algo)
    before = contents(path)
    pretend(monkeypatch, OTHER[what])
    words = "mujoco was" if what == "a package more" else f"{what} was .*, here it is"
    with pytest.raises(ConfigError, match=f"with other software .*{words}.*--allow-mixed"):
        run(config(algo), tmp_path)
    assert contents(path) == before
    monkeypatch.undo()
    run(config(algo), tmp_path)  # nothing is lost
    assert RunDirectory(path).is_done()


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["td3", "td3_reference"])
def test_what_was_mixed_is_named_for_ever_after(
    algo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stopped(tmp_path, algo, 20)
    pretend(monkeypatch, OTHER["torch"])
    stopped(tmp_path, algo, 40, allow_mixed=True)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"torch was 9\.9\.9"):
        run(config(algo), tmp_path)
    run(config(algo), tmp_path, allow_mixed=True)
    made_with = RunDirectory(path).provenance()
    parts = made_with["parts"]
    assert len(parts) == 3
    assert [part["software"]["torch"] for part in parts] == [
        HERE["packages"]["torch"],
        "9.9.9",
        HERE["packages"]["torch"],
    ]
    ends = [part["to_step"] for part in parts]
    assert [part["from_step"] for part in parts] == [0, *ends[:-1]]
    assert ends[-1] == STEPS
    assert made_with["continued_from_step"] == ends[1] > ends[0] > 0
    assert made_with["seconds"] == pytest.approx(sum(part["seconds"] for part in parts))
    assert made_with["steps_per_second"] == pytest.approx(STEPS / made_with["seconds"])
    mixture = load_results(tmp_path).software_differences
    assert mixture is not None
    assert "torch" in mixture
    assert "9.9.9 (1 run)" in mixture


def test_an_uninterrupted_run_has_one_part(tmp_path: Path) -> None:
    made_with = RunDirectory(made_up_run(tmp_path, "a", 0, [0.0, 1.0])).provenance()
    (part,) = made_with["parts"]
    assert (part["from_step"], part["to_step"]) == (0, 100)
    assert part["software"]["git_commit"] == made_with["git_commit"]
    assert load_results(tmp_path).software_differences is None


def checkpoints(path: Path) -> list[Path]:
    return sorted((path / "checkpoint").iterdir())


@pytest.mark.slow
def test_an_older_checkpoint_is_judged_by_its_own_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, OTHER["cpu"])
    path = stopped(tmp_path, step=20)
    monkeypatch.undo()
    stopped(tmp_path, step=40, allow_mixed=True)
    newest = checkpoints(path)[-1]
    (newest / "buffer.npz").write_bytes(b"damaged")
    with pytest.raises(ConfigError, match="cpu was Another Processor"):
        run(config(), tmp_path)


def without_parts(path: Path) -> None:
    """Make a checkpoint what those were from before there were parts."""
    for checkpoint in checkpoints(path):
        manifest = json.loads((checkpoint / "manifest.json").read_text())
        for name in ("parts.json", "config.json"):
            del manifest[name]
            (checkpoint / name).unlink()
        (checkpoint / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.slow
def test_a_checkpoint_of_unknown_software_is_other_software(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    without_parts(path)
    with pytest.raises(ConfigError, match=r"which one is not known.*--allow-mixed"):
        run(config(), tmp_path)
    run(config(), tmp_path, allow_mixed=True)
    first, second = RunDirectory(path).provenance()["parts"]
    assert (first["software"], first["from_step"]) == ({}, 0)
    assert first["to_step"] == second["from_step"] > 0
    mixture = load_results(tmp_path).software_differences
    assert mixture is not None
    assert "software not known (1 run)" in mixture


def test_settings_that_changed_while_a_run_was_stopped_are_refused(tmp_path: Path) -> None:
    path = stopped(tmp_path)
    settings = json.loads((path / "config.json").read_text())
    settings["config"]["hyperparams"]["batch_size"] = settings["hyperparameters"]["batch_size"] = 9
    (path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match=r"config\.json is not what the run was stopped with"):
        run(RunConfig.from_json(settings["config"]), tmp_path)


def test_a_sweep_refuses_before_its_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(tmp_path)
    other = {**HERE, **OTHER["git_commit"]}
    monkeypatch.setattr("benchmarks.sweep.scheduler.describe_software", lambda device: other)
    with pytest.raises(ConfigError, match=r"git_commit was .*, here it is 0123abc"):
        refuse_other_software([config(seed=1), config()], tmp_path, allow_mixed=False)
    refuse_other_software([config(seed=1), config()], tmp_path, allow_mixed=True)
    refuse_other_software([config(seed=1)], tmp_path, allow_mixed=False)


@pytest.mark.slow
def test_the_command_line_refuses_in_one_line_unless_it_is_insisted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stopped(tmp_path, "td3")
    pretend(monkeypatch, OTHER["git_commit"])
    command = ["train_sb3.py", "--resume", str(path)]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit, match="2"):
        train_sb3.main()
    error = capsys.readouterr().err
    assert "git_commit was" in error
    assert error.count("\n") == 1
    monkeypatch.setattr("sys.argv", [*command, "--allow-mixed"])
    train_sb3.main()
    assert len(RunDirectory(path).provenance()["parts"]) == 2


@pytest.mark.parametrize("inside", [True, False])
def test_the_commit_of_a_repository_around_an_installation_is_not_ours(
    inside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a virtual environment that lies in a user's own repository."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-qm", "x", "--allow-empty"], cwd=tmp_path, check=True)
    file = tmp_path / "provenance.py"
    file.touch()
    if inside:
        subprocess.run([*git, "add", "."], cwd=tmp_path, check=True)
        subprocess.run([*git, "commit", "-qm", "y"], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "__file__", str(file))
    commit, changes = provenance.git_commit.__wrapped__, provenance.git_changes.__wrapped__
    assert (commit() is not None) == inside
    monkeypatch.setattr(provenance, "git_commit", commit)
    assert changes() is None
    file.write_text("changed = True\n")
    assert (changes() is not None) == inside


@pytest.mark.slow
def test_a_report_over_a_mixture_says_so_at_its_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_optimum(monkeypatch)
    monkeypatch.setattr("benchmarks.report.gallery.has_optimum", lambda env_id: False)
    runs = tmp_path / "runs"
    made_up_run(runs, "a", 0, [0.0, 1.0])
    made_up_run(runs, "b", 0, [0.0, 1.0])
    assert "not all made alike" not in write_report(runs, tmp_path / "report")
    pretend(monkeypatch, OTHER["python"])
    made_up_run(runs, "a", 1, [0.0, 1.0])
    text = write_report(runs, tmp_path / "report")
    page = (tmp_path / "report/report.html").read_text()
    assert text.startswith("These runs were not all made alike: ")
    assert page.index("not all made alike") < page.index('class="verdict"')


@pytest.mark.parametrize("what", OTHER)
def test_a_mixture_is_named_with_the_number_of_runs(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_optimum(monkeypatch)
    made_up_run(tmp_path, "a", 0, [0.0, 1.0])
    made_up_run(tmp_path, "b", 0, [0.0, 1.0])
    assert "not all made alike" not in compare_page(tmp_path)
    pretend(monkeypatch, OTHER[what])
    made_up_run(tmp_path, "a", 1, [0.0, 1.0])
    (line,) = [line for line in compare_page(tmp_path).split("\n") if "not all made alike" in line]
    (name,) = OTHER[what]
    changed, package = name != "packages", "mujoco" if what == "a package more" else what
    here = HERE[name] if changed else HERE["packages"].get(package)
    there = OTHER[what][name] if changed else "9.9.9"
    assert f" {name if changed else package} " in line
    assert f"{there} (1 run)" in line
    assert f"{here} (2 runs)" in line


def flips(content: bytes, count: int) -> list[bytes]:
    """The content with one bit flipped, at places drawn at random."""
    flipped = []
    for bit in np.random.default_rng(12).choice(8 * len(content), count, replace=False).tolist():
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        flipped.append(bytes(damaged))
    return flipped


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of each implementation, SB3's normalised; put back as they were."""
    root = tmp_path_factory.mktemp("runs")
    run(config(), root)
    run(config("td3", normalize=True), root)
    return root


FILES = [
    ("td3_reference", "policy.safetensors"),
    ("td3_reference", "config.json"),
    ("td3", "model.zip"),
    ("td3", "normalization.npz"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("algo", "name"), FILES)
def test_every_flipped_bit_in_a_policy_is_noticed_and_named(
    algo: str, name: str, runs: Path
) -> None:
    path = runs / config(algo).directory
    env = make_env(config(algo))
    file = path / name
    content = file.read_bytes()
    load_policy(str(path), env)
    for damaged in flips(content, 100):
        file.write_bytes(damaged)
        with pytest.raises(ConfigError, match=f"{name} is not what the run left"):
            load_policy(str(path), env)
    file.write_bytes(content)
    load_policy(str(path), env)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["best_model.zip", "best_normalization.npz", "model.zip"])
def test_so_it_is_in_a_model_that_is_named_by_itself(name: str, runs: Path) -> None:
    path = runs / config("td3").directory
    env = make_env(config("td3"))
    model = path / name.replace("normalization.npz", "model.zip")
    content = (path / name).read_bytes()
    for damaged in flips(content, 20):
        (path / name).write_bytes(damaged)
        with pytest.raises(ConfigError, match=f"{name} is not what the run left"):
            load_policy(str(model), env)
    (path / name).write_bytes(content)
    load_policy(str(model), env)


@pytest.mark.parametrize("name", ["provenance.json", "evaluations.npz", "config.json"])
def test_a_run_with_a_flipped_bit_is_left_out_named_and_done_again(
    name: str, tmp_path: Path
) -> None:
    for seed in (0, 1):
        path = made_up_run(tmp_path, "a", seed, [0.0, 1.0])
    content = (path / name).read_bytes()
    for damaged in flips(content, 30):
        (path / name).write_bytes(damaged)
        results = load_results(tmp_path)
        assert len(results.finals) == 1
        (line,) = results.unfinished
        assert "a/Pendulum-v1_1" in line
        assert not RunDirectory(path).is_done()
    (path / name).write_bytes(content)
    assert load_results(tmp_path).unfinished == []


def test_a_file_from_before_it_had_a_digest_is_taken_with_a_word(
    runs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = RunDirectory(runs / config().directory)
    status = run.read_json("status.json")
    assert status is not None
    env = make_env(config())
    load_policy(str(run.path), env)
    assert caplog.text == ""
    digests = {k: v for k, v in status["digests"].items() if k != "policy.safetensors"}
    run.write_json("status.json", {**status, "digests": digests})
    load_policy(str(run.path), env)
    assert "policy.safetensors has no digest: it is taken as it is" in caplog.text
    run.write_json("status.json", status)


def test_provenance_from_before_it_had_a_digest_is_taken_with_a_word(tmp_path: Path) -> None:
    run = RunDirectory(made_up_run(tmp_path, "a", 0, [0.0, 1.0]))
    old = {k: v for k, v in run.provenance().items() if k not in ("sha256", "parts")}
    run.write_json("provenance.json", old)
    assert run.is_done()
    mixture = load_results(tmp_path).software_differences
    assert mixture is not None
    assert "provenance.json from before it had a digest (1 run)" in mixture


def test_a_seal_whose_name_is_damaged_is_not_taken_for_none(tmp_path: Path) -> None:
    run = RunDirectory(made_up_run(tmp_path, "a", 0, [0.0, 1.0]))
    content = (run.path / "provenance.json").read_bytes()
    (run.path / "provenance.json").write_bytes(content.replace(b'"sha256"', b'"sha257"'))
    assert not run.is_done()
    with pytest.raises(ConfigError, match="is not what the run left"):
        run.provenance()


@pytest.mark.slow
def test_a_margin_changed_in_hindsight_is_noticed_in_compare(tmp_path: Path) -> None:
    experiment = Experiment(
        description="",
        implementations={},
        total_timesteps={"Own-v1": 1},
        seeds=(0,),
        margins={"Own-v1": 5.0},
    )
    for label in ("a", "b"):
        for seed in range(3):
            edit_provenance(made_up_run(tmp_path, label, seed, [0.0, 1.0], "Own-v1"), seconds=1.0)
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps({**experiment.to_json(), "margins": {"Own-v1": 500.0}}))
    assert "500" not in compare_page(tmp_path)
    declared = {**experiment.to_json()["declaration"], "margins": {"Own-v1": 500.0}}
    file.write_text(json.dumps({**experiment.to_json(), "declaration": declared}))
    with pytest.raises(ConfigError, match="changed after the runs began"):
        compare_page(tmp_path)
