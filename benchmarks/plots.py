"""Results -> figures."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display is needed
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.results import Results
from benchmarks.tables import curve_matrix, groups

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
