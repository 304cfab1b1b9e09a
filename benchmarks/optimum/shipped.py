"""The optimum of the protocol's start states, as data that comes with the package.

    python -m benchmarks.optimum.shipped     # computes it anew, in some five minutes

The data is valid for the grids that it was computed on. After a change of these it is not used, and
every value is computed at first use, until the data is made anew.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parent / "data" / "starts.npz"
GAMMAS = (0.99, 0.995, 0.999, 1.0)  # of the catalogue of experiments, and 1 for V* itself
STARTS = {10_000: 10, 20_000: 100}  # first seed -> number of starts
SHOWN_SEED = 20_001  # of the start from which reports show an episode
Arrays = dict[str, NDArray[np.floating[Any]]]


def known_returns(
    table: str, starts: str, states: NDArray[np.floating[Any]]
) -> NDArray[np.floating[Any]] | None:
    """The returns (n,) from these start states, None where one of them is not in the data.

    :param table: name of the returns, from :func:`benchmarks.optimum.tasks.table_name`
    :param starts: name of their start states, which is the environment's
    :param states: shape (n, 2)
    """
    arrays = read()
    if table not in arrays:
        return None
    found = (states[:, np.newaxis] == arrays[starts]).all(axis=2)
    return arrays[table][found.argmax(axis=1)] if found.any(axis=1).all() else None


def known_thrusts(table: str, seed: int) -> NDArray[np.floating[Any]] | None:
    """The optimum's thrusts (steps,) from ``reset(seed=seed)``, None if they are not known."""
    return read().get(f"{table}+{seed}")


@lru_cache
def read() -> Arrays:
    """All arrays of the file, by name."""
    with np.load(FILE) as arrays:
        return dict(arrays)


def computed(env_id: str, gammas: tuple[float, ...] = GAMMAS) -> Arrays:
    """Compute all that is shipped for a task, by dynamic programming."""
    import gymnasium as gym

    from benchmarks.optimum import tasks
    from benchmarks.optimum.policy import OptimalPolicy
    from envs.rollout import rollout

    parts = [tasks.protocol_starts(env_id, n, first) for first, n in STARTS.items()]
    states = np.concatenate(parts)
    arrays: Arrays = {env_id: states}
    for gamma in gammas:
        name = tasks.table_name(env_id, gamma)
        arrays[name] = tasks.computed_return(env_id, states, gamma)
        if gamma == 1.0:
            policy = OptimalPolicy(tasks.solution(env_id))
            episode = rollout(policy, gym.make(env_id), SHOWN_SEED)
            arrays[f"{name}+{SHOWN_SEED}"] = episode.actions[:, 0]
    return arrays


def main() -> None:
    """Compute the data of all tasks and write the file."""
    from benchmarks.optimum.tasks import TASKS

    arrays: Arrays = {}
    for env_id in TASKS:
        arrays |= computed(env_id)
    np.savez_compressed(FILE, **arrays)  # type: ignore[arg-type]
    print(f"{FILE}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
