"""The documentation names nothing that does not exist: commands, options, files, code and links."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks.experiments import EXPERIMENTS, read_experiment
from envs.controllers import CONTROLLERS
from envs.dynamics import RocketParameters
from tests.helpers.command_checks import known_options, made_by, refuse
from tests.helpers.command_lines import ROOT
from tests.helpers.documentation import Page
from train_sb3 import Arguments

PATHS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OWN = ("envs", "td3_reference", "training", "train_sb3", "benchmarks", "tests")
FOLDERS = (*OWN, "docs", ".ci")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
FILE = re.compile(r"[\w.-]+(/[\w.*-]+)*/?")
CODE = re.compile(r"[a-z]\w*(\.[A-Za-z]\w*)+(:[A-Z]\w*)?")
README_LINES = 150


def faults(page: Page) -> list[str]:
    """All that a page names and that does not exist."""
    checks = (command_faults, option_faults, snippet_faults, name_faults, link_faults)
    return [fault for check in checks for fault in check(page)]


@cache
def experiments_made() -> frozenset[str]:
    commands = [words for path in PATHS for words in Page(path).commands]
    return frozenset(made_by(commands))


def command_faults(page: Page) -> Iterator[str]:
    for words in page.commands:
        while re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        try:
            refuse(words, experiments_made())
        except ValueError as error:
            yield f"{' '.join(words)}: {error}"


def option_faults(page: Page) -> Iterator[str]:
    for span in page.spans:
        unknown = {*OPTION.findall(span)} - known_options()
        yield from (f"{span}: no command has the option {option}" for option in unknown)


def snippet_faults(page: Page) -> Iterator[str]:
    """Own names that cannot be imported, and arguments that they do not take."""
    for snippet in page.snippets:
        tree = ast.parse(snippet)
        imported: dict[str, Any] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in OWN:
                for name in (alias.name for alias in node.names):
                    imported[name] = resolve(f"{node.module}.{name}")
                    if imported[name] is None:
                        yield f"{node.module} has no {name}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called = imported.get(node.func.id)
                known = inspect.signature(called).parameters if called else {}
                given = {str(keyword.arg) for keyword in node.keywords} if known else set()
                yield from (f"{node.func.id} takes no {each}" for each in given - {*known})


def resolve(name: str) -> Any:
    """What a dotted name of this project means; None if nothing."""
    module, _, attribute = name.replace(":", ".").rpartition(".")
    try:
        return importlib.import_module(name)
    except ImportError:
        pass
    try:
        return getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        # An adapter's library need not be installed here.
        is_there = str(error.name).split(".")[0] not in OWN and find_spec(module)
        return object if is_there else None


def name_faults(page: Page) -> Iterator[str]:
    """Files and modules of this project."""
    names = {path.name for folder in FOLDERS for path in (ROOT / folder).glob("**/*.py")}
    for span in page.spans:
        top = re.split(r"[/:]|(?<=.)\.", span)[0]
        if FILE.fullmatch(span) and "/" in span and top in FOLDERS:
            if not any(ROOT.glob(span.rstrip("/"))):
                yield f"there is no {span}"
        elif re.fullmatch(r"\w+\.py", span):
            if span not in names | {"train_sb3.py"} and not span.startswith("my_"):
                yield f"there is no {span}"
        elif CODE.fullmatch(span) and top in OWN and resolve(span) is None:
            yield f"there is no {span}"
    for path in (path for tree in page.trees for path in tree):
        if not (ROOT / path).exists():
            yield f"there is no {path}"


def link_faults(page: Page) -> Iterator[str]:
    for link in page.links:
        file, _, anchor = link.partition("#")
        target = (page.path.parent / file).resolve() if file else page.path
        if not (target.exists() or target == page.path):
            yield f"there is no {link}"
        elif anchor and anchor not in (page if target == page.path else Page(target)).anchors:
            yield f"{file or 'the page'} has no heading {anchor}"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_all_that_a_page_names_exists(path: Path) -> None:
    assert faults(Page(path)) == []


def test_the_readme_is_one_screen_and_leads_to_every_page() -> None:
    readme = Page(ROOT / "README.md")
    assert len(readme.text.splitlines()) <= README_LINES
    reached = {link.partition("#")[0] for link in readme.links}
    assert {str(path.relative_to(ROOT)) for path in PATHS} - {"README.md"} <= reached


def test_pages_list_all_options_parameters_controllers_and_experiments() -> None:
    running, environments, experiments = (
        Page(ROOT / f"docs/{name}.md") for name in ("running", "environments", "experiments")
    )
    switches = {"no-check": "check"}  # what is on by default is listed by what switches it off
    listed = [option.removeprefix("--") for option in running.table_column("option")]
    listed = [switches.get(name, name).replace("-", "_") for name in listed]
    assert {*listed, "list_algos"} == {field.name for field in fields(Arguments)}
    assert environments.table_column("parameter") == [f.name for f in fields(RocketParameters)]
    assert environments.table_column("name") == list(CONTROLLERS)
    assert sorted(experiments.table_column("experiment")) == sorted(EXPERIMENTS)


def test_the_rocket_s_defaults_are_those_of_its_page() -> None:
    text = (ROOT / "docs/environments.md").read_text(encoding="utf-8")
    for field in fields(RocketParameters):
        assert f"| `{field.name}` | {field.default} |" in text


MADE_UP = """# A page

    make bencmark
    .venv/bin/python -m benchmarks sweep quick --worker 2
    .venv/bin/python -m benchmarks report quack
    .venv/bin/python train_sb3.py --algo tdd3 --seed 0
    .venv/bin/python train_sb3.py --hyperparams gama=0.9
    .venv/bin/python -m benchmarks record runs/quack/td3/rocket-v0_0
    .venv/bin/python -m envs.check rocket-v0
    .venv/bin/python -m benchmarks.fidelity my_module:Adapter --ful
    .venv/bin/dask worker tcp://host:port --threads 1

Give `--until-decidd`, see `envs/rockets.py`, `run_loops.py`, `td3_reference.TD4` and
[the protocol](running.md#the-protocols) or [nothing](nothing.md), or run `make tests`.

    from training.config import RunConfig, RunConfiguration
    RunConfig(algorithm="td3")

What is there:

    envs/          the tasks
      checkers/    none
"""
EXPECTED = [
    "no bencmark", "Unrecognized options: --worker", "unknown experiment 'quack'",
    "unknown algorithm 'tdd3'", "unknown hyperparameters of td3: gama", "runs/quack is made by no",
    "envs.check must be one of", "unrecognized arguments: --ful", "has no --threads",
    "no tests", "--until-decidd", "no RunConfiguration", "RunConfig takes no algorithm",
    "no envs/rockets.py", "no run_loops.py", "no td3_reference.TD4", "no envs/checkers/",
    "no heading the-protocols", "no nothing.md",
]  # fmt: skip


def test_a_page_with_mistakes_is_told_each_of_them() -> None:
    found = faults(Page(ROOT / "docs/made_up.md", MADE_UP))
    for expected in EXPECTED:
        assert sum(expected in fault for fault in found) == 1, (expected, found)
    assert len(found) == len(EXPECTED), found


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--total-timesteps", "--algos", "--margin", "--hyperparams"])
def test_a_renamed_option_is_found_on_the_pages_that_use_it(option: str) -> None:
    renamed = [Page(path, Page(path).text.replace(option, f"{option}-now")) for path in PATHS]
    used = [page for page in renamed if f"{option}-now" in page.text]
    assert used
    for page in used:
        assert any(f"{option}-now" in fault for fault in faults(page)), page.name


# Commands of the pages, each with what makes it short.
SHORTENED = {
    "-m envs.checks my_module:MyEnv-v0": "",
    "train_sb3.py --algo sac --env-id my_module:MyEnv-v0": "--total-timesteps 300",
    "-m benchmarks sweep mine --algos td3 td3_reference --envs my_module:MyEnv-v0"
    " --seeds 10 --total-timesteps 50000 --margin 20": "--seeds 2 --total-timesteps 300",
    "-m benchmarks report mine --trust my_module": "",
    "-m benchmarks sweep search --algos td3 my_agent:MyAgent --envs Pendulum-v1"
    " --seeds 5 --total-timesteps 2000": "--seeds 1 --total-timesteps 300",
    "-m benchmarks report search": "",
    "-m benchmarks evaluate my_policy:policy --env-id rocket-v0": "",
    "-m benchmarks sweep my_experiment.toml": "--seeds 1 --total-timesteps 300",
    "-m benchmarks record pd --initial-state 1 0": "",
    "-m benchmarks record random --env-id CartPole-v1": "",
}


def experiment_file() -> str:
    """The example of the page."""
    text = (ROOT / "docs/experiments.md").read_text(encoding="utf-8")
    return text.partition("```toml\n")[2].partition("```")[0]


def test_the_experiment_file_of_the_page_is_one(tmp_path: Path) -> None:
    (tmp_path / "my_experiment.toml").write_text(experiment_file())
    made = read_experiment(tmp_path / "my_experiment.toml")
    assert len(made.runs()) == 2 * (10 + 10 + 5)


@pytest.mark.slow
def test_commands_of_the_pages_work_with_the_environment_of_the_page(tmp_path: Path) -> None:
    (example,) = Page(ROOT / "docs/your_environment.md").snippets
    (tmp_path / "my_module.py").write_text(example)
    (agent,) = (
        text for text in Page(ROOT / "docs/your_algorithm.md").snippets if "MyAgent" in text
    )
    (tmp_path / "my_agent.py").write_text(agent)
    (tmp_path / "my_policy.py").write_text("def policy(observation):\n    return [0.0]\n")
    (tmp_path / "my_experiment.toml").write_text(experiment_file())
    (tmp_path / "train_sb3.py").symlink_to(ROOT / "train_sb3.py")
    commands = {" ".join(words[1:]) for path in PATHS for words in Page(path).commands}
    for command, more in SHORTENED.items():
        assert command in commands
        run = subprocess.run(
            [sys.executable, *command.split(), *more.split()],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, (command, run.stderr)
    for file in ("runs/sac/MyEnv-v0_0/model.zip", "reports/mine/report.html"):
        assert (tmp_path / file).exists()
