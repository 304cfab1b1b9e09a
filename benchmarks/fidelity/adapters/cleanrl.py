"""CleanRL's td3_continuous_action.py, from a clone that CLEANRL_CLONE names."""

import ast
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F

from benchmarks.fidelity.cases import Array, Batch
from benchmarks.fidelity.helpers import TorchAdapter, replaced, signature_defaults, spaces

FILE = Path(os.environ["CLEANRL_CLONE"]) / "cleanrl/td3_continuous_action.py"
TREE = ast.parse(FILE.read_text(encoding="utf-8"))
CLASSES: list[ast.stmt] = [node for node in TREE.body if isinstance(node, ast.ClassDef)]
NAMES: dict[str, Any] = {"np": np, "torch": torch, "nn": nn, "F": F, "optim": optim,
                         "os": os, "dataclass": dataclass, "__file__": str(FILE)}  # fmt: skip
exec(compile(ast.Module(CLASSES, []), str(FILE), "exec"), NAMES)
# The update is in the script's loop, below this condition.
CONDITION = "global_step > args.learning_starts"
[BRANCH] = [n for n in ast.walk(TREE) if isinstance(n, ast.If) and ast.unparse(n.test) == CONDITION]


class Adapter(TorchAdapter):
    """The script's classes and the body of its update, executed as they stand."""

    def build(self) -> None:
        """The names that the update finds in the script."""
        problem, rate, names = self.problem, self.problem.learning_rate, NAMES.copy()
        observations, actions = spaces(problem)
        envs = SimpleNamespace(single_observation_space=observations, single_action_space=actions)
        for name in ("actor", "target_actor", "qf1", "qf2", "qf1_target", "qf2_target"):
            names[name] = names["QNetwork" if "qf" in name else "Actor"](envs)
        self.networks = [names[n] for n in ("actor", "qf1", "qf2")]
        self.targets = [names[n] for n in ("target_actor", "qf1_target", "qf2_target")]
        critics = [*names["qf1"].parameters(), *names["qf2"].parameters()]
        settings = ("batch_size", "policy_noise", "noise_clip", "gamma", "tau")
        args = SimpleNamespace(**{name: getattr(problem, name) for name in settings},
                               policy_frequency=problem.policy_freq)  # fmt: skip
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
        same = ("gamma", "tau", "policy_noise", "noise_clip", "learning_rate", "batch_size",
                "buffer_size", "learning_starts", "exploration_noise")  # fmt: skip
        return signature_defaults(NAMES["Args"], *same, policy_freq="policy_frequency")
