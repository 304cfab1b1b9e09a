"""The environments that a run evaluates in: made once, and used again at each evaluation."""

from collections.abc import Sequence
from functools import partial

from envs.rollout import (
    BatchEnv,
    Env,
    Measures,
    OnStep,
    Policy,
    Score,
    score_in_batch,
    score_side_by_side,
)
from envs.step_check import CLOCK
from training.config import RunConfig
from training.environments import make_batch_env, make_env

PUBLISHED_SEED_OFFSET = 100


class Players:
    """Environments to evaluate in; each is made when it is first needed.

    Between evaluations an environment is reset, not made anew. ``reset(seed=s)`` has to put it
    where any other ``reset(seed=s)`` puts it, whatever was played before: Gymnasium's contract,
    which :func:`training.gate.pass_gate` tries by repeated resets, and notes where it is
    broken. What such a trial of a few steps does not show (a cache, a wear that comes with
    thousands of steps) would let later evaluations differ from those of new environments.

    :param config: of the run; its ``eval_envs`` says how many episodes go side by side
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._singles: list[Env] = []
        self._batches: dict[int, BatchEnv | None] = {}

    def play(
        self,
        policy: Policy,
        seeds: Sequence[int],
        measured: bool = False,
        on_step: OnStep = lambda: None,
    ) -> list[Score]:
        """Play noise-free episodes, episode k from ``reset(seed=seeds[k])``.

        With ``evaluation="published"``, play as many as there are seeds, but one after another in
        one environment that is seeded once, with the run's seed + 100. So the TD3 author's code
        evaluates (``eval_policy`` in https://github.com/sfujim/TD3): the starts are other ones
        for each run, and come again at each of its evaluations.

        :param measured: whether to measure what the environment's ``episode_measures`` say
        :param on_step: called before each step; may raise to break off
        """
        measures = self._measures() if measured else {}
        CLOCK.enter("a reset of the evaluation")
        try:
            return self._play(policy, seeds, measures, partial(_watched, on_step))
        finally:
            CLOCK.leave()

    def _play(
        self, policy: Policy, seeds: Sequence[int], measures: Measures, on_step: OnStep
    ) -> list[Score]:
        if self._config.evaluation == "published":
            (env,) = self._single(1)
            first = self._config.seed + PUBLISHED_SEED_OFFSET
            return [
                score_side_by_side(policy, [env], [seed], measures, on_step)[0]
                for seed in (first, *[None] * (len(seeds) - 1))
            ]
        scores: list[Score] = []
        size = self._config.eval_envs or len(seeds)
        for first in range(0, len(seeds), size):
            group = seeds[first : first + size]
            scores += self._play_group(policy, group, size, measures, on_step)
        return scores

    def _play_group(
        self, policy: Policy, seeds: Sequence[int], size: int, measures: Measures, on_step: OnStep
    ) -> list[Score]:
        if size not in self._batches:
            self._batches[size] = make_batch_env(self._config, size)
        batch = self._batches[size]
        if batch is None:
            envs = self._single(len(seeds))
            return score_side_by_side(policy, envs, seeds, measures, on_step)
        filled = [*seeds, *[seeds[-1]] * (size - len(seeds))]
        return score_in_batch(policy, batch, filled, measures, on_step)[: len(seeds)]

    def _single(self, n: int) -> list[Env]:
        while len(self._singles) < n:
            self._singles.append(make_env(self._config))
        return self._singles[:n]

    def _measures(self) -> Measures:
        (env,) = self._single(1)
        measures: Measures = getattr(env.unwrapped, "episode_measures", {})
        return measures

    def close(self) -> None:
        """Close all environments."""
        for env in self._singles:
            env.close()
        for batch in self._batches.values():
            if batch is not None:
                batch.close()
        self._singles, self._batches = [], {}


def _watched(on_step: OnStep) -> None:
    CLOCK.enter("a step of the evaluation")
    on_step()
