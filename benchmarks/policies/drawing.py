"""A rocket's episodes as figures, and any environment's as an animation."""

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter1d

from benchmarks.plot_style import (
    COLOURS,
    OPTIMUM,
    POSITION,
    SETTINGS,
    VELOCITY,
    save_figure,
    set_log_scale,
)
from envs.controllers import switching_curve
from envs.dynamics import RocketParameters
from envs.rollout import Episode

DEFAULT_FPS = 30  # where an environment does not say
GIF_FPS = 25  # many viewers show a GIF of more than 50 frames/s at 10
GIF_TICK = 10  # ms; a GIF's frames last whole hundredths of a second
SMOOTHED = 20  # steps over which the optimum's thrust is averaged
PANELS = ("|x| in m", "u in m/s²", "v against x")


def encode_gif(frames: Sequence[NDArray[np.uint8]], fps: float) -> bytes:
    """Frames of shape (height, width, 3) as an animation; some are left out where they come too
    fast.

    :param fps: frames per second at which they would be shown in full
    """
    stride = max(1, round(fps / GIF_FPS))
    # From rounded points in time, so that rounding errors do not add up.
    ticks = [round(1000 / fps * i / GIF_TICK) for i in range(0, len(frames) + stride, stride)]
    durations = [max(2, b - a) * GIF_TICK for a, b in pairwise(ticks)]
    images = [Image.fromarray(frame).quantize(64) for frame in frames[::stride]]
    content = io.BytesIO()
    images[0].save(content, "GIF", save_all=True, append_images=images[1:],
                   duration=durations[: len(images)], loop=0)  # fmt: skip
    return content.getvalue()


def draw_rockets(
    episodes: Mapping[str, Episode], parameters: RocketParameters, title: str = ""
) -> tuple[bytes, bytes]:
    """State, distance, thrust and path in the phase plane of each policy, one below the other.

    :param episodes: by the policy's name
    :return: PNG and SVG
    """
    with plt.rc_context({**SETTINGS, "font.size": 8}):
        figure, rows = plt.subplots(
            len(episodes), 4, figsize=(10.0, 1.0 + 1.3 * len(episodes)), sharex="col",
            sharey="col", layout="constrained", squeeze=False,
        )  # fmt: skip
        for row, (name, episode) in zip(rows, episodes.items(), strict=True):
            _draw_rocket(row, episode, parameters.dt, name == OPTIMUM)
            row[0].set_title(name, fontsize="medium", loc="left", weight="bold")
        for axes, panel in zip(rows[0, 1:], PANELS, strict=True):
            axes.set_title(panel, fontsize="medium", loc="left")
        rows[0, 1].set_ylim(1e-4, 3.0)
        for axes, unit in zip(rows[-1], (*["time in s"] * 3, "x in m"), strict=True):
            axes.set_xlabel(unit)
        figure.legend(*rows[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2,
                      frameon=False)  # fmt: skip
        figure.suptitle(title, fontsize="large")
        return save_figure(figure)


def _draw_rocket(row: Sequence[Axes], episode: Episode, dt: float, is_optimum: bool) -> None:
    """One policy's episode."""
    state, distance, thrust, phase = row
    x, v = episode.observations.T
    time, u = dt * np.arange(len(x)), episode.actions[:, 0]
    state.plot(time, x, color=POSITION, label="x in m")
    state.plot(time, v, color=VELOCITY, linestyle="--", label="v in m/s")
    distance.plot(time, np.abs(x), color=POSITION)
    set_log_scale(distance)
    thrust.step(time[1:], u, color="0.8" if is_optimum else "0.3", linewidth=0.8)
    if is_optimum:
        thrust.plot(time[1:], uniform_filter1d(u, SMOOTHED, mode="nearest"), color="black")
    speeds = np.linspace(-1.1, 1.1, 201) * max(1.0, float(np.abs(v).max()))
    phase.plot(switching_curve(speeds), speeds, color="0.6", linestyle=":")
    phase.plot(x, v, color="black", linewidth=1)
    phase.plot(x[0], v[0], "o", color=COLOURS[2], markersize=4)
