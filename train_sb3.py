"""Train a Stable-Baselines3 algorithm on a Gymnasium environment.

    python train_sb3.py --algo td3 --env-id rocket-v0 --total-timesteps 20000 --seed 0

As a library: ``from train_sb3 import RunConfig, train``.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from sb3_training.config import ConfigError, RunConfig
from sb3_training.run_directory import Progress, RunBusyError, RunDirectory

__all__ = ["RunConfig", "main", "train"]


def train(
    config: RunConfig, root: str | Path = "runs", on_progress: Progress | None = None
) -> Path:
    """Train as configured and return the run directory; see :func:`sb3_training.training.train`."""
    # Imported late, so that --help need not wait for torch.
    from sb3_training.training import train as train_with_sb3

    return train_with_sb3(config, root, on_progress)


@dataclass(frozen=True)
class Arguments:
    """Train a Stable-Baselines3 algorithm on a Gymnasium environment.

    The run directory <root>/<label>/<env-id>_<seed>/ receives model.zip, evaluations.npz,
    train.monitor.csv and the settings. A run that is already there, complete, is not repeated.
    """

    algo: str = "td3"
    """a2c, ddpg, dqn, ppo, sac or td3"""
    env_id: str = "rocket-v0"
    """Gymnasium id, or module:Id-v0 to import a module first"""
    total_timesteps: int = 20_000
    """environment steps to train for"""
    seed: int = 0
    """0 to 2^32 - 1"""
    eval_freq: int = 1_000
    """environment steps between evaluations"""
    n_eval_episodes: int = 10
    """episodes in each evaluation"""
    preset: str | None = None
    """released (the TD3 author's settings; td3, ddpg, sac) or sb3_default; default: the first
    that the algorithm has"""
    n_envs: int = 1
    """environments that training steps side by side; updates per step stay the same"""
    vec_env: str = "dummy"
    """dummy (SB3's DummyVecEnv) or native (the environment's own vector version)"""
    label: str = ""
    """name of the run's folder; default: the algorithm's name"""
    device: str = "cpu"
    """torch device, such as cpu or cuda"""
    root: Path = Path("runs")
    """folder for the run directories"""


def main() -> None:
    """The command line."""
    arguments = tyro.cli(Arguments)
    try:
        config = RunConfig(
            label=arguments.label,
            algo=arguments.algo,
            env_id=arguments.env_id,
            seed=arguments.seed,
            n_envs=arguments.n_envs,
            vec_env=arguments.vec_env,
            total_timesteps=arguments.total_timesteps,
            eval_freq=arguments.eval_freq,
            n_eval_episodes=arguments.n_eval_episodes,
            preset=arguments.preset,
            device=arguments.device,
        )
        train_with_progress_bar(config, arguments.root)
    except (ConfigError, RunBusyError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command starts the run again", file=sys.stderr)
        sys.exit(130)


def train_with_progress_bar(config: RunConfig, root: Path) -> None:
    """Train, showing a progress bar on a terminal, and say where the result lies."""
    from sb3_training.progress import progress_bar

    directory = RunDirectory(root / config.directory)
    was_done = directory.is_done()
    with progress_bar(config) as on_progress:
        path = train(config, root, on_progress)
    status = directory.status()
    outcome = "was already complete" if was_done else "is complete"
    print(f"{path} {outcome}; last mean evaluation return {status['last_return']:.2f}")


if __name__ == "__main__":
    main()
