"""What an examination found: fidelity.json, a page of text, a badge. Needs NumPy alone."""

import importlib
import inspect
import json
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from benchmarks.fidelity.cases import CASES
from benchmarks.fidelity.causes import AGREEMENT, differing_defaults, explain
from benchmarks.fidelity.kit import (
    BIT_EQUAL,
    BROKEN,
    DECLINED,
    DIFFERS,
    EXIT_STATUS,
    ROUNDING,
    UNEXPLAINED,
    UNIT_ONLY,
    examine,
    ignore_message,
)

MEANING = {
    BIT_EQUAL: "It computes the published numbers bit by bit.",
    ROUNDING: "It computes the published numbers up to rounding.",
    UNIT_ONLY: "It is the published TD3 where actions lie in [-1, 1], and another elsewhere.",
    DIFFERS: "It is not the published TD3, for the causes below.",
    UNEXPLAINED: "It is not the published TD3; not all of the difference is explained.",
    BROKEN: "The adapter is broken, so that nothing can be said of the TD3 behind it.",
}
COLOURS = {BIT_EQUAL: "brightgreen", ROUNDING: "brightgreen", UNIT_ONLY: "yellow", BROKEN: "grey"}
DEFAULT_UPDATES, FULL_UPDATES = 10, 200
FIDELITY_PAGE, FIDELITY_NUMBERS = "fidelity.md", "fidelity.json"  # reports include the page


def load_adapter(name: str) -> type[Any]:
    """The class that ``module:Class`` names.

    :raises ValueError: if it has another form, or there is no such class
    """
    module, separator, attribute = name.partition(":")
    if not (module and separator and attribute):
        raise ValueError(f"an adapter must be named as my_module:Adapter, got {name!r}")
    try:
        found = importlib.import_module(module)
    except Exception as error:  # whatever the adapter's library raises
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"cannot import the adapter {name}: {reason}") from error
    adapter: type[Any] | None = getattr(found, attribute, None)
    if adapter is None:
        raise ValueError(f"there is no {attribute!r} in {module}")
    if not callable(adapter):
        raise ValueError(f"{name} must be a class, got {adapter!r}")
    return adapter


def findings(
    adapter: type[Any], updates: int = DEFAULT_UPDATES, say: Callable[[str], None] = ignore_message
) -> dict[str, Any]:
    """Examine an adapter and look for causes: the content of fidelity.json.

    :param say: called with a line for each step of the work
    """
    outcome = examine(adapter, updates, say=say)
    record: dict[str, Any] = {
        "adapter": f"{adapter.__module__}:{adapter.__qualname__}",
        "adapter_lines": code_lines(adapter),
        "package": getattr(adapter, "package", ""),
        "environment": versions(adapter),
        "faults": outcome.faults,
        "cases": [asdict(case) for case in outcome.cases],
        "defaults": None,
    }
    record["version"] = record["environment"].get(record["package"], "")
    if hasattr(adapter, "defaults") and not outcome.faults:
        try:
            defaults = adapter(CASES["rocket_like"].problem).defaults()
            record["defaults"] = differing_defaults(defaults)
        except Exception as error:  # whatever the adapter's code raises
            outcome.faults.append(f"defaults(): {type(error).__name__}: {error}")
    verdict = outcome.verdict
    if EXIT_STATUS[verdict] == 1:
        say("It differs: looking for the causes ...")
        explanation = explain(outcome.values)
        record["explanation"] = asdict(explanation)
        if explanation.unexplained:
            verdict = UNEXPLAINED
    return {"verdict": verdict, "exit_status": EXIT_STATUS[verdict], **record}


def versions(adapter: type[Any]) -> dict[str, str]:
    """Versions of Python and of the packages with which it was examined."""
    found = {"python": platform.python_version(), "numpy": np.__version__}
    for package in filter(None, (getattr(adapter, "package", ""), "torch", "jax")):
        if any(metadata.distributions(name=package)):
            found[package] = metadata.version(package)
    return found


def code_lines(adapter: type[Any]) -> int:
    """Lines of the adapter's file that are neither blank nor a comment."""
    source = inspect.getsource(inspect.getmodule(adapter) or adapter).splitlines()
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in source)


def findings_page(record: dict[str, Any]) -> str:
    """The findings as Markdown."""
    name = f"{record['package'] or record['adapter']} {record['version']}".strip()
    verdict = record["verdict"]
    parts = [f"# Is {name} the published TD3?",
             f"**{verdict}**. {MEANING[verdict]}{declined_text(record['cases'])}"]  # fmt: skip
    if record["faults"]:
        parts += ["## What is wrong with the adapter", bullets(record["faults"])]
    if record["cases"]:
        parts += ["## Largest deviation after so many updates", case_table(record["cases"])]
    if "explanation" in record:
        parts += ["## Causes", causes_text(record["explanation"])]
    if record["defaults"]:
        parts += ["## Default settings that differ from the author's",
                  defaults_table(record["defaults"])]  # fmt: skip
    parts += ["## Badge", f"    {badge(record)}"]
    parts += [f"Adapter: {record['adapter']}, {record['adapter_lines']} lines."]
    environment = ", ".join(" ".join(pair) for pair in record["environment"].items())
    parts += [f"Environment: {environment}."]
    return "\n\n".join(parts) + "\n"


def declined_text(cases: Sequence[dict[str, Any]]) -> str:
    """A sentence on the cases that the adapter declines; empty if it declines none."""
    declined = [case["name"] for case in cases if case["verdict"] == DECLINED]
    if not declined:
        return ""
    return (
        f" This is said of {len(cases) - len(declined)} of {len(cases)} cases: the adapter declines"
        f" {', '.join(declined)}."
    )


def case_table(cases: Sequence[dict[str, Any]]) -> str:
    """Each case with its deviations and verdict."""
    columns = list(dict.fromkeys(n for case in cases for n in case["deviations"]))
    rows = []
    for case in cases:
        found = case["deviations"]
        numbers = [f"{found[n]:.1e}" if n in found else "" for n in columns]
        verdict = case["verdict"]
        if case["verdict"] == DECLINED:
            verdict += f": {case['reason']}"
        elif case["first_difference"] is not None:
            verdict += f" from update {case['first_difference']}"
        rows.append([case["name"], bounds_of(case["name"]), *numbers,
                     f"{case['band']:.0e}" if found else "", verdict])  # fmt: skip
    note = (
        "Equal means within the band of the case, which is ten times what a shift of all weights by"
        " one unit in the last place makes (later updates have wider bands). The case asymmetric is"
        " judged by the reference's generalisation: the author's code has one symmetric bound."
    )
    header = ["case", "actions", *map(str, columns), "band up to 3", "result"]
    return f"{table(header, rows)}\n{note}"


def bounds_of(name: str) -> str:
    """The bounds of the actions in a case, those of equal dimensions once."""
    pairs = dict.fromkeys(zip(CASES[name].low, CASES[name].high, strict=True))
    return ", ".join(f"[{low:g}, {high:g}]" for low, high in pairs)


def causes_text(explanation: dict[str, Any]) -> str:
    """The causes by name, each with the deviation that remains without it."""
    causes = [
        f"{cause['text']} (without this: {cause['needed']:.2g} times the band)"
        for cause in explanation["causes"]
    ]
    text = bullets(causes)
    if explanation["unexplained"]:
        return f"{text}\n\nNo set of known causes reproduces {explanation['unexplained']}.".strip()
    needed = all(cause["needed"] > AGREEMENT for cause in explanation["causes"])
    text += (
        "\n\nThe published update with exactly these changes reproduces the implementation's"
        f" numbers to {explanation['residual']:.0e} in all cases that were tried"
        f"{'; each of these is needed' if needed else ''}."
    )
    if explanation["alternatives"]:
        text += "\n\nNot told apart from: " + "; or: ".join(explanation["alternatives"]) + "."
    return text


def defaults_table(defaults: Sequence[Sequence[Any]]) -> str:
    """Settings, and what each changes by itself."""
    rows = [
        [name, str(theirs), str(author), "not simulated" if moved is None else f"{moved:.1e}"]
        for name, theirs, author, moved in defaults
    ]
    return table(["setting", "default", "author's", "deviation after 10 updates"], rows)


def badge(record: dict[str, Any]) -> str:
    """A line that a README can quote."""
    verdict = record["verdict"]
    text = quote(verdict.replace("-", "--"), safe="")
    picture = f"https://img.shields.io/badge/published_TD3-{text}-{COLOURS.get(verdict, 'orange')}"
    return f"![published TD3: {verdict.replace('[', '').replace(']', '')}]({picture})"


def bullets(lines: Sequence[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["-" * max(3, len(cell)) for cell in header], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write_findings(name: str, output: Path, full: bool = False) -> tuple[str, int]:
    """Examine the adapter that ``module:Class`` names.

    :param output: its page and fidelity.json go to a folder below, named after the module
    :return: the page, and the exit status: 0 equal, 1 differs, 2 broken adapter
    :raises ValueError: if there is no such adapter
    """
    updates = FULL_UPDATES if full else DEFAULT_UPDATES
    record = findings(load_adapter(name), updates, say=partial(print, file=sys.stderr, flush=True))
    text = save_findings(output / name.partition(":")[0], record, findings_page(record))
    return text, int(record["exit_status"])


def save_findings(folder: Path, record: dict[str, Any], text: str) -> str:
    """Write a record and the page made of it into a folder.

    :return: the page, and where it is
    """
    folder.mkdir(parents=True, exist_ok=True)
    numbers, written = folder / FIDELITY_NUMBERS, folder / FIDELITY_PAGE
    numbers.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    written.write_text(text, encoding="utf-8")
    return f"{text}\nThis page: {written}"
