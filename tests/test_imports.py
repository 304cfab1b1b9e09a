"""Imports run strictly downwards."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def files_of(name: str) -> list[Path]:
    return sorted((ROOT / name).glob("**/*.py")) or [ROOT / f"{name}.py"]


ALLOWED = {
    "envs": set(),
    "td3_reference": set(),
    "sb3_training": {"envs"},
    "train_sb3": {"envs", "sb3_training"},
    "benchmarks": {"envs", "td3_reference", "sb3_training", "train_sb3"},
}
REPORTING = [
    *("results", "statistics", "verdict", "coverage", "comparisons", "optimal_returns"),
    *(
        *("analysis/sides", "analysis/starts"),
        *(f"analysis/sources/{file.stem}" for file in files_of("benchmarks/analysis/sources")),
        *("compare", "compare_figures", "contrast"),
        "markup",
        "latex",
        "paper_results",
        "tables",
        "drawing",
        "plots",
        "report",
    ),
    *("grids", "dynamic_programming", "optimal_control"),
]
TRAINING = {
    "benchmarks.run",
    "benchmarks.reference",
    "benchmarks.sweep",
    "sb3_training.training",
    "sb3_training.evaluation",
    "sb3_training.callbacks",
}


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


@pytest.mark.parametrize("name", ALLOWED)
def test_a_package_imports_only_those_below_it(name: str) -> None:
    for file in files_of(name):
        ours = {module.split(".")[0] for module in imports(file)} & ALLOWED.keys()
        assert ours <= ALLOWED[name] | {name}, file


def test_the_environments_import_no_reinforcement_learning_library() -> None:
    for file in files_of("envs"):
        top = {module.split(".")[0] for module in imports(file)}
        allowed = {"stable_baselines3"} if file.name == "checks.py" else set()  # its checker
        assert not top & {"stable_baselines3", "torch"} - allowed, file


def test_importing_the_environments_loads_no_reinforcement_learning_library() -> None:
    modules = [f"envs.{file.stem}" for file in files_of("envs") if file.stem != "__init__"]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_reference_imports_torch_and_numpy_only() -> None:
    outside = {"torch", "numpy", "td3_reference"}
    standard = {"collections", "copy", "dataclasses", "itertools", "shutil", "typing"}
    standard |= {"pathlib", "sysconfig"}
    for file in files_of("td3_reference"):
        assert {module.split(".")[0] for module in imports(file)} <= outside | standard, file


def test_reporting_does_not_import_training() -> None:
    for name in REPORTING:
        assert not imports(ROOT / "benchmarks" / f"{name}.py") & TRAINING, name
