"""Fully connected networks: forward, backward, initialisation, one vector of weights, compiling."""

import shutil
import sysconfig
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F


class Linear(nn.Linear):
    """A linear layer without initialisation: PyTorch's draws from the global generator."""

    def reset_parameters(self) -> None:
        """Do nothing. The device "meta" would also avoid draws, but takes a second to load."""


class Mlp(nn.Sequential):
    """Linear layers with rectified linear units between them, not yet initialised.

    It can be called like any module. :meth:`activations` and :meth:`backward` write out the same
    arithmetic: equal to the last bit, with a fraction of the calls into PyTorch.

    :param inputs: length of an input
    :param hidden_sizes: widths of the hidden layers
    :param outputs: length of an output
    """

    def __init__(self, inputs: int, hidden_sizes: Sequence[int], outputs: int) -> None:
        sizes = pairwise([inputs, *hidden_sizes, outputs])
        linear = [Linear(size_in, size_out) for size_in, size_out in sizes]
        layers: list[nn.Module] = []
        for layer in linear:
            layers += [layer, nn.ReLU(inplace=True)]
        super().__init__(*layers[:-1])
        self._linear = tuple(linear)

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """The inputs of each linear layer, and last the outputs; each of shape (n, width)."""
        values = [inputs]
        for layer in self._linear[:-1]:
            values.append(F.linear(values[-1], layer.weight, layer.bias).relu_())
        last = self._linear[-1]
        return [*values, F.linear(values[-1], last.weight, last.bias)]

    def backward(
        self, activations: Sequence[Tensor], gradient: Tensor, to_inputs: bool = False
    ) -> tuple[Tensor, ...]:
        """The chain rule through all layers.

        :param activations: from :meth:`activations`
        :param gradient: of a loss with respect to the outputs, shape (n, outputs)
        :param to_inputs: whether to return the gradient with respect to the inputs instead
        :return: gradients with respect to weight and bias of each layer in turn, or to the inputs
        """
        gradients: list[Tensor] = []
        for i in range(len(self._linear) - 1, -1, -1):
            given = activations[i]
            if not to_inputs:
                gradients += [gradient.sum(0), gradient.t() @ given]
            if i > 0:
                gradient = torch.ops.aten.threshold_backward(
                    gradient @ self._linear[i].weight, given, 0
                )
            elif to_inputs:
                return (gradient @ self._linear[i].weight,)
        return tuple(reversed(gradients))


def initial_weights(
    networks: Sequence[nn.Module], rng: np.random.Generator | None = None
) -> list[NDArray[np.float32]]:
    """PyTorch's initialisation of linear layers: uniform within 1/sqrt(number of inputs).

    :param rng: a generator with seed 0 by default
    :return: weight and bias of each layer in turn
    """
    rng = rng or np.random.default_rng(0)
    arrays: list[NDArray[np.float32]] = []
    for network in networks:
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                bound = 1.0 / np.sqrt(layer.in_features)
                for shape in (layer.weight.shape, layer.bias.shape):
                    arrays.append(rng.uniform(-bound, bound, shape).astype(np.float32))
    return arrays


def as_one_vector(network: nn.Module) -> Tensor:
    """Copy all weights of a network into one vector; its parameters become views of the vector.

    An optimiser step or target update is then a few operations, however many layers there are.
    """
    vector = nn.utils.parameters_to_vector(network.parameters()).detach().clone()
    nn.utils.vector_to_parameters(vector, network.parameters())
    return vector


def as_vector(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors, flattened, one after another."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def require_compiler() -> None:
    """Check that the C++ compiler and the headers that torch.compile needs are installed.

    :raises RuntimeError: if one of them is missing
    """
    if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        raise RuntimeError("compiling needs a C++ compiler: install g++ or clang++")
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        raise RuntimeError("compiling needs Python's headers: install python3-dev")


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled by torch.

    :raises RuntimeError: as :func:`require_compiler` does
    """
    require_compiler()
    return torch.compile(function, fullgraph=True)
