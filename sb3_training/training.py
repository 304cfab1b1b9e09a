"""Training one SB3 model into one run directory."""

from pathlib import Path

import torch

from sb3_training.algorithms import build_model, check_spaces, resolve_hyperparameters
from sb3_training.callbacks import ProtocolCallback
from sb3_training.config import ConfigError, RunConfig
from sb3_training.environments import make_env, make_training_env
from sb3_training.evaluation import Evaluator
from sb3_training.model_file import model_bytes
from sb3_training.run_directory import MONITOR, Progress, RunDirectory, execute


def train(
    config: RunConfig, root: str | Path = "runs", on_progress: Progress | None = None
) -> Path:
    """Train as configured; a run that is already complete is left as it is.

    Seeds the global generators of Python, NumPy and torch, from which SB3 draws, and sets torch
    to one thread: a second one slows networks of this size down.

    :param root: folder that holds the run directories
    :param on_progress: called with the environment step and the last mean evaluation return
    :return: the run directory
    :raises ConfigError: if the configuration cannot be run, before anything is written
    """
    torch.set_num_threads(1)
    check_device(config.device)
    env = make_env(config)
    check_spaces(config, env)
    hyperparameters = resolve_hyperparameters(config)
    env.close()
    trial = make_training_env(config)  # whatever it or SB3 refuses, they refuse now
    build_model(config, hyperparameters, trial)
    trial.close()

    def body(run: RunDirectory) -> None:
        env = make_training_env(config, str(run.path / MONITOR))
        model = build_model(config, hyperparameters, env)
        evaluator = Evaluator(config, run)
        model.learn(config.total_timesteps, ProtocolCallback(evaluator, run))
        run.write_bytes("model.zip", model_bytes(model))
        env.close()

    return execute(config, hyperparameters, root, body, on_progress)


def check_device(name: str) -> None:
    """Refuse a device that is not there; SB3 would take the CPU without a word.

    :raises ConfigError: if torch does not know it or cannot use it
    """
    try:
        torch.empty(0, device=name)
    except (AssertionError, RuntimeError) as error:
        message = str(error).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used, cpu always can: {message}") from error
