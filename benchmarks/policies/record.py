"""One episode of a policy: an animation, a figure, and what it achieved."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import RenderCollection

from benchmarks.optimum.tasks import has_optimum, optimal_value, start_state
from benchmarks.outputs import write_all
from benchmarks.policies.drawing import DEFAULT_FPS, draw_rockets, encode_gif
from benchmarks.policies.load import load_policy, recorded_run
from envs import rocket_metrics as trajectories
from envs.dynamics import RocketParameters
from envs.rollout import Env, Episode, Policy, rollout
from training.config import ConfigError, RunConfig, env_name
from training.environments import make_env


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


def record(
    source: str,
    env_id: str | None = None,
    output: Path | None = None,
    algo: str | None = None,
    seed: int = 10_000,
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
    film = RenderCollection(env)
    episode = rollout(policy, film, seed, options)
    title = f"{name} on {run.env_id} from {np.array2string(np.asarray(start), precision=3)}"
    return "\n".join([title, *achievements(episode, best), *_write(output, name, title, episode,
                                                                   film, speed)])  # fmt: skip


def _write(
    output: Path, name: str, title: str, episode: Episode, film: RenderCollection, speed: float
) -> list[str]:
    """Write the animation and, of a rocket, the figure; lines to print."""
    fps = speed * film.metadata.get("render_fps", DEFAULT_FPS)
    images: Any = film.render()
    files = {f"{output.name}.gif": encode_gif(images, fps)}
    lines = [f"animation: {output.with_name(f'{output.name}.gif')}"]
    parameters = getattr(film.unwrapped, "parameters", None)
    if isinstance(parameters, RocketParameters):
        files[f"{output.name}.png"], _ = draw_rockets({name: episode}, parameters, title)
        lines = [*rest_achieved(episode, parameters), *lines]
        lines.append(f"figure: {output.with_name(f'{output.name}.png')}")
    film.close()
    write_all(output.parent, files)
    return lines


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
