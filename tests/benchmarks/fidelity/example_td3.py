"""A TD3 written from scratch, as someone might have it who reads docs/fidelity.md."""

import copy
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


def net(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, outputs)
    )


class MyTD3:
    def __init__(self, observation_dim: int, low: torch.Tensor, high: torch.Tensor) -> None:
        self.low, self.high, self.half = low, high, (high - low) / 2
        self.actor = net(observation_dim, len(low))
        self.q1, self.q2 = (net(observation_dim + len(low), 1) for _ in range(2))
        self.restart()

    def restart(self) -> None:
        self.targets = copy.deepcopy([self.actor, self.q1, self.q2])
        critics = [*self.q1.parameters(), *self.q2.parameters()]
        self.actor_adam = torch.optim.Adam(self.actor.parameters(), 3e-4)
        self.critic_adam = torch.optim.Adam(critics, 3e-4)
        self.updates = 0

    def act(self, actor: nn.Module, observations: torch.Tensor) -> torch.Tensor:
        return self.low + self.half + self.half * torch.tanh(actor(observations))

    def train(self, sample: Any) -> None:
        s, a, r, s2, terminal = sample
        self.updates += 1
        actor, q1, q2 = self.targets
        with torch.no_grad():
            noise = (0.2 * torch.randn_like(a)).clamp(-0.5, 0.5) * self.half
            x = torch.cat([s2, (self.act(actor, s2) + noise).clamp(self.low, self.high)], 1)
            y = r + 0.99 * (1 - terminal) * torch.min(q1(x), q2(x))
        x = torch.cat([s, a], 1)
        loss = F.mse_loss(self.q1(x), y) + F.mse_loss(self.q2(x), y)
        self.step(self.critic_adam, loss)
        if self.updates % 2 == 0:
            self.step(self.actor_adam, -self.q1(torch.cat([s, self.act(self.actor, s)], 1)).mean())
            for net_, target in zip((self.actor, self.q1, self.q2), self.targets, strict=True):
                for p, t in zip(net_.parameters(), target.parameters(), strict=True):
                    t.data.copy_(0.005 * p.data + 0.995 * t.data)

    def step(self, adam: torch.optim.Adam, loss: torch.Tensor) -> None:
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
