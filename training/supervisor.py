"""What happens at each step of a run, whatever implementation trains."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from envs.rollout import Policy
from envs.step_check import NotFiniteError
from training.config import DivergedError, RunConfig
from training.endings import RunStopped
from training.environments import errors_with_step
from training.evaluation import Evaluator, refuse_not_finite
from training.open_run import OpenRun

CHECKPOINT_INTERVAL = 60.0  # least s between two checkpoints, unless given in steps
SAVING_SHARE = 0.02  # largest share of the time: a full replay buffer may take seconds
EVALUATION_PATIENCE = 10.0  # s that an evaluation may take once the run is asked to stop


class Learner(Protocol):
    """What a run needs of an implementation: an agent and its environment, each made once."""

    config: RunConfig
    hyperparameters: dict[str, Any]
    env: Any  # what it trains on
    keeps_best: bool = False  # whether the run directory keeps the best policy so far
    evaluates_between_steps: bool = False  # whether it can be saved when an evaluation is due

    @property
    def step(self) -> int:
        """Environment steps so far."""
        ...

    @property
    def policy(self) -> Policy:
        """What is evaluated."""
        ...

    def reason_not_resumable(self) -> str | None:
        """Why a stopped run has to begin anew; None if it can be continued."""
        ...

    def learn(self, run: OpenRun, supervisor: "Supervisor", saved: dict[str, bytes] | None) -> None:
        """Train to the end, from the start or from a saved state."""
        ...

    def weights(self) -> Iterable[tuple[str, torch.Tensor]]:
        """All weights by name."""
        ...

    def losses(self) -> Mapping[str, Any]:
        """The latest losses by name; empty if losses that are not finite show in the weights."""
        return {}

    def save_state(self) -> dict[str, bytes]:
        """All that the rest of the run depends on, as files by name."""
        ...

    def policy_files(self) -> dict[str, bytes]:
        """The policy as files by name."""
        ...

    def close(self) -> None:
        """Close the environment."""
        self.env.close()


class Supervisor:
    """Evaluates and saves when due, stops when asked, reports progress, refuses NaN.

    :param learner: what trains; it calls :meth:`after_step` and :meth:`between_steps`
    :param run: where evaluations and checkpoints go
    :param should_stop: whether the run has been asked to stop
    :param resumable: whether the run can be continued where it stops
    :param checkpoint_freq: environment steps between checkpoints; None for one a minute, or fewer
        where saving takes long
    """

    def __init__(
        self,
        learner: Learner,
        run: OpenRun,
        should_stop: Callable[[], bool] = lambda: False,
        resumable: bool = True,
        checkpoint_freq: int | None = None,
    ) -> None:
        self._learner, self._run = learner, run
        self._should_stop, self._resumable = should_stop, resumable
        self._checkpoint_freq = checkpoint_freq
        self._saved_at, self._saved_step = time.monotonic(), 0
        self._saving_took = 0.0  # s, the last time
        wait = resumable and not learner.evaluates_between_steps
        patience = EVALUATION_PATIENCE if wait else 0.0
        self._evaluator = Evaluator(learner.config, run, should_stop, patience)

    def resume(self) -> None:
        """Note that the learner goes on from a saved state."""
        self._saved_step = self._learner.step
        self._run.resume_at(self._saved_step)
        self._evaluator.resume()

    def after_step(self, training_return: float | None, may_evaluate: bool = True) -> None:
        """To be called after each environment step.

        :param training_return: of the last training episode, None before the first has ended
        :raises RunStopped: if the run was asked to stop and cannot be saved
        """
        if may_evaluate:
            self.evaluate_if_due()
        self._run.report(self._learner.step, training_return)
        if not self._resumable and self._should_stop():
            raise RunStopped("asked to stop")

    def between_steps(self) -> None:
        """To be called wherever the learner's state can be saved.

        :raises DivergedError: if a loss is NaN or infinite
        :raises RunStopped: if the run was asked to stop
        """
        self._refuse_losses()
        if not self._resumable:
            return
        stop, step = self._should_stop(), self._learner.step
        if stop or self._is_checkpoint_due(step):
            outcome = "saved" if self._save() else "could not be saved"
        if stop:
            raise RunStopped(f"asked to stop; {outcome} at step {step}")

    def evaluate_if_due(self) -> None:
        """Evaluate if an evaluation point is due, the last one excluded."""
        if self._evaluator.is_due(self._learner.step):
            self._evaluate(self._evaluator.evaluate_if_due)

    def finish(self) -> None:
        """Evaluate the final policy, the one that is saved."""
        self._refuse_losses()
        self.evaluate_if_due()
        self._evaluate(self._evaluator.finish)

    def refuse_weights(self) -> None:
        """End the run if a weight is NaN or infinite."""
        for name, weights in self._learner.weights():
            if not torch.isfinite(weights).all():
                text = f"weight {name} is NaN or infinite at step {self._learner.step}"
                raise DivergedError(text)

    @contextmanager
    def guarded(self, step_of: Callable[[bool], int]) -> Iterator[None]:
        """Add to the errors of a guarded training environment their step.

        :param step_of: returns the step of an error, given whether it occurred in ``reset``
        """
        with errors_with_step(step_of):
            try:
                yield
            except NotFiniteError:
                self.refuse_weights()  # the cause of an action that is not finite
                raise

    def close(self) -> None:
        """Close the environments of the evaluation."""
        self._evaluator.close()

    def _evaluate(self, evaluate: Callable[[Policy, int], bool]) -> None:
        self.refuse_weights()
        try:
            is_best = evaluate(self._learner.policy, self._learner.step)
        except RunStopped:
            if self._resumable and self._learner.evaluates_between_steps:
                self._save()
            raise
        if is_best and self._learner.keeps_best:
            for name, content in self._learner.policy_files().items():
                self._run.write_bytes(f"best_{name}", content)

    def _refuse_losses(self) -> None:
        for name, value in self._learner.losses().items():
            refuse_not_finite(name, value, self._learner.step)

    def _is_checkpoint_due(self, step: int) -> bool:
        if self._checkpoint_freq is not None:
            return step - self._saved_step >= self._checkpoint_freq
        interval = max(CHECKPOINT_INTERVAL, self._saving_took / SAVING_SHARE)
        return time.monotonic() - self._saved_at > interval

    def _save(self) -> bool:
        step, began = self._learner.step, time.monotonic()
        saved = self._run.try_to_save(step, self._learner.save_state)
        self._saved_at, self._saved_step = time.monotonic(), step
        self._saving_took = self._saved_at - began
        return saved
