"""Episodes of policies from one start: an animation, a figure, and what they achieved."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import RenderCollection

from benchmarks.optimum.tasks import has_optimum, optimal_value, start_state
from benchmarks.outputs import write_all
from benchmarks.policies.drawing import (
    DEFAULT_FPS,
    Frame,
    draw_rockets,
    encode_gif,
    encode_mp4,
    side_by_side,
    stride_of,
    thinned,
)
from benchmarks.policies.load import load_policy, recorded_run
from benchmarks.request import RecordOptions
from envs import rocket_metrics as trajectories
from envs.dynamics import RocketParameters
from envs.rollout import Env, Episode, Policy, rollout
from training.config import ConfigError, RunConfig, env_name, reading
from training.environments import make_env

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")  # variables that name a display, on Linux
LONGEST_NAME = 150  # characters of a file's default name


class Noisy:
    """A policy with normal noise on its actions, as in training.

    :param space: the Box of its actions
    :param noise: standard deviation, as a fraction of that space's half-width
    """

    def __init__(self, policy: Policy, space: Any, noise: float, seed: int) -> None:
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


class PlayedPolicy(NamedTuple):
    """A policy's episode."""

    name: str
    episode: Episode
    frames: list[Frame]


@reading()
def record(sources: Sequence[str], options: RecordOptions) -> str:
    """Play an episode of each policy from one start, and write pictures of them.

    These are ``<output>.gif``, ``<output>.mp4`` if ffmpeg is on the path and, for a rocket,
    ``<output>.png``.

    :param sources: one or more of what :func:`benchmarks.policies.load.load_policy` takes
    :param options: what is played, and what is made of it
    :return: what was achieved, as lines to print
    :raises ConfigError: if there is no such policy, or the environment cannot do what is asked
    """
    refuse_values(options)
    run, default_output = run_of(sources, options.env_id)
    env = drawing_env(run, options.extra_steps)
    try:
        start, _ = env.reset(seed=options.seed, options=reset_options(options))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    best = None
    if has_optimum(run.env_id) and run.is_as_registered and not options.extra_steps:
        best = float(optimal_value(run.env_id, start_state(env)[np.newaxis])[0])
    policies = load_all(sources, env, options)
    if options.window:
        show(policies, run, options)
    fps = options.speed * env.metadata.get("render_fps", DEFAULT_FPS)
    played = []
    for name, policy in policies.items():
        film = RenderCollection(env)
        episode = play(policy, film, options)
        played.append(PlayedPolicy(name, episode, thinned(film.render(), fps)))
    where = np.array2string(np.asarray(start), precision=3)
    title = f"{', '.join(policies)} on {run.env_id} from {where}"
    text = [title, *achievements(played, best, getattr(env.unwrapped, "parameters", None))]
    text += _write(options.output or default_output, title, played, env, fps)
    env.close()
    return "\n".join(text)


def refuse_values(options: RecordOptions) -> None:
    """Refuse values that are out of range.

    :raises ConfigError: naming the option
    """
    for name, least in (("extra_steps", 0), ("noise", 0.0)):
        value = getattr(options, name)
        if not value >= least:
            raise ConfigError(f"{name} must be {least} or more, got {value}")
    if not 0.01 <= options.speed <= 100:
        raise ConfigError(f"speed must be from 0.01 to 100, got {options.speed}")


def reset_options(options: RecordOptions) -> dict[str, Any] | None:
    """What the environment's reset is given, besides the seed."""
    start = options.initial_state
    return None if start is None else {"initial_state": start}


def load_all(sources: Sequence[str], env: Env, options: RecordOptions) -> dict[str, Policy]:
    """Each policy by its name, or by its path if two have the same name.

    :raises ConfigError: if there is no such policy, or actions that noise cannot be added to
    """
    if options.noise > 0 and not isinstance(env.action_space, gym.spaces.Box):
        raise ConfigError(f"noise needs continuous actions; {env.spec and env.spec.id} has none")
    loaded = {source: load_policy(source, env, options.algo) for source in dict.fromkeys(sources)}
    names = Counter(each.name for each in loaded.values())
    return {
        each.name if names[each.name] == 1 else source: each.policy
        for source, each in loaded.items()
    }


def play(policy: Policy, env: Env, options: RecordOptions) -> Episode:
    """The policy's episode; its noise, if any, is the same each time."""
    if options.noise > 0:
        policy = Noisy(policy, env.action_space, options.noise, options.seed)
    return rollout(policy, env, options.seed, reset_options(options))


def show(policies: Mapping[str, Policy], run: RunConfig, options: RecordOptions) -> None:
    """Play the policies in a window, one after another, in real time.

    :raises ConfigError: if there is no display, or the environment has no window
    """
    if sys.platform == "linux" and not any(map(os.environ.get, DISPLAYS)):
        raise ConfigError(f"a window needs a display: neither {' nor '.join(DISPLAYS)} is set")
    env = drawing_env(run, options.extra_steps, "human")
    for name, policy in policies.items():
        print(f"in the window: {name}", flush=True)
        play(policy, env, options)
    env.close()


def _write(
    output: Path, title: str, played: Sequence[PlayedPolicy], env: Env, fps: float
) -> list[str]:
    """Write the animation and, of rockets, the figure; lines to print."""
    frames = side_by_side({each.name: each.frames for each in played})
    shown_fps = fps / stride_of(fps)
    files = {".gif": encode_gif(frames, shown_fps)}
    if ffmpeg := shutil.which("ffmpeg"):
        files[".mp4"] = encode_mp4(frames, shown_fps, ffmpeg)
    parameters = getattr(env.unwrapped, "parameters", None)
    if isinstance(parameters, RocketParameters):
        episodes = {each.name: each.episode for each in played}
        files[".png"] = draw_rockets(episodes, parameters, title)[0]
    write_all(output.parent, {f"{output.name}{suffix}": files[suffix] for suffix in files})
    kinds = {".gif": "animation", ".mp4": "film", ".png": "figure"}
    return [f"{kinds[suffix]}: {output.with_name(output.name + suffix)}" for suffix in files]


def run_of(sources: Sequence[str], env_id: str | None) -> tuple[RunConfig, Path]:
    """The configuration that policies come from, and where their recording goes by default.

    :raises ConfigError: if there are none, or they were trained in different environments
    """
    if not sources:
        raise ConfigError("record needs a policy: a run directory, a model.zip or a controller")
    paths = [Path(source) for source in sources]
    found = [recorded_run(path) or recorded_run(path.parent) for path in paths]
    runs = [run for run in found if run and env_name(env_id or run.env_id) == env_name(run.env_id)]
    if len(tasks := sorted({run.task for run in runs})) > 1:
        raise ConfigError(
            f"policies of one recording play in one environment, and these were trained in"
            f" {' and '.join(tasks)}"
        )
    names = [
        run.directory.replace("/", "+") if run in runs and run else path.stem
        for run, path in zip(found, paths, strict=True)
    ]
    name = "_and_".join(names)[:LONGEST_NAME]
    if runs:
        return runs[0], Path("recordings") / name
    run = RunConfig(algo="any", env_id=env_id or "rocket-v0", total_timesteps=1)
    return run, Path("recordings") / f"{name}_{run.directory.split('/')[-1].removesuffix('_0')}"


def drawing_env(run: RunConfig, extra_steps: int, mode: str = "rgb_array") -> Env:
    """The run's environment with rendering, and with a later time limit.

    :param extra_steps: added to the time limit
    :param mode: render mode: rgb_array, or human for a window
    :raises ConfigError: if it does not have this mode, or has no time limit
    """
    env = make_env(run)
    limit = env.spec.max_episode_steps if env.spec else None
    modes = env.metadata.get("render_modes", [])
    env.close()
    if mode not in modes:
        raise ConfigError(f"{run.env_id} does not draw: it has no render mode {mode}")
    if limit is None:
        raise ConfigError(f"{run.env_id} has no time limit: its episode might never end")
    return make_env(run, render_mode=mode, max_episode_steps=limit + extra_steps)


def achievements(played: Sequence[PlayedPolicy], best: float | None, parameters: Any) -> list[str]:
    """What each policy achieved; with its name above where there are several.

    :param best: the optimal return from the episode's start, where it is known
    :param parameters: of the environment, where it has any
    """
    lines: list[str] = []
    for each in played:
        of_one = achieved(each.episode, best)
        if isinstance(parameters, RocketParameters):
            of_one += rest_achieved(each.episode, parameters)
        lines += of_one if len(played) == 1 else [f"{each.name}:", *(f"  {x}" for x in of_one)]
    return lines


def achieved(episode: Episode, best: float | None) -> list[str]:
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
