"""The reference's settings, and the two sets of them that the author published."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class TD3Config:
    """The problem's dimensions and the algorithm's settings.

    :param observation_dim: length of an observation
    :param action_low: lowest action, one number per dimension, in environment units
    :param action_high: highest action
    :param hidden_sizes: widths of the hidden layers of actor and critics
    :param gamma: discount
    :param tau: fraction by which a target network moves at each of its updates
    :param policy_noise: standard deviation of the target policy's noise, in action scales (one
        action scale is half the action range of a dimension)
    :param noise_clip: largest absolute value of that noise, in the same unit
    :param policy_freq: critic updates for each update of the policy and the targets
    :param learning_rate: of Adam, for actor and critics
    :param scale_noise: whether noises are in action scales; if not, they are in environment units
    :raises ValueError: if the bounds are not finite, or low is not below high
    """

    observation_dim: int
    action_low: Sequence[float]
    action_high: Sequence[float]
    hidden_sizes: Sequence[int] = (256, 256)
    gamma: float = 0.99
    tau: float = 0.005
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    policy_freq: int = 2
    learning_rate: float = 3e-4
    scale_noise: bool = True

    def __post_init__(self) -> None:
        low, high = np.asarray(self.action_low), np.asarray(self.action_high)
        if low.ndim != 1 or low.shape != high.shape:
            raise ValueError("action_low and action_high must be lists of one and the same length")
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
            raise ValueError(f"action bounds must be finite, low below high; got {low}, {high}")

    @property
    def action_dim(self) -> int:
        """Length of an action."""
        return len(self.action_low)


@dataclass(frozen=True)
class LoopConfig:
    """How experience is gathered and used.

    :param learning_starts: number of first steps, which take random actions
    :param batch_size: transitions in an update
    :param buffer_size: capacity of the replay buffer in transitions
    :param exploration_noise: standard deviation of the noise on actions, in action scales if
        ``TD3Config.scale_noise``
    :param update_after_episode: whether to make all updates at the end of each episode, as many
        as it had steps, instead of one after each step that follows the random ones
    """

    learning_starts: int = 1_000
    batch_size: int = 256
    buffer_size: int = 1_000_000
    exploration_noise: float = 0.1
    update_after_episode: bool = False


# The author's current code (github.com/sfujim/TD3) has the dataclasses' defaults, with 25,000
# random steps on the large locomotion tasks and 1,000 on the small ones. Environments that it does
# not know get 1,000 here, as in training/sb3/presets/td3.toml.
LONG_WARM_UP = ("HalfCheetah", "Hopper", "Walker2d", "Ant", "Humanoid")

# The code of the paper (its Table 3 and supplementary C). Exploration noise and the target
# policy's noise were not multiplied by the action range.
PAPER: dict[str, Any] = {
    "hidden_sizes": (400, 300),
    "learning_rate": 1e-3,
    "batch_size": 100,
    "scale_noise": False,
    "update_after_episode": True,
}
LONG_WARM_UP_IN_PAPER = ("HalfCheetah", "Ant")
PRESETS = ("released", "paper")


def published_settings(preset: str, env_family: str) -> dict[str, Any]:
    """Settings of a preset for an environment, where they differ from the dataclasses' defaults.

    :param preset: released, the author's current code, or paper, that of the ICML 2018 paper
    :param env_family: id without version, such as HalfCheetah
    :raises ValueError: if there is no such preset
    """
    if preset == "released":
        return {"learning_starts": 25_000} if env_family in LONG_WARM_UP else {}
    if preset == "paper":
        long = env_family in LONG_WARM_UP_IN_PAPER
        return {**PAPER, "learning_starts": 10_000 if long else 1_000}
    raise ValueError(f"td3_reference has no preset {preset!r}: it must be {' or '.join(PRESETS)}")
