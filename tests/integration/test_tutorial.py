"""The tutorial can be carried out, from its first cell to its last."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command_lines import ROOT
from tests.helpers.notebook import code_cells, outputs

TUTORIAL = ROOT / "docs/tutorial.ipynb"
MOST_BYTES = 500_000


def test_it_is_small_and_shows_what_it_has_done_without_an_error() -> None:
    assert TUTORIAL.stat().st_size < MOST_BYTES
    shown = outputs(TUTORIAL)
    assert not any(output["output_type"] == "error" for output in shown)
    text = "".join("".join(output.get("text", ())) for output in shown)
    assert "/home/" not in text
    assert str(ROOT) not in text
    assert code_cells(TUTORIAL)[0].startswith("SHARE = ")


@pytest.mark.slow
def test_it_runs_from_its_first_cell_to_its_last(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.helpers.notebook", str(TUTORIAL), "SHARE=0.02"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    said = finished.stdout
    assert "return" in said.partition("bang-bang")[2]
    assert said.index("MyRocket-v0") < said.index("Broken-v0") < said.index("gamma = 0.99")
    assert "tqc" in said
    assert (tmp_path / "runs/tutorial/random.gif").stat().st_size < MOST_BYTES
