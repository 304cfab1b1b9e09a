"""The evaluation protocol: noise-free episodes from the same start states at every evaluation."""

import io
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from envs.checks.play import global_generators_preserved
from envs.rollout import (
    BatchEnv,
    Env,
    Evaluation,
    Measures,
    OnStep,
    Policy,
    Score,
    evaluate,
    score_in_batch,
    score_side_by_side,
)
from envs.step_check import CLOCK
from training.config import FIRST_SEED, HELD_OUT_SEED, DivergedError, RunConfig
from training.endings import RunStopped
from training.environments import errors_with_step, make_batch_env, make_env
from training.open_run import OpenRun
from training.run_directory import EVALUATIONS

N_FINAL_EPISODES = 100
CURVE_ARRAYS = ("timesteps", "results", "ep_lengths", "successes")
PUBLISHED_SEED_OFFSET = 100  # of the TD3 author's evaluations
N_LATE = 10  # evaluation points at a run's end whose policies are scored on held-out starts


class EvaluationEnvs:
    """Environments to evaluate in; each is made when it is first needed.

    Between evaluations an environment is reset, not made anew. By Gymnasium's contract,
    ``reset(seed=s)`` leads to the same state whatever was played before;
    :func:`training.gate.pass_gate` tests this by repeated resets, and notes where it is broken.
    What a test of a few steps does not show (a cache, wear over thousands of steps) could make
    later evaluations differ from those of new environments.

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
        one environment that is seeded once, with the run's seed + 100. The TD3 author's code
        evaluates in this way (``eval_policy`` in https://github.com/sfujim/TD3): the starts
        differ between runs, and are the same in all evaluations of a run.

        :param measured: whether to apply the environment's ``episode_measures``
        :param on_step: called before each step; may raise to break off
        """
        measures = self._measures() if measured else {}
        CLOCK.enter("a reset of the evaluation")
        try:
            return self._play(policy, seeds, measures, partial(_timed_step, on_step))
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


def _timed_step(on_step: OnStep) -> None:
    CLOCK.enter("a step of the evaluation")
    on_step()


class Evaluator:
    """Evaluates at step 0, every ``eval_freq`` steps and at the last step, into evaluations.npz.

    Each evaluation is recorded at the step that training had reached. It may lie past the due step:
    several environments take a step each, and some algorithms can be evaluated, or end, only at the
    end of an episode or a rollout. Points that are passed together get one evaluation.

    The policies at the last N_LATE of these points are *late* ones: they also play N_FINAL_EPISODES
    episodes from held-out starts or, with ``evaluation="published"``, after one seeding with the
    run's seed + 100, as for the curve. The final policy is the last late one.

    :param config: of the run
    :param run: where the results are written
    :param should_stop: asked at each step of an evaluation
    :param patience: seconds that an evaluation may still take after the run was asked to stop
    """

    def __init__(
        self,
        config: RunConfig,
        run: OpenRun,
        should_stop: Callable[[], bool] = lambda: False,
        patience: float = 0.0,
    ) -> None:
        self._run = run
        self._config = config
        self._should_stop = should_stop
        self._patience = patience
        self._asked_at: float | None = None
        self._players = EvaluationEnvs(config)
        grid = [*range(0, config.total_timesteps, config.eval_freq), config.total_timesteps]
        self._pending = grid
        self._late_points = grid[-N_LATE:]
        self._curve: dict[int, Evaluation] = {}  # by environment step
        self._late: dict[int, Evaluation] = {}

    def resume(self) -> None:
        """Go on after the evaluations that evaluations.npz holds, if there have been any."""
        if not (self._run.path / EVALUATIONS).exists():
            return
        with np.load(self._run.path / EVALUATIONS) as saved:
            arrays = dict(saved)
        self._curve = _from_arrays(arrays, "")
        # In a run that was extended, some policies that were scored as late ones no longer are.
        late = _from_arrays(arrays, "late_").items()
        self._late = {step: each for step, each in late if step >= self._late_points[0]}
        self._take_points_until([*self._curve][-1])
        self._run.last_return = float([*self._curve.values()][-1].returns.mean())

    def is_due(self, step: int) -> bool:
        """Whether an evaluation point is due, the last one excluded.

        :param step: environment steps so far
        """
        return bool(self._pending[0] <= step < self._config.total_timesteps)

    def evaluate_if_due(self, policy: Policy, step: int) -> bool:
        """Evaluate if an evaluation point is due, the last one excluded.

        :param step: environment steps so far
        :return: whether the policy is the best so far
        :raises RunStopped: if asked to stop; the evaluation is then still due
        """
        return self.is_due(step) and self._evaluate(policy, step)

    def finish(self, policy: Policy, step: int) -> bool:
        """Evaluate the final policy, at the step reached and as the last of the late ones.

        :param step: environment steps that were taken, ``total_timesteps`` or more
        :return: whether the policy is the best so far
        :raises RuntimeError: if ``step`` is less than ``total_timesteps``
        :raises RunStopped: as :meth:`evaluate_if_due` does
        """
        if step < self._config.total_timesteps:
            raise RuntimeError(
                f"training ended at step {step}, short of {self._config.total_timesteps}"
            )
        is_best = self._evaluate(policy, step)
        mean_return = self._late[step].returns.mean()
        self._run.log(f"final policy, {N_FINAL_EPISODES} starts: mean return {mean_return:.2f}")
        self.close()
        return is_best

    def close(self) -> None:
        """Close the environments."""
        self._players.close()

    def _evaluate(self, policy: Policy, step: int) -> bool:
        with errors_with_step(lambda _: step, ", in the evaluation"):
            evaluation = self._play(policy, FIRST_SEED, self._config.n_eval_episodes)
            refuse_not_finite("return of the evaluation", evaluation.returns, step)
            if step >= self._late_points[0]:
                late = self._play(policy, HELD_OUT_SEED, N_FINAL_EPISODES, True)
                refuse_not_finite("return of the evaluation", late.returns, step)
                self._late[step] = late
        best = max((each.returns.mean() for each in self._curve.values()), default=-np.inf)
        self._curve[step] = evaluation
        self._take_points_until(step)
        self._run.last_return = float(evaluation.returns.mean())
        self._run.log(f"step {step}: mean return {self._run.last_return:.2f}")
        self._save()
        return bool(evaluation.returns.mean() > best)

    def _take_points_until(self, step: int) -> None:
        self._pending = [point for point in self._pending if point > step]

    def _play(
        self, policy: Policy, first_seed: int, n_episodes: int, measured: bool = False
    ) -> Evaluation:
        """Play from start states of consecutive seeds, or as published, if the run asks for it."""
        seeds = range(first_seed, first_seed + n_episodes)
        with global_generators_preserved():  # SB3's training draws from them
            return evaluate(self._players.play(policy, seeds, measured, self._check_stop_request))

    def _check_stop_request(self) -> None:
        if not self._should_stop():
            return
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        if now - self._asked_at >= self._patience:
            raise RunStopped(f"asked to stop in the evaluation at step {self._pending[0]}")

    def _save(self) -> None:
        """Write evaluations.npz: the format of SB3's EvalCallback, plus the late policies."""
        arrays = _to_arrays(self._curve)
        arrays |= {f"late_{name}": rows for name, rows in _to_arrays(self._late).items()}
        if not self._pending:
            (step, final) = [*self._late.items()][-1]
            rows = _to_arrays({step: final})
            arrays |= {f"final_{name}": rows[name][0] for name in rows if name != "timesteps"}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        self._run.write_bytes(EVALUATIONS, buffer.getvalue())


def refuse_not_finite(source: str, values: Any, step: int) -> None:
    """End the run if a number is NaN or infinite.

    :param source: what the numbers are
    :param values: a number or an array
    :param step: environment steps so far
    :raises DivergedError: if one is
    """
    if not np.isfinite(values).all():
        raise DivergedError(f"{source} is NaN or infinite at step {step}")


def _to_arrays(evaluations: dict[int, Evaluation]) -> dict[str, np.ndarray]:
    """Convert evaluations by step to arrays with a row for each step; none without evaluations."""
    if not evaluations:
        return {}
    rows = [*evaluations.values()]
    arrays = {
        "timesteps": np.array([*evaluations]),
        "results": np.array([each.returns for each in rows]),
        "ep_lengths": np.array([each.lengths for each in rows]),
    }
    # Only if all have them: an environment may report success only at the end of some episodes.
    if all(each.successes is not None for each in rows):
        arrays["successes"] = np.array([each.successes for each in rows])
    for name in rows[0].measures:
        arrays[name] = np.array([each.measures[name] for each in rows])
    return arrays


def _from_arrays(arrays: dict[str, np.ndarray], prefix: str) -> dict[int, Evaluation]:
    """The inverse of :func:`_to_arrays`; empty if no array has the prefix."""
    named = {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if (name.startswith(prefix) if prefix else name in CURVE_ARRAYS)
    }
    measures = [name for name in named if name not in CURVE_ARRAYS]
    return {
        int(step): Evaluation(
            returns=named["results"][row],
            lengths=named["ep_lengths"][row],
            successes=named["successes"][row] if "successes" in named else None,
            measures={name: named[name][row] for name in measures},
        )
        for row, step in enumerate(named.get("timesteps", ()))
    }
