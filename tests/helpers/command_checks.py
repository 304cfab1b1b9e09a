"""Check whether a documented command could be carried out as it stands; nothing is run."""

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

import gymnasium as gym
from distributed.cli.dask_worker import main as dask_worker

from benchmarks.analysis.sides import SCORES
from benchmarks.analysis.sources.frame import parse_columns
from benchmarks.analysis.starts import parse_starts
from benchmarks.choice import choose_experiment, find_experiment
from benchmarks.experiments import EXPERIMENTS, Experiment
from benchmarks.request import ExperimentRequest
from envs.controllers import CONTROLLERS
from tests.helpers.command_lines import ROOT, ParsedCommand, parse
from training.command_line import RunOptions
from training.config import REFERENCE, ConfigError, RunConfig, env_name
from training.run import hyperparameters_of
from training.sb3.algorithms import ALGORITHMS

OTHERS = {"rl_zoo3", "sbx"}  # modules that are installed separately
PLACEHOLDER = "my_"  # prefix of modules and files that the reader is to write
COMMAND_LINES = {  # that have a parser -> arguments that are enough to parse it, for its options
    "benchmarks": ["status", "quick"],
    "benchmarks.fidelity": ["my_module:Adapter"],
    "envs.checks": ["my_module:MyEnv-v0"],
    "train_sb3.py": [],
}
WITHOUT_OPTIONS = {"benchmarks.optimum.shipped", "tests.calibration"}


def refuse(words: Sequence[str], made: frozenset[str] = frozenset()) -> None:
    """Refuse a command that could not be carried out.

    :param words: without assignments of environment variables
    :param made: names of experiments that sweeps of the documentation make
    :raises ValueError: saying why
    """
    tool, *rest = words
    tool = tool.removeprefix(".venv/bin/")
    if tool in ("python", "python3"):
        refuse_python(rest, made)
    elif tool == "make":
        refuse_make(rest)
    elif tool == "conda":
        environment = (ROOT / "environment.yml").read_text()
        if rest[0] == "activate" and f"name: {rest[1]}\n" not in environment:
            raise ValueError(f"environment.yml does not make {rest[1]}")
    elif tool == ".ci/run":
        if rest or not (ROOT / tool).exists():
            raise ValueError(f"there is no {tool}")
    elif not any(script.name == tool for script in entry_points(group="console_scripts")):
        raise ValueError(f"nothing installs {tool}")
    if tool == "dask":
        refuse_dask(rest)
    if tool == "pip":
        refuse_pip(rest)
    for word in rest:
        is_file = re.fullmatch(r"(?!my_)[\w.]+\.(txt|yml|toml)", word)
        if is_file and not (ROOT / word).exists():
            raise ValueError(f"there is no {word}")


def refuse_python(words: Sequence[str], made: frozenset[str]) -> None:
    """Refuse a module or script that is not there, or that refuses its arguments."""
    name, *rest = words[1:] if words[0] == "-m" else words
    if name.split(".")[0] in OTHERS:
        return
    if name in WITHOUT_OPTIONS:
        if rest or find_spec(name) is None:
            raise ValueError(f"{name} does not take {rest}, or does not exist")
        return
    if name not in COMMAND_LINES:
        raise ValueError(f"{name} must be one of {', '.join([*COMMAND_LINES, *WITHOUT_OPTIONS])}")
    if rest == ["--help"]:
        return
    command = parse(words)
    if command.name in MEANINGS:
        MEANINGS[command.name](command.arguments, made)
    for word in re.findall(r"(?<![\w/])runs/(\w+)", " ".join(rest)):
        refuse_unknown_runs(word, made)


def refuse_make(words: Sequence[str]) -> None:
    """Refuse targets and variables that the Makefile does not have."""
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        variable, assigned, _ = word.partition("=")
        pattern = rf"^{variable} \?=" if assigned else rf"^{word}:"
        if not re.search(pattern, makefile, re.M):
            raise ValueError(f"the Makefile has no {variable}")


def refuse_dask(words: Sequence[str]) -> None:
    """Refuse options that Dask's worker does not have, and modules that it could not load."""
    known = {option for each in dask_worker.params for option in each.opts + each.secondary_opts}
    unknown = [word for word in words if word.startswith("--") and word not in known]
    if words[0] != "worker" or unknown:
        raise ValueError(f"dask worker has no {' '.join(unknown)}, got {' '.join(words)}")
    for module in dask_worker.make_context("dask worker", list(words[1:])).params["preload"]:
        if find_spec(module) is None:
            raise ValueError(f"there is no module {module}")


def refuse_pip(words: Sequence[str]) -> None:
    """Refuse extras that the project does not have, and versions other than the pinned ones."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    for word in words:
        extra = re.fullmatch(r"\.\[(.*)\]", word)
        if extra and extra[1] not in project["optional-dependencies"]:
            raise ValueError(f"there is no extra {extra[1]}")
        if "==" in word and word not in pins:
            raise ValueError(f"{word} is not what constraints.txt has")


def refuse_sweep(arguments: dict[str, Any], made: frozenset[str]) -> None:
    """Refuse experiments, environments, algorithms and settings that do not exist."""
    if arguments["request"].experiment.startswith(PLACEHOLDER):
        return
    experiment, _ = chosen(arguments)
    for run in {run.label: run for run in experiment.runs()}.values():
        refuse_run(run)
    for env_id in experiment.total_timesteps:
        refuse_environment(env_id)


def chosen(arguments: dict[str, Any]) -> tuple[Experiment, str]:
    """The experiment that a sweep's arguments describe, and its name; no compiler is needed.

    What --extend adds is treated as an experiment of its own.
    """
    request: ExperimentRequest = replace(arguments["request"], compile=False, extend=False)
    if arguments["request"].extend:
        request = replace(request, algos=request.algos or ("td3",),
                          envs=request.envs or ("rocket-v0",), seeds=request.seeds or 1,
                          total_timesteps=request.total_timesteps or 1,
                          experiment=f"{request.experiment}_extended")  # fmt: skip
    experiment, name = choose_experiment(request)
    return experiment, f"{name}_compiled" if arguments["request"].compile else name


def refuse_run(config: RunConfig) -> None:
    """Refuse algorithms, presets and hyperparameters that do not exist."""
    if not config.algo.startswith(PLACEHOLDER) and config.algo.split(":")[0] not in OTHERS:
        hyperparameters_of(config)


def refuse_environment(env_id: str) -> None:
    """Refuse an id that is not registered."""
    if not env_id.startswith(PLACEHOLDER) and env_name(env_id) not in gym.registry:
        raise ValueError(f"there is no environment {env_id}")


def refuse_training(arguments: dict[str, Any], made: frozenset[str]) -> None:
    """Refuse what ``train_sb3.py`` or ``benchmarks run`` would refuse."""
    options = next(iter(arguments.values()))
    if isinstance(options, RunOptions) and options.resume is None:  # envs.checks also has a run
        config, _ = options.configured()
        refuse_run(config)
        refuse_environment(config.env_id)


def refuse_experiment(arguments: dict[str, Any], made: frozenset[str]) -> None:
    """Refuse a name that no sweep of the documentation makes."""
    name = arguments["experiment"].removeprefix("results/")
    if name not in made:
        find_experiment(name)


def refuse_policies(arguments: dict[str, Any], made: frozenset[str], name: str) -> None:
    """Refuse policies that are neither a controller nor a run, and unknown environments."""
    options = arguments.get("options")  # only record has options; scores has env_id
    policies, env_ids = arguments[name], (options.env_id if options else arguments["env_id"]) or ()
    for policy in (policies,) if isinstance(policies, str) else policies:
        if policy not in CONTROLLERS and not policy.startswith("runs/"):
            raise ValueError(f"{policy} is neither a controller nor a run")
    for env_id in (env_ids,) if isinstance(env_ids, str) else env_ids:
        refuse_environment(env_id)


def refuse_comparison(arguments: dict[str, Any], made: frozenset[str]) -> None:
    """Refuse scores, columns and start states that ``compare`` does not know."""
    if arguments["score"] not in (None, *SCORES):
        raise ValueError(f"there is no score {arguments['score']}")
    parse_columns(arguments["eval_freq"], arguments["columns"])
    parse_starts(arguments["starts"])


def refuse_unknown_runs(folder: str, made: frozenset[str]) -> None:
    """Refuse a folder in ``runs/`` that neither an experiment nor an algorithm makes."""
    known = {*EXPERIMENTS, *ALGORITHMS, REFERENCE, *made, "EXPERIMENT"}
    if folder not in known:
        raise ConfigError(f"runs/{folder} is made by no experiment or algorithm")


MEANINGS: dict[
    str, Callable[[dict[str, Any], frozenset[str]], None]
] = {  # by the name of a ParsedCommand
    "sweep": refuse_sweep,
    "status": refuse_experiment,
    "report": refuse_experiment,
    "verify": refuse_experiment,
    "record": partial(refuse_policies, name="policy"),
    "scores": partial(refuse_policies, name="policies"),
    "compare": refuse_comparison,
    "run": refuse_training,
    "Arguments": refuse_training,
}


def made_by(commands: Sequence[Sequence[str]]) -> Iterator[str]:
    """Names of the experiments that sweeps make; nothing for those that are refused."""
    for words in commands:
        if "sweep" not in words or "speed" in words:
            continue
        try:
            command: ParsedCommand = parse(words[1:])
            if command.arguments["request"].experiment.startswith(PLACEHOLDER):
                yield command.arguments["request"].name
            else:
                yield chosen(command.arguments)[1]
        except ValueError:
            continue


@cache
def known_options() -> frozenset[str]:
    """Options of all command lines of the project."""
    found = {"--help"}
    for name, arguments in COMMAND_LINES.items():
        words = [name] if name.endswith(".py") else ["-m", name]
        found |= parse([*words, *arguments]).options
    return frozenset(found)
