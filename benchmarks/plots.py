"""Results -> figures."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")  # no display is needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from benchmarks.markup import Table
from benchmarks.results import FIRST_CURVE_SEED, Results, curve_matrix, final_values, groups
from benchmarks.statistics import MIN_RUNS, Values, performance_profile, student_interval
from envs.controllers import CONTROLLERS, make_controller, switching_curve
from envs.dynamics import RocketParameters
from envs.rollout import Episode
from sb3_training.config import RunConfig
from sb3_training.environments import make_env, play_from_seeds

# Okabe and Ito's colours, told apart by the colour-blind; line styles and markers tell them
# apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "p")
DASHES = ((1, 1), (4, 2), (1, 3), (9, 2), (9, 2, 1, 2), (3, 2, 1, 2, 1, 2), (9, 6))
SETTINGS: Any = {"svg.hashsalt": "td3-rocket-benchmark", "axes.grid": True, "grid.alpha": 0.3}
SIZE = (6.4, 3.8)  # inches, without a legend
DPI = 150
OPTIMUM = "optimum"
Levels = Mapping[str, float]  # name -> mean return
Style = dict[str, Any]


class Picture(NamedTuple):
    """A figure in the files ``<name>.png`` and ``<name>.svg``."""

    name: str
    title: str
    caption: str


def plot_all(
    results: Results, aggregate: Table | None, folder: Path, half_std: bool = False
) -> list[Picture]:
    """Draw every figure that the results allow.

    :param aggregate: the table of that name, if there is one: its interquartile means are drawn
    :param folder: receives the files
    :param half_std: whether to shade half a standard deviation, as the TD3 paper does, and not
        the interval of the mean
    """
    pictures = []
    with plt.rc_context(SETTINGS):
        for env_id in dict.fromkeys(env_id for env_id, _ in groups(results)):
            levels = known_levels(results, env_id)
            pictures.append(_learning_curves(results, env_id, levels, folder, half_std))
            if OPTIMUM in levels:
                pictures.append(_regret(results, env_id, levels, folder, half_std))
            pictures.append(_final_returns(results, env_id, folder))
        if results.finals["score"].notna().all():
            pictures.append(_performance_profile(results, folder))
        if aggregate is not None:
            pictures.append(_interquartile_means(results, aggregate, folder))
    return pictures


def known_levels(results: Results, env_id: str) -> Levels:
    """Mean returns of the optimum and of the experiment's controllers, best first.

    They are those from the start states of the learning curves; empty where implementations were
    evaluated from different ones.
    """
    configs = [
        RunConfig.from_json(settings["config"])
        for (name, _), settings in results.settings.items()
        if name == env_id
    ]
    tasks = {(run.n_eval_episodes, run.evaluation, str(run.env_kwargs)) for run in configs}
    if len(tasks) > 1 or configs[0].evaluation != "fixed":
        return {}
    seeds = FIRST_CURVE_SEED + np.arange(configs[0].n_eval_episodes)
    levels = {}
    for name in (results.experiment or {}).get("baselines", ()):
        try:
            env = make_env(configs[0])
            policy = make_controller(name, env)
        except ValueError:  # not for this environment, or it is not installed
            continue
        env.close()
        episodes = play_from_seeds(policy, configs[0], seeds.tolist())
        levels[name] = float(np.mean([episode.episode_return for episode in episodes]))
    row = results.curves.query("env_id == @env_id").iloc[0]
    if np.isfinite(row["mean_regret"]):
        levels[OPTIMUM] = float(row["mean_return"] + row["mean_regret"])
    return dict(sorted(levels.items(), key=lambda item: -item[1]))


def _learning_curves(
    results: Results, env_id: str, levels: Levels, folder: Path, half_std: bool = False
) -> Picture:
    """Mean return over seeds against environment steps."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    drawn = _draw_curves(axes, results, env_id, "mean_return", half_std)
    _draw_levels(axes, levels)
    low, high = _sane_limits(results, env_id, [*drawn, list(levels.values())])
    for line in axes.get_lines():
        least = np.min(line.get_ydata())
        if least < low and not str(line.get_label()).startswith("_"):
            line.set_label(f"{line.get_label()}, down to {least:.4g} \u2193")
    axes.set_ylim(low, high)
    n_episodes = results.curves.query("env_id == @env_id")["n_episodes"].max()
    axes.set_ylabel(f"return, mean of {n_episodes} episodes")
    caption = f"Mean return over seeds at each evaluation, {_about_band(half_std)}."
    if levels:
        caption += " Horizontal lines: the same start states, played by what the legend names."
    return _finish(figure, folder, f"learning_curve_{stem(env_id)}", f"{env_id}: return", caption)


def _regret(
    results: Results, env_id: str, levels: Levels, folder: Path, half_std: bool = False
) -> Picture:
    """Mean regret over seeds against environment steps, on a logarithmic axis."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    drawn = _draw_curves(axes, results, env_id, "mean_regret", half_std)
    regrets = {name: levels[OPTIMUM] - level for name, level in levels.items()}
    regrets = {name: regret for name, regret in regrets.items() if regret > 0}
    _draw_levels(axes, regrets)
    axes.set_yscale("log", nonpositive="clip")
    # An interval's low end may be zero or less, which no such axis can show.
    means = np.concatenate([*drawn[::3], list(regrets.values())])
    if (means > 0).any():
        axes.set_ylim(means[means > 0].min() / 2, 2 * means.max())
    axes.set_ylabel("regret = optimum - return, mean of episodes")
    caption = (
        f"Mean regret over seeds at each evaluation, {_about_band(half_std)}. Below the lowest"
        " mean the axis is cut off."
    )
    return _finish(figure, folder, f"regret_{stem(env_id)}", f"{env_id}: regret", caption)


def _final_returns(results: Results, env_id: str, folder: Path) -> Picture:
    """Every run's return on the further starts, with the mean and its interval."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    styles = _styles(results, env_id)
    samples = {label: final_values(results, env_id, label) for label in styles}
    means = {label: student_interval(returns) for label, returns in samples.items()}
    rows = results.finals.query("env_id == @env_id")
    optimum = (rows["mean_return"] + rows["mean_regret"]).iloc[0]
    low, high = _sane_limits(results, env_id, [*samples.values(), *means.values(), [optimum]])
    names = []
    for row, (label, returns) in enumerate(samples.items()):
        mean, low_95, high_95 = means[label]
        spread = row + np.linspace(0.1, 0.4, len(returns))  # one below the other, by seed
        colour, marker = styles[label]["color"], styles[label]["marker"]
        axes.plot(returns, spread, marker, color=colour, markersize=5, alpha=0.7)
        error = [[mean - low_95], [high_95 - mean]] if len(returns) >= MIN_RUNS else None
        axes.errorbar(mean, row, xerr=error, fmt="d", color="black", markersize=6, capsize=4)
        outside = int(((returns < low) | (returns > high)).sum())
        names.append(f"{label}\nn = {len(returns)}" + (f", {outside} outside" if outside else ""))
    if np.isfinite(optimum):
        axes.axvline(optimum, color="black", linewidth=1, label=f"{OPTIMUM}: {optimum:.4g}")
    axes.set_xlim(low, high)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.4)
    axes.set_xlabel(f"return, mean of {rows['n_episodes'].max()} further starts")
    figure.set_size_inches(6.4, 1.2 + 0.6 * len(names))
    caption = (
        "A dot for each seed: the final policy's mean return on the further start states. Diamond:"
        f" mean over seeds, with its 95 % Student interval (from {MIN_RUNS} seeds on)."
    )
    return _finish(
        figure, folder, f"final_returns_{stem(env_id)}", f"{env_id}: final policies", caption
    )


def _performance_profile(results: Results, folder: Path) -> Picture:
    """Fraction of runs that score above each threshold."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    env_ids = {env_id for env_id, _ in groups(results)}
    scores = results.finals["score"]
    thresholds = np.linspace(max(scores.min(), -0.5) - 0.02, max(scores.max(), 1.0), 401)
    for label, style in _styles(results).items():
        of_label = sorted(env_id for env_id, name in groups(results) if name == label)
        samples = [final_values(results, env_id, label, "score") for env_id in of_label]
        name = f"{label} (n = {sum(map(len, samples))})"
        if len(samples) < len(env_ids):
            name += f", {len(samples)} of {len(env_ids)} environments"
        profile = performance_profile(samples, thresholds)
        axes.plot(thresholds, profile, label=name, markevery=40, **style)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("score of the final policy: 0 untrained, 1 optimum (or best run)")
    axes.set_ylabel("fraction of runs above")
    caption = (
        "For each score, the fraction of runs whose final policy reaches more, mean over"
        " environments; further up and right is better. n counts runs on all environments."
    )
    return _finish(figure, folder, "performance_profile", "Performance profile", caption)


def _interquartile_means(results: Results, aggregate: Table, folder: Path) -> Picture:
    """Interquartile mean of the scores over all environments, with its interval."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    styles = _styles(results)
    columns = ("implementation", "IQM estimate", "IQM low", "IQM high")
    for row, values in enumerate(aggregate.data[list(columns)].itertuples(index=False)):
        label, middle, low, high = values
        style = {**styles[label], "linestyle": "-", "markersize": 7}
        axes.errorbar(middle, row, xerr=[[middle - low], [high - middle]], capsize=4, **style)
    names = aggregate.data["implementation"] + "\nn = " + aggregate.data["seeds"]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("interquartile mean of the score: 0 untrained, 1 optimum (or best run)")
    figure.set_size_inches(6.4, 1.2 + 0.6 * len(names))
    caption = f"The interquartile means of the table \u201c{aggregate.title}\u201d, with intervals."
    return _finish(figure, folder, "interquartile_means", "Interquartile means", caption)


def _draw_curves(
    axes: Axes, results: Results, env_id: str, column: str, half_std: bool
) -> list[Values]:
    """Draw every implementation; returns mean, low and high end (num_evaluations,) of each."""
    drawn = []
    for label, style in _styles(results, env_id).items():
        timesteps, runs = curve_matrix(results, env_id, label, column)
        mean, low, high = np.array([student_interval(point) for point in runs.T]).T
        if len(runs) < MIN_RUNS:
            axes.plot(timesteps, runs.T, color=style["color"], linewidth=0.6, alpha=0.7)
        else:
            if half_std:
                half = runs.std(axis=0, ddof=1) / 2
                low, high = mean - half, mean + half
            axes.fill_between(timesteps, low, high, color=style["color"], alpha=0.2, linewidth=0)
        every = max(1, len(timesteps) // 10)
        axes.plot(timesteps, mean, label=f"{label} (n = {len(runs)})", markevery=every, **style)
        drawn += [mean, low, high]
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
    axes.xaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("environment steps")
    return drawn


def _draw_levels(axes: Axes, levels: Levels) -> None:
    """Draw horizontal lines, each controller's in its own dashes."""
    dashes = dict(zip(CONTROLLERS, DASHES, strict=True))
    for name, level in levels.items():
        style: Style = {"color": "black", "linestyle": "-"}
        if name != OPTIMUM:
            style = {"color": "0.4", "linestyle": (0, dashes[name])}
        axes.axhline(level, linewidth=1.2, label=f"{name}: {level:.4g}", **style)


def _sane_limits(results: Results, env_id: str, drawn: Iterable[ArrayLike]) -> tuple[float, float]:
    """Ends of an axis of returns that no diverged run nor hopeless controller can ruin.

    What is drawn decides, as far as it lies within the range that runs usually cross in learning,
    widened by half its width on both sides.
    """
    medians = [
        np.median(curve_matrix(results, env_id, label)[1], axis=0)
        for label in _styles(results, env_id)
    ]
    low = min(max(median.min() for median in medians), *(median[0] for median in medians))
    high = max(median.max() for median in medians)
    values = np.concatenate([np.ravel(part) for part in drawn])
    values = values[np.isfinite(values)]
    room = (high - low) / 2
    inside = values[(values >= low - room) & (values <= high + room)]
    if room > 0 and len(inside):
        values = inside
    pad = 0.04 * float(np.ptp(values)) or 1.0
    return float(values.min()) - pad, float(values.max()) + pad


def _styles(results: Results, env_id: str | None = None) -> dict[str, Style]:
    """How each implementation is drawn: in the same way in all figures of a report.

    :param env_id: only those that ran there
    """
    pairs = groups(results)
    styles = {
        label: {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": STYLES[i % len(STYLES)],
            "marker": MARKERS[i % len(MARKERS)],
            "markersize": 4,
        }
        for i, label in enumerate(sorted({label for _, label in pairs}))
    }
    return {
        label: style
        for label, style in styles.items()
        if env_id is None or (env_id, label) in pairs
    }


def _about_band(half_std: bool) -> str:
    band = "± half a standard deviation" if half_std else "with its 95 % Student interval"
    return f"{band} over n seeds; fewer than {MIN_RUNS} are drawn as thin lines instead"


def _finish(figure: Figure, folder: Path, name: str, title: str, caption: str) -> Picture:
    """Add title and legend, in a room of its own below the axes, and write the files."""
    (axes,) = figure.axes
    axes.set_title(title, fontsize="medium")
    texts = axes.get_legend_handles_labels()[1]
    if texts:
        columns = 2 if max(map(len, texts)) > 20 else 3
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + 0.2 * -(-len(texts) // columns))
        figure.legend(
            loc="outside lower center",
            ncols=columns,
            fontsize="small",
            frameon=False,
            handlelength=3.5,
        )
    save_figure(figure, folder, name)
    return Picture(name, title, caption)


def save_figure(figure: Figure, folder: Path, name: str) -> None:
    """Write ``<name>.png`` and ``<name>.svg``, the same bytes for the same figure, and close it.

    To be called with SETTINGS in force.
    """
    figure.savefig(folder / f"{name}.png", dpi=DPI, metadata={"Software": None})
    figure.set_layout_engine("none")  # where the first drawing has put everything
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def stem(env_id: str) -> str:
    """The part of a file's name that says which environment it is about."""
    return env_id.split(":")[-1].replace("/", "-")


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
    figure.savefig(file, dpi=DPI)
    plt.close(figure)
