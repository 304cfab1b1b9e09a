"""Help for adapters. PyTorch is imported only by what uses it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from benchmarks.fidelity.cases import Array, Batch, Problem
from benchmarks.fidelity.kit import AdapterError

with suppress(ImportError):  # only TorchAdapter and what it calls need it
    import torch
    from torch import Tensor, nn


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Make a function return a given value, such as the noise, within this context.

    :param owner: module, class or object that the function is an attribute of
    :param value: what is returned, or a function that is called in its place
    :raises AdapterError: if the function was not called exactly once
    """
    calls = []
    old = vars(owner).get(name) if isinstance(owner, type) else getattr(owner, name)

    def replacement(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return value(*args, **kwargs) if callable(value) else value

    setattr(owner, name, replacement)
    try:
        yield
    finally:
        if old is None:
            delattr(owner, name)  # it was inherited
        else:
            setattr(owner, name, old)
    if len(calls) != 1:
        raise AdapterError(f"{name} was called {len(calls)} times in one update, not once")


def fill(modules: Iterable[nn.Module], arrays: Sequence[Array]) -> None:
    """Copy weights and biases into the linear layers of modules, in order.

    :raises AdapterError: if number or shapes do not fit
    """
    layers = [m for each in modules for m in each.modules() if isinstance(m, nn.Linear)]
    parameters = [p for layer in layers for p in (layer.weight, layer.bias)]
    shapes = [tuple(parameter.shape) for parameter in parameters]
    if shapes != [array.shape for array in arrays]:
        raise AdapterError(f"the layers have the shapes {shapes}, which the weights do not fit")
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.data.copy_(torch.from_numpy(array))


def signature_defaults(function: Any, *same: str, **renamed: str) -> dict[str, Any]:
    """Default settings, for an adapter's ``defaults``, read from a signature or a dataclass.

    :param same: settings whose parameters have the published names
    :param renamed: the parameters of other settings, by published name
    """
    parameters = inspect.signature(function).parameters
    names = {**{name: name for name in same}, **renamed}
    return {published: parameters[theirs].default for published, theirs in names.items()}


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    """Two hidden layers of 256 with rectified linear units, for libraries where nets are given."""
    hidden = (nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
    return nn.Sequential(*hidden, nn.Linear(256, outputs))


def spaces(problem: Problem) -> tuple[Any, Any]:
    """The observation space and the action space, for libraries that ask for Gymnasium's."""
    from gymnasium.spaces import Box

    unbounded = np.full(problem.observation_dim, np.inf, np.float32)
    return Box(-unbounded, unbounded), Box(problem.action_low, problem.action_high)


def environment(problem: Problem) -> Any:
    """An environment of Gymnasium with the problem's spaces, in which nothing happens."""
    import gymnasium as gym

    class Still(gym.Env[Any, Any]):
        observation_space, action_space = spaces(problem)

        def reset(self, **_: Any) -> tuple[Array, dict[str, Any]]:
            return np.zeros(problem.observation_dim, np.float32), {}

    return Still()


class TorchAdapter:
    """An adapter for networks of PyTorch. Subclasses write ``build`` and ``update``.

    :cvar unit_actions: whether the networks' actions lie in [-1, 1]; the library, its wrapper or
        its user scales them to the environment
    :ivar networks: the actor, then one module with both critics or two modules
    :ivar targets: the same of the target networks
    """

    unit_actions = False
    networks: Sequence[Any]
    targets: Sequence[Any]

    def __init__(self, problem: Problem) -> None:
        torch.set_num_threads(1)
        self.problem = problem
        self.low, self.high = map(torch.from_numpy, (problem.action_low, problem.action_high))
        self.half_width = torch.from_numpy(problem.half_width)
        self.centre = torch.from_numpy(problem.centre)
        self.build()

    def build(self) -> None:
        """Make the agent anew, with fresh optimisers; set ``networks`` and ``targets``."""
        raise NotImplementedError

    def load(self, weights: list[Array]) -> None:
        """Make the agent anew and fill networks and targets."""
        self.build()
        fill(self.networks, weights)
        fill(self.targets, weights)

    def policy(self, network: Any, observations: Tensor) -> Tensor:
        """Actions of an actor, as the library calls it."""
        actions: Tensor = network(observations)
        return actions

    def values(self, networks: Sequence[Any], observations: Tensor, actions: Tensor) -> Any:
        """Both values of the critics, as the library calls them."""
        if len(networks) == 1:
            return networks[0](observations, actions)
        return [network(observations, actions) for network in networks]

    def to_unit(self, actions: Any) -> Tensor:
        """Actions in environment units (tensor or array), scaled to [-1, 1]."""
        scaled: Tensor = (torch.as_tensor(actions) - self.centre) / self.half_width
        return scaled

    def tensors(self, batch: Batch) -> dict[str, Tensor]:
        """The batch as tensors by name, actions scaled to [-1, 1] if ``unit_actions``."""
        tensors = {name: torch.from_numpy(array) for name, array in batch._asdict().items()}
        if self.unit_actions:
            tensors["actions"] = self.to_unit(tensors["actions"])
        return tensors

    def actions(self, observations: Array) -> Array:
        """Noise-free actions in environment units."""
        return self._actions(self.networks, observations)

    def target_actions(self, observations: Array) -> Array:
        """The same of the target policy."""
        return self._actions(self.targets, observations)

    def q_values(self, observations: Array, actions: Array) -> list[Array]:
        """Values of both critics."""
        return self._values(self.networks, observations, actions)

    def target_q_values(self, observations: Array, actions: Array) -> list[Array]:
        """The same of the target critics."""
        return self._values(self.targets, observations, actions)

    def _actions(self, networks: Sequence[Any], observations: Array) -> Array:
        with torch.no_grad():
            actions = self.policy(networks[0], torch.from_numpy(observations))
            if self.unit_actions:
                actions = self.centre + self.half_width * actions
        array: Array = actions.numpy()
        return array

    def _values(self, networks: Sequence[Any], observations: Array, actions: Array) -> list[Array]:
        given = self.to_unit(actions) if self.unit_actions else torch.from_numpy(actions)
        with torch.no_grad():
            values = self.values(networks[1:], torch.from_numpy(observations), given)
        return [value.numpy() for value in values]


def normal_in_place(noise: Array) -> Callable[..., Tensor]:
    """A replacement of ``torch.Tensor.normal_`` that fills in mean + std * noise."""

    def fill_in(tensor: Tensor, mean: float = 0.0, std: Any = 1.0, **_: Any) -> Tensor:
        return tensor.copy_(mean + std * torch.from_numpy(noise))

    return fill_in
