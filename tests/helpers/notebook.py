"""Run a notebook without Jupyter: its cells, one after another, in one namespace."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def code_cells(path: Path) -> list[str]:
    """Sources of a notebook's code cells."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def outputs(path: Path) -> list[dict[str, Any]]:
    """The saved outputs of a notebook's cells."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", ())]


def carry_out(path: Path, **settings: str) -> None:
    """Execute all cells, without showing anything.

    :param settings: Python expressions by name, which replace the values that the cells set
    """
    display = ModuleType("IPython.display")
    display.Image = lambda data: data  # type: ignore[attr-defined]
    jupyter = ModuleType("IPython")
    # Matplotlib asks for these.
    jupyter.get_ipython = lambda: None  # type: ignore[attr-defined]
    jupyter.version_info = (9, 0)  # type: ignore[attr-defined]
    sys.modules["IPython"] = jupyter
    sys.modules["IPython.display"] = display
    names: dict[str, Any] = {"__name__": "__main__"}
    for i, cell in enumerate(code_cells(path)):
        exec(compile(cell, f"{path.name}, code cell {i}", "exec"), names)
        for name in settings.keys() & names.keys():
            names[name] = eval(settings[name])


if __name__ == "__main__":
    carry_out(Path(sys.argv[1]), **dict(word.split("=") for word in sys.argv[2:]))
