"""Check that the vector version of an environment does what the single one does."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from envs.checks.findings import Finding, finding
from envs.checks.play import Env, Outcome, action_sequence, brief, outcome_difference, same

VectorEnv = gym.vector.VectorEnv[Any, Any, Any]
MakeVector = Callable[[int], VectorEnv]
TOLERANCE = 1e-4  # batched arithmetic may round differently
SEED = 60
# Ways to seed n rows so that row k starts as the single environment from SEED + k: (n, seed).
SEEDINGS: tuple[tuple[int, Any], ...] = ((3, [SEED, SEED + 1, SEED + 2]), (3, SEED), (1, SEED))


def check_vector(make: Callable[[], Env], make_vector: MakeVector, steps: int) -> Iterator[Finding]:
    """Play the same episodes in both versions, if one of the seedings makes their starts agree.

    :param make: returns a single environment, which the caller closes
    :param make_vector: returns the vector version with the given number of rows
    :param steps: number of steps that are compared
    """
    singles = [make() for _ in range(3)]
    for rows, seed in SEEDINGS:
        try:
            with closing(make_vector(rows)) as vector:
                problem = _difference_in_spaces(singles[0], vector)
                starts = [env.reset(seed=SEED + row)[0] for row, env in enumerate(singles[:rows])]
                comparable = problem is None and _starts_agree(vector, seed, starts)
                if comparable:
                    problem = _difference_in_episodes(singles[:rows], vector, steps)
        except Exception as error:
            problem = (
                f"comparing the vector version with the single one raised {brief(repr(error))}"
            )
        if problem:
            yield finding("vector-disagrees", problem)
        if problem or comparable:
            return
    yield finding(
        "not-checked",
        "the vector version does not start as the single one does from the same seed, neither with"
        " reset(seed=[s, s + 1, ...]) nor with reset(seed=s), so their steps were not compared",
    )


def _difference_in_spaces(single: Env, vector: VectorEnv) -> str | None:
    rows = vector.num_envs
    pairs = {
        "single_observation_space": single.observation_space,
        "single_action_space": single.action_space,
        "observation_space": batch_space(single.observation_space, rows),
        "action_space": batch_space(single.action_space, rows),
    }
    for name, space in pairs.items():
        if getattr(vector, name) != space:
            return f"{name} is {getattr(vector, name)}; the single version needs {space}"
    if not isinstance(vector.metadata.get("autoreset_mode"), AutoresetMode):
        return "metadata['autoreset_mode'] is not one of gymnasium.vector.AutoresetMode"
    return None


def _starts_agree(vector: VectorEnv, seed: Any, starts: list[Any]) -> bool:
    try:
        batch, _ = vector.reset(seed=seed)
    except Exception:  # the interface does not promise a list of seeds
        return False
    return same(starts, list(iterate(vector.observation_space, batch)), TOLERANCE)


def _difference_in_episodes(singles: list[Env], vector: VectorEnv, steps: int) -> str | None:
    """The first difference, in words; None if there is none.

    A row is no longer compared once its next episode starts differently from the single one's.
    """
    mode, space = vector.metadata["autoreset_mode"], vector.single_action_space
    sequences = [action_sequence(space, "held", row) for row in range(len(singles))]
    compared, over = set(range(len(singles))), set[int]()
    for step, actions in enumerate(islice(zip(*sequences, strict=True), steps), start=1):
        if not compared:
            break
        empty: Any = create_empty_array(space, len(singles))
        batch = concatenate(space, actions, empty)
        observations, *arrays, infos = vector.step(batch)
        rows = list(iterate(vector.observation_space, observations))
        for row in sorted(compared):
            start = None
            actual = Outcome(rows[row], *(array[row] for array in arrays))
            if row in over:  # this step has only begun the next episode
                over.remove(row)
                expected, start = Outcome(actual.observation), rows[row]
            else:
                expected = Outcome(*singles[row].step(actions[row])[:4])
                is_over = expected.terminated or expected.truncated
                if is_over and mode is AutoresetMode.NEXT_STEP:
                    over.add(row)
                elif is_over and mode is AutoresetMode.SAME_STEP:
                    start = rows[row]
                    actual = actual._replace(observation=infos["final_obs"][row])
                elif is_over:  # DISABLED: nothing resets by itself
                    compared.clear()
            change = outcome_difference(expected, actual, TOLERANCE)
            if change:
                return f"{change}, which the single version yields, in row {row} at step {step}"
            if start is not None and not same(start, singles[row].reset()[0], TOLERANCE):
                compared.discard(row)
    return None
