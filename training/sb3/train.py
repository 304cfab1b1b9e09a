"""Training one SB3 model into one run directory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from stable_baselines3.common.logger import configure

from envs.rollout import Env
from training.config import ConfigError, DivergedError, RunConfig
from training.environments import make_training_env
from training.evaluation import Evaluator
from training.gate import Passed, pass_gate
from training.guard import refuse_weights, training_guarded
from training.run_directory import MONITOR, Progress, RunDirectory, execute
from training.sb3.algorithms import build_model, check_spaces, resolve_hyperparameters
from training.sb3.callback import ProtocolCallback
from training.sb3.model_zip import model_bytes
from training.sb3.resume import obstacle, prepare

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

EVALUATION_PATIENCE = 10.0  # s for an evaluation to end once the run is asked to stop


def train(
    config: RunConfig,
    root: str | Path = "runs",
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    checkpoint_freq: int | None = None,
    check: bool = True,
    allow_mixed: bool = False,
) -> Path:
    """Train as configured; a run that is already complete is left as it is.

    A run that was stopped goes on from its last checkpoint, exactly as if it had not been
    stopped; where the algorithm or the environment does not allow that, it begins anew.

    Seeds the global generators of Python, NumPy and torch, from which SB3 draws, and sets torch
    to one thread: a second one slows networks of this size down.

    :param root: folder that holds the run directories
    :param on_progress: called with the environment step, the last mean evaluation return and
        the return of the last training episode
    :param should_stop: asked at every step; once it says yes, the run is saved and stops. An
        evaluation, which falls within SB3's step, may take EVALUATION_PATIENCE to end first, or
        else the run goes on from the checkpoint before
    :param checkpoint_freq: environment steps between checkpoints; None for one a minute
    :param check: whether SB3's checker is to look at the environment first
    :param allow_mixed: whether to go on with what other software began
    :return: the run directory
    :raises ConfigError: if the configuration cannot be run, before anything is written
    :raises training.config.DivergedError: if a number is NaN or infinite
    :raises training.config.BrokenEnvironmentError: if what the environment returns does not
        fit its spaces
    :raises training.signals.RunStopped: if it was asked to stop
    """
    torch.set_num_threads(1)
    if checkpoint_freq is not None and checkpoint_freq < 1:
        raise ConfigError(f"checkpoint_freq must be 1 or more, got {checkpoint_freq}")
    passed = inspect(config, check)
    hyperparameters = resolve_hyperparameters(config)
    gamma = hyperparameters.get("gamma", 0.99)

    def body(run: RunDirectory) -> None:
        saved = run.load_checkpoint() if passed.can_continue else None
        env = make_training_env(config, gamma, str(run.path / MONITOR), append=saved is not None)
        model = build_model(config, hyperparameters, env)
        model.set_logger(configure(str(run.path / "tensorboard"), ["tensorboard"]))
        patience = EVALUATION_PATIENCE if passed.can_continue else 0.0
        evaluator = Evaluator(config, run, should_stop, patience)
        callback = ProtocolCallback(
            evaluator, run, should_stop, passed.can_continue, saved, checkpoint_freq
        )
        if saved is not None:
            prepare(model, saved)  # type: ignore[arg-type]
        steps_left = config.total_timesteps - model.num_timesteps
        try:
            with (
                divergence_noticed(model),
                training_guarded(
                    callback.step_of,
                    lambda: refuse_weights(model.policy.named_parameters(), model.num_timesteps),
                ),
            ):
                model.learn(steps_left, callback, reset_num_timesteps=saved is None)
        finally:
            env.close()
            evaluator.close()
        run.write_bytes("model.zip", model_bytes(model))
        normalization = callback.normalization()
        if normalization is not None:
            run.write_bytes("normalization.npz", normalization.to_bytes())

    return execute(config, hyperparameters, root, body, on_progress, passed.notes, allow_mixed)


def inspect(config: RunConfig, check: bool = True) -> Passed:
    """Pass the gate for SB3: see :func:`training.gate.pass_gate`.

    :raises ConfigError: if the configuration cannot be run
    """

    def trial(env: Env) -> str | None:
        check_spaces(config, env)
        hyperparameters = resolve_hyperparameters(config)
        training_env = make_training_env(config, hyperparameters.get("gamma", 0.99))
        try:
            return obstacle(config.algo, build_model(config, hyperparameters, training_env))
        finally:
            training_env.close()

    return pass_gate(config, trial, check)


@contextmanager
def divergence_noticed(model: "BaseAlgorithm") -> Iterator[None]:
    """Call by its name what torch refuses: an action distribution of impossible parameters.

    :raises training.config.DivergedError: then
    """
    try:
        yield
    except ValueError as error:
        if "of distribution" not in str(error):
            raise
        source = "the action distribution's parameters are"
        raise DivergedError(
            f"{source} NaN or out of range at step {model.num_timesteps}"
        ) from error
