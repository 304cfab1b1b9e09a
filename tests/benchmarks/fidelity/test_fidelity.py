"""The reference's own checks: they pass, and they would notice."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fidelity.adapters import reference, sb3
from benchmarks.fidelity.cases import CASES, DATA, GOLDEN, Inputs
from benchmarks.fidelity.causes import differing_defaults
from benchmarks.fidelity.kit import BIT_EQUAL, ROUNDING, UNIT_ONLY, examine
from benchmarks.fidelity.page import (
    Detection,
    detection_table,
    examine_bug,
    examine_variant,
    variant_table,
    write_reference_page,
    wrong_terminations,
)
from benchmarks.fidelity.variants import SEEDED_BUGS, VARIANTS, Bug, patched

GOLDEN_CASES = ("rocket_like", "pendulum_like", "halfcheetah_like")


@pytest.mark.slow
def test_200_updates_reproduce_the_published_codes_numbers() -> None:
    outcome = examine(reference.Adapter, updates=200)
    assert outcome.verdict in (BIT_EQUAL, ROUNDING)
    for case in outcome.cases:
        if case.name in GOLDEN_CASES:
            assert case.deviations[3] < 1e-6
            assert case.deviations[200] < 1e-4


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_the_norms_of_all_weights_are_the_published_codes(name: str) -> None:
    adapter, inputs = reference.Adapter(CASES[name].problem), Inputs(CASES[name])
    adapter.load(inputs.weights)
    for batch, noise in inputs.batches(50):
        adapter.update(batch, noise)
    agent = adapter.agent
    with np.load(DATA / GOLDEN) as golden:
        for suffix in ("", "_target"):
            networks = (getattr(agent, f"actor{suffix}"), getattr(agent, f"critic{suffix}"))
            norms = [p.detach().norm().item() for net in networks for p in net.parameters()]
            assert norms == pytest.approx(golden[f"{name}/50/param_norms{suffix}"], abs=1e-4)


@pytest.mark.slow
def test_sb3_is_the_published_td3_where_actions_lie_in_unit_bounds() -> None:
    outcome = examine(sb3.Adapter, 50, ("rocket_like", "pendulum_like"))
    assert outcome.verdict == UNIT_ONLY
    rocket = next(case for case in outcome.cases if case.name == "rocket_like")
    assert rocket.deviations[50] < 1e-6


def test_the_run_loop_stores_terminations_as_what_they_are() -> None:
    assert wrong_terminations() == 0


def test_the_references_default_settings_are_the_published_ones() -> None:
    assert differing_defaults(reference.Adapter.defaults()) == []


@pytest.mark.slow
@pytest.mark.parametrize("bug", SEEDED_BUGS, ids=lambda bug: bug.name)
def test_a_seeded_bug_is_noticed_and_named(bug: Bug) -> None:
    detection = examine_bug(bug, updates=3)
    assert detection.cause == bug.cause
    assert detection.case in (*CASES, "run loop")


@pytest.mark.slow
@pytest.mark.parametrize("label", VARIANTS)
def test_a_variant_differs_by_what_it_is_called_and_nothing_else(label: str) -> None:
    variant, cause = VARIANTS[label]
    detection = examine_variant(label, cause, variant, updates=3)
    assert detection.cause == cause
    assert detection.deviations["pendulum_like"][3] > 1e-4 or label == "no_final_clip"


def test_sixteen_wrong_td3s_or_more_are_tried_and_none_twice() -> None:
    causes = [bug.cause for bug in SEEDED_BUGS] + [cause for _, cause in VARIANTS.values()]
    assert len(set(causes)) == len(causes) >= 16
    documented = (Path(__file__).parents[3] / "docs/fidelity.md").read_text()
    for name in (*VARIANTS, *(bug.name for bug in SEEDED_BUGS)):
        assert f"\n| {name} | " in documented


def test_a_patch_that_changes_nothing_is_not_called_a_bug() -> None:
    harmless = Bug("harmless", "", (("import copy\n", "import copy  # harmless\n"),))
    assert examine_bug(harmless, updates=3).cause == ""


def test_a_patch_that_no_longer_fits_the_source_is_refused() -> None:
    with pytest.raises(ValueError, match="occurs 0 times"):
        patched(Bug("gone", "", (("no such text", ""),)))


def test_tables_of_wrong_td3s_name_what_went_unnoticed() -> None:
    deviations = {case: {3: 1e-4, 10: 2e-3} for case in CASES}
    seen = [
        Detection("offset", "a", "a", "saturated", 1, deviations),
        Detection("some bug", "b"),
    ]
    text = detection_table([vars(each) for each in seen])
    assert "| offset | saturated | 1 | a |" in text
    assert "UNNOTICED" in text
    assert "1 of 2 noticed" in text
    assert "| offset | 1e-04 | 2e-03 |" in variant_table([vars(each) for each in seen])


@pytest.mark.slow
def test_the_page_says_yes_and_what_sb3_does_otherwise(tmp_path: Path) -> None:
    page, status = write_reference_page(tmp_path)
    assert status == 0
    assert "Yes: all checks pass." in page
    assert "the critic sees actions scaled to [-1, 1]" in page
    assert "img.shields.io" in page
    assert (tmp_path / "fidelity.md").read_text() in page
    record = json.loads((tmp_path / "fidelity.json").read_text())
    assert record["reference"]["verdict"] in (BIT_EQUAL, ROUNDING)
    assert record["sb3"]["verdict"] == UNIT_ONLY
