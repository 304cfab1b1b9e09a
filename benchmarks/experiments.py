"""Experiments as data: a name and the runs it consists of."""

from collections.abc import Mapping
from dataclasses import dataclass

from sb3_training.config import RunConfig


@dataclass(frozen=True)
class Experiment:
    """A named set of runs.

    :param description: one line for people
    :param algos: the implementations to compare
    :param total_timesteps: the environments, and how long to train on each
    :param seeds: of each run
    """

    description: str
    algos: tuple[str, ...]
    total_timesteps: Mapping[str, int]
    seeds: tuple[int, ...]

    def runs(self) -> list[RunConfig]:
        """One configuration for each implementation, environment and seed, long runs first.

        The order keeps all workers busy to the end; results do not depend on it.
        """
        runs = [
            RunConfig(algo=algo, env_id=env_id, seed=seed, total_timesteps=steps)
            for env_id, steps in self.total_timesteps.items()
            for seed in self.seeds
            for algo in self.algos
        ]
        return sorted(runs, key=lambda run: -run.total_timesteps)


EXPERIMENTS = {
    "quick": Experiment(
        description="SB3's TD3 against the reference TD3, a quarter of an hour on two cores",
        algos=("td3", "td3_reference"),
        total_timesteps={"Pendulum-v1": 10_000, "rocket-v0": 20_000},
        seeds=(0, 1, 2),
    ),
    "pendulum_verdict": Experiment(
        description="the same two on Pendulum-v1 with enough seeds for a verdict, within an hour",
        algos=("td3", "td3_reference"),
        total_timesteps={"Pendulum-v1": 15_000},
        seeds=tuple(range(20)),
    ),
    "smoke": Experiment(
        description="the same path in seconds: shows that everything works, not how well it learns",
        algos=("td3", "td3_reference"),
        total_timesteps={"Pendulum-v1": 1_200, "rocket-v0": 1_200},
        seeds=(0,),
    ),
}
