"""Normalised observations for a trained policy, without SB3's pickled VecNormalize."""

import io
from dataclasses import astuple, dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from envs.rollout import Policy

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecNormalize

FIELDS = ("mean", "variance", "epsilon", "clip")


@dataclass(frozen=True)
class Normalization:
    """Statistics of the observations in training; mean and variance have an observation's shape."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    epsilon: float
    clip: float

    @classmethod
    def of(cls, env: "VecNormalize") -> "Normalization":
        """The present statistics of SB3's wrapper."""
        statistics: Any = env.obs_rms
        return cls(statistics.mean.copy(), statistics.var.copy(), env.epsilon, env.clip_obs)

    def apply(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise observations as in training: shift, scale and clip them."""
        scaled = (observations - self.mean) / np.sqrt(self.variance + self.epsilon)
        clipped: NDArray[np.float32] = np.clip(scaled, -self.clip, self.clip).astype(np.float32)
        return clipped

    def to_bytes(self) -> bytes:
        """Content of an .npz file."""
        buffer = io.BytesIO()
        np.savez(buffer, **dict(zip(FIELDS, astuple(self), strict=True)))
        return buffer.getvalue()

    @classmethod
    def load(cls, file: Path | BinaryIO) -> "Normalization":
        """The inverse of :meth:`to_bytes`."""
        with np.load(file) as saved:
            mean, variance, epsilon, clip = (saved[name] for name in FIELDS)
        return cls(mean, variance, float(epsilon), float(clip))


class NormalizedPolicy:
    """A policy that is given normalised observations.

    :param policy: the policy, trained with them
    :param normalization: of the observations
    """

    def __init__(self, policy: Policy, normalization: Normalization) -> None:
        self.policy = policy
        self.normalization = normalization
        self.takes_action_masks = "action_masks" in signature(policy.predict).parameters

    def predict(self, observation: Any, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        """The policy's actions for observations as the environment returns them."""
        return self.policy.predict(self.normalization.apply(observation), *arguments, **options)
