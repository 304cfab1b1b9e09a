"""sbx: SB3's algorithms in JAX; as in SB3, critics see actions in [-1, 1]."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from sbx import TD3
from torch import Tensor

from benchmarks.fidelity.adapters import sb3
from benchmarks.fidelity.cases import Array
from benchmarks.fidelity.helpers import replaced, signature_defaults


class Adapter(sb3.Adapter):
    """``TD3.train`` draws the noise with ``jax.random.normal``."""

    package = "sbx-rl"

    def build(self) -> None:
        """Made in ``load``."""

    def load(self, weights: list[Array]) -> None:
        """Dense layers hold the transpose; both critics are stacked in one tree."""
        self.model = self.new_model(TD3)
        policy = self.model.policy
        pairs = zip(weights[6:12], weights[12:], strict=True)
        critics = [np.stack([first.T, second.T]) for first, second in pairs]
        policy.actor_state = self.fresh(policy.actor_state, [array.T for array in weights[:6]])
        policy.qf_state = self.fresh(policy.qf_state, critics)
        self.networks, self.targets = ["params"] * 2, ["target_params"] * 2

    def fresh(self, state: Any, arrays: list[Array]) -> Any:
        """The training state with these arrays; JAX sorts a layer's bias before its kernel."""
        ordered = [jnp.asarray(arrays[i]) for i in (1, 0, 3, 2, 5, 4)]
        tree = jax.tree_util.tree_structure(state.params)
        params = jax.tree_util.tree_unflatten(tree, ordered)
        opt_state = state.tx.init(params)
        return state.replace(params=params, target_params=params, opt_state=opt_state, step=0)

    @contextmanager
    def drawn(self, noise: Array) -> Iterator[None]:
        """The noise in place of what JAX draws; eager, since compiled code would keep the first."""
        with jax.disable_jit(), replaced(jax.random, "normal", jnp.asarray(noise)):
            yield

    def policy(self, network: Any, observations: Tensor) -> Tensor:
        """The parameters of this name, in the actor."""
        return self.call(self.model.policy.actor_state, network, observations)

    def values(self, networks: Any, observations: Tensor, actions: Tensor) -> Any:
        """The parameters of this name, in both critics."""
        return self.call(self.model.policy.qf_state, networks[0], observations, actions)

    @staticmethod
    def call(state: Any, parameters: str, *inputs: Tensor) -> Tensor:
        """JAX takes and gives arrays."""
        arrays = (tensor.numpy() for tensor in inputs)
        return torch.from_numpy(np.array(state.apply_fn(getattr(state, parameters), *arrays)))

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3.__init__``; the layers from its policy."""
        layers = {"hidden_sizes": (256, 256)}
        return signature_defaults(TD3.__init__, *sb3.SAME, **sb3.RENAMED) | layers
