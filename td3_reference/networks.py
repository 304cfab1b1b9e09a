"""Fully connected layers: made, initialised, laid into one vector; compiling."""

import shutil
import sysconfig
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


def mlp(inputs: int, hidden_sizes: Sequence[int], outputs: int) -> nn.Sequential:
    """Linear layers with rectified linear units between them, not yet initialised."""
    layers: list[nn.Module] = []
    for size_in, size_out in pairwise([inputs, *hidden_sizes, outputs]):
        # Without memory at first: PyTorch's initialisation would draw from the global generator.
        layers += [nn.Linear(size_in, size_out, device="meta"), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1]).to_empty(device="cpu")


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
    """Lay all weights of a network into one vector, of which its parameters become views.

    One optimiser step or target update is then a handful of operations, whatever the layers.
    """
    vector = nn.utils.parameters_to_vector(network.parameters()).detach().clone()
    nn.utils.vector_to_parameters(vector, network.parameters())
    return vector


def as_vector(tensors: Sequence[Tensor]) -> Tensor:
    """The tensors, flattened, one after another."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def require_compiler() -> None:
    """Refuse to go on without what torch.compile calls and includes.

    :raises RuntimeError: if it is not there
    """
    if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        raise RuntimeError("compiling needs a C++ compiler: install g++ or clang++")
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        raise RuntimeError("compiling needs Python's headers: install python3-dev")


def compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function compiled by torch, gradients taken inside it included.

    :raises RuntimeError: if there is no C++ compiler
    """
    require_compiler()
    from torch._dynamo import config  # takes seconds to import, and is needed here only

    config.trace_autograd_ops = True
    compiled_function: Callable[..., Tensor] = torch.compile(function, fullgraph=True)
    return compiled_function
