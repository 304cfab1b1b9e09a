"""The reference's own checks: they pass, and they would notice."""

import numpy as np
import pytest

from benchmarks.fidelity.adapters import reference, sb3
from benchmarks.fidelity.cases import CASES, DATA, GOLDEN, Inputs
from benchmarks.fidelity.checks import detect, recognise, wrong_terminations
from benchmarks.fidelity.kit import BIT_EQUAL, ROUNDING, UNIT_ONLY, examine
from benchmarks.fidelity.page import fidelity_page
from benchmarks.fidelity.seeded_bugs import SEEDED_BUGS, Bug, patched
from benchmarks.fidelity.variants import VARIANTS, NoSmoothing
from td3_reference.td3 import TD3

GOLDEN_CASES = ("rocket_like", "pendulum_like", "halfcheetah_like")


@pytest.mark.slow
def test_200_updates_reproduce_the_published_codes_numbers() -> None:
    outcome = examine(reference.Adapter, updates=200)
    assert outcome.verdict in (BIT_EQUAL, ROUNDING)
    for case in outcome.cases:
        if case.name in GOLDEN_CASES:
            assert max(case.deviations[3].values()) < 1e-6
            assert max(case.deviations[200].values()) < 1e-4


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


def test_sb3_is_the_published_td3_where_actions_lie_in_unit_bounds() -> None:
    outcome = examine(sb3.Adapter, 50, ("rocket_like", "pendulum_like"))
    assert outcome.verdict == UNIT_ONLY
    rocket = next(case for case in outcome.cases if case.name == "rocket_like")
    assert max(rocket.deviations[50].values()) < 1e-6


def test_the_run_loop_stores_terminations_as_what_they_are() -> None:
    assert wrong_terminations() == 0


@pytest.mark.parametrize("bug", SEEDED_BUGS, ids=lambda bug: bug.name)
def test_a_seeded_bug_is_noticed_and_named(bug: Bug) -> None:
    detection = detect(bug)
    assert detection.cause.endswith(bug.cause)
    assert detection.case in (*CASES, "run loop")


def test_there_are_sixteen_seeded_bugs_or_more() -> None:
    assert len({bug.name for bug in SEEDED_BUGS}) >= 16


def test_a_patch_that_changes_nothing_is_not_called_a_bug() -> None:
    harmless = Bug("harmless", "", (("import copy\n", "import copy  # harmless\n"),))
    assert detect(harmless).cause == ""


def test_a_patch_that_no_longer_fits_the_source_is_refused() -> None:
    with pytest.raises(ValueError, match="occurs 0 times"):
        patched(Bug("gone", "", (("no such text", ""),)))


@pytest.mark.parametrize(("variant", "cause"), VARIANTS.values(), ids=VARIANTS)
def test_a_variant_differs_by_what_it_is_called_and_nothing_else(
    variant: type[TD3], cause: str
) -> None:
    assert recognise(variant, variant is not NoSmoothing).cause == cause


def test_the_page_says_yes_and_what_sb3_does_otherwise() -> None:
    page, passed = fidelity_page()
    assert passed
    assert "Yes: all checks pass." in page
    assert "the critic sees actions scaled to [-1, 1]" in page
