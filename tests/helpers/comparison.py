"""Two folders of runs, compared."""

from pathlib import Path

from benchmarks.analysis.contrast import ComparisonRequest
from benchmarks.analysis.sources.frame import ReadOptions
from benchmarks.report.compare import write_comparison


def compare_page(root: Path, env_id: str | None = None) -> str:
    """Compare the runs in ``root/a`` and ``root/b``; returns the page, writes ``root/compared``."""
    request = ComparisonRequest(env_ids=(env_id,) if env_id else ())
    words = [str(root / label) for label in ("a", "b")]
    return write_comparison(words, request, ReadOptions(), root / "compared")
