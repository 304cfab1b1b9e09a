"""One configuration -> one run directory, whatever implementation it names."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.config import ConfigError, RunConfig, uses_reference
from training.open_run import Progress, open_run

if TYPE_CHECKING:
    from training.custom import CustomLearner
    from training.gate import Passed
    from training.reference import ReferenceLearner
    from training.sb3.learner import SB3Learner


def run(
    config: RunConfig,
    root: str | Path = "runs",
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    checkpoint_freq: int | None = None,
    check: bool = True,
    allow_mixed: bool = False,
    extend: bool = False,
    keep_checkpoint: bool = False,
) -> Path:
    """Train as configured, in this process; a run that is already complete is left as it is.

    A run that was stopped goes on from its last checkpoint, exactly as if it had not been
    stopped; where the algorithm or the environment does not allow that, it begins anew.

    Sets torch to one thread: a second one slows networks of this size down. SB3 draws from the
    global generators of Python, NumPy and torch, which are seeded for it.

    :param root: folder that holds the run directories
    :param on_progress: called with the environment step, the last mean evaluation return and
        the return of the last training episode
    :param should_stop: called at every step, of evaluations too; once it returns True, the run is
        saved and stops
    :param checkpoint_freq: environment steps between checkpoints; None for one a minute
    :param check: whether to run SB3's checker on the environment first
    :param allow_mixed: whether to go on with a run that other software began
    :param extend: whether to extend a run of fewer steps that is there: the result is the same as
        that of a run with all steps from the start
    :param keep_checkpoint: whether the last checkpoint stays once the run is complete
    :return: the run directory
    :raises ConfigError: if the configuration cannot be run, before anything is written
    :raises training.open_run.RunBusyError: if another process is at work there
    :raises training.config.DivergedError: if a number is NaN or infinite
    :raises training.config.BrokenEnvironmentError: if what the environment returns does not
        fit its spaces
    :raises training.endings.RunStopped: if it was asked to stop
    """
    import torch

    from training.supervisor import Supervisor

    torch.set_num_threads(1)
    if checkpoint_freq is not None and checkpoint_freq < 1:
        raise ConfigError(f"checkpoint_freq must be 1 or more, got {checkpoint_freq}")
    learner, notes, resumable = prepare(config, check)
    opened = open_run(config, learner.hyperparameters, root, on_progress, notes, allow_mixed,
                      extend, keep_checkpoint)  # fmt: skip
    with closing(learner), opened as directory:
        if directory.was_done:
            return directory.path
        saved = directory.load_checkpoint() if resumable else None
        supervisor = Supervisor(learner, directory, should_stop, resumable, checkpoint_freq)
        with closing(supervisor):
            learner.learn(directory, supervisor, saved)
        for name, content in learner.policy_files().items():
            directory.write_bytes(name, content)
    return directory.path


def prepare(config: RunConfig, check: bool = True) -> "Passed":
    """Make the agent and its environment, if they pass the checks of :mod:`training.gate`.

    :raises ConfigError: if there is no such environment, algorithm or hyperparameter, or they do
        not go together
    """
    from training.gate import pass_gate

    implementation = _implementation_of(config)
    hyperparameters = implementation.resolve_hyperparameters(config)  # refused at once
    return pass_gate(config, lambda env: implementation(config, hyperparameters, env), check)


def refuse_impossible(config: RunConfig, check: bool = True) -> None:
    """Refuse what training would refuse, by the same checks.

    :param check: whether to run SB3's checker on the environment
    :raises ConfigError: as :func:`prepare` does
    """
    from envs.checks.play import global_generators_preserved

    with global_generators_preserved():
        prepare(config, check).learner.close()


def hyperparameters_of(config: RunConfig) -> dict[str, Any]:
    """Every hyperparameter of a run as resolved.

    :raises ConfigError: if a name in the configuration does not exist
    """
    return _implementation_of(config).resolve_hyperparameters(config)


def _implementation_of(config: RunConfig) -> "type[ReferenceLearner | CustomLearner | SB3Learner]":
    if uses_reference(config.algo):
        from training.reference import ReferenceLearner

        return ReferenceLearner
    from training.custom import CustomLearner, is_custom
    from training.sb3.learner import SB3Learner

    return CustomLearner if is_custom(config.algo) else SB3Learner
