"""What the command lines of a sweep, a recording and a report may ask for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tyro

from benchmarks.experiments import EXPERIMENT_SUFFIX
from training.config import FIRST_SEED

CUSTOM = "custom"  # default name of an experiment made of options


@dataclass(frozen=True, kw_only=True)
class ExperimentRequest:
    """The experiment that a sweep's command line asks for."""

    experiment: tyro.conf.Positional[str] = CUSTOM
    """a name of the catalogue (docs/experiments.md), or a file my_experiment.toml; with --algos,
    what to call one of your own; with --extend, the name of its folder"""
    algos: tuple[str, ...] = ()
    """algorithms to compare, such as td3 td3_reference sac my_module:Algo, each also with a label
    as in slow=td3; the first is what the others are compared with, unless td3_reference is among
    them"""
    envs: tuple[str, ...] = ()
    """environments, such as rocket-v0 my_module:My-v0"""
    seeds: int | None = None
    """number of seeds, from 0 on; of a named experiment: its first ones, or more than it has"""
    total_timesteps: int | None = None
    """environment steps of each run, also of a named experiment"""
    margin: float | None = None
    """difference of mean returns that is too small to matter, declared before the runs; default: 10
    on Pendulum-v1, 20 on the rockets, else none, and then nothing can be called equivalent"""
    against: str | None = None
    """label that the others are compared with, instead of the default of --algos"""
    baselines: tuple[str, ...] = ()
    """controllers that the report shows beside the runs: random zero brake pd pid lqr bang-bang"""
    hyperparams: dict[str, Any] = field(default_factory=dict)
    """hyperparameters of all algorithms, such as gamma=0.995"""
    preset: str | None = None
    """set of hyperparameters of all algorithms: released or sb3_default"""
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    """arguments of the environments, such as dt=0.02"""
    eval_freq: int | None = None
    """environment steps between evaluations; default: 1,000"""
    n_envs: int | None = None
    """environments that each run steps side by side; default: 1"""
    normalize: bool = False
    """normalise observations and rewards"""
    settings: tuple[str, ...] = ()
    """settings of one label, as LABEL:NAME=VALUE, NAME being anything that a run has: slow:preset=
    sb3_default slow:hyperparams.learning_rate=1e-4 slow:n_envs=4"""
    until_decided: bool = False
    """run seeds in stages, and no more for a decided comparison; standard always does so"""
    looks: tuple[int, ...] = ()
    """with --until-decided, the numbers of seeds after which verdicts are looked at; default: a
    named experiment's own, else 5 10 20 40"""
    extend: bool = False
    """let an experiment that has begun grow by the options given: more --seeds, --algos, --envs,
    --total-timesteps; a changed --margin judges its runs anew"""
    root: Path = Path("runs")
    """the runs go to <root>/<experiment>/, shortened ones of a named experiment to
    <root>/<experiment>_<seeds>x<steps>/, compiled ones to <root>/<experiment>_compiled/"""
    compile: bool = False
    """compile the reference TD3: faster, equal up to rounding; needs a C++ compiler"""
    max_episode_steps: int | None = None
    """time limit of every run's episodes; default: each environment's own"""
    eval_envs: int | None = None
    """evaluation episodes played side by side, 1 or more; default: all of them"""
    env_version: Literal["v4", "v5"] | None = None
    """version of MuJoCo's environments; runs go to <root>/<experiment>_<version>/; default: v4"""

    @property
    def name(self) -> str:
        """The experiment's name; of a file, its name without folder and suffix."""
        name = self.experiment
        return Path(name).stem if name.endswith(EXPERIMENT_SUFFIX) else name


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    """What to record of policies, and how."""

    env_id: str | None = None
    """environment; default: what the runs were trained on, rocket-v0 for controllers alone"""
    algo: str | None = None
    """the algorithm of a model.zip that lies in no run directory"""
    seed: int = FIRST_SEED
    """the episode starts from reset(seed=SEED)"""
    initial_state: tuple[float, ...] | None = None
    """where it starts instead, such as 1 0 for a rocket's x = 1 m, v = 0"""
    extra_steps: int = 0
    """steps to add to the time limit"""
    noise: float = 0.0
    """exploration noise, as a fraction of the action's half-width"""
    speed: float = 1.0
    """speed of the animation; 1 is real time"""
    window: bool = False
    """first show the policies in a window, one after another"""
    output: Path | None = None
    """path of the files, without suffix; default: recordings/<policy>_<environment>"""


@dataclass(frozen=True, kw_only=True)
class PaperOptions:
    """How a report's figures and LaTeX tables are to look."""

    format: tuple[str, ...] = ("png", "svg")
    """formats of the figures: png svg pdf"""
    width: str | None = None
    """width of the figures, such as 3.3in or 84mm; those of the verdicts and of trajectories keep
    their own"""
    font_size: float | None = None
    """font size of the figures, in points"""
    labels: tuple[str, ...] = ()
    """what to call implementations, such as td3='SB3 TD3'"""
    columns: tuple[str, ...] = ()
    """columns to keep in LaTeX tables that have all of them, such as environment implementation
    return; default: every column. NAME=COLUMN names one in curves from elsewhere, as in compare"""
