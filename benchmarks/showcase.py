"""Every policy from the same start: an animation of each, trajectories, and what was achieved."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from gymnasium.wrappers import RenderCollection
from PIL import Image

from benchmarks.markup import Table, tabulate
from benchmarks.optimal_control import (
    OptimalPolicy,
    has_optimum,
    optimal_value,
    solution,
    start_state,
)
from benchmarks.plots import OPTIMUM, SETTINGS, Picture, save_figure, stem
from benchmarks.policies import load_policy
from benchmarks.record import DEFAULT_FPS, save_gif
from benchmarks.results import Results, groups
from envs import trajectories
from envs.dynamics import RocketParameters
from envs.rollout import Env, Episode, Policy, rollout
from sb3_training.config import ConfigError, RunConfig
from sb3_training.environments import make_env

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
        for name, policy in policies(results, root, configs, env, missing):
            frames = RenderCollection(env) if env.render_mode else env
            episodes[name] = rollout(policy, frames, SEED)
            if env.render_mode:
                animation = f"showcase_{stem(env_id)}_{name}"
                save_animation(frames.render(), folder / f"{animation}.gif", env)
                animations.append((animation, f"{name} on {env_id}"))
        env.reset(seed=SEED)
        best = None
        if has_optimum(env_id) and not configs[0].env_kwargs:
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
    results: Results, root: Path, configs: list[RunConfig], env: Env, missing: list[str]
) -> Iterator[tuple[str, Policy]]:
    """Name and policy: trained ones, then those that the experiment names, then the optimal one.

    :param configs: of the first run of each implementation on this environment
    :param missing: receives a line for each that cannot be loaded
    """
    sources = [(run.label, str(root / run.directory)) for run in configs]
    sources += [(name, name) for name in (results.experiment or {}).get("baselines", ())]
    for name, source in sources:
        try:
            yield name, load_policy(source, env).policy
        except ConfigError as error:
            if source != name:  # a controller that is not for this environment is no loss
                missing.append(f"{name}: {error}")
    if has_optimum(configs[0].env_id) and not configs[0].env_kwargs:
        yield OPTIMUM, OptimalPolicy(solution(configs[0].env_id))


def drawing_env(config: RunConfig) -> Env:
    """The environment, drawing if it can.

    :raises ConfigError: if it cannot be made here
    """
    env = make_env(config)
    if "rgb_array" not in env.metadata.get("render_modes", []):
        return env
    env.close()
    return make_env(config, render_mode="rgb_array")


def save_animation(frames: Any, file: Path, env: Env) -> None:
    """Write a GIF of few and small frames, at the environment's own pace."""
    stride = -(-len(frames) // FRAMES)
    fps = env.metadata.get("render_fps", DEFAULT_FPS) / stride
    images = [Image.fromarray(frame) for frame in frames[::stride]]
    for image in images:
        image.thumbnail((WIDTH, WIDTH))
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
    """Position, velocity and thrust of each policy against time, one below the other."""
    with plt.rc_context(SETTINGS):
        figure, rows = plt.subplots(
            len(episodes), 2, figsize=(8.0, 0.6 + 1.25 * len(episodes)), sharex=True,
            layout="constrained", squeeze=False,
        )  # fmt: skip
        for (state, thrust), (name, episode) in zip(rows, episodes.items(), strict=True):
            x, v = episode.observations.T
            time = parameters.dt * np.arange(len(x))
            state.plot(time, x, color="#D55E00", label="x in m")
            state.plot(time, v, color="#0072B2", linestyle="--", label="v in m/s")
            thrust.step(time[1:], episode.actions[:, 0], color="0.3", linewidth=0.8)
            thrust.set_ylim(-1.1, 1.1)
            state.set_title(name, fontsize="small", loc="left")
            thrust.set_title("u in m/s²", fontsize="small", loc="left")
        for axes in rows[-1]:
            axes.set_xlabel("time in s")
        figure.legend(*rows[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        picture = f"trajectories_{stem(env_id)}"
        save_figure(figure, folder, picture)
    caption = (
        f"One episode of each policy from reset(seed={SEED}): state on the left, thrust right."
    )
    return [Picture(picture, f"{env_id}: trajectories", caption)]
