"""Spinning Up's PyTorch TD3, from a clone that SPINUP_CLONE names."""

import ast
import os
from copy import deepcopy
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, fill, replaced, signature_defaults, spaces

FOLDER = Path(os.environ["SPINUP_CLONE"]) / "spinup/algos/pytorch/td3"
CORE = ModuleType("core")
SOURCE = (FOLDER / "core.py").read_text(encoding="utf-8")
exec(SOURCE.replace("import scipy.signal", ""), CORE.__dict__)  # not used there
TREE = ast.parse((FOLDER / "td3.py").read_text(encoding="utf-8"))
[TD3] = [node for node in TREE.body if isinstance(node, ast.FunctionDef) and node.name == "td3"]
INNER = ("compute_loss_q", "compute_loss_pi", "update")  # functions within td3()
PARTS: list[ast.stmt] = [
    node for node in TD3.body if isinstance(node, ast.FunctionDef) and node.name in INNER
]
TD3.body = [ast.Pass()]  # what is left is the signature


class Adapter(TorchAdapter):
    """Its act_limit is a number; noise settings are in environment units, so scaled here."""

    def build(self) -> None:
        """The names that the inner functions find."""
        problem, bound, self.updates = self.problem, self.problem.max_action, 0
        self.names: dict[str, Any] = {
            "torch": torch, "ac": CORE.MLPActorCritic(*spaces(problem)), "gamma": problem.gamma,
            "polyak": 1 - problem.tau, "target_noise": problem.policy_noise * bound,
            "noise_clip": problem.noise_clip * bound, "policy_delay": problem.policy_freq,
            "act_limit": bound, "logger": SimpleNamespace(store=lambda **_: None),
        }  # fmt: skip
        exec(compile(ast.Module(PARTS, []), "td3.py", "exec"), self.names)

    def load(self, weights: list[Array]) -> None:
        """Targets are a deep copy; optimisers as td3() makes them."""
        self.build()
        nets = self.names["ac"]
        fill((nets,), weights)
        target = deepcopy(nets).requires_grad_(False)
        critics = [*nets.q1.parameters(), *nets.q2.parameters()]
        rate = self.problem.learning_rate
        self.names |= {"ac_targ": target, "q_params": critics,
                       "pi_optimizer": torch.optim.Adam(nets.pi.parameters(), lr=rate),
                       "q_optimizer": torch.optim.Adam(critics, lr=rate)}  # fmt: skip
        self.networks, self.targets = ((n.pi, n.q1, n.q2) for n in (nets, target))

    def update(self, batch: Batch, noise: Array) -> None:
        """The timer runs from 0 to 49 in each block of update_every steps."""
        tensors = self.tensors(batch)
        data = {"obs": tensors["observations"], "act": tensors["actions"],
                "rew": tensors["rewards"][:, 0], "obs2": tensors["next_observations"],
                "done": tensors["terminated"][:, 0]}  # fmt: skip
        with replaced(torch, "randn_like", torch.from_numpy(noise)):
            self.names["update"](data, timer=self.updates % 50)
        self.updates += 1

    @staticmethod
    def defaults() -> dict[str, object]:
        """From the signature of ``td3``."""
        names = {"policy_noise": "target_noise", "policy_freq": "policy_delay",
                 "learning_rate": "q_lr", "actor_learning_rate": "pi_lr",
                 "buffer_size": "replay_size", "learning_starts": "start_steps",
                 "exploration_noise": "act_noise"}  # fmt: skip
        scope: dict[str, Any] = {"core": CORE}
        exec(compile(ast.Module([TD3], []), "td3.py", "exec"), scope)
        return signature_defaults(scope["td3"], "gamma", "noise_clip", "batch_size", **names)
