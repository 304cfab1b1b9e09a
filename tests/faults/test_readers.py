"""Any content of a file of ours gives a value or a refusal in one line: no traceback, no code."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.analysis.comparisons import compare_all
from benchmarks.analysis.load import load_results
from benchmarks.analysis.sources.source import read_source
from benchmarks.choice import recorded_experiment
from benchmarks.experiments import METRICS, Experiment
from benchmarks.policies.load import load_policy
from benchmarks.sweep.status import overview
from tests.faults.hostile import hostile_run, seal
from tests.helpers.made_up_runs import made_up_run
from training import schemas
from training.config import ConfigError
from training.environments import make_env
from training.run_directory import RunDirectory
from training.schemas import SCHEMAS, read_json

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

quick = settings(
    max_examples=25, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TEXT = st.text(max_size=8) | st.sampled_from(["evil:Env-v0", "../..", "done", "\x1b[2J", ""])
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -1, 0, 2**63])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ODD = ["[" * 100_000, "{", "", "NaN", "9" * 5000, '"\\ud800"', "\ufeff{}", '{"a":' * 50_000]
BYTES = st.binary(max_size=200) | st.sampled_from(ODD).map(lambda text: text.encode())


@st.composite
def changed(draw: Any, value: Any) -> Any:
    """A value of JSON in which one part, at any depth, is another or missing."""
    while isinstance(value, dict | list) and value and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        whole = value.copy()
        if draw(st.integers(0, 9)) == 0:
            del whole[key]
            return whole
        whole[key] = draw(changed(value[key]))
        return whole
    return draw(VALUES)


def assert_refused_in_one_line(error: Exception) -> None:
    assert isinstance(error, ConfigError | FileNotFoundError), repr(error)
    assert len(str(error).splitlines()) == 1


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, of which the second is to be damaged, and a copy of it."""
    root = tmp_path_factory.mktemp("runs")
    for label in ("good", "bad"):
        made_up_run(root, label, 0, [-9.0, -8.0], env_kwargs={"g": 9.0})
    shutil.copytree(root / "bad", root.with_name("intact"))
    return root


def restored(root: Path) -> Path:
    """The second run, as it was."""
    shutil.rmtree(root / "bad")
    shutil.copytree(root.with_name("intact"), root / "bad")
    return root / "bad/Pendulum-v1_0"


def assert_the_other_run_is_reported(root: Path) -> None:
    """Of two, one damaged: the other is there, the damaged one as well or named."""
    results = load_results(root)
    labels = set(results.finals["label"])
    assert "good" in labels
    assert len(labels) + len(results.unfinished) == 2
    assert all(len(line.splitlines()) == 1 for line in results.unfinished)
    assert all("remove" not in line for line in results.unfinished)
    source = read_source(root)
    assert len(source.left_out) + source.curves["label"].nunique() == 2


@quick
@given(
    name=st.sampled_from(sorted(SCHEMAS)),
    content=BYTES | VALUES.map(lambda v: json.dumps(v).encode()),
)
def test_any_bytes_in_a_json_file_give_a_value_or_one_line(
    name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("any") / name
    file.write_bytes(content)
    try:
        value = read_json(file)
    except ConfigError as error:
        assert_refused_in_one_line(error)
    else:
        assert isinstance(value, dict | list)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["config.json", "status.json", "provenance.json"])
@pytest.mark.parametrize("is_sealed", [False, True])
@quick
@given(data=st.data())
def test_one_damaged_run_leaves_the_others_to_be_reported(
    name: str, is_sealed: bool, root: Path, data: Any
) -> None:
    path = restored(root)
    content = json.loads((path / name).read_text())
    if name == "provenance.json" and is_sealed:
        content.pop("sha256"), content.pop("parts")  # one from before there were seals
    damaged = data.draw(changed(content) | BYTES)
    text = damaged if isinstance(damaged, bytes) else json.dumps(damaged).encode()
    (path / name).write_bytes(text)
    if is_sealed and name == "config.json":
        seal(path)
    assert_the_other_run_is_reported(root)


@pytest.mark.slow
@quick
@given(data=st.data())
def test_evaluations_of_any_shape_are_read_or_named(root: Path, data: Any) -> None:
    path = restored(root)
    with np.load(path / "evaluations.npz") as arrays:
        kept = dict(arrays)
    shapes = st.lists(st.integers(0, 3), max_size=3).map(np.zeros)
    others = shapes | st.sampled_from([np.array(["a"]), np.array([1, 1]), np.array([1j, 2])])
    for each in data.draw(st.lists(st.sampled_from(sorted(kept)), min_size=1, max_size=2)):
        kept[each] = data.draw(others)
        if data.draw(st.integers(0, 3)) == 0:
            del kept[each]
    np.savez(path / "evaluations.npz", **kept)
    seal(path)
    assert_the_other_run_is_reported(root)


@pytest.mark.slow
@quick
@given(data=st.data())
def test_flipped_bytes_in_evaluations_are_noticed_whatever_the_digest(
    root: Path, data: Any
) -> None:
    path = restored(root)
    content = bytearray((path / "evaluations.npz").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (path / "evaluations.npz").write_bytes(bytes(content))
    seal(path)
    assert_the_other_run_is_reported(root)


@pytest.mark.parametrize("name", ["config.json", "status.json", "provenance.json",
                                  "evaluations.npz"])  # fmt: skip
def test_a_folder_in_the_place_of_a_file_is_named(name: str, root: Path) -> None:
    path = restored(root)
    (path / name).unlink()
    (path / name).mkdir()
    results = load_results(root)
    assert set(results.finals["label"]) == {"good"}
    (line,) = results.unfinished
    assert line.startswith("bad/Pendulum-v1_0")


@quick
@given(data=st.data())
def test_an_experiment_of_any_content_is_read_or_refused(root: Path, data: Any) -> None:
    restored(root)
    experiment = Experiment(
        description="", implementations={"good": {"algo": "td3"}, "bad": {"algo": "td3"}},
        total_timesteps={"Pendulum-v1": 100}, seeds=(0,), against="good",
        settings={"env_kwargs": {"g": 9.0}},
    ).to_json()  # fmt: skip
    damaged = data.draw(changed(experiment))
    text = json.dumps(damaged)
    (root / "experiment.json").write_text(text)
    try:
        recorded = recorded_experiment(root)
        if recorded is not None:
            overview(recorded.runs(), root, measured=False)
        compare_all(load_results(root))
    except ConfigError as error:
        assert_refused_in_one_line(error)
    finally:
        (root / "experiment.json").unlink()


@pytest.mark.parametrize(
    "name",
    ["evaluations.npz", "TD3_Pendulum-v1_0.npy", "0.monitor.csv", "progress.csv", "any.csv",
     "wandb.csv", "events.out.tfevents.1.host"],
)  # fmt: skip
@quick
@given(content=st.binary(max_size=300) | st.text(alphabet="0123456789.,;\n\"#{}aer-", max_size=200)
       .map(str.encode))  # fmt: skip
def test_any_curve_of_others_is_read_or_refused(
    name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / name).write_bytes(content)
    try:
        read_source(folder)
    except ConfigError as error:
        assert_refused_in_one_line(error)


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose model.zip can be played."""
    return hostile_run(tmp_path_factory.mktemp("policies"), "evaluations")


@quick
@given(data=st.data())
def test_a_damaged_policy_is_refused_whatever_its_digest(policies: Path, data: Any) -> None:
    file = policies / "model.zip"
    intact = file.read_bytes()
    env = make_env(_config(policies))
    content = bytearray(intact)
    if data.draw(st.booleans()):
        content = bytearray(data.draw(st.binary(max_size=100)))
    else:
        start = data.draw(st.integers(0, len(content) - 1))
        content[start : start + data.draw(st.integers(1, 200))] = b""
    file.write_bytes(bytes(content))
    seal(policies)
    try:
        load_policy(str(policies), env)
    except ConfigError as error:
        assert_refused_in_one_line(error)
    finally:
        file.write_bytes(intact)
        seal(policies)


def _config(path: Path) -> Any:
    from training.config import RunConfig

    return RunConfig.from_json((RunDirectory(path).settings() or {})["config"])


def test_the_schemas_know_all_metrics() -> None:
    assert set(schemas.METRICS) == METRICS.keys()
