"""What ends a run, whichever implementation trains: numbers that are not finite.

Environments are guarded by :class:`envs.step_check.StepGuard`; here its errors get the training
step, and losses, weights and evaluations are checked in the same words.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

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


def refuse_weights(named: Iterable[tuple[str, torch.Tensor]], step: int) -> None:
    """End the run if a weight is NaN or infinite.

    :param named: weights by name
    :param step: environment steps so far
    :raises DivergedError: then, naming the weight
    """
    for name, weights in named:
        if not torch.isfinite(weights).all():
            raise DivergedError(f"weight {name} is NaN or infinite at step {step}")


@contextmanager
def training_guarded(step_of: Callable[[bool], int], weights: Callable[[], None]) -> Iterator[None]:
    """Give the errors of a guarded training environment their step.

    :param step_of: the step of an error, given whether a reset had it
    :param weights: checks the weights: an action that is not finite comes from them
    :raises DivergedError: for what is NaN or infinite
    :raises BrokenEnvironmentError: for what does not fit the spaces
    """
    try:
        yield
    except NotFiniteError as error:
        weights()
        raise DivergedError(f"{error} at step {step_of(error.at_reset)}") from error
    except SpaceMismatchError as error:
        raise BrokenEnvironmentError(f"{error}, at step {step_of(error.at_reset)}") from error


@contextmanager
def evaluation_guarded(step: int) -> Iterator[None]:
    """Give the errors of an evaluation the training step at which it is made.

    :param step: environment steps of training so far
    :raises DivergedError: for what is NaN or infinite
    :raises BrokenEnvironmentError: for what does not fit the spaces
    """
    try:
        yield
    except NotFiniteError as error:
        raise DivergedError(f"{error} at step {step}, in the evaluation") from error
    except SpaceMismatchError as error:
        raise BrokenEnvironmentError(f"{error}, at step {step}, in the evaluation") from error
