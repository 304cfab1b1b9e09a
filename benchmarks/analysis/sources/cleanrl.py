"""CleanRL's TensorBoard folders: training episodes, in one event file or several of one run."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.analysis.sources.frame import ReadOptions, from_run_name

PATTERNS = ("*tfevents*",)
TAG = "charts/episodic_return"
ACCEPTED = f"TensorBoard event files with the tag {TAG}, as CleanRL's"
TABLE = "hyperparameters/text_summary"
NAMES = {"env_id": "env_id", "exp_name": "label", "seed": "run"}  # there -> here


def read(files: list[Path], options: ReadOptions) -> pd.DataFrame | None:
    """A folder's episodes, in the order in which its files were begun; None without any.

    KEYS come from the logged table of hyperparameters, else from the folder's name. That name lacks
    the namespace of an environment that has one: its slash makes one more folder.

    :raises ValueError: if the files' tables name different runs
    """
    logs = [(file, load(file)) for file in files]
    logs.sort(key=lambda log: log[1].FirstEventTimestamp())
    points = [
        {"step": event.step, "mean_return": event.value, "file": file}
        for file, log in logs
        if TAG in log.Tags()["scalars"]
        for event in log.Scalars(TAG)
    ]
    if not points:
        return None
    keys = from_run_name(files[0].parent.name)
    if len(keys) < len(NAMES):
        keys = {}
    tables: dict[str, str] = {}
    for _, log in logs:
        for name, value in _hyperparameters(log):
            if tables.setdefault(name, value) != value:
                known = f"{name} {tables[name]} and {value}"
                raise ValueError(f"its folder holds several runs, with {known}")
    return pd.DataFrame(points).assign(**keys | tables)


def load(file: Path) -> Any:
    """A file's events, all of them.

    TensorBoard stops silently at a broken record, so the records are checked first.

    :raises Exception: TensorBoard's own, if a record is broken or there is none
    """
    from tensorboard.backend.event_processing import (  # type: ignore[import-untyped]
        event_accumulator,
    )
    from tensorboard.compat import tensorflow_stub  # type: ignore[import-untyped]

    records = tensorflow_stub.pywrap_tensorflow.PyRecordReader_New(str(file))
    records.GetNext()
    with suppress(tensorflow_stub.errors.OutOfRangeError):
        while True:
            records.GetNext()
    return event_accumulator.EventAccumulator(
        str(file), size_guidance={"scalars": 0, "tensors": 0}
    ).Reload()


def _hyperparameters(log: Any) -> Iterator[tuple[str, str]]:
    """KEYS from the Markdown table that CleanRL logs first."""
    if TABLE in log.Tags()["tensors"]:
        text = log.Tensors(TABLE)[0].tensor_proto.string_val[0].decode()
        for line in text.splitlines():
            cells = line.strip("|").split("|")
            if len(cells) == 2 and cells[0] in NAMES:
                yield NAMES[cells[0]], cells[1].split(":")[-1]
