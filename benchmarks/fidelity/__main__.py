"""``python -m benchmarks.fidelity my_module:Adapter``, where NumPy alone is installed.

Without an adapter: the table of well-known implementations, docs/implementations.md. Each library
is examined in an environment of its own, since most pin their own dependencies.
"""

import argparse
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from benchmarks.fidelity.kit import DECLINED, DIFFERS
from benchmarks.fidelity.report import FIDELITY_NUMBERS, bullets, table, write_findings

ADAPTERS = Path(__file__).parent / "adapters"
LIBRARIES = ADAPTERS / "libraries.toml"
ROOT = Path(__file__).parents[2]
INTRODUCTION = """# Which TD3 is the published one?

Each row was made by `make implementations`, which builds an environment for each library, drives
its TD3 update by update through an adapter, and compares what it computes with the published
numbers. [fidelity.md](fidelity.md) says how, what the words mean, and how to examine a TD3 of
your own. What is compared is one update at equal settings: no statement about returns. Defaults
that differ are those that an adapter can read in the library; settings that its users must give
are not listed.

To repeat it, about 13 GB of disk are needed (with PyTorch built for CPUs), and clones of the three
that are not on PyPI, which the variables `TD3_CLONE`, `CLEANRL_CLONE` and `SPINUP_CLONE` name;
without these, their rows are skipped. Environments go to `implementations/` and are used again."""
NOTES_HEAD = """Read in the source of the version in the table, and checked against its numbers.
*Declared* is what docstrings and comments say and, for clones, the documentation in them."""


def examine_all(environments: Path, output: Path, only: list[str]) -> list[dict[str, Any]]:
    """Run each library's adapter in its environment.

    :param environments: a folder below it for each library, made where it is missing
    :param output: a folder below it for each library's page and fidelity.json
    :return: for each library its entry in libraries.toml, and either ``record``, the content of
        its fidelity.json, or ``skipped``, the reason
    """
    libraries = tomllib.loads(LIBRARIES.read_text(encoding="utf-8"))
    rows = []
    for name, settings in libraries.items():
        if only and name not in only:
            continue
        print(f"{settings['name']} ...", flush=True)
        found = examine_one(name, settings, environments / name, output)
        print(f"  {found.get('skipped') or found['record']['verdict']}", flush=True)
        rows.append({**settings, **found})
    return rows


def examine_one(
    name: str, settings: dict[str, Any], environment: Path, output: Path
) -> dict[str, Any]:
    """Run one library's adapter."""
    clone = settings.get("clone")
    if clone and not os.environ.get(clone):
        return {"skipped": f"set {clone} to a clone of {settings['source']}"}
    python, failure = sys.executable, ""
    if "requirements" in settings:
        python, failure = build(settings, environment)
    if failure:
        return {"skipped": f"not installed: {failure}"}
    module = f"benchmarks.fidelity.adapters.{name}"
    file = output / module / FIDELITY_NUMBERS
    file.unlink(missing_ok=True)
    command = [python, "-m", "benchmarks.fidelity", f"{module}:Adapter", "--output", str(output)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if not file.exists():
        return {"skipped": f"its adapter does not start: {last_line(run.stderr)}"}
    record = json.loads(file.read_text(encoding="utf-8"))
    if clone:
        record["version"] = commit(Path(os.environ[clone]))
    return {"record": record}


def build(settings: dict[str, Any], environment: Path) -> tuple[str, str]:
    """Make an environment with the pinned versions, unless it is there.

    :return: its interpreter, and the last line of an error, empty if there was none
    """
    python, stamp = environment / "bin/python", environment / "requirements.txt"
    bare = settings.get("bare", [])
    wanted = "\n".join([*settings["requirements"], *bare])
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return str(python), ""
    # Byte-compiling PyTorch takes longer than installing it, and little of it is imported.
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-compile"]
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


def implementations_page(rows: list[dict[str, Any]]) -> str:
    """The table, and what was read in each library's source."""
    header = ["implementation", "version", "result", "causes", "cases that differ",
              "default settings that differ", "adapter, lines"]  # fmt: skip
    notes = [f"**{row['name']}**. {row['where']} *Matters:* {row['matters']} *Declared:*"
             f" {row['declared']}" for row in rows]  # fmt: skip
    parts = [INTRODUCTION, table(header, [cells(row) for row in rows]),
             "## Where in their code, and when it matters", NOTES_HEAD, bullets(notes)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def cells(row: dict[str, Any]) -> list[str]:
    """A row of the table."""
    if "skipped" in row:
        return [row["name"], "", f"skipped: {row['skipped']}", "", "", "", ""]
    record = row["record"]
    explanation = record.get("explanation", {"causes": [], "unexplained": ""})
    causes = [cause["text"] for cause in explanation["causes"]]
    if explanation["unexplained"]:
        causes.append(f"unexplained: {explanation['unexplained']}")
    differing = [case["name"] for case in record["cases"] if case["verdict"] == DIFFERS]
    declined = [case["name"] for case in record["cases"] if case["verdict"] == DECLINED]
    which = "all" if len(differing + declined) == len(record["cases"]) else ", ".join(differing)
    which += f" ({', '.join(declined)} declined)" if declined else ""
    defaults = "; ".join(f"{name} {theirs}" for name, theirs, *_ in record["defaults"] or ())
    return [
        row["name"], record["version"] or "this one", f"**{record['verdict']}**",
        "; ".join(causes or record["faults"]), which.strip(), defaults or "none",
        str(record["adapter_lines"]),
    ]  # fmt: skip


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__)
    parser.add_argument("adapter", nargs="?", help="my_module:Adapter")
    parser.add_argument("--output", type=Path, default=Path("reports"))
    parser.add_argument("--full", action="store_true", help="follow 200 updates, not 10")
    parser.add_argument("--only", nargs="*", default=[], help="names in adapters/libraries.toml")
    parser.add_argument("--environments", type=Path, default=ROOT / "implementations")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/implementations.md")
    arguments = parser.parse_args()
    if arguments.adapter:
        try:
            text, status = write_findings(arguments.adapter, arguments.output, arguments.full)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        print(text)
        return status
    rows = examine_all(arguments.environments.absolute(), arguments.output, arguments.only)
    page = implementations_page(rows)
    if not arguments.only:
        arguments.page.write_text(page, encoding="utf-8")
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
