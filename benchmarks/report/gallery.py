"""Every policy from the same start: an animation of each, trajectories, and what was achieved."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from benchmarks.analysis.load import Results, groups
from benchmarks.optimum.policy import optimal_policy
from benchmarks.optimum.tasks import has_optimum, optimal_value, start_state
from benchmarks.plot_style import COLOURS, OPTIMUM, SETTINGS, Picture, save_figure
from benchmarks.policies.load import load_policy
from benchmarks.policies.record import DEFAULT_FPS, save_gif
from benchmarks.table import Table, tabulate
from envs import rocket_metrics as trajectories
from envs.controllers import make_controller, switching_curve
from envs.dynamics import RocketParameters
from envs.rollout import Env, Episode, Policy, rollout
from training.config import ConfigError, RunConfig, env_stem
from training.environments import make_env

SEED = 20_001  # of the start: Pendulum hangs down, the rocket flies away from the goal
DECIMALS = {"steady-state error in m": 4, "jitter in m/s²": 3}
FRAMES = 100  # of each animation, at most
WIDTH = 240  # of each frame in pixels, at most


class Showcase(NamedTuple):
    """What was made of the policies: animations (name, title), figures, a table, and gaps."""

    animations: list[tuple[str, str]]
    pictures: list[Picture]
    table: Table | None
    missing: list[str]


def showcase(results: Results, root: Path, folder: Path) -> Showcase:
    """Play the policy of each implementation's first run, the baselines and the optimum.

    :param root: folder that holds the run directories
    :param folder: receives the animations and figures
    """
    animations, pictures, entries, missing = [], [], [], []
    for env_id in dict.fromkeys(env_id for env_id, _ in groups(results)):
        labels = [label for name, label in groups(results) if name == env_id]
        configs = [RunConfig.from_json(results.settings[env_id, name]["config"]) for name in labels]
        try:
            env = drawing_env(configs[0])
        except ConfigError as error:
            missing.append(str(error))
            continue
        episodes = {}
        for name, load in policies(results, root, configs, env):
            film = Film(env)
            try:
                episodes[name] = rollout(load(), film, SEED)
            except Exception as error:  # whatever a damaged file or a stranger's policy may raise
                missing.append(f"{name} on {env_id}: {' '.join(str(error).split())}")
                continue
            if film.frames:
                animation = f"showcase_{env_stem(env_id)}+{name}"
                save_animation(film, folder / f"{animation}.gif")
                animations.append((animation, f"{name} on {env_id}"))
        env.reset(seed=SEED)
        best = None
        if has_optimum(configs[0].env_id) and configs[0].is_as_registered:
            best = float(optimal_value(env_id, start_state(env)[np.newaxis])[0])
        parameters: Any = getattr(env.unwrapped, "parameters", None)
        is_rocket = isinstance(parameters, RocketParameters)
        entries += [row(env_id, name, each, best, is_rocket) for name, each in episodes.items()]
        if is_rocket and episodes:
            pictures += plot_side_by_side(episodes, parameters, env_id, folder)
        env.close()
    caption = (
        f"One episode of each, from reset(seed={SEED}): of an implementation, the final policy of"
        " its first complete seed. Steady-state error: mean |x| over the last"
        f" {trajectories.STEADY_STEPS} steps; jitter: mean change of thrust from a step to the"
        " next over these. One episode is an illustration; the summary has the measured values."
    )
    table = tabulate("showcase", "From the same start", caption, entries, DECIMALS)
    return Showcase(animations, pictures, table if entries else None, missing)


def policies(
    results: Results, root: Path, configs: list[RunConfig], env: Env
) -> Iterator[tuple[str, Callable[[], Policy]]]:
    """Name and loader: trained policies, then those that the experiment names, then the optimal.

    :param configs: of the first run of each implementation on this environment
    """
    for run in configs:
        yield run.label, partial(_load, str(root / run.directory), env)
    for name in (results.experiment or {}).get("baselines", ()):
        with suppress(ValueError):  # a controller that is not for this environment is no loss
            yield name, partial(lambda policy: policy, make_controller(name, env))
    if has_optimum(configs[0].env_id) and configs[0].is_as_registered:
        yield OPTIMUM, lambda: optimal_policy(configs[0].env_id, SEED)


def _load(source: str, env: Env) -> Policy:
    return load_policy(source, env).policy


class Film(gym.Wrapper[Any, Any, Any, Any]):
    """Draws an environment that can be drawn, about FRAMES times in an episode."""

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        steps = env.spec and env.spec.max_episode_steps
        self.stride = -(-(steps or FRAMES) // FRAMES)
        self.frames: list[Any] = []
        self._steps = 0

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, and draw every so often."""
        outcome = super().step(action)
        if self.render_mode and self._steps % self.stride == 0:
            self.frames.append(self.render())
        self._steps += 1
        return outcome


def drawing_env(config: RunConfig) -> Env:
    """The environment, drawing if it can.

    :raises ConfigError: if it cannot be made here
    """
    env = make_env(config)
    if "rgb_array" not in env.metadata.get("render_modes", []):
        return env
    env.close()
    return make_env(config, render_mode="rgb_array")


def save_animation(film: Film, file: Path) -> None:
    """Write a GIF of small frames, at the environment's own pace."""
    images = [Image.fromarray(frame) for frame in film.frames]
    for image in images:
        image.thumbnail((WIDTH, WIDTH))
    fps = film.metadata.get("render_fps", DEFAULT_FPS) / film.stride
    save_gif([np.asarray(image) for image in images], file, fps)


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


def plot_side_by_side(
    episodes: dict[str, Episode], parameters: RocketParameters, env_id: str, folder: Path
) -> list[Picture]:
    """State, distance, thrust and path in the phase plane of each policy, one below the other."""
    with plt.rc_context({**SETTINGS, "font.size": 8}):
        figure, rows = plt.subplots(
            len(episodes), 4, figsize=(10.0, 0.8 + 1.3 * len(episodes)), sharex="col",
            sharey="col", layout="constrained", squeeze=False,
        )  # fmt: skip
        for (state, distance, thrust, phase), (name, episode) in zip(
            rows, episodes.items(), strict=True
        ):
            x, v = episode.observations.T
            time = parameters.dt * np.arange(len(x))
            state.plot(time, x, color=COLOURS[1], label="x in m")
            state.plot(time, v, color=COLOURS[0], linestyle="--", label="v in m/s")
            distance.semilogy(time, np.abs(x), color=COLOURS[1])
            thrust.step(time[1:], episode.actions[:, 0], color="0.3", linewidth=0.8)
            speeds = np.linspace(-1.0, 1.0, 101)
            phase.plot(switching_curve(speeds), speeds, color="0.6", linestyle=":")
            phase.plot(x, v, color="black", linewidth=1)
            phase.plot(x[0], v[0], "o", color=COLOURS[0], markersize=4)
            state.set_title(name, fontsize="medium", loc="left", weight="bold")
        for axes, title in zip(rows[0, 1:], ("|x| in m", "u in m/s²", "v against x"), strict=True):
            axes.set_title(title, fontsize="medium", loc="left")
        rows[0, 1].set_ylim(1e-4, 3.0)
        for axes, unit in zip(rows[-1], (*["time in s"] * 3, "x in m"), strict=True):
            axes.set_xlabel(unit)
        figure.legend(*rows[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
        picture = f"trajectories_{env_stem(env_id)}"
        save_figure(figure, folder, picture)
    caption = (
        f"One episode of each policy from reset(seed={SEED}): position and velocity; distance from"
        " the goal, logarithmic, which shows the steady-state error; thrust, which shows jitter;"
        " and the path in the phase plane from the dot on, with the switching curve dotted."
    )
    return [Picture(picture, f"{env_id}: trajectories", caption)]
