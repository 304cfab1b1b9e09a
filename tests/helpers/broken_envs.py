"""A healthy environment, and broken ones that each differ from it in one place.

``BROKEN`` maps each broken environment to the key and the severity of the only finding that it must
yield.
"""

import datetime
import random
import time
import warnings
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env as check_with_gymnasium
from gymnasium.vector import SyncVectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.env_checker import check_env as check_with_sb3

Array = NDArray[np.float32]
Start = tuple[Array, dict[str, Any]]
Step = tuple[Array, float, bool, bool, dict[str, Any]]


class Healthy(gym.Env[Array, Array]):
    """A ball on a line, pushed with noise; terminates beyond |x| = 1, truncated after 50 steps.

    Observation: position within [-2, 2] and velocity within [-2, 2]; action: a push within [-1, 1].
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    limit = 50

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = gym.spaces.Box(-2, 2, (2,), np.float32)
        self.action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
        self.state = np.zeros(2, np.float32)
        self.time = 0
        self.is_over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Start:
        super().reset(seed=seed)
        self.state = self.start()
        self.time = 0
        self.is_over = False
        return self.observation(), {}

    def step(self, action: Array) -> Step:
        self.refuse(action)
        position, velocity = self.state
        velocity = 0.9 * velocity + 0.1 * self.push(action) + 0.01 * self.noise()
        self.state = np.array([position + 0.1 * velocity, velocity], np.float32)
        self.time += 1
        terminated, truncated = self.terminated(), self.time >= self.limit
        self.is_over = terminated or truncated
        return self.observation(), self.reward(), terminated, truncated, {}

    def render(self) -> Any:
        frame = np.zeros((20, 40, 3), np.uint8)
        frame[:, round(10 * float(self.state[0])) + 20] = 255
        return frame

    def start(self) -> Array:
        return self.np_random.uniform(-0.5, 0.5, 2).astype(np.float32)

    def noise(self) -> float:
        return float(self.np_random.normal())

    def push(self, action: Array) -> float:
        return float(np.clip(action[0], -1, 1))

    def refuse(self, action: Array) -> None:
        if self.is_over:
            raise ResetNeeded("the episode is over")
        if np.isnan(action).any():
            raise ValueError("the action is NaN")

    def terminated(self) -> bool:
        return bool(abs(self.state[0]) > 1)

    def observation(self) -> Array:
        return self.state.copy()

    def reward(self) -> float:
        return -abs(float(self.state[0]))


class NestedAndDiscrete(Healthy):
    """A healthy environment with other kinds of spaces."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.observation_space = gym.spaces.Dict(  # type: ignore[assignment]
            {
                "image": gym.spaces.Box(0, 255, (36, 36, 3), np.uint8),
                "side": gym.spaces.Discrete(2),
                "state": gym.spaces.Box(-2, 2, (2,), np.float32),
            }
        )
        self.action_space = gym.spaces.MultiDiscrete([3, 2])  # type: ignore[assignment]

    def push(self, action: Array) -> float:
        return float(action[0] - action[1])

    def observation(self) -> Any:
        brightness = round(60 * float(self.state[0]) + 120)
        return {
            "image": np.full((36, 36, 3), brightness, np.uint8),
            "side": int(self.state[0] > 0),
            "state": self.state.copy(),
        }


class TellsTheStepsLeft(Healthy):
    """A healthy environment whose horizon is part of the task, and can be observed."""

    limit = 30

    def observation(self) -> Array:
        return np.array([self.state[0], 1 - self.time / self.limit], np.float32)

    def terminated(self) -> bool:
        return self.time == self.limit


class StartFromNumpysGenerator(Healthy):
    def start(self) -> Array:
        return np.random.uniform(-0.5, 0.5, 2).astype(np.float32)  # noqa: NPY002


class NoiseFromPythonsGenerator(Healthy):
    def noise(self) -> float:
        return random.gauss(0, 1)


class SeedsTheGlobalGenerator(Healthy):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Start:
        np.random.seed(seed)  # noqa: NPY002
        return super().reset(seed=seed)


class GeneratorOfItsOwn(Healthy):
    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.generator = np.random.default_rng()

    def start(self) -> Array:
        return self.generator.uniform(-0.5, 0.5, 2).astype(np.float32)


class SameGeneratorForAllSeeds(Healthy):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Start:
        return super().reset(seed=None if seed is None else 0)


class VelocitySurvivesReset(Healthy):
    def start(self) -> Array:
        position, _ = super().start()
        return np.array([position, self.state[1]], np.float32)


class CurriculumSurvivesReset(Healthy):
    steps = 0

    def push(self, action: Array) -> float:
        self.steps += 1
        return super().push(action) * (1 + self.steps // 100)


class NanAfterManySteps(Healthy):
    def observation(self) -> Array:
        return super().observation() * np.float32(np.nan if self.time == 40 else 1)


class InfinityAtTheEnd(Healthy):
    def observation(self) -> Array:
        return super().observation() / np.float32(0.0 if self.time == self.limit else 1)


class NanRewardAtTermination(Healthy):
    def reward(self) -> float:
        return float("nan") if self.terminated() else super().reward()


class InfiniteRewardAfterManySteps(Healthy):
    def reward(self) -> float:
        return float("inf") if self.time == 30 else super().reward()


class DoublePrecision(Healthy):
    def observation(self) -> Array:
        return super().observation().astype(np.float64)


class DoublePrecisionAtTermination(Healthy):
    def observation(self) -> Array:
        return super().observation().astype(np.float64 if self.terminated() else np.float32)


class WrongShapeAtTheEnd(Healthy):
    def observation(self) -> Array:
        return super().observation()[: 1 if self.time == self.limit else 2]


class ArrayAsReward(Healthy):
    def reward(self) -> Any:
        return np.array([super().reward()])


class NoRewardAtTermination(Healthy):
    def reward(self) -> Any:
        return None if self.terminated() else super().reward()


class OutOfBoundsFromTheStart(Healthy):
    def observation(self) -> Array:
        return super().observation() + np.float32(5)


class OutOfBoundsAtTermination(Healthy):
    def observation(self) -> Array:
        return super().observation() * np.float32(3 if self.terminated() else 1)


class ObservationIsTheState(Healthy):
    def observation(self) -> Array:
        return self.state


class StateChangedInPlace(Healthy):
    def step(self, action: Array) -> Step:
        state = self.state
        _, *rest = super().step(action)
        state[:] = self.state
        self.state = state
        return state, *rest  # type: ignore[return-value]


class OneBufferForAllObservations(Healthy):
    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.buffer = np.zeros(2, np.float32)

    def observation(self) -> Array:
        self.buffer[:] = self.state
        return self.buffer


class ActionClippedInPlace(Healthy):
    def push(self, action: Array) -> float:
        return float(np.clip(action, -0.5, 0.5, out=action)[0])


class ActionScaledInPlace(Healthy):
    def push(self, action: Array) -> float:
        action *= 0.5
        return 2 * float(action[0])


class NeverEnds(Healthy):
    limit = 10**9

    def terminated(self) -> bool:
        self.state = self.state.clip(-1, 1)
        return False


class EndsUnderSomePoliciesOnly(Healthy):
    limit = 10**9

    def terminated(self) -> bool:
        self.state = self.state.clip(-1, 1)
        return bool(self.state[0] == 1)


class TimeLimitAsTermination(Healthy):
    def step(self, action: Array) -> Step:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or truncated, False, info


class FailsInMidEpisode(Healthy):
    def reward(self) -> float:
        return [super().reward()][self.time // 45]


class FailsToResetAgain(Healthy):
    episodes = 0

    def start(self) -> Array:
        self.episodes += 1
        if self.episodes % 3 == 0:
            raise RuntimeError("no more starts")
        return super().start()


class RenderingMoves(Healthy):
    def render(self) -> Any:
        self.state = self.state * np.float32(0.9)
        return super().render()


class RenderingDraws(Healthy):
    def render(self) -> Any:
        self.noise()
        return super().render()


class RenderingDrawsGlobally(Healthy):
    def render(self) -> Any:
        random.random()
        return super().render()


class RenderingFails(Healthy):
    def render(self) -> Any:
        raise RuntimeError("no display")


class FrameOfFloats(Healthy):
    def render(self) -> Any:
        return super().render() / 255


class FrameWithChannelsFirst(Healthy):
    def render(self) -> Any:
        return super().render().transpose(2, 0, 1)


class FramesOfChangingSize(Healthy):
    def render(self) -> Any:
        return super().render()[: 10 + self.time % 2]


class FramesInOneBuffer(Healthy):
    frame = np.zeros((20, 40, 3), np.uint8)

    def render(self) -> Any:
        self.frame[:] = super().render()
        return self.frame


class StepAsLongAsItTakes(Healthy):
    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.before = perf_counter()

    def noise(self) -> float:
        passed, self.before = perf_counter() - self.before, perf_counter()
        return super().noise() + min(passed, 1)


class OverAfterAMinute(Healthy):
    begin = 0.0

    def start(self) -> Array:
        self.begin = time.monotonic()
        return super().start()

    def terminated(self) -> bool:
        return super().terminated() or time.monotonic() > self.begin + 60


class PushesByNightOnly(Healthy):
    def push(self, action: Array) -> float:
        return super().push(action) * (datetime.datetime.now().hour < 6)


class NanIsClipped(Healthy):
    def refuse(self, action: Array) -> None:
        super().refuse(np.nan_to_num(action))


class GoesOnAfterTheEnd(Healthy):
    def refuse(self, action: Array) -> None:
        self.is_over = False
        super().refuse(action)


class HoldsAFunction(Healthy):
    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.function = lambda: 0


class CopyBeginsAnew(Healthy):
    def __reduce__(self) -> Any:
        return type(self), (self.render_mode,)


class CopyHasAnotherGenerator(Healthy):
    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_np_random": None}


class AlwaysTheSameStart(Healthy):
    def start(self) -> Array:
        return np.array([0.1, 0], np.float32)


class ResetWithoutInfo(Healthy):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=seed)[0]


class ResetWithoutSeed(Healthy):
    def reset(self) -> Start:  # type: ignore[override]
        return super().reset()


class FourValuesFromStep(Healthy):
    def step(self, action: Array) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated or truncated, info


class NumbersAsFlags(Healthy):
    def terminated(self) -> Any:
        return int(super().terminated())


class ResetWithoutOptions(Healthy):
    def reset(self, *, seed: int | None = None) -> Start:  # type: ignore[override]
        return super().reset(seed=seed)


class SeedZeroByDefault(Healthy):
    def reset(self, *, seed: int | None = 0, options: dict[str, Any] | None = None) -> Start:
        return super().reset(seed=seed or None)


class LopsidedActions(Healthy):
    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.action_space = gym.spaces.Box(-1, 0.5, (1,), np.float32)


class UnboundedActions(Healthy):
    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        self.action_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)


class SpecWithAFunction(Healthy):
    spec = EnvSpec("Ball-v0", entry_point=lambda **arguments: Healthy(**arguments))


class HealthyVector(SyncVectorEnv):
    """Row k starts from ``reset(seed=[...])`` as ``Healthy`` does from seed k."""

    def __init__(self, num_envs: int, **arguments: Any) -> None:
        super().__init__([Healthy] * num_envs, **arguments)


class VectorPaysMore(HealthyVector):
    def step(self, actions: Any) -> Any:
        observations, rewards, *rest = super().step(actions)
        return observations, rewards * 1.01, *rest


class VectorNeverTruncates(HealthyVector):
    def step(self, actions: Any) -> Any:
        observations, rewards, terminated, truncated, infos = super().step(actions)
        return observations, rewards, terminated | truncated, truncated & False, infos


class VectorWithoutFinalObservations(HealthyVector):
    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs, autoreset_mode="SameStep")

    def step(self, actions: Any) -> Any:
        *values, _ = super().step(actions)
        return *values, {}


class VectorOfOtherActions(HealthyVector):
    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.single_action_space = gym.spaces.Box(-2, 2, (1,), np.float32)


class VectorStartsElsewhere(HealthyVector):
    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=7, options=options)


BROKEN_VECTORS = (
    VectorPaysMore,
    VectorNeverTruncates,
    VectorWithoutFinalObservations,
    VectorOfOtherActions,
)
ERRORS: dict[str, list[type[Healthy]]] = {
    "global-randomness": [
        StartFromNumpysGenerator,
        NoiseFromPythonsGenerator,
        SeedsTheGlobalGenerator,
    ],
    "seed-without-effect": [GeneratorOfItsOwn, SameGeneratorForAllSeeds],
    "state-survives-reset": [VelocitySurvivesReset, CurriculumSurvivesReset],
    "not-finite": [
        NanAfterManySteps,
        InfinityAtTheEnd,
        NanRewardAtTermination,
        InfiniteRewardAfterManySteps,
    ],
    "wrong-type": [
        DoublePrecision,
        DoublePrecisionAtTermination,
        WrongShapeAtTheEnd,
        ArrayAsReward,
        NoRewardAtTermination,
    ],
    "out-of-bounds": [OutOfBoundsFromTheStart, OutOfBoundsAtTermination],
    "observation-aliased": [StateChangedInPlace, OneBufferForAllObservations],
    "action-mutated": [ActionClippedInPlace, ActionScaledInPlace],
    "endless-episode": [NeverEnds],
    "time-limit-as-termination": [TimeLimitAsTermination],
    "exception": [FailsInMidEpisode, FailsToResetAgain],
    "render-changes-state": [RenderingMoves, RenderingDraws, RenderingDrawsGlobally],
    "frame": [FrameOfFloats, FrameWithChannelsFirst, FramesOfChangingSize, FramesInOneBuffer],
    "wall-clock": [StepAsLongAsItTakes, OverAfterAMinute, PushesByNightOnly],
    "interface": [ResetWithoutInfo, ResetWithoutSeed, FourValuesFromStep, NumbersAsFlags],
    "public-checkers": [ResetWithoutOptions],
}
WARNINGS: dict[str, list[type[Healthy]]] = {
    "nan-action": [NanIsClipped],
    "observation-is-state": [ObservationIsTheState],
    "step-past-end": [GoesOnAfterTheEnd],
    "copy-loses-state": [HoldsAFunction, CopyBeginsAnew, CopyHasAnotherGenerator],
    "one-start": [AlwaysTheSameStart],
    "episode-may-not-end": [EndsUnderSomePoliciesOnly],
    "public-checkers-advice": [SeedZeroByDefault],
}
NOTES: dict[str, list[type[Healthy]]] = {
    "action-space": [LopsidedActions, UnboundedActions],
    "spec": [SpecWithAFunction],
    "not-checked": [RenderingFails],
}
BROKEN = {
    broken: (key, severity)
    for severity, table in {"error": ERRORS, "warning": WARNINGS, "note": NOTES}.items()
    for key, classes in table.items()
    for broken in classes
}


for name, single, vector in (
    ("Ball-v0", "Healthy", "HealthyVector"),
    ("NanBall-v0", "NanAfterManySteps", None),
    ("UnlikeBall-v0", "Healthy", "VectorPaysMore"),
):
    gym.register(
        name,
        entry_point=f"{__name__}:{single}",
        vector_entry_point=vector and f"{__name__}:{vector}",
    )


def public_verdicts() -> dict[str, tuple[bool, bool]]:
    """Whether SB3's and Gymnasium's checker object to each broken environment.

    An exception counts, and so does a warning that the healthy environment does not cause.
    """
    checks: list[Callable[[Any], None]] = [check_with_sb3, check_with_gymnasium]
    usual = [_objections(partial(check, Healthy("rgb_array"))) for check in checks]
    return {
        broken.__name__: (
            bool(_objections(partial(checks[0], broken("rgb_array"))) - usual[0]),
            bool(_objections(partial(checks[1], broken("rgb_array"))) - usual[1]),
        )
        for broken in BROKEN
    }


def _objections(check: Callable[[], None]) -> set[str]:
    objections: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            check()
        except Exception as error:
            objections.add(repr(error))
    return objections | {str(warning.message) for warning in caught}
