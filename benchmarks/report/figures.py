"""Results -> figures."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.analysis.load import Results, final_values, groups
from benchmarks.analysis.statistics import (
    Interval,
    Values,
    performance_profile,
    student_interval,
)
from benchmarks.plot_style import (
    FIGURE_STYLE,
    FONT_SIZE,
    MIN_BAND,
    OPTIMUM,
    SETTINGS,
    Picture,
    ReferenceLines,
    band_text,
    draw_curves,
    draw_reference_lines,
    finish,
    line_styles_of,
    possible_range,
    robust_limits,
    set_limits,
    set_log_scale,
)  # fmt: skip
from benchmarks.report.scores import Standing
from benchmarks.report.wording import caption, words
from benchmarks.table import number
from envs.controllers import make_controller
from training.config import FIRST_SEED, RunConfig, env_stem
from training.environments import make_env, play_from_seeds

FAR = 5.0
SCORE_AXIS = "0 untrained, 1 optimum (or best run)"


def plot_all(
    results: Results, standings: Sequence[Standing], half_std: bool = False
) -> list[Picture]:
    """Draw every figure that the results allow.

    :param standings: over all environments, if there are scores
    :param half_std: whether to shade half a standard deviation, as the TD3 paper does, and not
        the interval of the mean
    """
    pictures, own = [], results.own
    env_ids = list(dict.fromkeys(env_id for env_id, _ in groups(results)))
    with plt.rc_context(SETTINGS):
        for env_id in env_ids:
            levels = known_reference_lines(own, env_id)
            pictures.append(learning_curves(results, env_id, levels, half_std))
            if OPTIMUM in levels:
                pictures.append(_regret(own, env_id, levels, half_std))
        pictures += [_final_returns(own, env_id) for env_id in env_ids]  # low, for side by side
        if own.finals["score"].notna().all():
            pictures.append(_performance_profile(own))
        if standings:
            pictures.append(_interquartile_means(own, standings))
    return pictures


def known_reference_lines(results: Results, env_id: str) -> ReferenceLines:
    """Mean returns of the optimum and of the experiment's controllers, best first.

    They are from the start states of the learning curves; empty if implementations were evaluated
    differently.
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
    seeds = FIRST_SEED + np.arange(configs[0].n_eval_episodes)
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


def _new_axes() -> tuple[Figure, Axes]:
    return plt.subplots(figsize=FIGURE_STYLE.get().size, layout="constrained")


def learning_curves(
    results: Results, env_id: str, levels: ReferenceLines, half_std: bool
) -> Picture:
    """Mean return over seeds against environment steps."""
    figure, axes = _new_axes()
    drawn = draw_curves(axes, results, env_id, "mean_return", half_std)
    draw_reference_lines(axes, levels)
    set_limits(axes, *robust_limits(results, env_id, [*drawn, list(levels.values())]))
    n_episodes = results.curves.query("env_id == @env_id")["n_episodes"].max()
    axes.set_ylabel("return" + f", mean of {n_episodes} episodes" * bool(n_episodes))
    band = band_text(results, env_id, half_std)
    title, short, notes = caption("learning_curve", env_id=env_id, band=band, fewest=MIN_BAND)
    notes += words("learning_curve", "levels") if levels else ""
    return finish(figure, f"learning_curve_{env_stem(env_id)}", title, short, notes)


def _regret(results: Results, env_id: str, levels: ReferenceLines, half_std: bool) -> Picture:
    """Mean regret over seeds against environment steps, on a logarithmic axis."""
    figure, axes = _new_axes()
    drawn = draw_curves(axes, results, env_id, "mean_regret", half_std)
    regrets = {name: levels[OPTIMUM] - level for name, level in levels.items()}
    regrets = {name: regret for name, regret in regrets.items() if regret > 0}
    draw_reference_lines(axes, regrets)
    set_log_scale(axes)
    # An interval's low end may be zero or less, which no such axis can show.
    curves, levels_drawn = np.concatenate(drawn[::3]), np.array(list(regrets.values()))
    _, top = robust_limits(results, env_id, [curves, levels_drawn], "mean_regret")
    if (curves > 0).any() and top > 0:
        lowest = curves[curves > 0].min()
        near = levels_drawn[levels_drawn > lowest / 10]  # a far better one would flatten curves
        set_limits(axes, min(lowest, top, *near) / 2, 1.5 * top)
    axes.set_ylabel("regret = optimum - return, mean of episodes")
    band = band_text(results, env_id, half_std)
    told = caption("regret", env_id=env_id, band=band, fewest=MIN_BAND)
    return finish(figure, f"regret_{env_stem(env_id)}", *told)


def _final_returns(results: Results, env_id: str) -> Picture:
    """Every run's return on the held-out starts, with the mean and its interval."""
    figure, axes = _new_axes()
    styles = line_styles_of(results, env_id)
    samples = {label: final_values(results, env_id, label) for label in styles}
    rows = results.finals.query("env_id == @env_id")
    optimum = (rows["mean_return"] + rows["mean_regret"]).iloc[0]
    means = {}
    for label, returns in samples.items():
        mean, low, high = student_interval(returns)
        if len(returns) < MIN_BAND:
            low = high = mean
        elif np.isfinite(optimum):
            low, high = (
                max(low, possible_range(results, env_id, "mean_return")[0]),
                min(high, optimum),
            )
        means[label] = Interval(mean, min(low, mean), max(high, mean))
    drawn = [typical_part(samples[label], means[label]) for label in styles]
    low, high = robust_limits(results, env_id, [*drawn, [optimum]])
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
        axes.axvline(optimum, color="black", linewidth=1, label=f"{OPTIMUM}: {number(optimum)}")
    axes.set_xlim(low, high)
    axes.set_xlabel(f"return, mean of {rows['n_episodes'].max()} held-out starts")
    _name_rows(figure, axes, names)
    told = caption("final_returns", env_id=env_id, fewest=MIN_BAND)
    return finish(figure, f"final_returns_{env_stem(env_id)}", *told)


def typical_part(returns: Values, mean: Interval) -> Values:
    """The values that an axis of final returns must show, so that failed runs do not flatten it.

    :param returns: shape (n,)
    :param mean: with its interval
    :return: the returns within FAR interquartile ranges of their quartiles, with the mean; if none
        is further out, the ends of the mean's interval as well
    """
    first, third = np.quantile(returns, [0.25, 0.75])
    room = FAR * (third - first)
    inside = returns[(returns >= first - room) & (returns <= third + room)]
    return np.append(inside, mean if len(inside) == len(returns) else mean[:1])


def _name_rows(figure: Figure, axes: Axes, names: Sequence[str]) -> None:
    """Give each implementation a row, and the figure the height for it."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.4)
    line = (FIGURE_STYLE.get().font_size or FONT_SIZE) / FONT_SIZE
    figure.set_size_inches(FIGURE_STYLE.get().size[0], line * (1.2 + 0.6 * len(names)))


def _performance_profile(results: Results) -> Picture:
    """Fraction of runs that score above each threshold."""
    figure, axes = _new_axes()
    env_ids = {env_id for env_id, _ in groups(results)}
    scores = results.finals["score"]
    thresholds = np.linspace(max(scores.min(), -0.5) - 0.02, max(scores.max(), 1.0), 401)
    for label, style in line_styles_of(results).items():
        of_label = sorted(env_id for env_id, name in groups(results) if name == label)
        samples = [final_values(results, env_id, label, "score") for env_id in of_label]
        name = f"{label} (n = {sum(map(len, samples))})"
        if len(samples) < len(env_ids):
            name += f", {len(samples)} of {len(env_ids)} environments"
        profile = performance_profile(samples, thresholds)
        axes.plot(thresholds, profile, label=name, markevery=40, **style)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel(f"score of the final policy: {SCORE_AXIS}")
    axes.set_ylabel("fraction of runs above")
    return finish(figure, "performance_profile", *caption("performance_profile"))


def _interquartile_means(results: Results, standings: Sequence[Standing]) -> Picture:
    """Interquartile mean of the scores over all environments, with its interval."""
    figure, axes = _new_axes()
    styles = line_styles_of(results)
    for row, each in enumerate(standings):
        middle, low, high = each.iqm
        style = {**styles[each.label], "linestyle": "-", "markersize": 7}
        axes.errorbar(middle, row, xerr=[[middle - low], [high - middle]], capsize=4, **style)
    axes.set_xlabel(f"interquartile mean of the score:\n{SCORE_AXIS}")  # one line is cut off
    axes.locator_params(axis="x", nbins=5)  # scores close to each other have long numbers
    names = [f"{each.label}\nn = {', '.join(map(str, each.seeds))}" for each in standings]
    _name_rows(figure, axes, names)
    return finish(figure, "interquartile_means", *caption("interquartile_means"))
