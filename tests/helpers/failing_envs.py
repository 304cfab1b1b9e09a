"""An environment that fails in mid-run, in the way that its argument names."""

import os
import signal
import sys
import threading
import time
from typing import Any

import gymnasium as gym
import numpy as np

RELEASED = threading.Event()  # ends a hang


class Fails(gym.Env[Any, Any]):
    """Fails, as its argument says, at its 150th step."""

    observation_space = gym.spaces.Box(-1, 1, (1,))
    action_space = gym.spaces.Box(-1, 1, (1,))

    def __init__(self, how: str, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.how = how
        self.steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if self.steps == 150 and self.how == "raises":
            raise RuntimeError("the sensor fell off")
        if self.steps == 150 and self.how == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.steps == 150 and self.how == "exits":
            sys.exit(0)
        if self.steps == 150 and self.how == "exits at once":
            os._exit(0)
        if self.steps == 150 and self.how == "interrupts":
            raise KeyboardInterrupt
        while self.steps == 150 and self.how == "hangs" and not RELEASED.is_set():
            time.sleep(0.05)
        reward = float("nan") if self.steps == 150 and self.how == "diverges" else 0.0
        return np.zeros(1, np.float32), reward, False, False, {}


gym.register(id="Fails-v0", entry_point="tests.helpers.failing_envs:Fails", max_episode_steps=50)
