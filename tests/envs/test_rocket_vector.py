"""The batch of rockets against single rockets, and against Gymnasium's definitions."""

import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from envs.rocket import RocketEnv
from envs.rocket_vector import RocketVectorEnv

MODES = ["NextStep", "SameStep"]
EASY_GOAL = {"goal_tolerance": 0.2, "goal_reward": 1000.0, "step_cost": 2.0}


def make(n: int, env_id: str = "rocket-v0", **arguments: Any) -> RocketVectorEnv:
    name = f"envs:{env_id}"
    env = gym.make_vec(name, n, vectorization_mode="vector_entry_point", **arguments)
    assert isinstance(env, RocketVectorEnv)
    return env


def unlike_pilots(state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Thrusts with which some rockets crash, some are truncated and some land."""
    x, v = state.T
    n = len(x)
    thrusts = rng.uniform(-1.5, 1.5, n)  # beyond the limits too
    thrusts[: n // 3] = 1.0
    lander = slice(n // 3, 2 * n // 3)
    thrusts[lander] = (-10 * x - 9 * v)[lander]
    stayer = slice(2 * n // 3, n - n // 6)
    thrusts[stayer] = (-100 * v)[stayer]
    return thrusts.astype(np.float32)[:, None]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("parameters", [{}, EASY_GOAL])
def test_a_batch_moves_as_single_rockets_do_bit_for_bit(
    mode: str, parameters: dict[str, Any]
) -> None:
    n = 100
    batch = RocketVectorEnv(n, 200, autoreset_mode=mode, **parameters)
    singles = [gym.wrappers.TimeLimit(RocketEnv(**parameters), 200) for _ in range(n)]
    rng = np.random.default_rng(0)
    batch.reset(seed=3)
    for state, single in zip(batch.state, singles, strict=True):
        single.reset(options={"initial_state": state})
    over = np.zeros(n, dtype=bool)
    reward: Any
    counts = {"steps": 0, "crashes": 0, "truncations": 0, "landings": 0}
    for _ in range(1030):
        actions = unlike_pilots(batch.state, rng)
        observations, rewards, terminations, truncations, infos = batch.step(actions)
        for k, single in enumerate(singles):
            if mode == "NextStep" and over[k]:
                observation, info = single.reset(options={"initial_state": batch.state[k]})
                reward, terminated, truncated = 0.0, False, False
            else:
                observation, reward, terminated, truncated, info = single.step(actions[k])
                counts["steps"] += 1
                counts["crashes"] += terminated and not info["is_success"]
                counts["landings"] += info["is_success"]
                counts["truncations"] += truncated
                if mode == "SameStep" and (terminated or truncated):
                    assert np.array_equal(infos["final_obs"][k], observation)
                    assert infos["final_info"]["is_success"][k] == info["is_success"]
                    observation, info = single.reset(options={"initial_state": batch.state[k]})
            assert observations[k].tobytes() == observation.tobytes()
            assert rewards[k] == reward
            assert (terminations[k], truncations[k]) == (terminated, truncated)
            assert infos["is_success"][k] == info["is_success"]
            assert tuple(batch.state[k]) == single.unwrapped.state  # type: ignore[attr-defined]
        over = terminations | truncations
    assert counts["steps"] > 100_000
    assert counts["crashes"] > 100
    assert counts["truncations"] > 50
    assert counts["landings"] > (50 if parameters else -1)


@pytest.mark.parametrize("mode", MODES)
def test_infos_have_the_format_of_gymnasiums_own_vector_environment(mode: str) -> None:
    def sync() -> SyncVectorEnv:
        makers = [lambda: gym.make("envs:rocket-v0", max_episode_steps=9) for _ in range(3)]
        return SyncVectorEnv(makers, autoreset_mode=AutoresetMode(mode))

    pair: list[Any] = [sync(), RocketVectorEnv(3, 9, autoreset_mode=mode)]
    start = [env.reset(seed=0) for env in pair]
    assert_same_format(start[0], start[1])
    for _ in range(12):
        steps = [env.step(np.zeros((3, 1), np.float32)) for env in pair]
        assert_same_format(steps[0], steps[1])


def assert_same_format(one: Any, other: Any) -> None:
    """Assert that types, shapes and masks are equal, at all levels."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same_format(one[key], other[key])
            if key.startswith("_"):
                assert np.array_equal(one[key], other[key])
    elif isinstance(one, tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same_format(a, b)
    else:
        assert (one.dtype, one.shape) == (other.dtype, other.shape)


def test_spaces_and_metadata_are_those_of_gymnasium() -> None:
    env = make(4, autoreset_mode="SameStep")
    sync = gym.make_vec("envs:rocket-v0", 4, vectorization_mode="sync")
    for name in ("observation_space", "action_space", "single_observation_space"):
        assert getattr(env, name) == getattr(sync, name)
    assert env.single_action_space == sync.single_action_space
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert make(4).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert make(1, "rocket-landing-v0").parameters.goal_tolerance == 0.01
    assert make(1).max_episode_steps == 500


def test_start_states_follow_the_seed_and_later_ones_the_generator() -> None:
    one, same, other = make(50), make(50), make(50)
    starts = [env.reset(seed=seed)[0] for env, seed in ((one, 1), (same, 1), (other, 2))]
    assert np.array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])
    later = one.reset()[0]
    assert np.array_equal(later, same.reset()[0])
    assert not np.array_equal(later, starts[0])
    sizes = np.abs(one.state)
    assert sizes.min() >= 0.5
    assert sizes.max() <= 1.0
    assert len(np.unique(np.sign(one.state), axis=0)) == 4


def test_a_seed_for_each_rocket_starts_it_as_a_single_environment() -> None:
    seeds = [5, 10_000, 3, 5]
    observations, _ = make(4).reset(seed=seeds)
    single = gym.make("envs:rocket-v0")
    assert np.array_equal(observations, [single.reset(seed=seed)[0] for seed in seeds])
    with pytest.raises(ValueError, match="4 whole numbers"):
        make(4).reset(seed=[1, 2])


def test_a_mask_starts_only_the_rockets_that_it_names() -> None:
    env = make(3)
    env.reset(seed=0)
    env.step(np.ones((3, 1), np.float32))
    before = env.state
    states = np.array([[0.5, 0.5], [1.0, -1.0], [-0.5, 0.5]])
    mask = np.array([False, True, False])
    observations, infos = env.reset(options={"initial_state": states, "reset_mask": mask})
    assert np.array_equal(env.state, [before[0], states[1], before[2]])
    assert np.array_equal(observations, env.state.astype(np.float32))
    assert np.array_equal(infos["_is_success"], mask)


def test_a_masked_reset_in_time_keeps_next_step_mode_from_doing_it_again() -> None:
    env = make(2)
    env.reset(options={"initial_state": [(1.99, 1.99), (0.5, 0.0)]})
    _, _, terminations, *_ = env.step(np.ones((2, 1), np.float32))
    assert terminations.tolist() == [True, False]
    mask = terminations
    env.reset(options={"initial_state": [(1.0, 0.0), (0.0, 0.0)], "reset_mask": mask})
    env.step(np.zeros((2, 1), np.float32))
    assert env.state[0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("mask", "error"),
    [([True, False], TypeError), (np.array([1, 0]), TypeError), (np.zeros(2, bool), ValueError)],
)
def test_a_bad_mask_is_refused(mask: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="reset_mask"):
        make(2).reset(options={"reset_mask": mask})


@pytest.mark.parametrize("states", [[(1, 0)], [(1, 0), (2.1, 0)], [(1, 0), (np.nan, 0)], "ab"])
def test_bad_initial_states_are_refused(states: Any) -> None:
    with pytest.raises(ValueError, match="initial_state"):
        make(2).reset(options={"initial_state": states})


def test_bad_actions_and_arguments_are_refused() -> None:
    env = make(2)
    with pytest.raises(ResetNeeded):
        env.step(np.zeros((2, 1), np.float32))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="NaN"):
        env.step(np.array([[0.0], [np.nan]], np.float32))
    with pytest.raises(ValueError, match="shape"):
        env.step(np.zeros(2, np.float32))
    for name, value in (("num_envs", 0), ("render_mode", "human"), ("autoreset_mode", "Disabled")):
        with pytest.raises(ValueError, match=name):
            RocketVectorEnv(**{name: value})  # type: ignore[arg-type]


def test_what_a_step_returned_stays_as_it_was() -> None:
    env = make(8, max_episode_steps=3)
    returned: list[Any] = [env.reset(seed=0)[0]]
    copies = [returned[0].copy()]
    for _ in range(9):
        step = env.step(np.full((8, 1), 0.3, np.float32))
        returned += [*step[:4], step[4]["is_success"], env.state]
        copies += [np.copy(array) for array in returned[-6:]]
    assert all(np.array_equal(a, b) for a, b in zip(returned, copies, strict=True))


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "get_state"])
@pytest.mark.parametrize("mode", MODES)
def test_a_copy_in_mid_episode_goes_on_alike(way: str, mode: str) -> None:
    env = RocketVectorEnv(5, 20, autoreset_mode=mode)
    env.reset(seed=0)
    actions = np.full((5, 1), 0.4, np.float32)
    for _ in range(20):
        env.step(actions)
    if way == "pickle":
        twin = pickle.loads(pickle.dumps(env))
    elif way == "deepcopy":
        twin = copy.deepcopy(env)
    else:
        twin = RocketVectorEnv(5, 20, autoreset_mode=mode)
        twin.reset(seed=9)
        twin.set_state(env.get_state())
    for _ in range(30):
        steps: list[Any] = [env.step(actions)[:4], twin.step(actions)[:4]]
        for one, other in zip(*steps, strict=True):
            assert np.array_equal(one, other)
    assert np.array_equal(env.state, twin.state)


def test_frames_show_each_rocket_as_a_single_environment_would() -> None:
    env = make(2, render_mode="rgb_array")
    states = [(1.0, 0.0), (-0.5, 0.5)]
    env.reset(options={"initial_state": states})
    env.step(np.array([[0.5], [-1.0]], np.float32))
    frames = env.render()
    assert frames is not None
    for frame, state, thrust in zip(frames, states, (0.5, -1.0), strict=True):
        single = gym.make("envs:rocket-v0", render_mode="rgb_array")
        single.reset(options={"initial_state": state})
        single.step(np.array([thrust], np.float32))
        assert np.array_equal(frame, np.asarray(single.render()))
    assert make(2).render() is None


def test_a_first_reset_must_start_all_rockets() -> None:
    with pytest.raises(ResetNeeded, match="all rockets"):
        make(2).reset(options={"reset_mask": np.array([True, False])})


def test_the_action_of_a_rocket_that_starts_anew_is_ignored_whatever_it_is() -> None:
    env = make(2)
    env.reset(options={"initial_state": [(1.99, 1.99), (0.5, 0.0)]})
    env.step(np.ones((2, 1), np.float32))
    _, rewards, *_ = env.step(np.array([[np.nan], [0.0]], np.float32))
    assert rewards[0] == 0.0


def test_seeds_must_be_whole_numbers() -> None:
    with pytest.raises(ValueError, match="2 whole numbers"):
        make(2).reset(seed=[1, None])  # type: ignore[list-item]
