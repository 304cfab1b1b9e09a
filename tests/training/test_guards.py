"""What holds at each step of any run, SB3's and the reference's alike."""

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
import stable_baselines3
from safetensors.numpy import load_file

from benchmarks.analysis.comparisons import compare_all
from benchmarks.analysis.load import curve_matrix, load_results
from benchmarks.report.page import write_report
from benchmarks.report.tables import all_tables, summary
from benchmarks.report.wording import sentences
from envs.rollout import play_side_by_side
from envs.step_check import NotFiniteError, ObservationCheck, SpaceMismatchError, check_reward
from td3_reference.config import LoopConfig, TD3Config
from td3_reference.run_loop import RunLoop
from td3_reference.td3 import TD3
from tests.helpers.made_up_runs import made_up_run, set_optimum
from training.config import BrokenEnvironmentError, ConfigError, DivergedError, RunConfig
from training.evaluation import Evaluator
from training.open_run import OpenRun
from training.run import hyperparameters_of, run
from training.run_directory import RunDirectory

BOTH = ("td3", "td3_reference")
TINY = {"learning_starts": 20, "batch_size": 8}
NAN, INF = float("nan"), float("inf")
GOOD = np.array([0.1, 0.2], np.float32)
Step = tuple[Any, Any, bool, bool, dict[str, Any]]


class Faulty(gym.Env[Any, Any]):
    """Episodes of ten steps; something is wrong at one step, counted over all episodes.

    :param at: that step
    :param fault: a key of FAULTS
    :param where: training or evaluation, which is known by its start states' seeds
    """

    def __init__(self, at: int = 45, fault: str = "", where: str = "training") -> None:
        self.observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.at, self.fault, self.where = at, fault, where
        self.total = self.time = 0
        self.is_evaluation = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.is_evaluation = seed is not None and seed >= 10_000
        self.time = 0
        return self.now()[0], {}

    def step(self, action: Any) -> Step:
        self.total += 1
        self.time += 1
        observation, reward = self.now()
        return observation, reward, False, self.time == 10, {}

    def now(self) -> tuple[Any, Any]:
        is_here = self.is_evaluation == (self.where == "evaluation")
        if self.fault and is_here and self.total == self.at:
            return FAULTS[self.fault]
        return GOOD.copy(), 1.0


FAULTS: dict[str, tuple[Any, Any]] = {
    "reward nan": (GOOD, NAN),
    "reward inf": (GOOD, np.float32(INF)),
    "reward is an array": (GOOD, np.array([1.0])),
    "reward is none": (GOOD, None),
    "reward is text": (GOOD, "1"),
    "observation nan": (np.array([NAN, 0], np.float32), 1.0),
    "observation inf": (np.array([0, -INF], np.float32), 1.0),
    "observation of one number": (np.array([0.5], np.float32), 1.0),
    "observation with an axis more": (GOOD[None], 1.0),
    "observation of whole numbers": (np.array([0, 1]), 1.0),
    "observation is text": ("up", 1.0),
}
DIVERGE = [name for name in FAULTS if name.endswith(("nan", "inf"))]
MISFIT = [name for name in FAULTS if name not in DIVERGE]


def faulty_vector(
    num_envs: int, max_episode_steps: int, autoreset_mode: Any = "NextStep", **arguments: Any
) -> gym.vector.VectorEnv[Any, Any, Any]:
    return gym.vector.SyncVectorEnv(
        [lambda: Faulty(**arguments)] * num_envs, autoreset_mode=autoreset_mode
    )


class Moving(gym.Env[Any, Any]):
    """A ball that is pushed.

    :param in_place: whether all observations are one array, changed in place
    :param spoils_actions: whether it overwrites the actions that it is given
    """

    def __init__(self, in_place: bool = False, spoils_actions: bool = False) -> None:
        self.observation_space = gym.spaces.Box(-9, 9, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.in_place, self.spoils_actions = in_place, spoils_actions
        self.state = np.zeros(2, np.float32)
        self.time = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.state[:] = self.np_random.uniform(-1, 1, 2)
        self.time = 0
        return self.seen(), {}

    def step(self, action: Any) -> Step:
        self.time += 1
        self.state[1] = 0.9 * self.state[1] + 0.2 * action[0]
        self.state[0] = np.clip(self.state[0] + 0.2 * self.state[1], -9, 9)
        if self.spoils_actions:
            action[:] = 7.0
        return self.seen(), -float(self.state[0] ** 2), False, self.time == 10, {}

    def seen(self) -> Any:
        return self.state if self.in_place else self.state.copy()


class MovingVector(gym.vector.SyncVectorEnv):
    """A vector environment that returns its own arrays and spoils actions, if it is told to."""

    def __init__(
        self, num_envs: int, max_episode_steps: int, in_place: bool = False, **arguments: Any
    ) -> None:
        super().__init__([Moving] * num_envs, copy=not in_place, **arguments)
        self.spoils = in_place

    def step(self, actions: Any) -> Any:
        found = super().step(actions.copy())
        if self.spoils:
            actions[:] = 7.0
        return found


gym.register("GuardFaulty-v0", lambda **kwargs: Faulty(**kwargs), max_episode_steps=100)
gym.register(
    "GuardFaultyVector-v0",
    lambda **kwargs: Faulty(**kwargs),
    vector_entry_point=lambda **kwargs: faulty_vector(**kwargs),
    max_episode_steps=100,
)
gym.register(
    "GuardMoving-v0",
    lambda **kwargs: Moving(**kwargs),
    vector_entry_point=lambda **kwargs: MovingVector(**kwargs),
    max_episode_steps=100,
)


def configured(algo: str = "td3", env_id: str = "GuardFaulty-v0", **changes: Any) -> RunConfig:
    settings = {"total_timesteps": 60, "eval_freq": 25, "n_eval_episodes": 2, **changes}
    settings.setdefault("hyperparams", TINY)
    return RunConfig(algo=algo, env_id=env_id, **settings)


def ended(root: Path, error: type[Exception], **changes: Any) -> dict[str, Any]:
    """Status of a run that must end with an error."""
    config = configured(**changes)
    with pytest.raises(error):
        run(config, root)
    return RunDirectory(root / config.directory).status()


@pytest.mark.parametrize("algo", BOTH)
@pytest.mark.parametrize("at", [45, 50], ids=["within an episode", "at the end of one"])
@pytest.mark.parametrize("fault", DIVERGE)
def test_a_number_that_is_not_finite_ends_training_as_diverged(
    algo: str, at: int, fault: str, tmp_path: Path
) -> None:
    found = ended(tmp_path, DivergedError, algo=algo, env_kwargs={"at": at, "fault": fault})
    assert found["state"] == "diverged"
    assert f"{fault.split()[0]} is NaN or infinite at step {at}" in found["message"]
    assert found["step"] == at - 1  # the last that was completed


@pytest.mark.parametrize("algo", BOTH)
@pytest.mark.parametrize("at", [45, 50], ids=["within an episode", "at the end of one"])
@pytest.mark.parametrize("fault", MISFIT)
def test_what_does_not_fit_its_space_in_mid_run_ends_training_as_failed(
    algo: str, at: int, fault: str, tmp_path: Path
) -> None:
    kwargs = {"at": at, "fault": fault}
    found = ended(tmp_path, BrokenEnvironmentError, algo=algo, env_kwargs=kwargs)
    assert found["state"] == "failed"
    assert fault.split()[0] in found["message"]
    assert f"at step {at}" in found["message"]


@pytest.mark.parametrize("algo", BOTH)
@pytest.mark.parametrize("fault", [*DIVERGE, *MISFIT])
def test_a_fault_in_an_evaluation_alone_ends_the_run(algo: str, fault: str, tmp_path: Path) -> None:
    kwargs = {"at": 3, "fault": fault, "where": "evaluation"}
    error = DivergedError if fault in DIVERGE else BrokenEnvironmentError
    found = ended(tmp_path, error, algo=algo, env_kwargs=kwargs)
    assert found["state"] == ("diverged" if fault in DIVERGE else "failed")
    assert fault.split()[0] in found["message"]
    assert "at step 0, in the evaluation" in found["message"]


@pytest.mark.parametrize("algo", BOTH)
def test_weights_that_are_not_finite_end_the_run(algo: str, tmp_path: Path) -> None:
    changes = {"env_id": "GuardMoving-v0", "hyperparams": {**TINY, "learning_rate": 1e30}}
    found = ended(tmp_path, DivergedError, algo=algo, **changes)
    assert found["state"] == "diverged"
    assert "weight" in found["message"] or "loss" in found["message"]
    assert "is NaN or infinite at step 2" in found["message"]  # soon after the updates begin


@pytest.mark.parametrize(
    "vec_env",
    [pytest.param("subproc", marks=pytest.mark.slow), "native"],  # workers start slowly
)
def test_environments_elsewhere_are_checked_where_they_arrive(vec_env: str, tmp_path: Path) -> None:
    env_id = (
        "GuardFaultyVector-v0"
        if vec_env == "native"
        else "tests.training.test_guards:GuardFaulty-v0"
    )
    changes = {"env_id": env_id, "vec_env": vec_env, "n_envs": 2}
    for fault in ("reward nan", "observation inf"):
        kwargs = {"at": 21, "fault": fault}
        found = ended(tmp_path, DivergedError, env_kwargs=kwargs, label=fault[:6], **changes)
        assert found["state"] == "diverged"
        assert f"{fault.split()[0]} is NaN or infinite at step 42" in found["message"]


def learned(path: Path) -> list[Any]:
    """All weights of a run's policy, and what its evaluations found."""
    with np.load(path / "evaluations.npz") as found:
        arrays = [found["results"], found["final_results"]]
    if (path / "policy.safetensors").exists():
        weights = load_file(path / "policy.safetensors")
        return [*arrays, *(weights[name] for name in sorted(weights))]
    policy = stable_baselines3.TD3.load(path / "model.zip", device="cpu").policy
    return [*arrays, *(value.numpy() for value in policy.state_dict().values())]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algo", "changes"),
    [
        *[(algo, {"env_kwargs": {"in_place": True}}) for algo in BOTH],
        *[(algo, {"env_kwargs": {"spoils_actions": True}}) for algo in BOTH],
        ("td3", {"env_kwargs": {"in_place": True}, "n_envs": 2}),
        ("td3", {"env_kwargs": {"in_place": True}, "n_envs": 2, "vec_env": "native"}),
    ],
    ids=str,
)
def test_an_environment_that_changes_arrays_in_place_trains_what_a_copying_one_does(
    algo: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    both = []
    for name, kwargs in (("a", changes["env_kwargs"]), ("b", {})):
        config = configured(algo, "GuardMoving-v0", label=name, **{**changes, "env_kwargs": kwargs})
        both.append(learned(run(config, tmp_path)))
    for first, second in zip(*both, strict=True):
        assert np.array_equal(first, second)


class Pushing:
    """A policy that pushes back."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        return -observation[:, :1], state


def test_episodes_are_what_happened_where_arrays_are_changed_in_place() -> None:
    expected = play_side_by_side(Pushing(), [Moving(), Moving()], [1, 2])
    spoilt = [Moving(in_place=True, spoils_actions=True) for _ in range(2)]
    for first, second in zip(expected, play_side_by_side(Pushing(), spoilt, [1, 2]), strict=True):
        assert np.array_equal(first.observations, second.observations)
        assert np.array_equal(first.actions, second.actions)
        assert len(np.unique(first.observations, axis=0)) == 11


def test_the_reference_keeps_transitions_as_they_happened_without_any_wrapper() -> None:
    buffers = []
    for arguments in ({}, {"in_place": True, "spoils_actions": True}):
        agent = TD3(TD3Config(2, [-1.0], [1.0], hidden_sizes=(8,)))
        loop_config = LoopConfig(learning_starts=100)
        rng = np.random.default_rng(0)
        loop = RunLoop(Moving(**arguments), agent, loop_config, 25, 0, rng)
        assert [*loop] == list(range(1, 26))
        buffers.append(loop.buffer.get_state())
    for name, values in buffers[0].items():
        assert np.array_equal(values, buffers[1][name]), name
    assert (buffers[1]["observations"] != buffers[1]["next_observations"]).any(axis=1).all()


@pytest.mark.parametrize(
    ("space", "good", "bad"),
    [
        (gym.spaces.Box(0, 255, (2, 2), np.uint8), np.zeros((2, 2), np.uint8), np.zeros((2, 2))),
        (gym.spaces.Box(-1, 1, (1,), np.float32), np.zeros(1, np.float64), np.zeros(1, int)),
        (gym.spaces.Discrete(3), 2, 2.0),
        (gym.spaces.MultiBinary(2), np.ones(2, bool), np.ones(2)),
        (gym.spaces.Dict(x=gym.spaces.Discrete(2)), {"x": np.int64(1)}, {"y": 1}),
        (gym.spaces.Tuple([gym.spaces.Discrete(2)]), (1,), ()),
    ],
    ids=str,
)
def test_observations_are_compared_with_any_space(
    space: gym.Space[Any], good: Any, bad: Any
) -> None:
    check = ObservationCheck(space)
    check(good)
    with pytest.raises(SpaceMismatchError, match="observation"):
        check(bad)


def test_rewards_are_single_real_finite_numbers() -> None:
    for good in (1.0, 1, True, np.float32(1), np.int64(1), np.array(1.0)):
        check_reward(good)
    for bad in (None, "1", 1j, [1.0], np.ones(1)):
        with pytest.raises(SpaceMismatchError, match="reward"):
            check_reward(bad)
    for infinite in (NAN, INF, np.float32(-INF)):
        with pytest.raises(NotFiniteError, match="reward"):
            check_reward(infinite)


@pytest.mark.parametrize(
    ("algo", "n_envs", "hyperparams", "asked", "middle", "reached"),
    [
        ("td3", 1, TINY, 40, 25, 40),
        ("td3_reference", 1, TINY, 40, 25, 40),
        ("td3_reference", 1, {**TINY, "update_after_episode": True}, 45, 30, 45),
        ("td3", 3, TINY, 40, 27, 42),
        ("td3", 1, {**TINY, "train_freq": 16}, 40, 25, 48),
        ("td3", 1, {**TINY, "train_freq": [1, "episode"]}, 45, 25, 50),
        ("ppo", 2, {"n_steps": 16, "batch_size": 8}, 40, 26, 64),
        ("a2c", 3, {"n_steps": 5}, 40, 27, 45),
        ("trpo", 1, {"n_steps": 32, "batch_size": 8}, 40, 25, 64),
        ("recurrent_ppo", 1, {"n_steps": 32, "batch_size": 8, "n_epochs": 1}, 40, 25, 64),
        ("ars", 1, {"n_delta": 1, "n_top": 1}, 45, 25, 60),
    ],
    ids=str,
)
def test_every_record_carries_the_step_that_was_reached(
    algo: str,
    n_envs: int,
    hyperparams: dict[str, Any],
    asked: int,
    middle: int,
    reached: int,
    tmp_path: Path,
) -> None:
    config = configured(algo, n_envs=n_envs, hyperparams=hyperparams, total_timesteps=asked)
    path = run(config, tmp_path)
    with np.load(path / "evaluations.npz") as found:
        assert found["timesteps"].tolist() == [0, middle, reached]
    assert json.loads((path / "status.json").read_text())["step"] == reached
    provenance = json.loads((path / "provenance.json").read_text())
    assert provenance["steps"] == reached
    assert provenance["steps_per_second"] == pytest.approx(reached / provenance["seconds"])
    lengths = pd.read_csv(path / "train.monitor.csv", skiprows=1)["l"]
    assert lengths.sum() == n_envs * (reached // n_envs // 10 * 10)  # of whole episodes


def test_ars_is_refused_where_it_counts_steps_several_times() -> None:
    config = configured("ars", n_envs=2, hyperparams={"n_eval_episodes": 2})
    with pytest.raises(ConfigError, match="n_envs 1 or n_eval_episodes 1"):
        hyperparameters_of(config)


def test_training_that_ends_short_of_its_budget_is_no_complete_run(tmp_path: Path) -> None:
    evaluator = Evaluator(configured(), OpenRun(tmp_path))
    with pytest.raises(RuntimeError, match="ended at step 59, short of 60"):
        evaluator.finish(Pushing(), 59)


@pytest.mark.parametrize("num_seeds", [3, 5])
def test_a_report_says_where_steps_differ(
    num_seeds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without enough seeds for a verdict."""
    set_optimum(monkeypatch)
    for seed in range(num_seeds):
        made_up_run(tmp_path, "td3", seed, [-30.0, -20.0, -10.0 - seed])
        steps = {"timesteps": [0, 100, 250 + seed]}
        made_up_run(tmp_path, "ppo", seed, [-30.0, -20.0, -12.0 - seed], arrays=steps, algo="ppo")
    results = load_results(tmp_path)
    timesteps, curves = curve_matrix(results, "Pendulum-v1", "ppo")
    last, mean = 249 + num_seeds, 250 + num_seeds // 2
    assert timesteps.tolist() == [0, 100, mean]
    assert curves[:, -1].tolist() == [-12.0 - seed for seed in range(num_seeds)]
    tables, (each,) = all_tables(results), compare_all(results)
    assert each.steps == (tuple(range(250, last + 1)), (200,))
    (sentence, _), *_ = sentences(results, [each], "mine")
    assert f"(at different steps: 250 to {last} against 200)" in sentence
    by_name = {table.name: table for table in tables}
    told = "at different steps" in str(by_name["verdicts"].rows)
    assert told == each.is_conclusive
    expected = f"Steps reached on Pendulum-v1 differ: ppo 250 to {last}, td3 200."
    assert expected in by_name["summary"].caption
    assert expected in by_name["aggregate"].caption
    area = by_name["summary"].data.set_index("implementation").loc["ppo", "AUC mean"]
    areas = [(100 * 25 + (150 + s) * (32 + s) / 2) / (250 + s) for s in range(num_seeds)]
    assert area == pytest.approx(-np.mean(areas))
    steps_shown = [row[1] for row in by_name["learning_curves"].rows]
    assert steps_shown == ["0", "100", "200", str(mean)]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["results", "final_results", "late_results"])
def test_a_report_names_a_run_whose_evaluations_hold_nan_and_goes_on(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_optimum(monkeypatch)
    root = tmp_path / "runs"
    shapes = {"results": (3, 2), "final_results": (100,), "late_results": (3, 100)}
    broken = np.full(shapes[part], NAN)
    for seed in range(3):
        made_up_run(root, "a", seed, [-30.0, -20.0, -10.0 - seed])
        made_up_run(root, "b", seed, [-30.0, -20.0, -10.0], arrays={part: broken})
    text = write_report(root, tmp_path / "report")
    assert "b/Pendulum-v1_1 (diverged: NaN or infinite returns in its evaluations)" in text
    assert "none: 3 of b failed or diverged" in text
    rows = summary(load_results(root)).data
    assert rows[["implementation", "seeds", "failed"]].to_numpy().tolist() == [
        ["a", 3, 0],
        ["b", 0, 3],
    ]


def test_a_report_of_nothing_but_diverged_runs_names_them(tmp_path: Path) -> None:
    changes = {"env_kwargs": {"fault": "reward nan"}, "label": "lost"}
    ended(tmp_path, DivergedError, algo="td3_reference", **changes)
    with pytest.raises(FileNotFoundError, match=r"lost/GuardFaulty-v0_0 \(diverged\)"):
        load_results(tmp_path)
