"""What ends a run, whichever implementation trains: numbers that are not finite.

Environments are guarded by :class:`envs.step_check.StepGuard`; here its errors get the training
step, and losses, weights and evaluations are checked in the same words.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from envs.step_check import NotFiniteError, SpaceMismatchError
from training.config import BrokenEnvironmentError, DivergedError


def refuse_not_finite(source: str, values: Any, step: int) -> None:
    """End the run if a number is NaN or infinite.

    :param source: what the numbers are
    :param values: a number or an array
    :param step: environment steps so far
    :raises DivergedError: then
    """
    if not np.isfinite(values).all():
        raise DivergedError(f"{source} is NaN or infinite at step {step}")


@contextmanager
def errors_at(step_of: Callable[[bool], int], where: str = "") -> Iterator[None]:
    """Give the errors of a guarded environment the training step that they belong to.

    :param step_of: the step, given whether a reset had the error
    :param where: added to the message
    :raises DivergedError: for what is NaN or infinite
    :raises BrokenEnvironmentError: for what does not fit the spaces
    """
    try:
        yield
    except NotFiniteError as error:
        raise DivergedError(f"{error} at step {step_of(error.at_reset)}{where}") from error
    except SpaceMismatchError as error:
        text = f"{error}, at step {step_of(error.at_reset)}{where}"
        raise BrokenEnvironmentError(text) from error
