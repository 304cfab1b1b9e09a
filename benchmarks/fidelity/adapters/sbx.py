"""sbx: SB3's algorithms in JAX; as in SB3, critics see actions in [-1, 1]."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from sbx import TD3
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from benchmarks.fidelity.cases import Array, Batch, Problem
from benchmarks.fidelity.helpers import environment, replaced, signature_defaults


class Adapter:
    """``TD3.train`` draws the noise with ``jax.random.normal``."""

    package = "sbx-rl"

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def load(self, weights: list[Array]) -> None:
        """Dense layers hold the transpose; both critics are stacked in one tree."""
        rate = self.problem.learning_rate
        self.model = TD3("MlpPolicy", environment(self.problem), learning_rate=rate, seed=0,
                         qf_learning_rate=rate, buffer_size=1,
                         policy_kwargs={"net_arch": [256, 256]})  # fmt: skip
        self.model._setup_learn(1)
        policy = self.model.policy
        actor = [jnp.asarray(array.T) for array in weights[:6]]
        pairs = zip(weights[6:12], weights[12:], strict=True)
        critics = [jnp.stack([jnp.asarray(a.T), jnp.asarray(b.T)]) for a, b in pairs]
        policy.actor_state = self.fresh(policy.actor_state, actor)
        policy.qf_state = self.fresh(policy.qf_state, critics)

    def fresh(self, state: Any, arrays: list[Any]) -> Any:
        """The training state with these arrays; JAX sorts a layer's bias before its kernel."""
        ordered = [arrays[i] for i in (1, 0, 3, 2, 5, 4)]
        tree = jax.tree_util.tree_structure(state.params)
        params = jax.tree_util.tree_unflatten(tree, ordered)
        opt_state = state.tx.init(params)
        return state.replace(params=params, target_params=params, opt_state=opt_state, step=0)

    def update(self, batch: Batch, noise: Array) -> None:
        """The replay buffer hands out the batch, actions scaled as it stores them."""
        actions = self.model.policy.scale_action(batch.actions)
        samples = ReplayBufferSamples(
            torch.from_numpy(batch.observations),
            torch.from_numpy(actions),
            torch.from_numpy(batch.next_observations),
            torch.from_numpy(batch.terminated),
            torch.from_numpy(batch.rewards),
            None,
        )
        self.model.replay_buffer.sample = lambda *_, **__: samples
        with jax.disable_jit(), replaced(jax.random, "normal", jnp.asarray(noise)):
            self.model.train(1, self.problem.batch_size)

    def actions(self, observations: Array) -> Array:
        """Scaled to environment units."""
        return self._actions("params", observations)

    def target_actions(self, observations: Array) -> Array:
        """The same of the target policy."""
        return self._actions("target_params", observations)

    def q_values(self, observations: Array, actions: Array) -> list[Array]:
        """Values of both critics."""
        return self._values("params", observations, actions)

    def target_q_values(self, observations: Array, actions: Array) -> list[Array]:
        """The same of the target critics."""
        return self._values("target_params", observations, actions)

    def _actions(self, params: str, observations: Array) -> Array:
        state = self.model.policy.actor_state
        unit = np.asarray(state.apply_fn(getattr(state, params), observations))
        return self.problem.centre + self.problem.half_width * unit

    def _values(self, params: str, observations: Array, actions: Array) -> list[Array]:
        state = self.model.policy.qf_state
        unit = (actions - self.problem.centre) / self.problem.half_width
        return list(np.asarray(state.apply_fn(getattr(state, params), observations, unit)))

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3.__init__``; the layers from its policy."""
        same = ("gamma", "tau", "learning_rate", "batch_size", "buffer_size", "learning_starts")
        names = {name: name for name in same} | {"policy_noise": "target_policy_noise",
                 "noise_clip": "target_noise_clip", "policy_freq": "policy_delay"}  # fmt: skip
        return signature_defaults(TD3.__init__, **names) | {"hidden_sizes": (256, 256)}
