"""The published update in NumPy, with a switch for each way to get it wrong.

With the default switches it is the published TD3 up to rounding, and it has an adapter's methods.
With other switches it reproduces a known difference, by which causes.py finds causes.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from benchmarks.fidelity.cases import Array, Batch, Problem

Layers = list[Array]  # weight (outputs, inputs) and bias (outputs,) of three layers


@dataclass(frozen=True)
class Switches:
    """How an update may differ from the published one, which has the defaults.

    :param critic_actions: environment, or unit: the critic sees actions scaled to [-1, 1]
    :param actor_output: centred; no offset; maximum, high * tanh; unscaled; first, one half-width
    :param noise: half-widths; unscaled; first, the first dimension's half-width; none
    :param noise_clip: whether the target noise is clipped
    :param clip: of the target action: bounds; unit, to [-1, 1]; wrong unit, the bounds applied to
        actions in [-1, 1]; first, the first dimension's bounds; none
    :param delay: critic updates for each update of the actor
    :param offset: how many updates earlier than published the actor moves
    :param targets: delayed, with the actor; every, at each update; critics, only the critics'
        at each update
    :param order: published; targets first, before the actor; actor first, before the critics
    :param actor_loss: first critic; minimum; mean
    :param critics: minimum of both targets, or first
    :param stops_at: terminated; truncated, where the value after a truncation is dropped too
    """

    critic_actions: str = "environment"
    actor_output: str = "centred"
    noise: str = "half-widths"
    noise_clip: bool = True
    clip: str = "bounds"
    delay: int = 2
    offset: int = 0
    targets: str = "delayed"
    order: str = "published"
    actor_loss: str = "first critic"
    loss_factor: float = 1.0
    epsilon: float = 1e-8
    gradient_clip: float = float("inf")
    huber: bool = False
    critics: str = "minimum"
    stops_at: str = "terminated"


class Network(NamedTuple):
    """Layers, their targets, and Adam's two moments."""

    layers: Layers
    target: Layers
    mean: Layers
    square: Layers

    @classmethod
    def start(cls, weights: Layers) -> "Network":
        """A network before its first update."""
        copies = [[np.array(w, np.float32) for w in weights] for _ in range(2)]
        return cls(*copies, *([np.zeros_like(w) for w in weights] for _ in range(2)))


def forward(layers: Layers, inputs: Array) -> list[Array]:
    """The inputs of each layer in turn, and the output."""
    w1, b1, w2, b2, w3, b3 = layers
    first = np.maximum(inputs @ w1.T + b1, 0)
    second = np.maximum(first @ w2.T + b2, 0)
    return [inputs, first, second, second @ w3.T + b3]


def backward(layers: Layers, values: list[Array], gradient: Array) -> tuple[Layers, Array]:
    """The gradients of all layers and of the inputs, of a loss with this gradient at the output."""
    gradients: Layers = []
    for i in (2, 1, 0):
        gradients = [gradient.T @ values[i], gradient.sum(axis=0), *gradients]
        gradient = gradient @ layers[2 * i]
        if i:
            gradient = gradient * (values[i] > 0)
    return gradients, gradient


class SwitchableTD3:
    """TD3 with switches, as an adapter.

    :param problem: dimensions, bounds and settings
    :param switches: what differs from the published update
    """

    def __init__(self, problem: Problem, switches: Switches | None = None) -> None:
        self.problem, self.switches = problem, switches or Switches()

    def load(self, weights: list[Array]) -> None:
        """Set all weights, copy them to the targets, reset everything else."""
        parts = (weights[:6], weights[6:12], weights[12:])
        self.actor, self.q1, self.q2 = map(Network.start, parts)
        self.updates = self.actor_steps = 0

    def update(self, batch: Batch, noise: Array) -> None:
        """One update, in the order that the switches say."""
        switches = self.switches
        self.updates += 1
        due = (self.updates + switches.offset) % switches.delay == 0
        if due and switches.order == "actor first":
            self.update_actor(batch.observations)
        self.update_critics(batch, noise)
        if switches.order == "targets first":
            self.move_targets(due)
        if due and switches.order != "actor first":
            self.update_actor(batch.observations)
        if switches.order != "targets first":
            self.move_targets(due)

    def update_critics(self, batch: Batch, noise: Array) -> None:
        """Both critics regress on the target."""
        problem, switches = self.problem, self.switches
        following = batch.next_observations
        actions = self.next_actions(following, noise)
        q1, q2 = (self._q(q.target, following, actions)[-1] for q in (self.q1, self.q2))
        q = np.minimum(q1, q2) if switches.critics == "minimum" else q1
        stops = batch.terminated
        if switches.stops_at == "truncated":
            stops = np.maximum(stops, batch.truncated)
        target = batch.rewards + np.float32(problem.gamma) * (1 - stops) * q
        gradients: Layers = []
        for network in (self.q1, self.q2):
            values = self._q(network.layers, batch.observations, batch.actions)
            error = values[-1] - target
            slope = np.clip(error, -1, 1) if switches.huber else 2 * error
            slope = slope * np.float32(switches.loss_factor / len(error))
            gradients += backward(network.layers, values, slope)[0]
        gradients = self._clipped(gradients)
        for network, part in ((self.q1, gradients[:6]), (self.q2, gradients[6:])):
            self._adam(network, part, self.updates)

    def next_actions(self, observations: Array, noise: Array) -> Array:
        """The target policy's actions with clipped noise, clipped."""
        problem, switches = self.problem, self.switches
        low, high = problem.action_low, problem.action_high
        half, centre = problem.half_width, problem.centre
        scaled = noise * np.float32(problem.policy_noise)
        if switches.noise_clip:
            scaled = np.clip(scaled, -problem.noise_clip, problem.noise_clip)
        units = {"half-widths": half, "unscaled": 1, "first": half[0], "none": 0}
        actions = self._policy(self.actor.target, observations) + scaled * units[switches.noise]
        bounds: dict[str, tuple[Any, Any]] = {
            "bounds": (low, high), "unit": (-1, 1), "first": (low[0], high[0]),
            "wrong unit": (centre + half * low, centre + half * high), "none": (-np.inf, np.inf),
        }  # fmt: skip
        clipped: Array = np.clip(actions, *bounds[switches.clip]).astype(np.float32)
        return clipped

    def update_actor(self, observations: Array) -> None:
        """The actor ascends the value of one critic, or of both."""
        outputs = forward(self.actor.layers, observations)
        actions = self._policy(self.actor.layers, observations)
        one = np.full((len(observations), 1), -1 / len(observations), np.float32)
        values = [self._q(q.layers, observations, actions) for q in (self.q1, self.q2)]
        lower = values[0][-1] <= values[1][-1]
        shares: dict[str, Any] = {
            "first critic": (one, 0 * one),
            "mean": (one / 2, one / 2),
            "minimum": (one * lower, one * ~lower),
        }
        slope = np.zeros_like(actions)
        pairs = zip((self.q1, self.q2), values, shares[self.switches.actor_loss], strict=True)
        for network, value, share in pairs:
            inputs = backward(network.layers, value, share)[1]
            slope = slope + inputs[:, observations.shape[1] :]
        if self.switches.critic_actions == "unit":
            slope = slope / self.problem.half_width
        tanh = np.tanh(outputs[-1])
        slope = slope * self._scale() * (1 - tanh * tanh)
        gradients = self._clipped(backward(self.actor.layers, outputs, slope)[0])
        self.actor_steps += 1
        self._adam(self.actor, gradients, self.actor_steps)

    def move_targets(self, due: bool) -> None:
        """Targets follow their networks by tau."""
        critics = [self.q1, self.q2] if due or self.switches.targets != "delayed" else []
        actor = [self.actor] if due or self.switches.targets == "every" else []
        tau = np.float32(self.problem.tau)
        for network in (*critics, *actor):
            for weight, target in zip(network.layers, network.target, strict=True):
                target[...] = tau * weight + (1 - tau) * target

    def actions(self, observations: Array) -> Array:
        """Noise-free actions."""
        return self._policy(self.actor.layers, observations)

    def target_actions(self, observations: Array) -> Array:
        """The same of the target policy."""
        return self._policy(self.actor.target, observations)

    def q_values(self, observations: Array, actions: Array) -> tuple[Array, Array]:
        """Values of both critics."""
        q1, q2 = (self._q(q.layers, observations, actions)[-1] for q in (self.q1, self.q2))
        return q1, q2

    def target_q_values(self, observations: Array, actions: Array) -> tuple[Array, Array]:
        """The same of the target critics."""
        q1, q2 = (self._q(q.target, observations, actions)[-1] for q in (self.q1, self.q2))
        return q1, q2

    def _scale(self) -> Any:
        problem, output = self.problem, self.switches.actor_output
        half = problem.half_width
        scales = {"maximum": problem.action_high, "unscaled": np.float32(1), "first": half[0]}
        return scales.get(output, half)

    def _policy(self, layers: Layers, observations: Array) -> Array:
        centred = self.switches.actor_output in ("centred", "first", "unscaled")
        offset = self.problem.centre if centred else 0
        actions: Array = offset + self._scale() * np.tanh(forward(layers, observations)[-1])
        return actions

    def _q(self, layers: Layers, observations: Array, actions: Array) -> list[Array]:
        if self.switches.critic_actions == "unit":
            actions = (actions - self.problem.centre) / self.problem.half_width
        return forward(layers, np.concatenate([observations, actions], axis=1))

    def _clipped(self, gradients: Layers) -> Layers:
        norm = np.sqrt(sum(float((g * g).sum()) for g in gradients))
        factor = np.float32(min(1.0, self.switches.gradient_clip / (norm + 1e-6)))
        return [g * factor for g in gradients] if factor < 1 else gradients

    def _adam(self, network: Network, gradients: Layers, step: int) -> None:
        rate = self.problem.learning_rate / (1 - 0.9**step)
        correction = np.float32(np.sqrt(1 - 0.999**step))
        epsilon = np.float32(self.switches.epsilon)
        moments = (network.layers, gradients, network.mean, network.square)
        for weight, gradient, mean, square in zip(*moments, strict=True):
            mean += np.float32(0.1) * (gradient - mean)
            square *= np.float32(0.999)
            square += np.float32(0.001) * gradient * gradient
            weight -= np.float32(rate) * mean / (np.sqrt(square) / correction + epsilon)
