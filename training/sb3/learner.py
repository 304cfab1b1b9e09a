"""SB3 as a run needs it: a model with its environment, and what happens during ``learn()``."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from envs.rollout import Env, Policy
from envs.step_check import ObservationCheck, check_rewards
from training.config import ConfigError, DivergedError, RunConfig
from training.environments import record_episodes
from training.open_run import OpenRun
from training.run_directory import MONITOR
from training.sb3 import resume
from training.sb3.algorithms import build_model, check_spaces, resolve_hyperparameters
from training.sb3.model_zip import model_bytes
from training.sb3.normalization import Normalization, NormalizedPolicy
from training.sb3.vec_env import make_training_env, recorder_of
from training.supervisor import Learner, Supervisor


class SB3Learner(Learner):
    """An SB3 model and the environment that it trains on.

    Seeds the global generators of Python, NumPy and torch, from which SB3 draws.

    :param hyperparameters: from :func:`resolve_hyperparameters`
    :param env: an environment of the run, which is inspected but not played
    :raises ConfigError: if the algorithm cannot be built for it
    """

    keeps_best = True
    # evaluates_between_steps stays False: when an evaluation is due, the step's update is still to
    # come, and SB3 cannot be saved there.
    resolve_hyperparameters = staticmethod(resolve_hyperparameters)

    def __init__(self, config: RunConfig, hyperparameters: dict[str, Any], env: Env) -> None:
        check_spaces(config, env)
        self.config, self.hyperparameters = config, hyperparameters
        self.env = make_training_env(config, hyperparameters.get("gamma", 0.99))
        try:
            self.model: Any = build_model(config, hyperparameters, self.env)
        except ConfigError:
            self.env.close()
            raise

    @property
    def step(self) -> int:
        """Environment steps so far."""
        steps: int = self.model.num_timesteps
        return steps

    @property
    def policy(self) -> Policy:
        """The model, with the normalisation of its training."""
        normalization, model = self._normalization(), self.model
        return model if normalization is None else NormalizedPolicy(model, normalization)

    def reason_not_resumable(self) -> str | None:
        """Why a stopped run has to begin anew; None if it can be continued."""
        return resume.reason_not_resumable(self.config.algo, self.model)

    def learn(self, run: OpenRun, supervisor: Supervisor, saved: dict[str, bytes] | None) -> None:
        """Train to the end, from the start or from a saved state."""
        record_episodes(recorder_of(self.env), self.config, run.path / MONITOR, saved is not None)
        logger = configure(str(run.path / "tensorboard"), ["tensorboard"])
        self.model.set_logger(logger)
        if saved is not None:
            resume.prepare(self.model, saved)
        callback = StepCallback(self, supervisor, saved)
        steps_left = self.config.total_timesteps - self.step
        try:
            with self._divergence_as_error(), supervisor.guarded(callback.step_of):
                self.model.learn(steps_left, callback, reset_num_timesteps=saved is None)
        finally:
            logger.close()  # otherwise its thread and memory stay until the process ends

    def weights(self) -> Iterable[tuple[str, torch.Tensor]]:
        """All weights by name."""
        named: Iterable[tuple[str, torch.Tensor]] = self.model.policy.named_parameters()
        return named

    def losses(self) -> dict[str, Any]:
        """The latest losses by name."""
        return {name: v for name, v in self.model.logger.name_to_value.items() if "loss" in name}

    def save_state(self) -> dict[str, bytes]:
        """All that the rest of the run depends on, at a rollout's start."""
        return resume.save_state(self.model)

    def policy_files(self) -> dict[str, bytes]:
        """The model, and the normalisation where it has one."""
        files, normalization = {"model.zip": model_bytes(self.model)}, self._normalization()
        if normalization is not None:
            files["normalization.npz"] = normalization.to_bytes()
        return files

    def _normalization(self) -> Normalization | None:
        """Statistics of the observations; None where they are not normalised."""
        env = self.model.get_vec_normalize_env()
        return Normalization.of(env) if isinstance(env, VecNormalize) and env.norm_obs else None

    @contextmanager
    def _divergence_as_error(self) -> Iterator[None]:
        """Raise a DivergedError where torch refuses the parameters of an action distribution."""
        try:
            yield
        except ValueError as error:
            if "of distribution" not in str(error):
                raise
            raise DivergedError(
                f"the action distribution's parameters are NaN or out of range at step {self.step}"
            ) from error


class StepCallback(BaseCallback):
    """Reports SB3's steps to the supervisor; SB3 calls it after each step, before the update.

    :param saved: the state to go on from
    """

    def __init__(
        self, learner: SB3Learner, supervisor: Supervisor, saved: dict[str, bytes] | None
    ) -> None:
        super().__init__()
        self._learner, self._supervisor, self._saved = learner, supervisor, saved
        self._check: ObservationCheck | None = None

    def _on_training_start(self) -> None:
        env = self.training_env
        if not isinstance(env.unwrapped, DummyVecEnv):  # its environments are guarded one by one
            self._check = ObservationCheck(env.observation_space, (env.num_envs,))
        if self._saved is None:
            self._supervisor.evaluate_if_due()
            return
        resume.restore_state(self._learner.model, self._saved)
        self._saved = None
        self._supervisor.resume()

    def _on_rollout_start(self) -> None:
        self._supervisor.between_steps()

    def _on_step(self) -> bool:
        self._check_step()
        episodes = self.model.ep_info_buffer
        self._supervisor.after_step(episodes[-1]["r"] if episodes else None)
        return True

    def _on_training_end(self) -> None:
        self._supervisor.finish()

    def _check_step(self) -> None:
        """Check what environments returned, unless each is checked by a StepGuard of its own."""
        if self._check is None or "new_obs" not in self.locals:
            return
        check_last = ObservationCheck(self.training_env.observation_space)
        with self._supervisor.guarded(lambda _: self._learner.step):
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
        return self._learner.step + self.training_env.num_envs
