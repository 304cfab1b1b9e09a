"""Adam and target updates: elementwise passes over vectors of weights."""

import torch
from torch import Tensor

from td3_reference.networks import compiled

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def adam_step(
    weights: Tensor, gradient: Tensor, exp_avg: Tensor, exp_avg_sq: Tensor, rate: Tensor,
    correction: Tensor,
) -> None:  # fmt: skip
    """One step of Adam, in place, with the same rounding as torch.optim.Adam.

    :param exp_avg, exp_avg_sq: moving averages of gradients and of their squares
    :param rate: learning rate, divided by the bias correction of ``exp_avg``
    :param correction: square root of the bias correction of ``exp_avg_sq``
    """
    exp_avg.lerp_(gradient, 1 - BETA1)
    exp_avg_sq.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
    denominator = exp_avg_sq.sqrt().div_(correction).add_(EPSILON)
    weights.sub_((exp_avg * rate).div_(denominator))


def polyak_step(weights: Tensor, target: Tensor, tau: float) -> None:
    """Move a target to tau * weights + (1 - tau) * target, in this order of operations.

    A linear interpolation or a fused optimiser would differ in the last bit. That is enough for an
    inactive hidden unit to become active at another update, which Adam amplifies to differences of
    1e-2 within 200 updates. In this order, the published numbers are reproduced bit by bit.
    """
    target.mul_(1 - tau).add_(tau * weights)


class Adam:
    """Kingma and Ba's optimiser (2015), for one vector.

    :param weights: changed in place
    :param learning_rate: its step size
    :param compile: whether to compile its operations into one pass over the vectors
    """

    def __init__(self, weights: Tensor, learning_rate: float, compile: bool = False) -> None:
        self.weights, self.learning_rate = weights, learning_rate
        self._step = compiled(adam_step) if compile else adam_step
        self.steps = 0
        self.exp_avg, self.exp_avg_sq = torch.zeros_like(weights), torch.zeros_like(weights)

    def reset(self) -> None:
        """Forget all gradients."""
        self.steps = 0
        self.exp_avg.zero_()
        self.exp_avg_sq.zero_()

    def step(self, gradient: Tensor) -> None:
        """Descend along a gradient."""
        self.steps += 1
        rate = self.learning_rate / (1 - BETA1**self.steps)
        correction = (1 - BETA2**self.steps) ** 0.5
        scalars = torch.tensor([rate, correction])
        self._step(self.weights, gradient, self.exp_avg, self.exp_avg_sq, *scalars)

    def get_state(self) -> dict[str, Tensor]:
        """Counter and averages, under the names of torch.optim.Adam."""
        averages = {"exp_avg": self.exp_avg.clone(), "exp_avg_sq": self.exp_avg_sq.clone()}
        return {"step": torch.tensor(float(self.steps)), **averages}

    def set_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a state that :meth:`get_state` returned."""
        self.steps = int(state["step"])
        self.exp_avg.copy_(state["exp_avg"])
        self.exp_avg_sq.copy_(state["exp_avg_sq"])
