"""Playing episodes with a policy, and scoring it."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array
from numpy.typing import NDArray

from envs.step_check import ObservationCheck, check_reward, check_rewards, copied

Env = gym.Env[Any, Any]
BatchEnv = gym.vector.VectorEnv[Any, Any, Any]


class Policy(Protocol):
    """Anything with SB3's ``predict`` method, such as trained models and controllers."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Choose actions.

        :param observation: batch of observations, shape (n, ...)
        :param state: memory of a recurrent policy, None for others
        :param episode_start: shape (n,), which episodes have just begun
        :param deterministic: whether to act without exploration noise
        :return: actions of shape (n, ...) and the next memory
        """
        ...


@dataclass(frozen=True)
class Episode:
    """One episode of n steps.

    observations has shape (n + 1, ...), actions (n, ...) and rewards (n,); success is what the
    environment reported as ``info["is_success"]`` at the end, None where it reports none.
    """

    observations: NDArray[Any]
    actions: NDArray[Any]
    rewards: NDArray[np.float64]
    terminated: bool
    truncated: bool
    success: bool | None

    @property
    def episode_return(self) -> float:
        """Undiscounted sum of rewards."""
        return float(self.rewards.sum())


Measures = Mapping[str, Callable[[Episode], float]]  # of an episode, by name
OnStep = Callable[[], object]  # called before each step; may raise to break off


class Score(NamedTuple):
    """What is kept of an episode once it is over: its return, length in steps and measures."""

    episode_return: float
    length: int
    success: bool | None
    measures: dict[str, float]


class Evaluation(NamedTuple):
    """Scores of n episodes: returns (n,), lengths (n,) in steps, successes (n,) or None.

    measures holds, by name, what the environment itself measures, each of shape (n,).
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    successes: NDArray[np.bool_] | None
    measures: dict[str, NDArray[np.float64]]


def rollout(
    policy: Policy, env: Env, seed: int | None, options: dict[str, Any] | None = None
) -> Episode:
    """Play one noise-free episode.

    :param env: must end its episodes, by termination or by a time limit
    :param seed: for ``reset``; None goes on with the environment's generator
    :param options: for ``reset``
    :raises envs.step_check.NotFiniteError: if an observation or reward is NaN or infinite
    :raises envs.step_check.SpaceMismatchError: if one has the wrong shape or kind
    """
    (episode,) = play_side_by_side(policy, [env], [seed], options)
    return episode


def score(episode: Episode, measures: Measures | None = None) -> Score:
    """The score of an episode.

    :param measures: what to measure besides, by name
    """
    return Score(
        episode.episode_return,
        len(episode.rewards),
        episode.success,
        {name: float(measure(episode)) for name, measure in (measures or {}).items()},
    )


def evaluate(scores: Sequence[Score | Episode]) -> Evaluation:
    """Collect the scores of noise-free episodes into arrays."""
    kept = [each if isinstance(each, Score) else score(each) for each in scores]
    successes = [each.success for each in kept]
    return Evaluation(
        returns=np.array([each.episode_return for each in kept]),
        lengths=np.array([each.length for each in kept]),
        successes=None if None in successes else np.array(successes, dtype=bool),
        measures={name: np.array([each.measures[name] for each in kept])
                  for name in (kept[0].measures if kept else ())},
    )  # fmt: skip


def play_side_by_side(
    policy: Policy,
    envs: Sequence[Env],
    seeds: Sequence[int | None],
    options: dict[str, Any] | None = None,
) -> list[Episode]:
    """Play one noise-free episode in each environment, with one prediction for all at each step.

    Episodes that are over stay in the batch with their last observation: the batch size never
    changes, and so neither does the rounding of the policy's matrix products.

    :param seeds: one for each environment, or None, as for :func:`rollout`
    :param options: for every ``reset``
    """
    records = [_Record(env, seed, options) for env, seed in zip(envs, seeds, strict=True)]
    episodes: dict[int, Episode] = {}
    _play(policy, records, lambda k, record: episodes.update({k: record.episode()}))
    return [episodes[k] for k in range(len(records))]


def score_side_by_side(
    policy: Policy,
    envs: Sequence[Env],
    seeds: Sequence[int | None],
    measures: Measures | None = None,
    on_step: OnStep = lambda: None,
) -> list[Score]:
    """Play episodes as :func:`play_side_by_side` does, but keep only their scores.

    Only the latest observation of each environment is held in memory or, with measures, its
    current episode, which is released once it is measured.

    :param measures: of whole episodes, by name
    :param on_step: called before each step
    """
    records = [
        _Record(env, seed, keeps_all=bool(measures)) for env, seed in zip(envs, seeds, strict=True)
    ]
    scores: dict[int, Score] = {}

    def finish(k: int, record: _Record) -> None:
        scores[k] = score(record.episode(), measures)
        record.release()

    _play(policy, records, finish, on_step)
    return [scores[k] for k in range(len(records))]


def _play(
    policy: Policy,
    records: "Sequence[_Record]",
    finish: "Callable[[int, _Record], None]",
    on_step: OnStep = lambda: None,
) -> None:
    """Play the records' episodes to their ends; ``finish`` is called with each that is over."""
    envs = [record.env for record in records]
    space = envs[0].observation_space
    named = "action_masks" in inspect.signature(policy.predict).parameters
    takes_masks = getattr(policy, "takes_action_masks", named)
    batch: Any = create_empty_array(space, len(envs))
    memory = None
    episode_start = np.ones(len(envs), dtype=bool)
    while not all(record.is_over for record in records):
        on_step()
        batch = concatenate(space, [record.observations[-1] for record in records], batch)
        masks = {"action_masks": _action_masks(envs)} if takes_masks else {}
        actions, memory = policy.predict(batch, memory, episode_start, deterministic=True, **masks)
        episode_start = np.zeros(len(envs), dtype=bool)
        for k, (record, action) in enumerate(zip(records, actions, strict=True)):
            if not record.is_over:
                record.step(action)
                if record.is_over:
                    finish(k, record)


def _action_masks(envs: Sequence[Env]) -> NDArray[np.bool_]:
    """Which actions are allowed in each environment, shape (n, actions)."""
    return np.stack([env.get_wrapper_attr("action_masks")() for env in envs])


def can_play_in_batch(env: BatchEnv) -> bool:
    """Whether :func:`play_in_batch` plays the same episodes as single environments."""
    mode = env.metadata.get("autoreset_mode")
    return bool(env.metadata.get("seed_per_env")) and mode is gym.vector.AutoresetMode.NEXT_STEP


def play_in_batch(
    policy: Policy, env: BatchEnv, seeds: Sequence[int], options: dict[str, Any] | None = None
) -> list[Episode]:
    """Play the same episodes as :func:`play_side_by_side`, in one vector environment.

    :param env: in autoreset mode NEXT_STEP, with one environment for each seed; each seed must
        start its environment as it would start a single one (``metadata["seed_per_env"]``)
    :raises ValueError: for another vector environment, and as :func:`rollout` does
    """
    return list(_episodes_in_batch(policy, env, seeds, options))


def score_in_batch(
    policy: Policy,
    env: BatchEnv,
    seeds: Sequence[int],
    measures: Measures | None = None,
    on_step: OnStep = lambda: None,
) -> list[Score]:
    """Play the same episodes, but keep only their scores; see :func:`score_side_by_side`."""
    episodes = _episodes_in_batch(policy, env, seeds, None, bool(measures), on_step)
    return [score(episode, measures) for episode in episodes]


def _episodes_in_batch(
    policy: Policy,
    env: BatchEnv,
    seeds: Sequence[int],
    options: dict[str, Any] | None,
    keeps_all: bool = True,
    on_step: OnStep = lambda: None,
) -> Iterator[Episode]:
    """Play the episodes; without ``keeps_all``, they have no observations or actions."""
    if not can_play_in_batch(env):
        raise ValueError(f"{env} needs autoreset mode NextStep and a seed for each environment")
    n = len(seeds)
    observation, _ = env.reset(seed=list(seeds), options=options)  # type: ignore[arg-type]
    check = ObservationCheck(env.single_observation_space, (n,))
    check(observation, at_reset=True)
    observations = [copied(observation)] if keeps_all else []
    all_actions: list[Any] = []
    steps: list[tuple[Any, ...]] = []
    memory = None
    episode_start = np.ones(n, dtype=bool)
    lengths = np.full(n, 0)  # 0 while the first episode goes on; later ones are cut off below
    while (lengths == 0).any():
        on_step()
        actions, memory = policy.predict(observation, memory, episode_start, deterministic=True)
        episode_start = np.zeros(n, dtype=bool)
        observation, rewards, terminations, truncations, infos = env.step(copied(actions))
        check_rewards(rewards, n)
        check(observation)
        if keeps_all:
            observations.append(copied(observation))
            all_actions.append(actions)
        success = infos.get("is_success", np.full(n, None))
        steps.append(tuple(map(copied, (rewards, terminations, truncations, success))))
        lengths = np.where((lengths == 0) & (terminations | truncations), len(steps), lengths)
    # Without keeps_all these are empty: shape (0, n).
    seen = [np.stack(all_) if all_ else np.empty((0, n)) for all_ in (observations, all_actions)]
    batches = [*seen, *(np.stack(values) for values in zip(*steps, strict=True))]
    return (_episode(batches, k, int(length)) for k, length in enumerate(lengths))


def _episode(batches: list[NDArray[Any]], k: int, length: int) -> Episode:
    """Episode k of what was recorded step by step, each array of shape (steps, n, ...)."""
    observations, actions, rewards, terminations, truncations, successes = batches
    success = successes[length - 1, k]
    return Episode(
        observations=observations[: length + 1, k].copy(),
        actions=actions[:length, k].copy(),
        rewards=rewards[:length, k].copy(),
        terminated=bool(terminations[length - 1, k]),
        truncated=bool(truncations[length - 1, k]),
        success=None if success is None else bool(success),
    )


class _Record:
    """An environment together with the record of its current episode so far.

    :param keeps_all: whether to keep all observations and actions, or only the last observation
    """

    def __init__(
        self,
        env: Env,
        seed: int | None,
        options: dict[str, Any] | None = None,
        keeps_all: bool = True,
    ) -> None:
        observation, self.info = env.reset(seed=seed, options=options)
        self.env = env
        self.keeps_all = keeps_all
        self.check = ObservationCheck(env.observation_space)
        self.check(observation, at_reset=True)
        self.observations: list[Any] = [copied(observation)]
        self.actions: list[Any] = []
        self.rewards: list[float] = []
        self.terminated = self.truncated = False

    @property
    def is_over(self) -> bool:
        return self.terminated or self.truncated

    def step(self, action: Any) -> None:
        if self.keeps_all:
            self.actions.append(np.array(action))  # before the environment can change it
        observation, reward, self.terminated, self.truncated, self.info = self.env.step(action)
        check_reward(reward)
        self.check(observation)
        if self.keeps_all:
            self.observations.append(copied(observation))
        else:
            self.observations = [copied(observation)]
        self.rewards.append(float(reward))

    def release(self) -> None:
        """Release everything except the last observation, which the batch still needs."""
        self.observations, self.actions, self.rewards = self.observations[-1:], [], []

    def episode(self) -> Episode:
        """The episode; without ``keeps_all``, it has no observations or actions."""
        success = self.info.get("is_success")
        return Episode(
            observations=np.array(self.observations if self.keeps_all else []),
            actions=np.array(self.actions),
            rewards=np.array(self.rewards, dtype=np.float64),
            terminated=bool(self.terminated),
            truncated=bool(self.truncated),
            success=None if success is None else bool(success),
        )
