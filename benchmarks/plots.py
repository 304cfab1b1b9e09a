"""Results -> figures."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display is needed
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.results import Results
from benchmarks.tables import curve_matrix, groups
from envs.controllers import switching_curve
from envs.dynamics import RocketParameters
from envs.rollout import Episode

# Okabe and Ito's colours, told apart by the colour-blind; line styles tell them apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")


def plot_learning_curves(results: Results, folder: Path) -> list[Path]:
    """One learning-curve figure for each environment.

    :param folder: receives ``learning_curve_<env_id>.png``
    :return: the files written
    """
    pairs = groups(results)
    files = []
    for env_id in dict.fromkeys(env_id for env_id, _ in pairs):
        figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
        for i, label in enumerate(label for name, label in pairs if name == env_id):
            timesteps, curves = curve_matrix(results, env_id, label)
            mean = curves.mean(axis=0)
            colour, style = COLOURS[i % len(COLOURS)], STYLES[i % len(STYLES)]
            name = f"{label} (n = {len(curves)} seeds)"
            axes.plot(timesteps, mean, color=colour, linestyle=style, label=name)
            if len(curves) > 1:
                std = curves.std(axis=0, ddof=1)
                axes.fill_between(timesteps, mean - std, mean + std, color=colour, alpha=0.2)
        axes.set_title(f"{env_id}: mean return over seeds, shaded ± 1 standard deviation")
        axes.title.set_fontsize("medium")
        axes.set_xlabel("environment steps")
        axes.set_ylabel(f"return ({_episodes(results, env_id)} evaluation episodes)")
        axes.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
        axes.grid(alpha=0.3)
        axes.legend()
        file = folder / f"learning_curve_{env_id.split(':')[-1].replace('/', '-')}.png"
        figure.savefig(file, dpi=150)
        plt.close(figure)
        files.append(file)
    return files


def _episodes(results: Results, env_id: str) -> str:
    """How many episodes an evaluation on this environment has."""
    numbers = results.curves.query("env_id == @env_id")["n_episodes"]
    return "/".join(str(number) for number in np.unique(numbers))


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
    figure.savefig(file, dpi=150)
    plt.close(figure)
