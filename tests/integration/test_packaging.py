"""environment.yml, constraints.txt and pyproject.toml say the same."""

import re
import tomllib
from fnmatch import fnmatch
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = {
    canonicalize_name(line.split("==")[0]): line.split("==")[1]
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
}


def collect(requirement: str, found: set[NormalizedName]) -> None:
    """Add the names of all packages that a requirement brings, those of its own included."""
    wanted = Requirement(requirement)
    name = canonicalize_name(wanted.name)
    if name in found:
        return
    found.add(name)
    for each in requires(name) or []:
        marker = Requirement(each).marker
        extras = wanted.extras or {""}
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            collect(each, found)


def test_every_direct_dependency_is_pinned() -> None:
    extras = PROJECT["optional-dependencies"]
    for requirement in [*PROJECT["dependencies"], *extras["dev"], *extras["mujoco"]]:
        assert canonicalize_name(Requirement(requirement).name) in CONSTRAINTS
    assert {"mujoco", "imageio"} <= CONSTRAINTS.keys()


def test_everything_that_is_installed_with_the_project_is_pinned_and_at_its_version() -> None:
    names: set[NormalizedName] = set()
    for requirement in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]:
        collect(requirement, names)
    assert len(names) > 40
    for name in names:
        assert version(name).split("+")[0] == CONSTRAINTS[name], name


def test_torch_is_pinned_without_naming_a_build() -> None:
    assert CONSTRAINTS[canonicalize_name("torch")] == "2.13.0"


def test_conda_users_get_the_project_under_the_same_constraints() -> None:
    environment = (ROOT / "environment.yml").read_text()
    assert "- --constraint constraints.txt\n" in environment
    assert "- --editable .[dev]\n" in environment
    assert "--constraint constraints.txt --editable '.[dev]'" in (ROOT / "Makefile").read_text()
    found = re.search(r"- python=(\d+\.\d+)", environment)
    assert found
    assert PROJECT["requires-python"] == f">={found[1]}"


def test_every_package_is_installed() -> None:
    found = {str(file.parent.relative_to(ROOT)) for file in ROOT.glob("*/**/__init__.py")
             if not file.relative_to(ROOT).parts[0].startswith((".", "build"))}  # fmt: skip
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = setuptools["packages"]["find"]["include"]
    installed = {name for name in found if any(fnmatch(name, pattern) for pattern in patterns)}
    assert {name.split("/")[0] for name in found - installed} == {"tests"}
    assert {"envs", "td3_reference", "training", "training/sb3", "benchmarks"} <= installed
    assert setuptools["py-modules"] == ["train_sb3"]
