"""The files of the TD3 author's script: ``results/TD3_<env>_<seed>.npy``."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.analysis.sources.frame import ReadOptions

PATTERNS = ("*.npy",)
ACCEPTED = "<algo>_<env>_<seed>.npy of the TD3 author's script"
NAME = re.compile(r"(?P<label>[^_]+)_(?P<env_id>.+)_(?P<run>\d+)")


def read(files: list[Path], options: ReadOptions) -> pd.DataFrame | None:
    """One value for each evaluation, the first at step 0; None for other arrays."""
    (file,) = files
    match = NAME.fullmatch(file.stem)
    values = np.load(file, allow_pickle=False)
    if match is None or values.ndim != 1 or values.dtype.kind != "f":
        return None
    steps = options.eval_freq * np.arange(len(values))
    return pd.DataFrame({"step": steps, "mean_return": values, **match.groupdict()})
