"""One episode of a policy: an animation, a figure, and what it achieved."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
from gymnasium.wrappers import RenderCollection
from numpy.typing import NDArray
from PIL import Image

from benchmarks.optimum.tasks import has_optimum, optimal_value, start_state
from benchmarks.plot_style import COLOURS, DPI
from benchmarks.policies.load import load_policy, recorded_run
from envs import rocket_metrics as trajectories
from envs.controllers import switching_curve
from envs.dynamics import RocketParameters
from envs.rollout import Env, Episode, Policy, rollout
from training.config import FIRST_SEED, ConfigError, RunConfig, env_name
from training.environments import make_env
from training.trust import reading

DEFAULT_FPS = 30  # where an environment does not say
GIF_FPS = 25  # many viewers show a GIF of more than 50 frames/s at 10
GIF_TICK = 10  # ms; a GIF's frames last whole hundredths of a second


class Noisy:
    """A policy with normal noise on its actions, as in training.

    :param noise: standard deviation, as a fraction of the action space's half-width
    """

    def __init__(self, policy: Policy, space: gym.spaces.Box, noise: float, seed: int) -> None:
        self._policy = policy
        self._space = space
        self._noise = noise
        self._generator = np.random.default_rng(seed)

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Noisy actions within the space, and the policy's memory; see :class:`Policy`."""
        actions, state = self._policy.predict(observation, state, episode_start, deterministic)
        low, high = self._space.low, self._space.high
        noise = self._noise * self._generator.standard_normal(np.shape(actions))
        return np.clip(actions + noise * (high - low) / 2, low, high, dtype=np.float32), state


@reading()
def record(
    source: str,
    env_id: str | None = None,
    output: Path | None = None,
    algo: str | None = None,
    seed: int = FIRST_SEED,
    initial_state: Sequence[float] | None = None,
    extra_steps: int = 0,
    noise: float = 0.0,
    speed: float = 1.0,
) -> str:
    """Play one episode and write ``<output>.gif`` and, for a rocket, ``<output>.png``.

    :param source: what :func:`benchmarks.policies.load.load_policy` takes
    :param env_id: default: what the run was trained on, or rocket-v0
    :param output: path without suffix; default: recordings/<policy>_<environment>
    :param algo: the algorithm of a model.zip that lies in no run directory
    :param seed: of the episode's start, and of the noise
    :param initial_state: where the episode starts instead, if the environment takes it
    :param extra_steps: how far the episode may go beyond the time limit
    :param noise: exploration noise, as a fraction of the action's half-width
    :param speed: of the animation; 1 is real time
    :return: what was achieved, as lines to print
    :raises ConfigError: if there is no such policy, or the environment cannot do what is asked
    """
    for name, value, least in (("extra_steps", extra_steps, 0), ("noise", noise, 0.0)):
        if not value >= least:
            raise ConfigError(f"{name} must be {least} or more, got {value}")
    if not 0.01 <= speed <= 100:
        raise ConfigError(f"speed must be from 0.01 to 100, got {speed}")
    run, default_output = run_of(source, env_id)
    output = output or default_output
    env = drawing_env(run, extra_steps)
    name, policy, _ = load_policy(source, env, algo)
    if noise > 0:
        if not isinstance(env.action_space, gym.spaces.Box):
            raise ConfigError(f"noise needs continuous actions; {run.env_id} has none")
        policy = Noisy(policy, env.action_space, noise, seed)
    options = None if initial_state is None else {"initial_state": initial_state}
    try:
        start, _ = env.reset(seed=seed, options=options)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    best = None
    if has_optimum(run.env_id) and run.is_as_registered and not extra_steps:
        best = float(optimal_value(run.env_id, start_state(env)[np.newaxis])[0])
    frames = RenderCollection(env)
    episode = rollout(policy, frames, seed, options)

    title = f"{name} on {run.env_id} from {np.array2string(np.asarray(start), precision=3)}"
    parameters = getattr(env.unwrapped, "parameters", None)
    output.parent.mkdir(parents=True, exist_ok=True)
    animation, figure = (output.with_name(output.name + suffix) for suffix in (".gif", ".png"))
    images: Any = frames.render()
    save_gif(images, animation, speed * env.metadata.get("render_fps", DEFAULT_FPS))
    lines = [title, *achievements(episode, best), f"animation: {animation}"]
    if isinstance(parameters, RocketParameters):
        lines[-1:-1] = rest_achieved(episode, parameters)
        plot_trajectory(episode, parameters, title, figure)
        lines.append(f"figure: {figure}")
    env.close()
    return "\n".join(lines)


def run_of(source: str, env_id: str | None) -> tuple[RunConfig, Path]:
    """The configuration that a policy comes from, and where its recording goes by default."""
    path = Path(source)
    recorded = recorded_run(path) or recorded_run(path.parent)
    if recorded and env_name(env_id or recorded.env_id) == env_name(recorded.env_id):
        return recorded, Path("recordings") / recorded.directory.replace("/", "+")
    run = RunConfig(algo="any", env_id=env_id or "rocket-v0", total_timesteps=1)
    name = f"{path.stem}_{run.directory.split('/')[-1].removesuffix('_0')}"
    return run, Path("recordings") / name


def drawing_env(run: RunConfig, extra_steps: int) -> Env:
    """The run's environment, drawing, with its time limit put off.

    :raises ConfigError: if it does not draw, or has no time limit
    """
    env = make_env(run)
    limit = env.spec.max_episode_steps if env.spec else None
    modes = env.metadata.get("render_modes", [])
    env.close()
    if "rgb_array" not in modes:
        raise ConfigError(f"{run.env_id} does not draw: it has no render mode rgb_array")
    if limit is None:
        raise ConfigError(f"{run.env_id} has no time limit: its episode might never end")
    return make_env(run, render_mode="rgb_array", max_episode_steps=limit + extra_steps)


def achievements(episode: Episode, best: float | None) -> list[str]:
    """Return, ending and regret, a line each.

    :param best: the optimal return from the episode's start, where it is known
    """
    n = len(episode.rewards)
    lines = [f"return: {episode.episode_return:.2f} in {n} steps, {_ending(episode)}"]
    if best is not None:
        lines.append(f"regret: {best - episode.episode_return:.2f} (the optimum is {best:.2f})")
    return lines


def rest_achieved(episode: Episode, parameters: RocketParameters) -> list[str]:
    """How well a rocket came to rest, a line each; "-" for what did not happen."""
    near = trajectories.time_to_goal(episode, parameters.dt)
    lines = [
        f"within {trajectories.NEAR_GOAL} m of the goal after: {near:.2f} s",
        f"overshoot: {trajectories.overshoot(episode):.4f} m",
        f"steady-state error: {trajectories.steady_state_error(episode):.5f} m"
        f" (mean |x| over the last {trajectories.STEADY_STEPS} steps)",
        f"jitter: {trajectories.jitter(episode):.5f} m/s^2 (mean change of thrust a step)",
    ]
    return [line.replace("nan", "-") for line in lines]


def _ending(episode: Episode) -> str:
    if episode.success:
        return "at the goal"
    return "terminated" if episode.terminated else "at the time limit"


def save_gif(frames: Sequence[NDArray[np.uint8]], file: Path, fps: float) -> None:
    """Write frames of shape (height, width, 3) as an animation, left out where they come too fast.

    :param fps: frames per second at which they would be shown in full
    """
    stride = max(1, round(fps / GIF_FPS))
    # From rounded points in time, so that rounding errors do not add up.
    ticks = [round(1000 / fps * i / GIF_TICK) for i in range(0, len(frames) + stride, stride)]
    durations = [max(2, b - a) * GIF_TICK for a, b in pairwise(ticks)]
    images = [Image.fromarray(frame).quantize(64) for frame in frames[::stride]]
    images[0].save(
        file, save_all=True, append_images=images[1:], duration=durations[: len(images)], loop=0
    )


def plot_trajectory(episode: Episode, parameters: RocketParameters, title: str, file: Path) -> None:
    """A rocket's x, v and u against time, and its path in the phase plane.

    :param file: receives the figure
    """
    x, v = episode.observations.T
    time = parameters.dt * np.arange(len(x))
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 4.2), layout="constrained")
    left.step(time[1:], episode.actions[:, 0], color="0.6", linewidth=1, label="u in m/s²")
    left.plot(time, x, color="red", label="x in m")
    left.plot(time, v, color="blue", linestyle="--", label="v in m/s")
    left.axhline(0.0, color="black", linewidth=0.5)
    left.set_xlabel("time in s")
    speeds = np.linspace(-1.1, 1.1, 201) * max(1.0, float(np.abs(v).max()))
    curve = switching_curve(speeds)
    right.plot(curve, speeds, color="0.6", linestyle=":", label="switching curve")
    right.plot(x, v, color=COLOURS[0], label="path")
    right.plot(x[0], v[0], "o", color=COLOURS[1], label="start")
    right.plot(0.0, 0.0, "*", color=COLOURS[2], markersize=11, label="goal")
    right.set_xlabel("x in m")
    right.set_ylabel("v in m/s")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        # Above the axes, where it hides no curve.
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    figure.suptitle(title, fontsize="medium")
    figure.savefig(file, dpi=DPI)
    plt.close(figure)
