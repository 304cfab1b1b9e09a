"""The table of well-known implementations: ``python -m benchmarks.fidelity.implementations``.

Each library has an environment of its own, since most pin their own dependencies.
"""

import argparse
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.fidelity.kit import DECLINED, DIFFERS
from benchmarks.fidelity.report import bullets, table

ADAPTERS = Path(__file__).parent / "adapters"
LIBRARIES = ADAPTERS / "libraries.toml"
ROOT = Path(__file__).parents[2]
INTRODUCTION = """# Which TD3 is the published one?

Each row was made by `make implementations`, which builds an environment for each library, drives
its TD3 update by update through an adapter, and compares what it computes with the published
numbers. [fidelity.md](fidelity.md) says how, what the words mean, and how to examine a TD3 of
your own. What is compared is one update at equal settings: no statement about returns."""


class Row(NamedTuple):
    """A library's outcome.

    :param record: the content of its fidelity.json; None if it was skipped
    :param skipped: why
    """

    name: str
    settings: dict[str, Any]
    record: dict[str, Any] | None
    skipped: str = ""


def examine_all(environments: Path, output: Path, only: list[str]) -> list[Row]:
    """Run each library's adapter in its environment.

    :param environments: a folder below it for each library, made where it is missing
    :param output: a folder below it for each library's page and fidelity.json
    """
    libraries = tomllib.loads(LIBRARIES.read_text(encoding="utf-8"))
    rows = []
    for name, settings in libraries.items():
        if only and name not in only:
            continue
        print(f"{settings['name']} ...", flush=True)
        rows.append(examine_one(name, settings, environments / name, output / name))
        print(f"  {rows[-1].skipped or (rows[-1].record or {})['verdict']}", flush=True)
    return rows


def examine_one(name: str, settings: dict[str, Any], environment: Path, output: Path) -> Row:
    """Run one library's adapter."""
    clone = settings.get("clone")
    if clone and not os.environ.get(clone):
        return Row(name, settings, None, f"set {clone} to a clone of {settings['source']}")
    python, failure = sys.executable, ""
    if "requirements" in settings:
        python, failure = build(settings, environment)
    if failure:
        return Row(name, settings, None, f"not installed: {failure}")
    adapter = f"benchmarks.fidelity.adapters.{name}:Adapter"
    command = [python, "-m", "benchmarks.fidelity", adapter, "--output", str(output)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    file = output / "fidelity.json"
    file.unlink(missing_ok=True)
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if not file.exists():
        return Row(name, settings, None, f"its adapter does not start: {last_line(run.stderr)}")
    record = json.loads(file.read_text(encoding="utf-8"))
    if clone:
        record["version"] = commit(Path(os.environ[clone]))
    return Row(name, settings, record)


def build(settings: dict[str, Any], environment: Path) -> tuple[str, str]:
    """Make an environment with the pinned versions, unless it is there.

    :return: its interpreter, and the last line of an error
    """
    python, stamp = environment / "bin/python", environment / "requirements.txt"
    bare = settings.get("bare", [])
    wanted = "\n".join([*settings["requirements"], *bare])
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return str(python), ""
    install = [str(python), "-m", "pip", "install", "--quiet"]
    commands = [[sys.executable, "-m", "venv", "--clear", str(environment)],
                [*install, *settings["requirements"]],
                *([[*install, "--no-deps", *bare]] if bare else [])]  # fmt: skip
    for command in commands:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            return "", last_line(run.stderr)
    stamp.write_text(wanted, encoding="utf-8")
    return str(python), ""


def commit(clone: Path) -> str:
    """The commit of a clone."""
    command = ["git", "-C", str(clone), "log", "-1", "--format=%h (%cs)"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def last_line(text: str) -> str:
    """The last line of a message."""
    return (text.strip().splitlines() or ["no message"])[-1]


def implementations_page(rows: list[Row]) -> str:
    """The table, and what was read in each library's source."""
    header = ["implementation", "version", "result", "causes", "cases that differ",
              "default settings that differ", "adapter, lines"]  # fmt: skip
    notes = [f"**{row.settings['name']}**: {row.settings['note']}"
             for row in rows if row.settings.get("note")]  # fmt: skip
    parts = [INTRODUCTION, table(header, [cells(row) for row in rows]),
             "## Where in their code, and when it matters", bullets(notes)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def cells(row: Row) -> list[str]:
    """A row of the table."""
    record = row.record
    if record is None:
        return [row.settings["name"], "", f"skipped: {row.skipped}", "", "", "", ""]
    explanation = record.get("explanation", {"causes": [], "unexplained": ""})
    causes = [cause["text"] for cause in explanation["causes"]]
    if explanation["unexplained"]:
        causes.append(f"unexplained: {explanation['unexplained']}")
    differing = [case["name"] for case in record["cases"] if case["verdict"] == DIFFERS]
    declined = [f"({case['name']} declined)"
                for case in record["cases"] if case["verdict"] == DECLINED]  # fmt: skip
    which = ["all"] if len(differing) + len(declined) == len(record["cases"]) else differing
    if record["defaults"] is None:
        defaults = "not compared"
    else:
        defaults = "; ".join(f"{name} {theirs}" for name, theirs, *_ in record["defaults"])
    return [
        row.settings["name"], record["version"] or "this one", f"**{record['verdict']}**",
        "; ".join(causes or record["faults"]), " ".join([", ".join(which), *declined]).strip(),
        defaults or "none", str(record["adapter_lines"]),
    ]  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity.implementations")
    parser.add_argument("--environments", type=Path, default=ROOT / "implementations")
    parser.add_argument("--output", type=Path, default=ROOT / "reports/implementations")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/implementations.md")
    parser.add_argument("--only", nargs="*", default=[], help="names in adapters/libraries.toml")
    arguments = parser.parse_args()
    rows = examine_all(arguments.environments.absolute(), arguments.output, arguments.only)
    page = implementations_page(rows)
    if not arguments.only:
        arguments.page.parent.mkdir(parents=True, exist_ok=True)
        arguments.page.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
