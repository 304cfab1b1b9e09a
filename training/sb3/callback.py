"""What happens during SB3's ``learn()``: evaluation, checkpoints, progress, early ends."""

import time
from collections.abc import Callable

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from envs.rollout import Policy
from envs.step_check import ObservationCheck, check_rewards
from training.evaluation import Evaluator
from training.guard import refuse_not_finite, refuse_weights, training_guarded
from training.run_directory import RunDirectory
from training.sb3 import resume as continuation
from training.sb3.model_zip import model_bytes
from training.sb3.normalization import Normalization, NormalizedPolicy
from training.signals import RunStopped

CHECKPOINT_INTERVAL = 60.0  # s


class ProtocolCallback(BaseCallback):
    """Evaluates by the protocol, keeps the best model, and reports progress.

    SB3 calls it after an environment step and before that step's update. The final evaluation
    waits until training has ended, so that it scores the very policy that is saved.

    :param should_stop: whether the run has been asked to stop
    :param can_continue: whether the run can be continued where it stops: then it stops at a
        rollout's start, once its state is saved
    :param saved: the state to go on from
    :param checkpoint_freq: environment steps between checkpoints; None for one a minute
    """

    def __init__(
        self,
        evaluator: Evaluator,
        run: RunDirectory,
        should_stop: Callable[[], bool],
        can_continue: bool,
        saved: dict[str, bytes] | None = None,
        checkpoint_freq: int | None = None,
    ) -> None:
        super().__init__()
        self._evaluator = evaluator
        self._run = run
        self._should_stop = should_stop
        self._can_continue = can_continue
        self._saved = saved
        self._checkpoint_freq = checkpoint_freq
        self._saved_at = time.monotonic()
        self._saved_step = 0
        self._check: ObservationCheck | None = None

    def _on_training_start(self) -> None:
        env = self.training_env
        if not isinstance(env.unwrapped, DummyVecEnv):  # whose environments are guarded themselves
            self._check = ObservationCheck(env.observation_space, (env.num_envs,))
        if self._saved is None:
            self._evaluate(step=0)
            return
        continuation.put_back(self.model, self._saved)  # type: ignore[arg-type]
        self._saved = None
        self._evaluator.resume()
        self._saved_step = self.model.num_timesteps
        self._run.resume_at(self._saved_step)

    def _on_rollout_start(self) -> None:
        self._refuse_infinite_losses()
        if not self._can_continue:
            return
        step = self.model.num_timesteps
        stop = self._should_stop()
        if stop or self._is_checkpoint_due(step):
            saved = self._run.try_to_save(step, lambda: continuation.take_down(self.model))  # type: ignore[arg-type]
            self._saved_at, self._saved_step = time.monotonic(), step
        if stop:
            outcome = "saved" if saved else "could not be saved"
            raise RunStopped(f"asked to stop; {outcome} at step {step}")

    def _on_step(self) -> bool:
        self._check_step()
        if not self._can_continue and self._should_stop():
            raise RunStopped("asked to stop")
        self._evaluate(self.num_timesteps)
        if self.model.ep_info_buffer:
            self._run.last_training_return = self.model.ep_info_buffer[-1]["r"]
        self._run.report(self.num_timesteps)
        return True

    def _on_training_end(self) -> None:
        self._refuse_infinite_losses()
        self.refuse_weights()
        self._evaluate(self.num_timesteps)
        if self._evaluator.finish(self.policy, self.num_timesteps):
            self._keep_best()

    @property
    def policy(self) -> Policy:
        """What plays: the model, behind the normalisation that it is trained with."""
        normalization = self.normalization()
        model: Policy = self.model
        return model if normalization is None else NormalizedPolicy(model, normalization)

    def normalization(self) -> Normalization | None:
        """Statistics of the observations; None where they are not normalised."""
        env = self.model.get_vec_normalize_env()
        return Normalization.of(env) if isinstance(env, VecNormalize) and env.norm_obs else None

    def _evaluate(self, step: int) -> None:
        if not self._evaluator.is_due(step):
            return
        self.refuse_weights()
        if self._evaluator.catch_up(self.policy, step):
            self._keep_best()

    def _keep_best(self) -> None:
        self._run.write_bytes("best_model.zip", model_bytes(self.model))
        normalization = self.normalization()
        if normalization is not None:
            self._run.write_bytes("best_normalization.npz", normalization.to_bytes())

    def _is_checkpoint_due(self, step: int) -> bool:
        if self._checkpoint_freq is not None:
            return step - self._saved_step >= self._checkpoint_freq
        return time.monotonic() - self._saved_at > CHECKPOINT_INTERVAL

    def _check_step(self) -> None:
        """Check what environments returned that no wrapper of ours could look at one by one."""
        if self._check is None or "new_obs" not in self.locals:
            return
        check_last = ObservationCheck(self.training_env.observation_space)
        with training_guarded(lambda _: self.model.num_timesteps, self.refuse_weights):
            check_rewards(self.locals["rewards"], self.training_env.num_envs)
            self._check(self.locals["new_obs"])
            for info in self.locals["infos"]:
                if info.get("terminal_observation") is not None:
                    check_last(info["terminal_observation"])

    def step_of(self, at_reset: bool) -> int:
        """The step that an error of the training environments belongs to.

        :param at_reset: has no effect here: SB3 resets within the step that ends an episode
        """
        if not self.locals:  # the very first reset
            return 0
        return self.model.num_timesteps + self.training_env.num_envs

    def refuse_weights(self) -> None:
        """End the run if a weight is NaN or infinite."""
        refuse_weights(self.model.policy.named_parameters(), self.model.num_timesteps)

    def _refuse_infinite_losses(self) -> None:
        for name, value in self.model.logger.name_to_value.items():
            if "loss" in name:
                refuse_not_finite(name, value, self.model.num_timesteps)
