"""Fully connected layers: made without memory, given weights, laid into one vector."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn


def mlp(inputs: int, hidden_sizes: Sequence[int], outputs: int) -> nn.Sequential:
    """Linear layers with rectified linear units between them, not yet initialised."""
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise([inputs, *hidden_sizes, outputs]):
        # Without memory at first: PyTorch's initialisation would draw from the global generator.
        layers += [nn.Linear(size_in, size_out, device="meta"), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).to_empty(device="cpu")


def initial_weights(
    parameters: Sequence[Tensor], rng: np.random.Generator
) -> list[NDArray[np.float32]]:
    """PyTorch's initialisation of a linear layer: uniform within 1/sqrt(number of inputs).

    :param parameters: weight and bias of each layer in turn
    """
    arrays: list[NDArray[np.float32]] = []
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        bound = 1.0 / np.sqrt(weight.shape[1])
        arrays.append(rng.uniform(-bound, bound, weight.shape).astype(np.float32))
        arrays.append(rng.uniform(-bound, bound, bias.shape).astype(np.float32))
    return arrays


def as_one_vector(network: nn.Module) -> Tensor:
    """Lay all weights of a network into one vector, of which its parameters become views.

    One optimiser step or target update is then a handful of operations, whatever the layers.
    """
    vector = nn.utils.parameters_to_vector(network.parameters()).detach().clone()
    nn.utils.vector_to_parameters(vector, network.parameters())
    return vector
