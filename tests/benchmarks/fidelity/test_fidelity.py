"""The fidelity checks: they pass, and they would notice."""

import pytest

from benchmarks.fidelity.checks import GOLDEN_CASES, RECORDED, Check, Reference, all_checks
from benchmarks.fidelity.page import fidelity_page, first_failure
from benchmarks.fidelity.seeded_bugs import SEEDED_BUGS, Bug, patched
from td3_reference import td3


def test_200_updates_reproduce_the_published_codes_numbers_and_50_those_of_sb3() -> None:
    checks = all_checks(Reference())
    # Three networks, their targets, and the norms of all weights, in each case and at each count.
    assert len(checks) == len(GOLDEN_CASES) * len(RECORDED) * 8 + 2
    assert [check for check in checks if not check.passed] == []


def test_golden_bounds_are_those_of_the_description() -> None:
    bounds = {check.name.split("after ")[-1]: check.bound for check in all_checks(Reference(), 50)}
    assert bounds["3 updates"] == 1e-6
    assert bounds["50 updates"] == 1e-4


@pytest.mark.parametrize("bug", SEEDED_BUGS, ids=lambda bug: bug.name)
def test_a_seeded_bug_is_noticed(bug: Bug) -> None:
    assert first_failure(bug) is not None


def test_there_are_ten_seeded_bugs() -> None:
    assert len({bug.name for bug in SEEDED_BUGS}) == 10


def test_a_patch_that_changes_nothing_is_not_called_a_bug() -> None:
    harmless = Bug("harmless", td3, (("import copy\n", "import copy  # harmless\n"),))
    assert first_failure(harmless) is None


def test_a_patch_that_no_longer_fits_the_source_is_refused() -> None:
    with pytest.raises(ValueError, match="occurs 0 times"):
        patched(Bug("gone", td3, (("no such text", ""),)))


def test_a_value_that_is_not_a_number_passes_no_check() -> None:
    assert not Check("", float("nan"), 1.0).passed


def test_the_page_says_yes_and_lists_what_it_found() -> None:
    page, passed = fidelity_page()
    assert passed
    assert "Yes: all checks pass." in page
    assert "10 of 10 noticed." in page
    assert "FAILED" not in page
