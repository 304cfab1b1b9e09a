"""Imports run strictly downwards: a rule for each folder."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What a folder may import of this project, itself and its subfolders apart.
BELOW: dict[str, set[str]] = {
    "envs": set(),
    "td3_reference": set(),
    "training": {"envs", "td3_reference"},
    "train_sb3": {"envs", "training"},
    "benchmarks": {"envs", "td3_reference", "training", "train_sb3"},
}
# Turning results into numbers and pages must not import what trains.
TRAINS = ("training.run", "training.reference", "training.sb3.learner", "training.supervisor",
          "training.evaluation", "benchmarks.sweep", "td3_reference.td3")  # fmt: skip
READS_ONLY = ("benchmarks/analysis", "benchmarks/report", "benchmarks/optimum")


def files_of(name: str) -> list[Path]:
    return sorted((ROOT / name).glob("**/*.py")) or [ROOT / f"{name}.py"]


def imports(file: Path) -> set[str]:
    """Names of the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            assert node.module
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("name", BELOW)
def test_a_folder_imports_only_those_below_it(name: str) -> None:
    for file in files_of(name):
        ours = {module.split(".")[0] for module in imports(file)} & BELOW.keys()
        assert ours <= BELOW[name] | {name}, file


@pytest.mark.parametrize("name", ["training/sb3"])
def test_only_the_entry_point_of_training_imports_what_is_sb3s_own(name: str) -> None:
    inside = {*files_of(name), ROOT / "training/run.py", ROOT / "training/environments.py"}
    for file in {*files_of("training")} - inside:
        used = {module for module in imports(file) if module.startswith("training.sb3")}
        assert used <= {
            "training.sb3.algorithms",
            "training.sb3.algorithms.environment_family",
            "training.sb3.hyperparameters",
            "training.sb3.hyperparameters.check_values",
        }


def test_the_environments_import_no_reinforcement_learning_library() -> None:
    for file in files_of("envs"):
        top = {module.split(".")[0] for module in imports(file)}
        allowed = {"stable_baselines3"} if file.name == "checker.py" else set()
        assert not top & {"stable_baselines3", "torch"} - allowed, file


def test_importing_the_environments_loads_no_reinforcement_learning_library() -> None:
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in files_of("envs")
        if not file.stem.startswith("__")
    ]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_reference_imports_torch_and_numpy_only() -> None:
    outside = {"torch", "numpy", "td3_reference"}
    standard = {"collections", "copy", "dataclasses", "itertools", "shutil", "typing"}
    standard |= {"pathlib", "sysconfig"}
    for file in files_of("td3_reference"):
        assert {module.split(".")[0] for module in imports(file)} <= outside | standard, file


@pytest.mark.parametrize("folder", READS_ONLY)
def test_analysis_and_reports_do_not_import_training(folder: str) -> None:
    for file in files_of(folder):
        for name in imports(file):
            assert not any(name == module or name.startswith(f"{module}.") for module in TRAINS), (
                file, name
            )  # fmt: skip
