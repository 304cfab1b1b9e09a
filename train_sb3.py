"""Train a Stable-Baselines3 algorithm on a Gymnasium environment.

    python train_sb3.py --algo td3 --env-id rocket-v0 --total-timesteps 20000 --seed 0

As a library: ``from train_sb3 import RunConfig, train``.
"""

import logging
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro

from training.config import ConfigError, DivergedError, RunConfig
from training.run_directory import Progress, RunBusyError, RunDirectory
from training.sb3.hyperparameters import parse_overrides
from training.signals import stop_on_signals
from training.surroundings import settle
from training.trust import reading

__all__ = ["RunConfig", "main", "train"]


def train(
    config: RunConfig,
    root: str | Path = "runs",
    on_progress: Progress | None = None,
    **options: Any,
) -> Path:
    """Train as configured and return the run directory.

    :param options: ``should_stop``, ``checkpoint_freq``, ``check`` and ``allow_mixed``, as
        :func:`training.sb3.train.train` describes them
    """
    # Imported late, so that --help need not wait for torch.
    from training.sb3.train import train as train_with_sb3

    return train_with_sb3(config, root, on_progress, **options)


@dataclass(frozen=True)
class Arguments:
    """Train a Stable-Baselines3 algorithm on a Gymnasium environment.

    The run directory <root>/<label>/<env-id>_<seed>/ receives model.zip, best_model.zip,
    evaluations.npz, train.monitor.csv, tensorboard/ and the settings. A run that is already there,
    complete, is not repeated; one that was stopped goes on.
    """

    algo: str = "td3"
    """name of an algorithm, see --list-algos, or package.module:Class"""
    env_id: str = "rocket-v0"
    """Gymnasium id, or module:Id-v0 to import a module first"""
    env_kwargs: list[str] = field(default_factory=list)
    """arguments for the environment, such as dt=0.02 goal_reward=100"""
    max_episode_steps: int | None = None
    """time limit of episodes in steps; default: the environment's registered one"""
    total_timesteps: int = 20_000
    """environment steps to train for"""
    seed: int = 0
    """0 to 2^32 - 1"""
    preset: str | None = None
    """released (the TD3 author's settings; td3, ddpg, sac and classes derived from them) or
    sb3_default; default: the first that the algorithm has"""
    hyperparams: list[str] = field(default_factory=list)
    """overrides, such as learning_rate=linear:1e-3 policy_kwargs.net_arch=[64,64]"""
    n_envs: int = 1
    """environments that training steps side by side; updates per step stay the same"""
    vec_env: str = "dummy"
    """dummy (SB3's DummyVecEnv), subproc (SubprocVecEnv) or native (the environment's own
    vector version)"""
    normalize: bool = False
    """normalise observations and rewards (SB3's VecNormalize)"""
    eval_freq: int = 1_000
    """environment steps between evaluations"""
    n_eval_episodes: int = 10
    """episodes in each evaluation"""
    eval_envs: int | None = None
    """evaluation episodes played side by side, 1 or more; default: all, which takes the most
    memory and the fewest calls of the policy"""
    evaluation: str = "fixed"
    """fixed (the same start states for every run) or published (the TD3 author's protocol: an
    environment seeded once, with seed + 100)"""
    checkpoint_freq: int | None = None
    """environment steps between checkpoints; default: one a minute"""
    label: str = ""
    """name of the run's folder; default: the algorithm's name"""
    device: str = "cpu"
    """torch device, such as cpu or cuda"""
    root: Path = Path("runs")
    """folder for the run directories"""
    resume: Path | None = None
    """a run directory: go on with that run as it is configured there; other options are ignored"""
    trust: list[str] = field(default_factory=list)
    """with resume: modules of your own that the run names, such as my_module"""
    allow_mixed: bool = False
    """go on with a run that was begun with other software (packages, Python, commit, processor),
    and say so in provenance.json"""
    check: bool = True
    """let SB3's checker look at the environment first"""
    list_algos: bool = False
    """list the algorithms with the action spaces that they take, and stop"""


def main() -> None:
    """The command line."""
    settle()
    sys.path.append("")  # the working folder, for the user's own environments and algorithms
    arguments = tyro.cli(Arguments)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("training").setLevel(logging.INFO)
    # Another's run directory may name any code; the user's own command only what the user knows.
    careful = nullcontext() if arguments.resume is None else reading(arguments.trust)
    with stop_on_signals() as stop, careful:
        try:
            if arguments.list_algos:
                from training.sb3.algorithms import list_algorithms

                print(list_algorithms())
                return
            config, root = configured(arguments)
            train_with_progress_bar(
                config,
                root,
                should_stop=stop,
                checkpoint_freq=arguments.checkpoint_freq,
                check=arguments.check,
                allow_mixed=arguments.allow_mixed,
            )
        except (ConfigError, RunBusyError) as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except DivergedError as error:
            print(f"diverged: {error}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt as error:
            print(f"interrupted {error}; the same command goes on with the run", file=sys.stderr)
            sys.exit(stop.exit_status)


def configured(arguments: Arguments) -> tuple[RunConfig, Path]:
    """The run that is asked for, and the root of its directory.

    :raises ConfigError: if an argument is not acceptable
    """
    if arguments.resume is not None:
        path = arguments.resume.resolve()
        try:
            settings = RunDirectory(path).settings() or {}
            config = RunConfig.from_json(settings.get("config", {}))
        except ConfigError as error:
            raise ConfigError(f"{arguments.resume} is not a run directory: {error}") from error
        root = path.parents[1]
        if root / config.directory != path:
            raise ConfigError(f"{arguments.resume} must be named {config.directory}, as it began")
        return config, root
    config = RunConfig(
        label=arguments.label,
        algo=arguments.algo,
        env_id=arguments.env_id,
        env_kwargs=parse_overrides(arguments.env_kwargs),
        seed=arguments.seed,
        n_envs=arguments.n_envs,
        vec_env=arguments.vec_env,
        normalize=arguments.normalize,
        total_timesteps=arguments.total_timesteps,
        eval_freq=arguments.eval_freq,
        n_eval_episodes=arguments.n_eval_episodes,
        evaluation=arguments.evaluation,
        preset=arguments.preset,
        hyperparams=parse_overrides(arguments.hyperparams),
        device=arguments.device,
        max_episode_steps=arguments.max_episode_steps,
        eval_envs=arguments.eval_envs,
    )
    return config, arguments.root


def train_with_progress_bar(config: RunConfig, root: Path, **options: Any) -> None:
    """Train, showing a progress bar on a terminal, and say where the result lies."""
    from training.progress import progress_bar

    directory = RunDirectory(root / config.directory)
    was_done = directory.is_done()
    with progress_bar(config) as on_progress:
        path = train(config, root, on_progress, **options)
    status = directory.status()
    outcome = "was already complete" if was_done else "is complete"
    last_return = status.get("last_return")
    told = "not known" if last_return is None else f"{last_return:.2f}"
    print(f"{path} {outcome}; last mean evaluation return {told}")


if __name__ == "__main__":
    main()
