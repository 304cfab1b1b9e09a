"""What a difference that public TD3s have changes in the update, and in the return."""

from collections.abc import Sequence
from typing import Any

from benchmarks.analysis.comparisons import Comparison
from benchmarks.analysis.load import Results
from benchmarks.analysis.statistics import Interval
from benchmarks.fidelity.wild import in_the_update, in_words, wild_difference
from benchmarks.report.wording import captioned, factor_of, outcome
from benchmarks.table import Table
from training.config import REFERENCE

SHOWN = ("rocket_like", "pendulum_like", "saturated")  # cases: each difference shows in one


def wild_table(results: Results, comparisons: Sequence[Comparison]) -> Table | None:
    """A row for each variant that was compared with the reference; None where none was."""
    entries = []
    for each in comparisons:
        first, second = (_algo(results, each, label) for label in (each.first, each.second))
        difference = wild_difference(first)
        if difference is None or second != REFERENCE:
            continue
        entry: dict[str, Any] = {
            "environment": each.env_id,
            "variant": each.first,
            "what differs": in_words(difference),
            **{f"update, {case}": f"{in_the_update(difference, case):.0e}" for case in SHOWN},
        }
        entries.append({**entry, **_of_returns(each), "verdict": outcome(each)})
    return captioned("wild", entries) if entries else None


def _algo(results: Results, each: Comparison, label: str) -> str:
    """What a side trained; empty where it has no complete run."""
    settings = results.settings.get((each.env_id, label))
    return str(settings["config"]["algo"]) if settings else ""


def _of_returns(each: Comparison) -> dict[str, Any]:
    """The two differences that a verdict rests on, with the intervals that tell sides apart."""
    parts = {"return": None, "failures, points": None}
    if each.verdict is None:
        return parts
    found = {"return": each.verdict.typical, "failures, points": each.verdict.failures}
    return {
        name: part and Interval(*(factor_of(part) * x for x in (part.difference, *part.apart)))
        for name, part in found.items()
    }
