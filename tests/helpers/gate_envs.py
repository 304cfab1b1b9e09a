"""Environments with one fault each, which every implementation must treat in the same way."""

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
STEPS = 20  # time limit of the registered ones


class Drift(gym.Env[Array, Array]):
    """A point that is pushed to and fro, and drifts with a velocity of its own: no fault."""

    observation_space = gym.spaces.Box(-10, 10, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)
    made: ClassVar[list[str]] = []
    steps: ClassVar[list[int]] = [0]

    def __init__(self) -> None:
        self.made.append(type(self).__name__)
        self.position = self.velocity = 0.0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.position, self.velocity = self.start()
        return self.observe(), {}

    def start(self) -> tuple[float, float]:
        return float(self.np_random.uniform(-1, 1)), float(self.np_random.uniform(-0.1, 0.1))

    def observe(self) -> Any:
        return np.array([self.position, 0], np.float32)  # the velocity is hidden

    def step(self, action: Array) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps[0] += 1
        push = 0.01 * float(np.ravel(action)[0])
        self.position = float(np.clip(self.position + self.velocity + push, -10, 10))
        return self.observe(), -abs(self.position), False, False, {}


class Failing(Drift):
    def __init__(self) -> None:
        raise RuntimeError("the simulator does not start")


class UnboundedActions(Drift):
    action_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)


class HalfBoundedActions(Drift):
    action_space = gym.spaces.Box(np.array([-1, -1]), np.array([1, np.inf]), dtype=np.float32)


class ActionsOfNoWidth(Drift):
    action_space = gym.spaces.Box(np.array([-1, 0]), np.array([1, 0]), dtype=np.float32)


class NamedActions(Drift):
    action_space = gym.spaces.Dict({"push": Drift.action_space})  # type: ignore[assignment]


class FarObservation(Drift):
    def observe(self) -> Any:
        return np.array([11, 0], np.float32)


class ObservationOfDoubles(Drift):
    def observe(self) -> Any:
        return np.array([self.position, 0], np.float64)


class OldReset(Drift):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=seed)[0]


class LopsidedActions(Drift):
    action_space = gym.spaces.Box(0, 2, (1,), np.float32)


class UnseededStarts(Drift):
    def start(self) -> tuple[float, float]:
        return float(np.random.default_rng().uniform(-1, 1)), 0.0


class GlobalStarts(Drift):
    def start(self) -> tuple[float, float]:
        return float(np.random.uniform(-1, 1)), 0.0  # noqa: NPY002


class StartsWanderOn(Drift):
    starts = 0

    def start(self) -> tuple[float, float]:
        self.starts += 1
        return self.starts / 1000, 0.0


class EachHasItsOwnStart(Drift):
    def __init__(self) -> None:
        super().__init__()
        self.own = len(self.made) / 1000

    def start(self) -> tuple[float, float]:
        return self.own, 0.0


class UnseededVelocity(Drift):
    def start(self) -> tuple[float, float]:
        return super().start()[0], float(np.random.default_rng().uniform(-0.1, 0.1))


class Saved(Drift):
    """Saves its state in full."""

    def get_state(self) -> Any:
        generator = self.np_random.bit_generator.state
        return {"point": [self.position, self.velocity], "generator": generator}

    def set_state(self, state: Any) -> None:
        self.position, self.velocity = state["point"]
        self.np_random.bit_generator.state = state["generator"]


class StateIsAnArray(Saved):
    def get_state(self) -> Any:
        return np.array([self.position, self.velocity])


class StateTakesTwo(Saved):
    def set_state(self, position: float, velocity: float) -> None:  # type: ignore[override]
        self.position, self.velocity = position, velocity


class StateWithoutVelocity(Saved):
    def set_state(self, state: Any) -> None:
        super().set_state({**state, "point": [state["point"][0], self.velocity]})


class StateWithoutGenerator(Saved):
    def set_state(self, state: Any) -> None:
        super().set_state({**state, "generator": self.np_random.bit_generator.state})


class FailsToSaveLater(Saved):
    age = 0

    def step(self, action: Array) -> Any:
        self.age += 1
        return super().step(action)

    def get_state(self) -> Any:
        if self.age > 20:
            raise OSError("the simulator does not answer")
        return super().get_state()


class Goal(Drift):
    """A goal environment as HER needs it."""

    observation_space = gym.spaces.Dict(  # type: ignore[assignment]
        {
            name: gym.spaces.Box(-10, 10, (1,), np.float32)
            for name in ("observation", "achieved_goal", "desired_goal")
        }
    )

    def observe(self) -> Any:
        here = np.array([self.position], np.float32)
        goal = np.zeros(1, np.float32)
        return {"observation": here, "achieved_goal": here.copy(), "desired_goal": goal}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        return -np.abs(np.asarray(achieved_goal) - desired_goal).sum(axis=-1)

    def step(self, action: Array) -> Any:
        observation, _, terminated, truncated, info = super().step(action)
        reward = self.compute_reward(observation["achieved_goal"], np.zeros(1, np.float32), info)
        return observation, float(reward), terminated, truncated, info


def make_flat_goal(**_: Any) -> Any:
    return gym.wrappers.FlattenObservation(Goal())


for fault in list(globals().values()):
    if isinstance(fault, type) and issubclass(fault, Drift):
        name = fault.__name__
        gym.register(f"{name}-v0", f"{__name__}:{name}", max_episode_steps=STEPS)
gym.register("FlatGoal-v0", f"{__name__}:make_flat_goal", max_episode_steps=STEPS)
gym.register("Endless-v0", f"{__name__}:Drift")
