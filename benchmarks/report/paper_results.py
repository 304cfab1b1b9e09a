"""Table 1 of the TD3 paper, beside our own runs."""

from benchmarks.analysis.load import Results, curve_matrix, groups
from benchmarks.analysis.statistics import MeanAndStd
from benchmarks.table import Table, tabulate
from training.config import ConfigError, env_name

# Fujimoto, van Hoof and Meger (2018), "Addressing function approximation error in actor-critic
# methods", Table 1, column TD3: maximum over time of the mean return over seeds, and the standard
# deviation (ddof=0) over seeds at that point.
TABLE_1 = {
    "HalfCheetah": MeanAndStd(9636.95, 859.065),
    "Hopper": MeanAndStd(3564.07, 114.74),
    "Walker2d": MeanAndStd(4682.82, 539.64),
    "Ant": MeanAndStd(4372.44, 1000.33),
    "Reacher": MeanAndStd(-3.60, 0.56),
    "InvertedPendulum": MeanAndStd(1000.00, 0.00),
    "InvertedDoublePendulum": MeanAndStd(9337.47, 14.96),
}
# What Gymnasium's documentation says of these environments under "Version History".
VERSIONS = (
    "The paper used version 1 of the environments. Since then version 2 took up mujoco-py >= 1.50,"
    " version 4 the bindings of mujoco >= 2.1.3 and removed contact forces from the Ant's default"
    " observation, version 5 corrected rewards and observations of several"
)


def paper_table(results: Results) -> Table:
    """The paper's score of each environment, with ours computed alike.

    :raises ConfigError: if none of the paper's environments is among the results
    """
    ours = [pair for pair in groups(results) if _name(pair[0]) in TABLE_1]
    if not ours:
        raise ConfigError(f"no complete run on an environment of the paper: {', '.join(TABLE_1)}")
    entries = []
    for name, published in TABLE_1.items():
        for env_id in sorted({env_id for env_id, _ in ours if _name(env_id) == name}) or [name]:
            entry: dict[str, object] = {"environment": env_id, "TD3 paper": published}
            for label in sorted({label for _, label in ours}):
                entry |= {label: None, f"seeds of {label}": None}
                if (env_id, label) in ours:
                    _, curves = curve_matrix(results, env_id, label)
                    best = curves[:, curves.mean(axis=0).argmax()]
                    entry[label] = MeanAndStd(float(best.mean()), float(best.std()))
                    entry[f"seeds of {label}"] = len(best)
            entries.append(entry)
    settings = f"{_presets(results, ours)}; only the preset 'paper' has the paper's"
    caption = (
        "Maximum over time of the mean return over seeds ± standard deviation (ddof=0) at that"
        " point, a score that is biased upwards. Paper: 10 seeds, 1,000,000 steps, 10 episodes"
        f" every 5,000 steps. Ours: {_protocols(results, ours)}. Settings: {settings}."
        f" {VERSIONS}."
    )
    two = dict.fromkeys(entries[0], 2)
    return tabulate("paper", "Beside Table 1 of the TD3 paper", caption, entries, two)


def _name(env_id: str) -> str:
    """An environment's name without module and version."""
    return env_name(env_id).rpartition("-v")[0]


def _presets(results: Results, ours: list[tuple[str, str]]) -> str:
    """The preset of hyperparameters of each implementation."""
    presets = {
        label: results.settings[env_id, label]["config"].get("preset") or "released"
        for env_id, label in ours
        if (env_id, label) in results.settings
    }
    return ", ".join(f"{label}: {preset}" for label, preset in sorted(presets.items()))


def _protocols(results: Results, ours: list[tuple[str, str]]) -> str:
    """How long our runs on the paper's environments were, and how they were evaluated."""
    starts = {"fixed": "the same starts for every run", "published": "the paper's protocol"}
    configs = [results.settings[pair]["config"] for pair in ours if pair in results.settings]
    protocols = {
        f"{config['total_timesteps']:,} steps, {config['n_eval_episodes']} episodes every"
        f" {config['eval_freq']:,} steps, {starts[config.get('evaluation', 'fixed')]}"
        for config in configs
    }
    return "; ".join(sorted(protocols))
