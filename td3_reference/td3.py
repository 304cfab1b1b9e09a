"""Twin Delayed Deep Deterministic policy gradient (TD3), Algorithm 1 of

Fujimoto, van Hoof, Meger: Addressing Function Approximation Error in Actor-Critic Methods,
ICML 2018.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from td3_reference.adam import Adam, polyak_step
from td3_reference.config import TD3Config
from td3_reference.networks import Mlp, as_one_vector, as_vector, compiled, initial_weights
from td3_reference.replay_buffer import Array, Batch


class Actor(nn.Module):
    """The deterministic policy: observation -> action in environment units."""

    low: Tensor
    high: Tensor
    action_scale: Tensor

    def __init__(self, config: TD3Config) -> None:
        super().__init__()
        self.net = Mlp(config.observation_dim, config.hidden_sizes, config.action_dim)
        low, high = torch.as_tensor(np.array([config.action_low, config.action_high]))
        bounds = {"low": low, "high": high, "action_scale": (high - low) / 2}
        for name, bound in bounds.items():
            self.register_buffer(name, bound.float())

    def forward(self, observations: Tensor) -> Tensor:
        """Actions (n, action_dim) for observations (n, observation_dim)."""
        return self.scaled(torch.tanh(self.net(observations)))

    def scaled(self, unit_actions: Tensor) -> Tensor:
        """Actions in environment units for actions in [-1, 1]."""
        return self.low + self.action_scale + self.action_scale * unit_actions


class Critic(nn.Module):
    """The two action-value functions."""

    def __init__(self, config: TD3Config) -> None:
        super().__init__()
        inputs = config.observation_dim + config.action_dim
        self.q1_net = Mlp(inputs, config.hidden_sizes, 1)
        self.q2_net = Mlp(inputs, config.hidden_sizes, 1)

    def forward(self, observations: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Both values, each (n, 1)."""
        inputs = self.inputs(observations, actions)
        return self.q1_net(inputs), self.q2_net(inputs)

    def inputs(self, observations: Tensor, actions: Tensor) -> Tensor:
        """The inputs of both networks, (n, observation_dim + action_dim)."""
        return torch.cat([observations, actions], dim=1)


class TD3:
    """The agent: networks, their targets and optimisers.

    :param config: dimensions and settings
    :param rng: draws the initial weights; a generator with seed 0 by default
    :param compile: whether to compile the updates: faster, equal up to rounding; needs a C++
        compiler
    """

    def __init__(
        self, config: TD3Config, rng: np.random.Generator | None = None, compile: bool = False
    ) -> None:
        self.config = config
        self.actor, self.critic = Actor(config), Critic(config)
        self.actor_target = copy.deepcopy(self.actor).requires_grad_(False)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        names = ("actor", "critic", "actor_target", "critic_target")
        self.weights = {name: as_one_vector(getattr(self, name)) for name in names}
        self.optimizers = {
            name: Adam(self.weights[name], config.learning_rate, compile) for name in names[:2]
        }
        as_is: Callable[[Any], Any] = lambda function: function  # noqa: E731
        wrapped = compiled if compile else as_is
        self._critic_gradient = wrapped(self._critic_gradients)
        self._actor_gradient = wrapped(self._actor_gradients)
        self._polyak_step = wrapped(polyak_step)
        self.updates = 0
        self.load_weights(initial_weights((self.actor, self.critic), rng))

    def load_weights(self, arrays: Iterable[Array]) -> None:
        """Set all weights, copy them to the targets, and reset the optimisers and the counter.

        :param arrays: float32 weight (outputs, inputs) and bias (outputs,) of each layer in turn,
            of the actor, the first critic, the second critic
        :raises ValueError: if their number or their shapes do not fit
        """
        parameters = [*self.actor.parameters(), *self.critic.parameters()]
        for parameter, array in zip(parameters, arrays, strict=True):
            if parameter.shape != array.shape:
                raise ValueError(f"a weight has shape {array.shape}, not {parameter.shape}")
            parameter.detach().copy_(torch.from_numpy(array))
        for name, optimizer in self.optimizers.items():
            self.weights[f"{name}_target"].copy_(self.weights[name])
            optimizer.reset()
        self.updates = 0

    def update(self, batch: Batch, noise: Array) -> None:
        """One gradient step of the critics and, at every policy_freq-th call, of the policy.

        :param batch: float32 transitions
        :param noise: standard normal (batch_size, action_dim), not yet scaled and clipped
        """
        tensors = tuple(map(torch.from_numpy, (*batch, noise)))
        self.updates += 1
        self.optimizers["critic"].step(self._critic_gradient(tensors))

        # Delayed policy update: ascend the first critic, then move the targets.
        if self.updates % self.config.policy_freq == 0:
            self.optimizers["actor"].step(self._actor_gradient(tensors[0]))
            self.polyak_update("actor")
            self.polyak_update("critic")

    def _critic_gradients(self, tensors: tuple[Tensor, ...]) -> Tensor:
        observations, actions, next_observations, rewards, not_terminated, noise = tensors
        config, target_actor = self.config, self.actor_target
        with torch.no_grad():
            # Target policy smoothing: clipped noise on the target policy's actions.
            unit = target_actor.action_scale if config.scale_noise else 1.0
            noise = (noise * config.policy_noise).clamp(-config.noise_clip, config.noise_clip)
            next_actions = target_actor(next_observations) + noise * unit
            next_actions = next_actions.clamp(target_actor.low, target_actor.high)

            # Clipped double Q-learning: the smaller of the two target values.
            target_q = torch.min(*self.critic_target(next_observations, next_actions))
            target = rewards + config.gamma * not_terminated * target_q

            # Both critics regress on the same target: gradients of the mean squared errors.
            inputs = self.critic.inputs(observations, actions)
            gradients: list[Tensor] = []
            for net in (self.critic.q1_net, self.critic.q2_net):
                *activations, q = net.activations(inputs)
                gradients += net.backward(activations, 2 / len(q) * (q - target))
            return as_vector(gradients)

    def _actor_gradients(self, observations: Tensor) -> Tensor:
        with torch.no_grad():
            *given, outputs = self.actor.net.activations(observations)
            unit_actions = torch.tanh(outputs)
            inputs = self.critic.inputs(observations, self.actor.scaled(unit_actions))

            # The policy ascends only the first critic: gradient of minus its mean value.
            *activations, q = self.critic.q1_net.activations(inputs)
            climb = torch.full_like(q, -1 / len(q))
            (gradient,) = self.critic.q1_net.backward(activations, climb, to_inputs=True)
            by_action = gradient[:, -self.config.action_dim :] * self.actor.action_scale
            by_output = torch.ops.aten.tanh_backward(by_action, unit_actions)
            return as_vector(self.actor.net.backward(given, by_output))

    def restart_policy_delay(self) -> None:
        """Make the next update, and every policy_freq-th one after it, update the policy.

        The paper's code does so, since it counts the updates after each episode from 0.
        """
        self.updates = self.config.policy_freq - 1

    def polyak_update(self, name: str) -> None:
        """Move a network's target towards it."""
        self._polyak_step(self.weights[name], self.weights[f"{name}_target"], self.config.tau)

    def actions(self, observations: Array) -> Array:
        """Noise-free actions (n, action_dim) for observations (n, observation_dim)."""
        return self._call(self.actor, observations)[0]

    def target_actions(self, observations: Array) -> Array:
        """Noise-free actions of the target policy, (n, action_dim)."""
        return self._call(self.actor_target, observations)[0]

    def q_values(self, observations: Array, actions: Array) -> tuple[Array, ...]:
        """Values of both critics, each (n, 1)."""
        return self._call(self.critic, observations, actions)

    def target_q_values(self, observations: Array, actions: Array) -> tuple[Array, ...]:
        """Values of both target critics, each (n, 1)."""
        return self._call(self.critic_target, observations, actions)

    @staticmethod
    def _call(network: nn.Module, *inputs: Array) -> tuple[Array, ...]:
        with torch.inference_mode():
            outputs = network(*map(torch.from_numpy, inputs))
        return tuple(q.numpy() for q in (outputs if isinstance(outputs, tuple) else (outputs,)))

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Array, Any]:
        """Choose actions, with SB3's interface; always noise-free, and without memory."""
        return self.actions(np.asarray(observation, np.float32)), state

    def get_state(self) -> dict[str, Tensor]:
        """Networks, targets, optimisers and counter as named tensors."""
        state = {"updates": torch.tensor(self.updates)}
        state |= {name: vector.clone() for name, vector in self.weights.items()}
        for name, optimizer in self.optimizers.items():
            moments = optimizer.get_state()
            state |= {f"{name}_optimizer.{key}": moments[key] for key in moments}
        return state

    def set_state(self, state: dict[str, Tensor]) -> None:
        """Go on from a state that :meth:`get_state` of an equally configured agent returned."""
        self.updates = int(state["updates"])
        for name, vector in self.weights.items():
            vector.copy_(state[name])
        for name, optimizer in self.optimizers.items():
            start = f"{name}_optimizer."
            optimizer.set_state(
                {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
            )
