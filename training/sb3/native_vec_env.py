"""A Gymnasium vector environment in the place of SB3's own DummyVecEnv."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from envs.step_check import CLOCK, copied


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
        """Take the actions, shape (n, ...), for the step."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Do the step: observations, rewards (float32, as in DummyVecEnv), dones, infos."""
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
        # Copies, since it may change its own arrays in place.
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
        """Never: there are no single environments."""
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
        """Infos of each environment, from Gymnasium's arrays and the masks beside them."""
        columns = {
            name: (self._column(values), infos[f"_{name}"])
            for name, values in infos.items()
            if f"_{name}" in infos and not name.startswith("final_")
        }
        return [
            {name: values[k] for name, (values, mask) in columns.items() if mask[k]}
            for k in range(self.num_envs)
        ]
