"""The reference of this repository."""

from types import ModuleType

from benchmarks.fidelity.cases import Array, Batch, Problem
from benchmarks.fidelity.helpers import signature_defaults
from td3_reference import td3
from td3_reference.config import LoopConfig, TD3Config
from td3_reference.replay_buffer import Batch as ReferenceBatch


class Adapter:
    """It has the kit's methods already; ``module`` may be a patched copy of its source."""

    module: ModuleType = td3

    def __init__(self, problem: Problem) -> None:
        bounds = (problem.action_low.tolist(), problem.action_high.tolist())
        self.agent = self.module.TD3(TD3Config(problem.observation_dim, *bounds))
        self.load = self.agent.load_weights
        self.actions, self.target_actions = self.agent.actions, self.agent.target_actions
        self.q_values, self.target_q_values = self.agent.q_values, self.agent.target_q_values

    def update(self, batch: Batch, noise: Array) -> None:
        """One update; a truncated episode still bootstraps."""
        self.agent.update(ReferenceBatch(*batch[:4], 1 - batch.terminated), noise)

    @staticmethod
    def defaults() -> dict[str, object]:
        """From ``TD3Config`` and ``LoopConfig``."""
        loop = ("batch_size", "buffer_size", "exploration_noise")
        agent = ("gamma", "tau", "policy_noise", "noise_clip", "policy_freq", "learning_rate")
        return signature_defaults(TD3Config, **{name: name for name in agent}) | (
            signature_defaults(LoopConfig, **{name: name for name in loop})
        )
