"""The reference of this repository."""

from benchmarks.fidelity.cases import Array, Batch, Problem
from benchmarks.fidelity.helpers import signature_defaults
from td3_reference.config import LoopConfig, TD3Config
from td3_reference.replay_buffer import Batch as ReferenceBatch
from td3_reference.td3 import TD3


class Adapter:
    """It has the kit's methods already; ``agent_class`` may be a variant."""

    agent_class: type[TD3] = TD3

    def __init__(self, problem: Problem) -> None:
        bounds = (problem.action_low.tolist(), problem.action_high.tolist())
        self.agent = self.agent_class(TD3Config(problem.observation_dim, *bounds))
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
