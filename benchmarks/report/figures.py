"""Results -> figures."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.analysis.load import FIRST_CURVE_SEED, Results, final_values, groups
from benchmarks.analysis.statistics import Interval, performance_profile, student_interval
from benchmarks.plot_style import (
    MIN_BAND,
    OPTIMUM,
    SETTINGS,
    SIZE,
    Levels,
    Picture,
    about_band,
    draw_curves,
    draw_levels,
    finish,
    sane_limits,
    styles_of,
)  # fmt: skip
from benchmarks.table import Table
from envs.controllers import make_controller
from training.config import RunConfig, env_stem
from training.environments import make_env, play_from_seeds


def plot_all(
    results: Results, aggregate: Table | None, folder: Path, half_std: bool = False
) -> list[Picture]:
    """Draw every figure that the results allow.

    :param aggregate: the table of that name, if there is one: its interquartile means are drawn
    :param folder: receives the files
    :param half_std: whether to shade half a standard deviation, as the TD3 paper does, and not
        the interval of the mean
    """
    pictures, own = [], results.own
    with plt.rc_context(SETTINGS):
        for env_id in dict.fromkeys(env_id for env_id, _ in groups(results)):
            levels = known_levels(own, env_id)
            pictures.append(_learning_curves(results, env_id, levels, folder, half_std))
            if OPTIMUM in levels:
                pictures.append(_regret(own, env_id, levels, folder, half_std))
            pictures.append(_final_returns(own, env_id, folder))
        if own.finals["score"].notna().all():
            pictures.append(_performance_profile(own, folder))
        if aggregate is not None:
            pictures.append(_interquartile_means(own, aggregate, folder))
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
    tasks = {
        (run.n_eval_episodes, run.evaluation, str(run.env_kwargs), run.max_episode_steps)
        for run in configs
    }
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
    drawn = draw_curves(axes, results, env_id, "mean_return", half_std)
    draw_levels(axes, levels)
    low, high = sane_limits(results, env_id, [*drawn, list(levels.values())])
    for line in axes.get_lines():
        least = np.min(line.get_ydata())
        if least < low and not str(line.get_label()).startswith("_"):
            line.set_label(f"{line.get_label()}, down to {least:.4g} \u2193")
    axes.set_ylim(low, high)
    n_episodes = results.curves.query("env_id == @env_id")["n_episodes"].max()
    axes.set_ylabel(f"return, mean of {n_episodes} episodes")
    caption = f"Mean return over seeds at each evaluation, {about_band(half_std)}."
    if levels:
        caption += " Horizontal lines: the same start states, played by what the legend names."
    return finish(
        figure, folder, f"learning_curve_{env_stem(env_id)}", f"{env_id}: return", caption
    )


def _regret(
    results: Results, env_id: str, levels: Levels, folder: Path, half_std: bool = False
) -> Picture:
    """Mean regret over seeds against environment steps, on a logarithmic axis."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    drawn = draw_curves(axes, results, env_id, "mean_regret", half_std)
    regrets = {name: levels[OPTIMUM] - level for name, level in levels.items()}
    regrets = {name: regret for name, regret in regrets.items() if regret > 0}
    draw_levels(axes, regrets)
    axes.set_yscale("log", nonpositive="clip")
    # An interval's low end may be zero or less, which no such axis can show.
    means = np.concatenate([*drawn[::3], list(regrets.values())])
    if (means > 0).any():
        axes.set_ylim(means[means > 0].min() / 2, 2 * means.max())
    axes.set_ylabel("regret = optimum - return, mean of episodes")
    caption = (
        f"Mean regret over seeds at each evaluation, {about_band(half_std)}. Below the lowest"
        " mean the axis is cut off."
    )
    return finish(figure, folder, f"regret_{env_stem(env_id)}", f"{env_id}: regret", caption)


def _final_returns(results: Results, env_id: str, folder: Path) -> Picture:
    """Every run's return on the held-out starts, with the mean and its interval."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    styles = styles_of(results, env_id)
    samples = {label: final_values(results, env_id, label) for label in styles}
    means = {label: student_interval(returns) for label, returns in samples.items()}
    rows = results.finals.query("env_id == @env_id")
    optimum = (rows["mean_return"] + rows["mean_regret"]).iloc[0]
    for label, (mean, low, high) in means.items():
        if len(samples[label]) < MIN_BAND:
            means[label] = Interval(mean, mean, mean)
        elif np.isfinite(optimum):
            means[label] = Interval(mean, low, min(high, max(mean, optimum)))
    low, high = sane_limits(results, env_id, [*samples.values(), *means.values(), [optimum]])
    names = []
    for row, (label, returns) in enumerate(samples.items()):
        mean, low_95, high_95 = means[label]
        spread = row + np.linspace(0.1, 0.4, len(returns))  # one below the other, by seed
        colour, marker = styles[label]["color"], styles[label]["marker"]
        axes.plot(returns, spread, marker, color=colour, markersize=5, alpha=0.7)
        error = [[mean - low_95], [high_95 - mean]] if len(returns) >= MIN_BAND else None
        axes.errorbar(mean, row, xerr=error, fmt="d", color="black", markersize=6, capsize=4)
        outside = int(((returns < low) | (returns > high)).sum())
        names.append(f"{label}\nn = {len(returns)}" + (f", {outside} outside" if outside else ""))
    if np.isfinite(optimum):
        axes.axvline(optimum, color="black", linewidth=1, label=f"{OPTIMUM}: {optimum:.4g}")
    axes.set_xlim(low, high)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.4)
    axes.set_xlabel(f"return, mean of {rows['n_episodes'].max()} held-out starts")
    figure.set_size_inches(6.4, 1.2 + 0.6 * len(names))
    caption = (
        "A dot for each seed: the final policy's mean return on the held-out starts. Diamond:"
        f" mean over seeds, with its 95 % Student interval (from {MIN_BAND} seeds on; not beyond"
        " the optimum)."
    )
    return finish(
        figure, folder, f"final_returns_{env_stem(env_id)}", f"{env_id}: final policies", caption
    )


def _performance_profile(results: Results, folder: Path) -> Picture:
    """Fraction of runs that score above each threshold."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    env_ids = {env_id for env_id, _ in groups(results)}
    scores = results.finals["score"]
    thresholds = np.linspace(max(scores.min(), -0.5) - 0.02, max(scores.max(), 1.0), 401)
    for label, style in styles_of(results).items():
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
    return finish(figure, folder, "performance_profile", "Performance profile", caption)


def _interquartile_means(results: Results, aggregate: Table, folder: Path) -> Picture:
    """Interquartile mean of the scores over all environments, with its interval."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    styles = styles_of(results)
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
    return finish(figure, folder, "interquartile_means", "Interquartile means", caption)
