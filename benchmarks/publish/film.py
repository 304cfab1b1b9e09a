"""The README's animation: a published TD3, PD and the optimum from the same start, one per lane."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.analysis.sources.published import unpacked
from benchmarks.optimum.policy import OptimalPolicy
from benchmarks.optimum.tasks import solution
from benchmarks.plot_style import OPTIMUM
from benchmarks.policies.drawing import encode_gif
from benchmarks.policies.load import load_policy
from envs import rocket_metrics as trajectories
from envs.controllers import make_controller
from envs.dynamics import RocketParameters
from envs.rendering import draw_rocket
from envs.rollout import Episode, Policy, rollout
from training.config import RunConfig
from training.environments import make_env
from training.run_directory import RunDirectory

ENV = "rocket-v0"
START = (1.0, 0.0)  # m, m/s
SHOWN = 5.0  # s
FPS = 20.0
LANE = slice(10, 197)  # rows of a rocket's picture
FILM, NUMBERS = "film.gif", "film.json"


def make_film(published: Path, folder: Path) -> dict[str, Any] | None:
    """Write film.gif, and what its policies achieve to film.json.

    :param published: an experiment's folder in results/
    :param folder: receives both
    :return: content of film.json; None where there is no policy of the rocket
    """
    runs = sorted(unpacked(published).glob(f"*/{ENV}_*/policy.safetensors"))
    if not runs:
        return None
    settings = (RunDirectory(runs[0].parent).settings() or {})["config"]
    config = RunConfig.from_json(settings)
    env = make_env(config)
    parameters: Any = getattr(env.unwrapped, "parameters", None)
    name = f"{config.label}, {config.total_timesteps:,} steps, seed {config.seed}"
    policies: dict[str, Policy] = {
        name: load_policy(str(runs[0].parent), env).policy,
        "PD": make_controller("pd", env),
        OPTIMUM: OptimalPolicy(solution(ENV)),
    }
    played = {
        name: rollout(policy, env, 0, {"initial_state": START}) for name, policy in policies.items()
    }
    env.close()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILM).write_bytes(encode_gif(frames(played, parameters), FPS))
    content = {
        "experiment": published.name,
        "run": str(runs[0].parent.relative_to(unpacked(published))),
        "total_timesteps": config.total_timesteps,
        "start": START,
        "policies": {name: achieved(episode) for name, episode in played.items()},
    }
    (folder / NUMBERS).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return content


def achieved(episode: Episode) -> dict[str, float]:
    """Return, steady-state error (m) and jitter (m/s^2) of an episode."""
    return {
        "return": round(episode.episode_return, 1),
        "steady-state error in m": round(float(trajectories.steady_state_error(episode)), 4),
        "jitter in m/s^2": round(float(trajectories.jitter(episode)), 4),
    }


def frames(played: dict[str, Episode], parameters: RocketParameters) -> list[NDArray[np.uint8]]:
    """Pictures of all lanes, from the start to SHOWN or the last episode's end."""
    longest = max(len(episode.rewards) for episode in played.values())
    stride = 1.0 / (FPS * parameters.dt)
    count = int(min(longest, SHOWN / parameters.dt) / stride)
    steps = [round(i * stride) for i in range(count)]
    return [
        np.concatenate([lane(name, episode, min(step, len(episode.rewards) - 1), parameters)
                        for name, episode in played.items()])
        for step in steps
    ]  # fmt: skip


def lane(name: str, episode: Episode, step: int, parameters: RocketParameters) -> NDArray[np.uint8]:
    """One policy's rocket with its name, shape (height, 600, 3)."""
    x, v = episode.observations[step]
    u = float(episode.actions[step, 0])
    limit = parameters.position_limit
    picture = draw_rocket(float(x), float(v), u, step * parameters.dt, limit)[LANE]
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    draw.text((58, 52), name, fill=(30, 30, 30), font_size=13)
    draw.line([(0, 0), (image.width, 0)], fill=(150, 150, 150))
    return np.array(image)
