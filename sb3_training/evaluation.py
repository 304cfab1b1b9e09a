"""The evaluation protocol: noise-free episodes from the same start states at every checkpoint."""

import io
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from envs.rollout import Episode, Evaluation, Policy, evaluate
from sb3_training.config import RunConfig
from sb3_training.environments import make_env, play_as_published, play_from_seeds
from sb3_training.guard import evaluation_guarded, refuse_not_finite
from sb3_training.run_directory import EVALUATIONS, RunDirectory

FIRST_SEED = 10_000  # episode k of a checkpoint starts from reset(seed=FIRST_SEED + k)
FINAL_FIRST_SEED = 20_000  # and of the final policy's scoring from reset(seed=FINAL_FIRST_SEED + k)
N_FINAL_EPISODES = 100


class Evaluator:
    """Evaluates at step 0, every ``eval_freq`` steps and at the last step, into evaluations.npz.

    The last evaluation is recorded at the step that training reached: an algorithm that collects
    whole rollouts, or steps several environments at once, may go on past ``total_timesteps``.

    :param config: of the run
    :param run: where the results are written
    """

    def __init__(self, config: RunConfig, run: RunDirectory) -> None:
        self._run = run
        self._config = config
        grid = [*range(0, config.total_timesteps, config.eval_freq), config.total_timesteps]
        self._pending = grid
        self._timesteps: list[int] = []
        self._evaluations: list[Evaluation] = []

    def resume(self) -> None:
        """Go on after the evaluations that evaluations.npz holds."""
        with np.load(self._run.path / EVALUATIONS) as saved:
            successes = saved.get("successes")
            for i, step in enumerate(saved["timesteps"].tolist()):
                self._timesteps.append(step)
                evaluation = Evaluation(
                    returns=saved["results"][i],
                    lengths=saved["ep_lengths"][i],
                    successes=None if successes is None else successes[i],
                )
                self._evaluations.append(evaluation)
        self._pending = self._pending[len(self._timesteps) :]
        self._run.last_return = float(self._evaluations[-1].returns.mean())

    def is_due(self, step: int) -> bool:
        """Whether a grid point has come, the last one excepted.

        :param step: environment steps so far
        """
        return len(self._pending) > 1 and self._pending[0] <= step

    def catch_up(self, policy: Policy, step: int) -> bool:
        """Evaluate if a grid point is due.

        With several environments a step may pass grid points: it is recorded as those points.

        :param step: environment steps so far
        :return: whether the policy is the best so far
        """
        is_best = False
        while self.is_due(step):
            is_best |= self._evaluate(policy, self._pending.pop(0))
        return is_best

    def finish(self, policy: Policy, step: int) -> bool:
        """Evaluate the final policy, at the step that was reached and on 100 start states.

        On these, also what the environment's ``episode_measures`` say, if it has any.

        :param step: environment steps that were taken, ``total_timesteps`` or more
        :return: whether the policy is the best so far
        :raises RuntimeError: if they are fewer
        """
        if step < self._config.total_timesteps:
            raise RuntimeError(
                f"training ended at step {step}, short of {self._config.total_timesteps}"
            )
        is_best = self._evaluate(policy, step)
        with evaluation_guarded(step):
            episodes = self._play(policy, FINAL_FIRST_SEED, N_FINAL_EPISODES)
        mean_return = np.mean([episode.episode_return for episode in episodes])
        self._run.log(f"final policy, {N_FINAL_EPISODES} starts: mean return {mean_return:.2f}")
        self._save(episodes)
        return is_best

    def _evaluate(self, policy: Policy, step: int) -> bool:
        with evaluation_guarded(step):
            evaluation = evaluate(self._play(policy, FIRST_SEED, self._config.n_eval_episodes))
        refuse_not_finite("return of the evaluation", evaluation.returns, step)
        self._timesteps.append(step)
        self._evaluations.append(evaluation)
        self._run.last_return = float(evaluation.returns.mean())
        self._run.log(f"step {step}: mean return {self._run.last_return:.2f}")
        self._save()
        means = [each.returns.mean() for each in self._evaluations]
        return bool(means[-1] > max(means[:-1], default=-np.inf))

    def _play(self, policy: Policy, first_seed: int, n_episodes: int) -> list[Episode]:
        """Play from start states of consecutive seeds, or as published, if the run asks for it."""
        seeds = range(first_seed, first_seed + n_episodes)
        with global_generators_untouched():
            if self._config.evaluation == "published":
                return play_as_published(policy, self._config, n_episodes)
            return play_from_seeds(policy, self._config, seeds)

    def _measures(self) -> dict[str, Callable[[Episode], float]]:
        """What the environment itself measures of an episode, by name."""
        with global_generators_untouched():
            env = make_env(self._config)
            env.close()
        return getattr(env.unwrapped, "episode_measures", {})

    def _save(self, final: Sequence[Episode] = ()) -> None:
        """Write evaluations.npz in the format of SB3's EvalCallback, plus the final scoring."""
        arrays = {
            "timesteps": np.array(self._timesteps),
            "results": np.array([each.returns for each in self._evaluations]),
            "ep_lengths": np.array([each.lengths for each in self._evaluations]),
        }
        # All or none: an environment may report success at some endings only.
        if all(each.successes is not None for each in self._evaluations):
            arrays["successes"] = np.array([each.successes for each in self._evaluations])
        if final:
            scores = evaluate(final)
            arrays["final_results"] = scores.returns
            arrays["final_ep_lengths"] = scores.lengths
            if scores.successes is not None:
                arrays["final_successes"] = scores.successes
            for name, measure in self._measures().items():
                arrays[f"final_{name}"] = np.array([measure(episode) for episode in final])
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        self._run.write_bytes(EVALUATIONS, buffer.getvalue())


@contextmanager
def global_generators_untouched() -> Iterator[None]:
    """Put Python's, NumPy's and torch's global generators back as they were.

    SB3 trains from them, so an evaluation that drew from them would change the training.
    """
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002
    torch_state = torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)
