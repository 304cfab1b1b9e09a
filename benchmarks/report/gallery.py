"""Every policy from the same start: an animation of each, trajectories, and what was achieved."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from PIL import Image

from benchmarks.analysis.load import Results, groups
from benchmarks.optimum.policy import optimal_policy
from benchmarks.optimum.tasks import has_optimum, optimal_value, start_state
from benchmarks.plot_style import FIGURE_STYLE, OPTIMUM, Picture
from benchmarks.policies.drawing import DEFAULT_FPS, SMOOTHED, draw_rockets, encode_gif
from benchmarks.policies.load import load_policy
from benchmarks.report.wording import caption, captioned, words
from benchmarks.table import Table
from envs import rocket_metrics as trajectories
from envs.controllers import make_controller
from envs.dynamics import RocketParameters
from envs.rollout import Env, Episode, Policy, rollout
from training.config import ConfigError, RunConfig, env_stem, one_line
from training.environments import make_env

SEED = 20_001  # of the start: Pendulum hangs down, the rocket flies away from the goal
DECIMALS = {"steady-state error in m": 4, "jitter in m/s²": 3}
FRAMES = 100  # of each animation, at most
FRAME = 400, 240  # width and height of each in pixels, at most


class Animation(NamedTuple):
    """An episode, for the file ``<name>.gif``."""

    name: str
    title: str
    gif: bytes


class Showcase(NamedTuple):
    """What was made of the policies; ``missing`` says what could not be shown."""

    animations: list[Animation]
    pictures: list[Picture]
    table: Table | None
    missing: list[str]


def showcase(results: Results, root: Path) -> Showcase:
    """Play the policy of each implementation's first run, the baselines and the optimum.

    :param root: folder that holds the run directories
    """
    shown = Showcase([], [], None, [])
    entries: list[dict[str, Any]] = []
    for env_id in dict.fromkeys(env_id for env_id, _ in groups(results)):
        labels = [label for name, label in groups(results) if name == env_id]
        configs = {
            name: RunConfig.from_json(results.settings[env_id, name]["config"]) for name in labels
        }
        first = next(iter(configs.values()))
        try:
            env = drawing_env(first)
        except ConfigError as error:
            shown.missing.append(str(error))
            continue
        episodes = _play(policies(results, root, configs, env), env, env_id, shown)
        # Published runs lie in a temporary folder: a page that named it would differ each time.
        shown.missing[:] = [line.replace(f"{root}{os.sep}", "") for line in shown.missing]
        best = None
        if episodes and _knows_optimum(first):
            env.reset(seed=SEED)
            best = float(optimal_value(env_id, start_state(env)[np.newaxis])[0])
        parameters: Any = getattr(env.unwrapped, "parameters", None)
        is_rocket = isinstance(parameters, RocketParameters)
        entries += [row(env_id, name, each, best, is_rocket) for name, each in episodes.items()]
        if is_rocket and episodes:
            shown.pictures.append(_trajectories(env_id, episodes, parameters))
        env.close()
    if not entries:
        return shown
    steps = trajectories.STEADY_STEPS
    return shown._replace(table=captioned("showcase", entries, DECIMALS, seed=SEED, steps=steps))


def _knows_optimum(config: RunConfig) -> bool:
    return has_optimum(config.env_id) and config.is_as_registered


def _play(
    loaders: Iterator[tuple[str, Callable[[], Policy]]], env: Env, env_id: str, shown: Showcase
) -> dict[str, Episode]:
    """An episode of each policy that can act; animations and failures are added to ``shown``."""
    episodes = {}
    for name, load in loaders:
        film = Film(env)
        try:
            episodes[name] = rollout(load(), film, SEED)
        except Exception as error:  # a damaged file or a user's policy may raise anything
            shown.missing.append(f"{name} on {env_id}: {one_line(error)}")
            continue
        if film.frames:
            file_name = re.sub(r"[^\w.+-]", "_", name)
            animation = f"showcase_{env_stem(env_id)}+{file_name}"
            shown.animations.append(Animation(animation, f"{name} on {env_id}", film.to_gif()))
    return episodes


def policies(
    results: Results, root: Path, configs: Mapping[str, RunConfig], env: Env
) -> Iterator[tuple[str, Callable[[], Policy]]]:
    """Name and loader: trained policies, then the experiment's controllers, then the optimum.

    :param configs: of the first run of each implementation on this environment, by its name
    """
    first = next(iter(configs.values()))
    for name, run in configs.items():
        yield name, partial(_load, str(root / run.directory), env)
    for name in (results.experiment or {}).get("baselines", ()):
        with suppress(ValueError):  # leaves out a controller that is not for this environment
            controller = make_controller(name, env)
            yield name, partial(_given, controller)
    if _knows_optimum(first):
        yield OPTIMUM, lambda: optimal_policy(first.env_id, SEED)


def _given(policy: Policy) -> Policy:
    return policy


def _load(source: str, env: Env) -> Policy:
    return load_policy(source, env).policy


class Film(gym.Wrapper[Any, Any, Any, Any]):
    """Renders an environment about FRAMES times in an episode, if it can be rendered."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        steps = env.spec and env.spec.max_episode_steps
        self.stride = -(-(steps or FRAMES) // FRAMES)
        self.frames: list[Any] = []
        self._steps = 0

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and render every ``stride`` steps."""
        outcome = super().step(action)
        if self.render_mode and self._steps % self.stride == 0:
            image = Image.fromarray(self.render())  # type: ignore[arg-type]
            # A cheaper filter than Pillow's default; frames twice as large are halved first.
            image.thumbnail(FRAME, Image.Resampling.HAMMING, reducing_gap=1.0)
            self.frames.append(np.asarray(image))
        self._steps += 1
        return outcome

    def to_gif(self) -> bytes:
        """The frames at the environment's own pace."""
        return encode_gif(self.frames, self.metadata.get("render_fps", DEFAULT_FPS) / self.stride)


def drawing_env(config: RunConfig) -> Env:
    """The environment, with rendering if it supports it.

    :raises ConfigError: if it cannot be made here
    """
    env = make_env(config)
    if "rgb_array" not in env.metadata.get("render_modes", []):
        return env
    env.close()
    return make_env(config, render_mode="rgb_array")


def row(
    env_id: str, name: str, episode: Episode, best: float | None, is_rocket: bool
) -> dict[str, Any]:
    """A row of the table.

    :param best: V* of the start, where it is known
    """
    entry: dict[str, Any] = {
        "environment": env_id,
        "policy": name,
        "return": episode.episode_return,
        "regret": None if best is None else best - episode.episode_return,
        "steps": len(episode.rewards),
    }
    if is_rocket:
        entry["steady-state error in m"] = trajectories.steady_state_error(episode)
        entry["jitter in m/s²"] = trajectories.jitter(episode)
    return entry


def _trajectories(
    env_id: str, episodes: dict[str, Episode], parameters: RocketParameters
) -> Picture:
    title, short, notes = caption("trajectories", env_id=env_id, seed=SEED)
    if OPTIMUM in episodes:
        notes += words("trajectories", "optimum", seconds=SMOOTHED * parameters.dt)
    drawn = draw_rockets(episodes, parameters)
    name = f"trajectories_{env_stem(env_id)}"
    return Picture(name, title, short, notes, *drawn, formats=FIGURE_STYLE.get().formats)
