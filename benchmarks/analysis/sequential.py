"""Repeated looks at a comparison, without more false differences than a single look gives.

Testing at 5 % after 5, 10, 20 and 40 seeds, and stopping at the first difference, finds one that
does not exist in 15 % of experiments. Testing at a lower level each time, the same at every look
(Pocock 1977, "Group sequential methods in the design and analysis of clinical trials"), keeps the
error over all looks at 5 %.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import stats

ALPHA = 0.05  # the error over all looks
TRIALS = 200_000  # gives a level to within about 1 % of its value


def nominal_level(looks: Sequence[int]) -> float:
    """The level of each test, the same at every look, that keeps the error over all at 5 %.

    It comes from simulated differences of means (a random walk over seeds) of known variance.
    docs/calibration.md shows the error of the test that is used, on scores of several kinds.

    :param looks: numbers of seeds, ascending; none or one means a single look
    :return: rounded down to four digits after the point
    """
    return _level(tuple(looks)) if len(looks) > 1 else ALPHA


def overall_error(looks: Sequence[int], level: float) -> float:
    """Chance that at least one of the looks finds a difference that does not exist.

    :param level: of each test
    """
    return float(np.mean(_largest(tuple(looks)) > stats.norm.ppf(1.0 - level / 2.0)))


@lru_cache
def _level(looks: tuple[int, ...]) -> float:
    bound = np.quantile(_largest(looks), 1.0 - ALPHA)
    return float(np.floor(20_000.0 * stats.norm.sf(bound)) / 10_000.0)


def _largest(looks: tuple[int, ...]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The largest |z| over the looks in each trial, shape (TRIALS,)."""
    numbers = np.array(looks, dtype=float)
    steps = np.random.default_rng(0).standard_normal((TRIALS, len(looks)))
    walk = np.cumsum(steps * np.sqrt(np.diff(numbers, prepend=0.0)), axis=1)
    return np.asarray(np.abs(walk / np.sqrt(numbers)).max(axis=1))
