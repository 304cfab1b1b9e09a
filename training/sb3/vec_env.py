"""What SB3 trains on: its own vector environments, or an environment's native one."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnv,
    VecMonitor,
    VecNormalize,
)
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvStepReturn,
    VecEnvWrapper,
)

from envs.step_check import CLOCK, copied
from training.config import ConfigError, RunConfig
from training.environments import (
    SAME_STEP,
    make_guarded,
    make_native_env,
)
from training.sb3.subproc import ReportingSubprocVecEnv


def make_training_env(config: RunConfig, gamma: float = 0.99) -> VecEnv:
    """Make what SB3 trains on; its episodes are not yet recorded in a file.

    :param gamma: discount, for the normalisation of rewards
    :raises ConfigError: if the environment cannot be made
    """
    env: VecEnv
    if config.n_envs == 1 and config.vec_env == "dummy":
        single = Monitor(make_guarded(config))
        env = DummyVecEnv([lambda: single])
    elif config.vec_env == "native":
        native = make_native_env(config, config.n_envs, autoreset_mode=SAME_STEP)
        env = VecMonitor(NativeVecEnv(native))
    elif config.vec_env == "subproc":
        env = VecMonitor(ReportingSubprocVecEnv(config))
    else:
        env = VecMonitor(DummyVecEnv([partial(make_guarded, config)] * config.n_envs))
    if not config.normalize:
        return env
    if not isinstance(env.observation_space, gym.spaces.Box):
        raise ConfigError(
            f"observations of {config.env_id} cannot be normalised: they must be a Box,"
            f" not {env.observation_space}"
        )
    return VecNormalize(env, gamma=gamma)


def layers_of(env: VecEnv) -> list[VecEnv]:
    """An environment's wrappers from the outside in, and the environment itself."""
    layers = [env]
    while isinstance(layers[-1], VecEnvWrapper):
        layers.append(layers[-1].venv)
    return layers


def recorder_of(env: VecEnv) -> Any:
    """The layer of a training environment that records its episodes: a VecMonitor or Monitor."""
    layers: list[Any] = layers_of(env)
    vec_monitors = [layer for layer in layers if isinstance(layer, VecMonitor)]
    return vec_monitors[0] if vec_monitors else layers[-1].envs[0]


class NativeVecEnv(VecEnv):
    """SB3's VecEnv on top of a Gymnasium vector environment.

    As SB3 expects, the observation after an episode's end is the next episode's first, and the
    last one stands in ``infos[k]["terminal_observation"]``; ``infos[k]["TimeLimit.truncated"]``
    tells whether a time limit, and nothing else, ended the episode.

    :param env: in autoreset mode SAME_STEP
    :raises ValueError: in another mode, since SB3 would learn from steps that are mere resets
    """

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        if env.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise ValueError(f"{env} must have autoreset mode SameStep")
        self.env = env
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> Any:
        """Start all episodes; the seeds that :meth:`seed` has set apply once, as in SB3."""
        seeds: Any = None if None in self._seeds else self._seeds
        CLOCK.enter("reset")
        observations, infos = self.env.reset(seed=seeds)
        CLOCK.leave()
        self.reset_infos = self._split(infos)
        self._reset_seeds()
        return copied(observations)

    def step_async(self, actions: np.ndarray) -> None:
        """Store the actions, shape (n, ...), for the step."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Take the step: observations, rewards (float32, as in DummyVecEnv), dones, infos."""
        CLOCK.enter("step")
        observations, rewards, terminations, truncations, batched = self.env.step(self._actions)
        CLOCK.leave()
        infos = self._split(batched)
        over = terminations | truncations
        if over.any():
            final_infos = self._split(batched["final_info"])
            for k in np.flatnonzero(over):
                self.reset_infos[k] = infos[k]
                infos[k] = {**final_infos[k], "terminal_observation": batched["final_obs"][k]}
        for info, ended in zip(infos, (truncations & ~terminations).tolist(), strict=True):
            info["TimeLimit.truncated"] = ended
        # Copies, since the environment may change its own arrays in place.
        return copied(observations), rewards.astype(np.float32), over.copy(), infos

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The vector environment's attribute, for each index."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Not possible: there are no single environments."""
        raise NotImplementedError(f"{self.env} has no single environments to set {attr_name} of")

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Not possible: there are no single environments."""
        raise NotImplementedError(f"{self.env} has no single environments to call {method_name} of")

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Always False: there are no single environments."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """One frame of each environment."""
        return list(self.env.render() or [None] * self.num_envs)  # type: ignore[arg-type]

    def _column(self, values: Any) -> list[Any]:
        """One value for each environment: Python's own numbers, arrays or, nested, infos."""
        if isinstance(values, dict):
            return self._split(values)
        column: list[Any] = values.tolist() if values.ndim == 1 else list(values)
        return column

    def _split(self, infos: dict[str, Any]) -> list[dict[str, Any]]:
        """Infos of each environment, from Gymnasium's arrays and their masks."""
        columns = {
            name: (self._column(values), infos[f"_{name}"])
            for name, values in infos.items()
            if f"_{name}" in infos and not name.startswith("final_")
        }
        return [
            {name: values[k] for name, (values, mask) in columns.items() if mask[k]}
            for k in range(self.num_envs)
        ]
