"""The conformance kit, on TD3s and adapters whose faults are known."""

import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main as benchmarks_main
from benchmarks.fidelity.__main__ import ADAPTERS, LIBRARIES, cells, implementations_page
from benchmarks.fidelity.__main__ import main as fidelity_main
from benchmarks.fidelity.adapters.reference import Adapter
from benchmarks.fidelity.cases import (
    CASES,
    COMPARED_UPDATES,
    Array,
    Batch,
    Problem,
    deviation,
    expected_values,
)
from benchmarks.fidelity.causes import CAUSES, differing_defaults, explain, simulate
from benchmarks.fidelity.helpers import replaced
from benchmarks.fidelity.kit import (
    BROKEN,
    DECLINED,
    EXIT_STATUS,
    ROUNDING,
    AdapterError,
    examine,
    run_updates,
)
from benchmarks.fidelity.published import SwitchableTD3, Switches
from benchmarks.fidelity.report import findings, findings_page, write_findings
from benchmarks.report.page import fidelity_pages

TELLING = ("rocket_like", "pendulum_like", "saturated", "asymmetric")  # these show every cause
ROOT = Path(__file__).parents[3]


class Transposed(Adapter):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        load = self.load
        self.load = lambda arrays: load([x.T if x.shape == (256, 256) else x for x in arrays])


class NoiseIgnored(Adapter):
    def update(self, batch: Batch, noise: Array) -> None:
        super().update(batch, np.zeros_like(noise))


class TargetsNotCopied(SwitchableTD3):
    def load(self, weights: list[Array]) -> None:
        super().load(weights)
        self.actor.target[0][...] = 0


class OptimisersKept(SwitchableTD3):
    def load(self, weights: list[Array]) -> None:
        kept = getattr(self, "q1", None)
        super().load(weights)
        if kept is not None:
            self.q1 = self.q1._replace(mean=kept.mean, square=kept.square)


class NoiseDrawnTwice(SwitchableTD3):
    def update(self, batch: Batch, noise: Array) -> None:
        with replaced(np.random, "normal", noise):
            drawn: Any = [np.random.normal() for _ in range(2)]  # noqa: NPY002
        super().update(batch, drawn[0])


class ValuesOfWrongShape(SwitchableTD3):
    def q_values(self, observations: Array, actions: Array) -> Any:
        return [np.zeros(3), np.zeros(3)]


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (Transposed, "other values at 0 updates"),
        (NoiseIgnored, "other noise leaves the critics unchanged"),
        (TargetsNotCopied, "must copy to the targets"),
        (OptimisersKept, "two updates again give other values"),
        (NoiseDrawnTwice, "called 2 times"),
        (ValuesOfWrongShape, r"must be \(n, action_dim\)"),
    ],
)
def test_a_broken_adapter_is_not_taken_for_a_broken_td3(adapter: Any, message: str) -> None:
    outcome = examine(adapter, updates=3)
    assert outcome.verdict == BROKEN
    assert EXIT_STATUS[outcome.verdict] == 2
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(outcome.faults[0])


def test_an_error_in_an_adapter_is_told_with_its_line() -> None:
    class Fails(SwitchableTD3):
        def load(self, weights: list[Array]) -> None:
            np.zeros(2) + np.zeros(3)  # the line that is meant

    line = 1 + Path(__file__).read_text().split("# the line that is meant")[0].count("\n")
    (fault,) = examine(Fails, updates=3).faults
    assert fault.startswith("rocket_like: ValueError: operands could not be broadcast")
    assert fault.endswith(f" (load(), line {line} of {Path(__file__).name})")


@pytest.mark.slow
def test_what_takes_time_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_findings("benchmarks.fidelity.published:SwitchableTD3", tmp_path)
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in told] == list(CASES)


def test_the_published_update_in_numpy_equals_the_published_code_up_to_rounding() -> None:
    assert examine(SwitchableTD3, updates=3).verdict == ROUNDING


def measured_bands(name: str, updates: int = 50, trials: int = 9) -> list[float]:
    """The bands of a case by the definition that Case documents."""
    problem = CASES[name].problem

    class Shifted(SwitchableTD3):
        def load(self, weights: list[Array]) -> None:
            towards = [rng.choice([-np.inf, np.inf], w.shape).astype(np.float32) for w in weights]
            super().load([np.nextafter(w, t) for w, t in zip(weights, towards, strict=True)])

    start = run_updates(SwitchableTD3(problem), name, updates)
    changes = []
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        values = run_updates(Shifted(problem), name, updates)
        changes.append([deviation(values[n], start[n]) for n in start])
    table = 10 * np.array(changes)
    bands = [
        *np.median(table, axis=0)[: len(COMPARED_UPDATES)],
        *table.max(axis=0)[len(COMPARED_UPDATES) :],
    ]
    return list(map(float, np.maximum.accumulate(bands)))


@pytest.mark.parametrize("name", ["rocket_like", "asymmetric"])
def test_bands_are_what_they_are_said_to_be(name: str) -> None:
    bands = measured_bands(name, updates=3)
    # The last bits, and so these, depend on the BLAS library by a few times.
    assert np.abs(np.log10(np.array(bands) / CASES[name].bands[:4])).max() < 0.5


@pytest.mark.parametrize("option", CAUSES, ids=lambda option: f"{option[0]} {option[1]}")
def test_each_cause_is_found_by_name(option: tuple[str, Any]) -> None:
    switches = Switches(**dict([option]))
    explanation = explain({name: simulate(name, switches, 3) for name in TELLING})
    assert [cause.text for cause in explanation.causes] == [CAUSES[option]]
    assert explanation.residual == 0
    assert explanation.causes[0].needed > 1


@pytest.mark.slow
def test_two_causes_at_once_are_found_and_both_are_needed() -> None:
    switches = Switches(clip="none", order="targets first")
    causes = explain({name: simulate(name, switches, 3) for name in TELLING}).causes
    assert {(cause.switch, cause.setting) for cause in causes} == {
        ("clip", "none"),
        ("order", "targets first"),
    }
    assert min(cause.needed for cause in causes) > 1


@pytest.mark.slow
def test_what_no_switch_explains_is_called_unexplained() -> None:
    class Odd(SwitchableTD3):
        def update(self, batch: Batch, noise: Array) -> None:
            super().update(batch._replace(rewards=2 * batch.rewards), noise)

    record = findings(Odd, updates=3)
    assert record["verdict"] == "unexplained"
    assert record["exit_status"] == 1
    assert "the critics after update 1" in findings_page(record)


@pytest.mark.slow
def test_a_difference_that_only_later_updates_show_is_not_called_explained() -> None:
    class Late(SwitchableTD3):
        def update(self, batch: Batch, noise: Array) -> None:
            wrong = batch._replace(rewards=2 * batch.rewards)
            super().update(wrong if self.updates >= 5 else batch, noise)

    record = findings(Late, updates=10)
    assert record["verdict"] == "unexplained"
    assert "the values after update 3" in findings_page(record)


def test_a_case_may_be_declined() -> None:
    class OneBound(SwitchableTD3):
        def __init__(self, problem: Problem) -> None:
            assert problem.max_action > 0
            super().__init__(problem)

    record = findings(OneBound, updates=3)
    assert record["exit_status"] == 0
    [declined] = [case for case in record["cases"] if case["verdict"] == DECLINED]
    assert declined["name"] == "asymmetric"
    assert "one symmetric action bound" in findings_page(record)
    assert "This is said of 5 of 6 cases: the adapter declines asymmetric." in findings_page(record)


def test_updates_in_one_call_are_followed_too() -> None:
    class Many(SwitchableTD3):
        def update_all(self, batches: list[Batch], noises: list[Array]) -> None:
            for batch, noise in zip(batches, noises, strict=True):
                super().update(batch, noise)

        def update(self, batch: Batch, noise: Array) -> None:
            raise AssertionError("update_all must be called instead")

    assert examine(Many, updates=3, cases=["rocket_like"]).verdict == ROUNDING


def test_defaults_that_differ_are_listed_with_the_deviation_that_each_makes() -> None:
    rows = differing_defaults({"tau": 0.005, "learning_rate": 1e-3, "batch_size": 100})
    assert [(row[0], row[2]) for row in rows] == [("learning_rate", 3e-4), ("batch_size", 256)]
    assert rows[0][3] is not None
    assert rows[0][3] > 1e-3
    assert rows[1][3] is None


def test_a_value_that_is_not_a_number_agrees_with_nothing() -> None:
    expected = expected_values("rocket_like")[0]
    broken = {what: np.full_like(value, np.nan) for what, value in expected.items()}
    assert deviation(broken, expected) == float("inf")


def test_the_function_that_draws_noise_is_put_back_and_must_be_called_once() -> None:
    owner: Any = type("Owner", (), {"draw": staticmethod(lambda: 1)})
    with replaced(owner, "draw", 2):
        assert owner.draw() == 2
    assert owner.draw() == 1
    with pytest.raises(AdapterError, match="0 times"), replaced(owner, "draw", 2):
        pass


@pytest.mark.slow
def test_the_documented_example_works_as_it_stands(tmp_path: Path) -> None:
    text = (ROOT / "docs/fidelity.md").read_text(encoding="utf-8")
    agent, adapter = (block.split("```")[0] for block in text.split("```python\n")[1:])
    assert len(adapter.strip().splitlines()) <= 30
    (tmp_path / "my_td3.py").write_text(agent)
    (tmp_path / "my_module.py").write_text(adapter)
    command = [sys.executable, "-m", "benchmarks.fidelity", "my_module:Adapter"]
    paths = f"{tmp_path}:{ROOT}"
    run = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": paths}, capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "**bit-equal**" in run.stdout or "**equal up to rounding**" in run.stdout


@pytest.mark.slow
def test_page_and_numbers_are_written(tmp_path: Path) -> None:
    text, status = write_findings("benchmarks.fidelity.published:SwitchableTD3", tmp_path)
    folder = tmp_path / "benchmarks.fidelity.published"
    assert status == 0
    assert text.startswith((folder / "fidelity.md").read_text())
    record = json.loads((folder / "fidelity.json").read_text())
    assert record["verdict"] == ROUNDING
    assert "img.shields.io" in text


@pytest.mark.slow
def test_reports_take_in_the_pages_of_adapters_after_the_references(tmp_path: Path) -> None:
    (tmp_path / "fidelity.md").write_text("# Reference\n")
    write_findings("benchmarks.fidelity.published:SwitchableTD3", tmp_path)
    (tmp_path / "old_report").mkdir()
    (tmp_path / "old_report/fidelity.md").write_text("# A report's copy\n")
    pages = fidelity_pages(tmp_path)
    assert pages.startswith("# Reference\n\n# Is benchmarks.fidelity.published:SwitchableTD3")
    assert "copy" not in pages


STATUSES = """
from benchmarks.fidelity.published import SwitchableTD3, Switches

class Equal(SwitchableTD3): pass

class Differs(SwitchableTD3):
    def __init__(self, problem):
        super().__init__(problem, Switches(offset=1))

class Broken(SwitchableTD3):
    def load(self, weights):
        super().load(weights[::-1])
"""


@pytest.mark.parametrize(
    ("command", "name", "status"),
    [
        ("fidelity", "Equal", 0),
        ("benchmarks fidelity", "Differs", 1),
        ("fidelity", "Broken", 2),
        ("benchmarks fidelity", "Broken", 2),
        ("benchmarks fidelity", "Missing", 2),
    ],
)
def test_the_exit_status_is_the_result(
    command: str, name: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "three_adapters.py").write_text(STATUSES)
    monkeypatch.syspath_prepend(tmp_path)
    arguments = [f"three_adapters:{name}", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*command.split(), *arguments])
    main = (lambda: sys.exit(fidelity_main())) if command == "fidelity" else benchmarks_main
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == status


def test_an_adapter_whose_defaults_fail_is_broken() -> None:
    class Failing(SwitchableTD3):
        def defaults(self) -> Any:
            raise KeyError("gamma")

    record = findings(Failing, updates=3)
    assert record["exit_status"] == 2
    assert "KeyError" in findings_page(record)


@pytest.mark.parametrize("name", ["no_colon", "no_such_module:Adapter", "json:NoSuchClass"])
def test_an_adapter_that_does_not_exist_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"adapter|there is no"):
        write_findings(name, tmp_path)


def test_the_kit_needs_numpy_alone() -> None:
    code = """
import sys
class Blocked:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("torch", "stable_baselines3", "gymnasium", "pandas", "tyro"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
from benchmarks.fidelity import helpers, report
record = report.findings(report.load_adapter("benchmarks.fidelity.published:SwitchableTD3"), 3)
assert record["exit_status"] == 0, record
print(report.findings_page(record))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                         check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "equal up to rounding" in run.stdout


NAMES = sorted(file.stem for file in ADAPTERS.glob("[a-z]*.py"))
# What docs/implementations.md says of them.
UNEQUAL = {"sb3": 1, "sbx": 1, "tianshou": 1, "d3rlpy": 1, "pfrl": 1, "xuance": 1, "agilerl": 1,
           "mushroom_rl": 1, "cleanrl": 1, "spinup": 1}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_adapter_whose_library_is_installed_gives_its_result(name: str) -> None:
    try:
        module = importlib.import_module(f"benchmarks.fidelity.adapters.{name}")
    except (ImportError, KeyError) as error:  # not installed, or no clone is named
        pytest.skip(f"{name}: {error}")
    record = findings(module.Adapter, updates=3)
    assert record["exit_status"] == UNEQUAL.get(name, 0), record["faults"]
    assert record["verdict"] != "unexplained"


def test_each_adapter_has_its_entry_and_its_row() -> None:
    libraries = tomllib.loads(LIBRARIES.read_text())
    assert sorted(libraries) == NAMES
    assert libraries["skrl"]["requirements"][-1] in (ROOT / ".ci/run").read_text().split()
    rows = [{**entry, "skipped": "not tried"} for entry in libraries.values()]
    text = implementations_page(rows)
    assert text.count("skipped: not tried") == len(NAMES)
    published = (ROOT / "docs/implementations.md").read_text()
    for entry in libraries.values():
        assert f"\n| {entry['name']} | " in published


def test_a_row_says_what_differs_and_which_cases_were_declined() -> None:
    class OneBoundOffset(SwitchableTD3):
        def __init__(self, problem: Problem) -> None:
            assert problem.max_action > 0
            super().__init__(problem, Switches(offset=1))

        def defaults(self) -> dict[str, Any]:
            return {"tau": 0.01}

    record = findings(OneBoundOffset, updates=3)
    row = cells({"name": "mine", "record": record})
    assert row[:6] == [
        "mine", "this one", "**differs**", "the actor moves at updates 1, 3, 5, not 2, 4, 6",
        "all (asymmetric declined)", "tau 0.01",
    ]  # fmt: skip
