"""A rocket's episodes as figures, and any environment's as an animation."""

import io
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import uniform_filter1d

from benchmarks.plot_style import (
    COLOURS,
    FIGURE_STYLE,
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
from training.config import ConfigError, one_line

Frame = NDArray[np.uint8]  # (height, width, 3)
DEFAULT_FPS = 30  # where an environment does not say
GIF_FPS = 25  # many viewers slow a GIF of more than 50 frames/s down to 10
GIF_TICK = 10  # ms; a GIF's frames last whole hundredths of a second
NAME_HEIGHT, NAME_SIZE = 24, 15  # pixels of the strip with a policy's name, and of its letters
WIDE = 1.5  # width over height from which frames go one below the other
SMOOTHED = 20  # steps over which the optimum's thrust is averaged
PANELS = ("|x| in m", "u in m/s²", "v against x")


def stride_of(fps: float) -> int:
    """The stride at which frames of this rate are shown, for about GIF_FPS frames per second."""
    return max(1, round(fps / GIF_FPS))


def thinned(frames: Any, fps: float) -> list[Frame]:
    """Every stride_of(fps)-th frame: those that an animation shows."""
    return list(frames)[:: stride_of(fps)]


def encode_gif(frames: Sequence[Frame], fps: float) -> bytes:
    """Frames of shape (height, width, 3) as an animation at no more than about GIF_FPS.

    :param fps: rate of the given frames, per second
    """
    stride = stride_of(fps)
    # From rounded points in time, so that rounding errors do not add up.
    ticks = [round(1000 / fps * i / GIF_TICK) for i in range(0, len(frames) + stride, stride)]
    durations = [max(2, b - a) * GIF_TICK for a, b in pairwise(ticks)]
    sample = np.concatenate([frame.reshape(-1, 1, 3) for frame in frames[:: 10 * stride]])
    palette = Image.fromarray(sample).quantize(64)  # the same for all frames, which saves time
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames[::stride]
    ]
    content = io.BytesIO()
    images[0].save(content, "GIF", save_all=True, append_images=images[1:],
                   duration=durations[: len(images)], loop=0)  # fmt: skip
    return content.getvalue()


def encode_mp4(frames: Sequence[Frame], fps: float, ffmpeg: str) -> bytes:
    """Frames as an MP4 film.

    :param ffmpeg: path of the program
    :raises ConfigError: if it fails
    """
    height, width, _ = frames[0].shape
    even = height // 2 * 2, width // 2 * 2  # yuv420p needs even sizes
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        command = [
            *(ffmpeg, "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
            *("-video_size", f"{even[1]}x{even[0]}", "-framerate", f"{fps:.6f}", "-i", "-"),
            *("-pix_fmt", "yuv420p", str(file)),
        ]
        content = b"".join(frame[: even[0], : even[1]].tobytes() for frame in frames)
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        if done.returncode:
            raise ConfigError(f"{ffmpeg} failed: {one_line(done.stderr.decode(errors='replace'))}")
        return file.read_bytes()


def side_by_side(films: Mapping[str, Sequence[Frame]]) -> list[Frame]:
    """The frames of several policies in one picture, each below its name.

    A film that ends before the others keeps its last frame; a single film stays as it is.

    :param films: frames of equal shape by the policy's name
    """
    if len(films) == 1:
        return list(*films.values())
    height, width, _ = next(iter(films.values()))[0].shape
    axis = 0 if width >= WIDE * height else 1
    names = [_named_strip(name, width) for name in films]
    return [
        np.concatenate([
            np.concatenate([strip, film[min(i, len(film) - 1)]])
            for strip, film in zip(names, films.values(), strict=True)
        ], axis)
        for i in range(max(map(len, films.values())))
    ]  # fmt: skip


def _named_strip(name: str, width: int) -> Frame:
    image = Image.new("RGB", (width, NAME_HEIGHT), "white")
    font = ImageFont.load_default(NAME_SIZE)
    ImageDraw.Draw(image).text((8, NAME_HEIGHT / 2), name, "black", font, anchor="lm")
    return np.asarray(image)


def draw_rockets(
    episodes: Mapping[str, Episode], parameters: RocketParameters, title: str = ""
) -> tuple[bytes, bytes, bytes]:
    """State, distance, thrust and path in the phase plane of each policy, one below the other.

    :param episodes: by the policy's name
    :return: as of :func:`benchmarks.plot_style.save_figure`
    """
    with plt.rc_context({**SETTINGS, "font.size": FIGURE_STYLE.get().font_size or 8.0}):
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
