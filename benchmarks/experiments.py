"""Experiments as data: a name, the runs it consists of, and what will decide its comparisons."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sb3_training.config import ConfigError, RunConfig, env_name, margin_of, refuse_alike

EXPERIMENT_FILE = "experiment.json"  # beside the runs: what was declared before them
DECLARED_FIRST = "declared_first"  # in that file: whether it was there before any of the runs
# Differences of mean return that are too small to matter. In a pilot of ten seeds of either TD3 on
# Pendulum-v1 the best 19 runs of 20 lay within 5 of each other, and one that fails from some starts
# lost 175; on the rockets 20 is less than 3 % of the optimum, about what gamma = 0.99 costs (13).
MARGINS = {"Pendulum-v1": 10.0, "rocket-v0": 20.0, "rocket-landing-v0": 20.0}
ROCKETS = ("rocket-v0", "rocket-landing-v0")
MUJOCO = (
    "HalfCheetah-v4", "Hopper-v4", "Walker2d-v4", "Ant-v4",
    "Reacher-v4", "InvertedPendulum-v4", "InvertedDoublePendulum-v4",
)  # fmt: skip
METRIC = "mean return of the final policy on 100 further starts, reset(seed=20000 + k)"
PUBLISHED_METRIC = "mean return of the final policy on 100 starts, after reset(seed=seed + 100)"
BOTH = {"td3": {"algo": "td3"}, "td3_reference": {"algo": "td3_reference"}}
CROSSQ_NETWORKS = {"net_arch": {"pi": [256, 256], "qf": [256, 256]}}
Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A named set of runs, and the rule that will compare them.

    :param description: one line for people
    :param implementations: by label, the fields of :class:`RunConfig` that make it what it is
    :param total_timesteps: the environments, and how long to train on each
    :param seeds: of each run
    :param against: label of the implementation that all others are compared with
    :param margins: for each environment, the difference of mean returns too small to matter
    :param baselines: controllers that the report draws beside the runs, where they can act
    :param settings: fields of :class:`RunConfig` that all runs share
    """

    description: str
    implementations: Mapping[str, Settings]
    total_timesteps: Mapping[str, int]
    seeds: tuple[int, ...]
    against: str = "td3_reference"
    margins: Mapping[str, float] = field(default_factory=lambda: MARGINS)
    baselines: tuple[str, ...] = ()
    settings: Settings = field(default_factory=dict)

    def runs(self) -> list[RunConfig]:
        """One configuration for each implementation, environment and seed, long runs first.

        The order keeps all workers busy to the end; results do not depend on it.

        :raises ConfigError: if two runs would lie in one folder, or two environments be called
            alike
        """
        refuse_alike(self.total_timesteps)
        runs = [
            RunConfig(
                label=label,
                env_id=env_id,
                seed=seed,
                total_timesteps=steps,
                **{**self.settings, **settings},
            )
            for env_id, steps in self.total_timesteps.items()
            for seed in self.seeds
            for label, settings in self.implementations.items()
        ]
        if len({run.directory for run in runs}) < len(runs):
            raise ConfigError(f"an environment is named twice: {', '.join(self.total_timesteps)}")
        return sorted(runs, key=lambda run: -run.total_timesteps)

    def to_json(self) -> dict[str, Any]:
        """Content of ``experiment.json``: all of the above, the metric, and the declaration's hash.

        The hash is over what decides the comparisons: metric, margins, seeds and opponent.
        """
        published = self.settings.get("evaluation") == "published"
        envs = {
            env_name(env_id): margin_of(self.margins, env_id) for env_id in self.total_timesteps
        }
        declaration = {
            "metric": PUBLISHED_METRIC if published else METRIC,
            "margins": envs,
            "seeds": list(self.seeds),
            "against": self.against,
        }
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {**values, "declaration": declaration, "sha256": declaration_hash(declaration)}


def declaration_hash(declaration: Mapping[str, Any]) -> str:
    """SHA-256 of a declaration, whatever the order of its entries."""
    return hashlib.sha256(json.dumps(declaration, sort_keys=True).encode()).hexdigest()


EXPERIMENTS = {
    "quick": Experiment(
        description="SB3's TD3 against the reference TD3, a quarter of an hour on two cores",
        implementations=BOTH,
        total_timesteps={"Pendulum-v1": 10_000, "rocket-v0": 20_000},
        seeds=(0, 1, 2),
        baselines=("random", "brake", "pd"),
    ),
    "pendulum_verdict": Experiment(
        description="the same two on Pendulum-v1 with enough seeds for a verdict, within an hour",
        implementations=BOTH,
        total_timesteps={"Pendulum-v1": 15_000},
        seeds=tuple(range(20)),
    ),
    "standard": Experiment(
        description="the same two on all three tasks, long enough to learn them",
        implementations=BOTH,
        total_timesteps=dict.fromkeys(("Pendulum-v1", *ROCKETS), 100_000),
        seeds=tuple(range(10)),
        baselines=("random", "brake", "pd", "lqr"),
    ),
    "algorithms": Experiment(
        description="seven algorithms and the classical controllers on all three tasks",
        implementations={
            **{
                name: {"algo": name}
                for name in ("td3", "td3_reference", "sac", "tqc", "ddpg", "ppo")
            },
            # Critics as wide as the others'; by default they have 1,024 units and take ten times
            # as long.
            "crossq": {"algo": "crossq", "hyperparams": {"policy_kwargs": CROSSQ_NETWORKS}},
        },
        total_timesteps=dict.fromkeys(("Pendulum-v1", *ROCKETS), 100_000),
        seeds=tuple(range(10)),
        baselines=("random", "zero", "brake", "pd", "pid", "lqr", "bang-bang"),
    ),
    "sb3_defaults": Experiment(
        description="does SB3's own default of TD3 differ from the released settings?",
        implementations={
            "td3": {"algo": "td3"},
            "td3_sb3_default": {"algo": "td3", "preset": "sb3_default"},
        },
        total_timesteps={"Pendulum-v1": 20_000, "rocket-v0": 100_000},
        seeds=tuple(range(10)),
        against="td3",
    ),
    "warmup": Experiment(
        description="how many random steps at the start: 100, 1,000 or 10,000",
        implementations={
            f"td3_warmup_{steps}": {"algo": "td3", "hyperparams": {"learning_starts": steps}}
            for steps in (100, 1_000, 10_000)
        },
        total_timesteps={"Pendulum-v1": 20_000, "rocket-v0": 50_000},
        seeds=tuple(range(10)),
        against="td3_warmup_1000",
    ),
    "gamma": Experiment(
        description="what the discount costs, beside what dynamic programming predicts",
        implementations={
            f"td3_gamma_{gamma}": {"algo": "td3", "hyperparams": {"gamma": gamma}}
            for gamma in (0.99, 0.995, 0.999)
        },
        total_timesteps={"rocket-v0": 100_000},
        seeds=tuple(range(10)),
        against="td3_gamma_0.99",
        baselines=("pd",),
    ),
    "paper": Experiment(
        description="the TD3 paper's seven MuJoCo tasks by its evaluation protocol; takes days",
        # The paper's own settings as well, so that its table has its like beside it.
        implementations={
            **BOTH,
            "td3_reference_paper": {"algo": "td3_reference", "preset": "paper"},
        },
        total_timesteps=dict.fromkeys(MUJOCO, 1_000_000),
        seeds=tuple(range(10)),
        settings={"evaluation": "published", "eval_freq": 5_000},
    ),
    "smoke": Experiment(
        description="the same path in seconds: shows that everything works, not how well it learns",
        implementations=BOTH,
        total_timesteps={"Pendulum-v1": 1_200, "rocket-v0": 1_200},
        seeds=(0,),
    ),
}
