"""CleanRL's td3_continuous_action.py, from a clone that CLEANRL_CLONE names."""

import ast
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, box, replaced

FILE = Path(os.environ["CLEANRL_CLONE"]) / "cleanrl/td3_continuous_action.py"
TREE = ast.parse(FILE.read_text(encoding="utf-8"))
NETWORKS: list[ast.stmt] = [
    node for node in TREE.body if isinstance(node, ast.ClassDef) and node.name != "Args"
]
# The update is in the script's loop, below this condition.
CONDITION = "global_step > args.learning_starts"
[BRANCH] = [n for n in ast.walk(TREE) if isinstance(n, ast.If) and ast.unparse(n.test) == CONDITION]


class Adapter(TorchAdapter):
    """The script's classes and the body of its update, executed as they stand."""

    def build(self) -> None:
        """The names that the update finds in the script."""
        problem, rate = self.problem, self.problem.learning_rate
        names: dict[str, Any] = {"np": np, "torch": torch, "nn": nn, "F": F, "optim": optim}
        exec(compile(ast.Module(NETWORKS, []), str(FILE), "exec"), names)
        unbounded = np.full(problem.observation_dim, np.inf)
        envs = SimpleNamespace(
            single_observation_space=box(-unbounded, unbounded),
            single_action_space=box(problem.action_low, problem.action_high),
        )
        for name in ("actor", "target_actor", "qf1", "qf2", "qf1_target", "qf2_target"):
            names[name] = names["QNetwork" if "qf" in name else "Actor"](envs)
        self.networks = [names[n] for n in ("actor", "qf1", "qf2")]
        self.targets = [names[n] for n in ("target_actor", "qf1_target", "qf2_target")]
        critics = [*names["qf1"].parameters(), *names["qf2"].parameters()]
        args = SimpleNamespace(
            batch_size=problem.batch_size, policy_noise=problem.policy_noise,
            noise_clip=problem.noise_clip, gamma=problem.gamma, tau=problem.tau,
            policy_frequency=problem.policy_freq,
        )  # fmt: skip
        self.script = {
            **names, "args": args, "envs": envs, "device": "cpu",
            "q_optimizer": optim.Adam(critics, lr=rate),
            "actor_optimizer": optim.Adam(self.networks[0].parameters(), lr=rate),
            "writer": SimpleNamespace(add_scalar=lambda *_: None), "print": lambda *_: None,
            "time": time, "start_time": 0.0,
            "global_step": 25_000,  # the first update comes at 25,001
        }  # fmt: skip

    def update(self, batch: Batch, noise: Array) -> None:
        """SB3's replay buffer, which it uses, keeps time limits out of dones."""
        tensors = self.tensors(batch)
        data = SimpleNamespace(**tensors, dones=tensors["terminated"])
        self.script["rb"] = SimpleNamespace(sample=lambda _: data)
        self.script["global_step"] += 1
        with replaced(torch, "randn_like", torch.from_numpy(noise)):
            exec(compile(ast.Module(BRANCH.body, []), str(FILE), "exec"), self.script)

    @staticmethod
    def defaults() -> dict[str, object]:
        """From the script's ``Args``."""
        names = {"gamma": "gamma", "tau": "tau", "policy_noise": "policy_noise",
                 "noise_clip": "noise_clip", "policy_frequency": "policy_freq",
                 "learning_rate": "learning_rate", "batch_size": "batch_size",
                 "buffer_size": "buffer_size", "learning_starts": "learning_starts"}  # fmt: skip
        return {
            names[ast.unparse(node.target)]: eval(ast.unparse(node.value))
            for node in ast.walk(TREE)
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) in names and node.value
        }
