"""Where the time of one training step goes: its parts, each measured alone, in alternation."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import TD3 as SB3TD3
from stable_baselines3.common.utils import polyak_update

from benchmarks.plot_style import COLOURS
from benchmarks.table import markdown
from td3_reference import TD3, RunLoop

PARTS = (
    "environment", "action selection", "sampling", "forward", "backward", "Adam", "targets",
    "Python",
)  # fmt: skip
GRADIENTS = "gradients"  # forward and backward together, as they are measured
BATCH = 256
Work = Callable[[int], Any]
Times = dict[str, dict[str, float]]  # implementation -> part -> microseconds in a step


def repeated(function: Callable[[], Any], every: int = 1) -> Work:
    """The work of n steps, in which a function is called n // every times."""

    def work(n: int) -> None:
        for _ in range(n // every):
            function()

    return work


def critics_and_delayed_actor(critics: Callable[[], Any], actor: Callable[[], Any]) -> Work:
    """Work of the critics at every step, and of the actor at every second step."""
    each, delayed = repeated(critics), repeated(actor, 2)

    def work(n: int) -> None:
        each(n)
        delayed(n)

    return work


def reference_parts(loop: RunLoop) -> dict[str, Work]:
    """The parts of the reference's step."""
    agent, action = loop.agent, np.zeros(1, np.float32)
    noise = loop.rng.standard_normal((BATCH, 1), np.float32)
    tensors = tuple(map(torch.from_numpy, (*loop.buffer.sample(BATCH, loop.rng), noise)))
    gradients = {"critic": agent._critic_gradient(tensors),
                 "actor": agent._actor_gradient(tensors[0])}  # fmt: skip

    def sample() -> None:
        loop.rng.standard_normal((BATCH, 1), np.float32)
        loop.buffer.sample(BATCH, loop.rng)

    def move_targets() -> None:
        agent.polyak_update("actor")
        agent.polyak_update("critic")

    def adam(name: str) -> Callable[[], None]:
        return lambda: agent.optimizers[name].step(gradients[name])

    return {
        "environment": environment_steps(loop.env, action),
        "action selection": repeated(loop._choose_action),
        "sampling": repeated(sample),
        "forward": forward_passes(agent, tensors),
        GRADIENTS: critics_and_delayed_actor(
            lambda: agent._critic_gradient(tensors), lambda: agent._actor_gradient(tensors[0])
        ),
        "Adam": critics_and_delayed_actor(adam("critic"), adam("actor")),
        "targets": repeated(move_targets, 2),
    }


def sb3_parts(model: SB3TD3) -> dict[str, Work]:
    """The parts of SB3's step, except gradients, which SB3 does not compute separately."""
    assert model.replay_buffer is not None
    assert model.env is not None
    buffer, batch = model.replay_buffer, model.replay_buffer.sample(BATCH)

    def targets() -> None:
        for net, target in ((model.critic, model.critic_target), (model.actor, model.actor_target)):
            polyak_update(net.parameters(), target.parameters(), model.tau)

    return {
        "environment": environment_steps(model.env.envs[0], np.zeros(1, np.float32)),  # type: ignore[attr-defined]
        "action selection": repeated(lambda: model._sample_action(0, model.action_noise, 1)),
        "sampling": repeated(lambda: buffer.sample(BATCH)),
        "forward": forward_passes(
            model, (batch.observations, batch.actions, batch.next_observations)
        ),
        "Adam": critics_and_delayed_actor(model.critic.optimizer.step, model.actor.optimizer.step),
        "targets": repeated(targets, 2),
    }


def environment_steps(env: Any, action: NDArray[np.float32]) -> Work:
    """Environment steps, with resets."""

    def step() -> None:
        *_, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()

    return repeated(step)


def forward_passes(agent: TD3 | SB3TD3, tensors: tuple[torch.Tensor, ...]) -> Work:
    """The forward passes alone: of targets and critics, and of the actor and its critic."""
    observations, actions, next_observations = tensors[:3]

    @torch.no_grad()
    def critics() -> None:
        agent.critic_target(next_observations, agent.actor_target(next_observations))
        agent.critic(observations, actions)

    @torch.no_grad()
    def actor() -> None:
        inputs = torch.cat([observations, agent.actor(observations)], dim=1)
        net: Any = agent.critic.q1_net if isinstance(agent, TD3) else agent.critic.q_networks[0]
        net(inputs)

    return critics_and_delayed_actor(critics, actor)


def split_step_time(
    parts: Mapping[str, float], step: float, update: float | None
) -> dict[str, float]:
    """Microseconds of each of PARTS, which add up to those of a step.

    :param parts: microseconds of the measured ones
    :param step: microseconds of a whole step
    :param update: microseconds of a whole update, sampling included; needed if gradients were not
        measured
    """
    gradients = parts.get(GRADIENTS)
    if gradients is None:
        assert update is not None
        gradients = update - sum(parts[name] for name in ("sampling", "Adam", "targets"))
    times = {name: parts[name] for name in PARTS if name in parts}
    times["forward"] = min(parts["forward"], gradients)
    times["backward"] = gradients - times["forward"]
    times["Python"] = step - sum(times.values())
    return {name: times[name] for name in PARTS}


def parts_table(times: Times, bound: float) -> str:
    """Microseconds of each part and implementation, as a Markdown table."""
    rows = [[part, *(f"{values[part]:.0f}" for values in times.values())] for part in PARTS]
    rows.append(["**a step**", *(f"**{sum(values.values()):.0f}**" for values in times.values())])
    rows.append(["matrix products alone", *[f"{bound:.0f}"] * len(times)])
    return markdown(["microseconds", *times], rows)


def draw_parts(times: Times, bound: float, file: Path) -> None:
    """Stacked bars of the parts, beside the bound."""
    figure, axes = plt.subplots(figsize=(6.0, 4.0), layout="constrained")
    bottom = np.zeros(len(times))
    for part, colour in zip(PARTS, (*COLOURS[: len(PARTS) - 1], "#999999"), strict=True):
        heights = np.array([max(values[part], 0.0) for values in times.values()])
        axes.bar(list(times), heights, bottom=bottom, label=part, color=colour)
        bottom += heights
    axes.set_ylim(0.0, 1.05 * max(bottom.max(), bound))  # room above the highest bar
    axes.axhline(bound, color="black", linestyle="--", label="matrix products alone")
    axes.set_ylabel("processor time of a step, microseconds")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)
    plt.close(figure)
