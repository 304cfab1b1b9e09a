"""Experiments as data: a name, the runs it consists of, and what will decide its comparisons."""

import hashlib
import json
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from math import inf
from pathlib import Path
from typing import Any

from training.config import ConfigError, RunConfig, env_name, margin_of, refuse_name_clashes

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
# to 1,054, so that pilot gives only an upper bound; what the discount costs (13), the margin
# (20) and a controller that is merely decent (LQR: 2) give the lower bound. 50 is 7 % of V* on
# rocket-v0, to be reviewed with the first five seeds of standard.
FAILURE_REGRETS = {"Pendulum-v1": 30.0, "rocket-v0": 50.0, "rocket-landing-v0": 50.0}
RATE_MARGIN = 0.2  # the difference of failure rates too small to matter
LATE, FINAL, LAST_10, AUC = "late_return", "final_return", "last_10", "auc"
METRICS = {  # name -> what it is; each is one number for a run, in the unit of its returns
    LATE: "late return: mean of the policies at the last ten evaluation points, each on 100"
    " held-out starts, {starts}",
    FINAL: "mean return of the final policy on 100 held-out starts, {starts}",
    LAST_10: "last-10: mean of the last ten evaluations, on the learning curve's starts",
    AUC: "AUC: area under the learning curve divided by its steps",
}
START_TEXTS = {"fixed": "reset(seed=20000 + k)", "published": "after reset(seed=seed + 100)"}
DEFAULT_LOOKS = (5, 10, 20, 40)  # numbers of seeds at which a sweep with --until-decided looks
MIN_VERDICT_SEEDS = 5  # seeds: on fewer no verdict is given
ADVISED_SEEDS = 10  # seeds that a report advises for a verdict
BOTH = {"td3": {"algo": "td3"}, "td3_reference": {"algo": "td3_reference"}}
CATALOGUE = Path(__file__).parent / "catalogue"  # the experiments that have a name
EXPERIMENT_SUFFIX = ".toml"  # of an experiment's file
FIELD_TYPES: dict[str, Any] = {  # of an experiment's fields in its file; the others are tables
    "description": str, "against": str, "rate_margin": float,
    "seeds": list, "metrics": list, "looks": list, "baselines": list,
}  # fmt: skip
TYPE_NAMES = {str: "text", float: "number with a point", list: "list", dict: "table"}
FIELDS_OF_EACH_RUN = (
    "label",
    "env_id",
    "seed",
    "total_timesteps",
)  # fields that an experiment sets
Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A named set of runs, and the rule that will compare them.

    :param description: one line for people
    :param implementations: by label, the fields of :class:`RunConfig` that make it what it is;
        one with ``seeds`` has that many of the experiment's seeds, its first ones
    :param total_timesteps: the environments, and how long to train on each
    :param seeds: each implementation is run once with each, on each environment
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

        :raises ConfigError: if two runs would share a folder, or two environments a name
        """
        refuse_name_clashes(self.total_timesteps)
        runs = [
            RunConfig(label=label, env_id=env_id, seed=seed, total_timesteps=steps, **settings)
            for env_id, steps in self.total_timesteps.items()
            for position, seed in enumerate(self.seeds)
            for label, own in self.implementations.items()
            for settings in [merge_settings(self.settings, own)]
            if position < settings.pop("seeds", inf)
        ]
        if len({run.directory for run in runs}) < len(runs):
            raise ConfigError(f"an environment is named twice: {', '.join(self.total_timesteps)}")
        return sorted(runs, key=lambda run: -run.total_timesteps)

    def to_json(self) -> dict[str, Any]:
        """Content of ``experiment.json``: all fields, and the declaration with its hash."""
        from benchmarks.analysis.sequential import nominal_level  # SciPy takes a second to load

        starts = START_TEXTS[self.settings.get("evaluation", "fixed")]
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


def merge_settings(first: Settings, second: Settings) -> dict[str, Any]:
    """The settings of both, the second's where both have one; what is nested is merged too."""
    nested = {
        name: merge_settings(first[name], value)
        for name, value in second.items()
        if isinstance(value, Mapping) and isinstance(first.get(name), Mapping)
    }
    return {**first, **second, **nested}


def read_experiment(file: Path) -> Experiment:
    """The experiment that a file describes: docs/experiments.md shows one.

    :raises ConfigError: if it cannot be read, or a value is not what it should be
    """
    try:
        return experiment_of(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from error


def experiment_of(values: Mapping[str, Any]) -> Experiment:
    """An experiment from the values of a file, or of experiment.json.

    ``seeds`` may be a number; without ``algo``, an implementation's label is its algorithm.

    :raises ConfigError: if something is missing, unknown, or not what it should be
    """
    known = {each.name: each for each in fields(Experiment)}
    refuse_unknown("fields", values, known)
    if missing := [name for name, each in known.items() if name not in values
                   and each.default is each.default_factory is MISSING]:  # fmt: skip
        raise ConfigError(f"it has no {', '.join(missing)}")
    content: dict[str, Any] = dict(values)
    if type(content["seeds"]) is int:
        content["seeds"] = [*range(content["seeds"])]
    for name, value in content.items():
        kind = FIELD_TYPES.get(name, dict)
        if not isinstance(value, kind):
            raise ConfigError(f"{name} must be a {TYPE_NAMES[kind]}, got {value!r}")
    content |= {
        name: tuple(value) for name, value in content.items() if FIELD_TYPES.get(name) is list
    }
    implementations = content["implementations"].items()
    if wrong := [label for label, settings in implementations if not isinstance(settings, dict)]:
        raise ConfigError(f"implementations.{wrong[0]} must be a table")
    content["implementations"] = {label: {"algo": label, **own} for label, own in implementations}
    return validated(Experiment(**content))


def validated(experiment: Experiment) -> Experiment:
    """The experiment, after a check that its values are valid together.

    :raises ConfigError: if they are not
    """
    of_runs = {each.name for each in fields(RunConfig)} - {*FIELDS_OF_EACH_RUN}
    refuse_unknown("settings", experiment.settings, of_runs)
    for label, settings in experiment.implementations.items():
        refuse_unknown(f"settings of {label}", settings, of_runs | {"seeds"})
    for settings in (experiment.settings, *experiment.implementations.values()):
        for name in ("hyperparams", "env_kwargs"):
            if not isinstance(settings.get(name, {}), dict):
                raise ConfigError(f"{name} must be a table, got {settings[name]!r}")
    refuse_unknown("metrics", experiment.metrics, METRICS)
    refuse_unknown("against", [experiment.against], experiment.implementations)
    for name in ("margins", "failure_regrets"):
        for env_id, value in getattr(experiment, name).items():
            if type(value) not in (int, float) or not 0.0 < value < inf:
                raise ConfigError(f"{name} of {env_id} must be a number above 0, got {value!r}")
    refuse_looks(experiment.looks, len(experiment.seeds))
    experiment.runs()
    return experiment


def refuse_looks(looks: Sequence[int], number: int) -> None:
    """Refuse looks that are not ascending numbers of seeds, MIN_VERDICT_SEEDS to ``number``.

    :raises ConfigError: saying what they must be
    """
    if list(looks) != [each for each in range(MIN_VERDICT_SEEDS, number + 1) if each in looks]:
        raise ConfigError(
            f"looks must be numbers of seeds from {MIN_VERDICT_SEEDS} on, each above the one"
            f" before, up to {number}, got {' '.join(map(str, looks))}"
        )


def refuse_unknown(what: str, given: Iterable[str], known: Collection[str]) -> None:
    """Refuse names that are not known.

    :param what: what they name, for the message
    :raises ConfigError: with the unknown names and the known ones
    """
    if unknown := [str(name) for name in given if name not in known]:
        raise ConfigError(
            f"unknown {what}: {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )


EXPERIMENTS = {
    file.stem: read_experiment(file) for file in sorted(CATALOGUE.glob(f"*{EXPERIMENT_SUFFIX}"))
}
