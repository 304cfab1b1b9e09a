"""Experiments as data: a name, the runs it consists of, and what will decide its comparisons."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from training.config import ConfigError, RunConfig, env_name, margin_of, refuse_alike

EXPERIMENT_FILE = "experiment.json"  # beside the runs: what was declared before them
DECLARED_FIRST = "declared_first"  # in that file: whether it was there before any of the runs
# Differences of return that are too small to matter. In a pilot of ten seeds of either TD3 on
# Pendulum-v1 the best 19 runs of 20 lay within 5 of each other, and one that fails from some starts
# lost 175; on the rockets 20 is less than 3 % of the optimum, about what gamma = 0.99 costs (13).
MARGINS = {"Pendulum-v1": 10.0, "rocket-v0": 20.0, "rocket-landing-v0": 20.0}
# A run has failed if its regret, V* - return, is above this. Pendulum-v1: of the 40 runs of
# pendulum_verdict (15,000 steps; V* is -138 on the 100 held-out starts) 38 have a regret of 9 to 14
# and the two that fail from some starts 185 and 214: anything from 20 to 180 tells them apart. The
# rockets: after 20,000 steps (three seeds of each) no run has learned the task, regrets being 249
# to 1,054, so that pilot sets no more than an upper end; what the discount costs (13), the margin
# (20) and a controller that is merely decent (LQR: 2) set the lower end. 50 is 7 % of V* on
# rocket-v0, to be looked at again with the first five seeds of standard.
FAILURE_REGRETS = {"Pendulum-v1": 30.0, "rocket-v0": 50.0, "rocket-landing-v0": 50.0}
RATE_MARGIN = 0.2  # the difference of failure rates too small to matter
ROCKETS = ("rocket-v0", "rocket-landing-v0")
MUJOCO = (
    "HalfCheetah-v4", "Hopper-v4", "Walker2d-v4", "Ant-v4",
    "Reacher-v4", "InvertedPendulum-v4", "InvertedDoublePendulum-v4",
)  # fmt: skip
LATE, FINAL, LAST_10, AUC = "late_return", "final_return", "last_10", "auc"
METRICS = {  # name -> what it is; each is one number for a run, in the unit of its returns
    LATE: "late return: mean of the policies at the last ten evaluation points, each on 100"
    " held-out starts, {starts}",
    FINAL: "mean return of the final policy on 100 held-out starts, {starts}",
    LAST_10: "last-10: mean of the last ten evaluations, on the learning curve's starts",
    AUC: "AUC: area under the learning curve divided by its steps",
}
STARTS = {"fixed": "reset(seed=20000 + k)", "published": "after reset(seed=seed + 100)"}
LOOKS = (5, 10, 20, 40)  # seeds after which a sweep until decided looks
MIN_VERDICT = 5  # seeds: on fewer no verdict is given
ENOUGH = 10  # seeds that a report advises for a verdict
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
    :param metrics: names in METRICS of what the runs are compared by, each in its own verdict
    :param margins: for each environment, the difference of a metric too small to matter
    :param failure_regrets: for each environment, the regret above which a run has failed; failures
        are not compared where there is none
    :param rate_margin: the difference of failure rates too small to matter
    :param looks: numbers of seeds after which the verdicts are looked at, and decided comparisons
        stop; none for one look at all seeds
    :param baselines: controllers that the report draws beside the runs, where they can act
    :param settings: fields of :class:`RunConfig` that all runs share
    """

    description: str
    implementations: Mapping[str, Settings]
    total_timesteps: Mapping[str, int]
    seeds: tuple[int, ...]
    against: str = "td3_reference"
    metrics: tuple[str, ...] = (LATE,)
    margins: Mapping[str, float] = field(default_factory=lambda: MARGINS)
    failure_regrets: Mapping[str, float] = field(default_factory=lambda: FAILURE_REGRETS)
    rate_margin: float = RATE_MARGIN
    looks: tuple[int, ...] = ()
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
        """Content of ``experiment.json``: all of the above, and what decides, with its hash."""
        from benchmarks.analysis.sequential import nominal_level  # SciPy takes a second to load

        starts = STARTS[self.settings.get("evaluation", "fixed")]
        margins, regrets = (
            {env_name(env_id): margin_of(values, env_id) for env_id in self.total_timesteps}
            for values in (self.margins, self.failure_regrets)
        )
        declaration = {
            "metrics": {name: METRICS[name].format(starts=starts) for name in self.metrics},
            "margins": margins,
            "failure_regrets": regrets,
            "rate_margin": self.rate_margin,
            "seeds": list(self.seeds),
            "looks": list(self.looks),
            "level": nominal_level(self.looks),
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
        description="the same two on all three tasks, with no more seeds than a verdict takes",
        implementations=BOTH,
        total_timesteps={"Pendulum-v1": 50_000, **dict.fromkeys(ROCKETS, 100_000)},
        seeds=tuple(range(20)),
        looks=(5, 10, 20),
        baselines=("random", "brake", "pd", "lqr"),
    ),
    "action_scale": Experiment(
        description="does it matter to TD3 in which unit its critic sees the pendulum's actions?",
        # SB3's critic sees actions in [-1, 1], the reference's in N m, from -2 to 2. The third
        # differs from the second in that alone, and from the first in all but that.
        implementations={
            **BOTH,
            "td3_reference_rescaled": {"algo": "td3_reference", "env_kwargs": {"action_bound": 1}},
        },
        total_timesteps={"Pendulum-rescaled-v1": 15_000},
        seeds=tuple(range(10)),
        metrics=(LAST_10, AUC),
        # Half of what pendulum_verdict hinted at without having declared it: SB3's TD3 was 52
        # better in last-10 (standard deviations over 20 seeds 54 and 91), 40 in AUC (38 and 73).
        margins={"Pendulum-rescaled-v1": 20.0},
        failure_regrets={},  # after 15,000 steps many policies still fail for a while
    ),
    "rocket_early": Experiment(
        description="is SB3's slow start on rocket-v0 chance?",
        # After 20,000 steps SB3's three seeds scored -318 to 89 (mean -121), the reference's 44 to
        # 487 (mean 335).
        implementations=BOTH,
        total_timesteps={"rocket-v0": 20_000},
        seeds=tuple(range(10)),
        margins={"rocket-v0": 100.0},  # so early, the seeds of one lie 400 apart
        failure_regrets={},  # so early, every run has a regret of 249 or more
        baselines=("random", "brake", "pd"),
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
