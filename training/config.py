"""The configuration of one training run, and which of the code that it names may be imported.

A run directory may come from someone else. Training imports all that the user's command names.
Reading a run imports only what ships with this project, unless the command line trusts a module.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any

REFERENCE = "td3_reference"  # name of the algorithm, and prefix of its subclasses' names
FIRST_SEED = 10_000  # episode k of an evaluation starts from reset(seed=FIRST_SEED + k)
HELD_OUT_SEED = 20_000  # episode k on held-out starts: reset(seed=HELD_OUT_SEED + k)
VEC_ENVS = ("dummy", "subproc", "native")
PROTOCOLS = ("fixed", "published")
OPTIONAL = ("max_episode_steps", "eval_envs")  # positive or None; not written if None
POSITIVE = ("total_timesteps", "eval_freq", "n_eval_episodes", "n_envs")  # whole numbers from 1
LINEAR = "linear:"  # prefix of a hyperparameter that falls linearly to 0 over the run
OWN_MODULES = ("envs", "gymnasium")  # environments that they register have no origin
SHIPPED = ("envs", "td3_reference", "training", "benchmarks",
           "gymnasium", "stable_baselines3", "sb3_contrib")  # fmt: skip
MAX_SEED = 2**32 - 1  # the largest that NumPy's global generator takes, which SB3 seeds
_trusted: ContextVar[frozenset[str] | None] = ContextVar("trusted", default=None)


class ConfigError(ValueError):
    """A configuration that cannot be run; its message says what would be accepted."""


class DivergedError(RuntimeError):
    """A number that training depends on is NaN or infinite."""

    run_state = "diverged"  # the state in status.json


class BrokenEnvironmentError(RuntimeError):
    """In mid-run, an environment returned what does not fit its spaces, or ended the process."""


def one_line(error: object) -> str:
    """The text of an error without line breaks."""
    return " ".join(str(error).split())


def cause_of(error: OSError) -> str:
    """What the system refused, and for which file, on one line: ``No space left on device: a``."""
    return one_line(f"{error.strerror}: {error.filename}" if error.strerror else error)


def uses_reference(algo: str) -> bool:
    """Whether it names the reference, or a subclass of it: ``td3_reference:my_module:MyTD3``."""
    return algo.partition(":")[0] == REFERENCE


def env_name(env_id: str) -> str:
    """The name of an environment: its id without the module that registers it."""
    return env_id.rpartition(":")[2]


def env_stem(env_id: str) -> str:
    """An environment's name for file names: with a hyphen for the slash of a namespace."""
    return env_name(env_id).replace("/", "-")


def env_origin(env_id: str) -> str:
    """The user's module that registers an environment; empty if it is not the user's."""
    module = env_id.rpartition(":")[0]
    return "" if module.partition(".")[0] in OWN_MODULES else module


def refuse_name_clashes(env_ids: Iterable[str]) -> None:
    """Refuse different environments whose results would have the same name or the same folder.

    Two modules may register the same name. ``a/Env-v0`` and ``a-Env-v0`` have the same folder, and
    so do, on some disks, names that differ only in case.

    :raises ConfigError: naming two of them
    """
    seen: dict[str, str] = {}
    for env_id in env_ids:
        other = seen.setdefault(env_stem(env_id).lower(), env_id)
        if (env_name(other), env_origin(other)) != (env_name(env_id), env_origin(env_id)):
            raise ConfigError(
                f"two of the environments would be called alike, {other} and {env_id}:"
                " give one another id, or another folder"
            )


def margin_of(margins: Mapping[str, float | None], env_id: str) -> float | None:
    """The margin or threshold declared for an environment, whatever its module, or None."""
    return {env_name(name): margin for name, margin in margins.items()}.get(env_name(env_id))


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that a run's result depends on, apart from package versions.

    :param label: names the implementation in run directories, tables and figures: lower-case
        letters, digits, '_', '.', '-'; default: the algorithm's name
    :param algo: name of an algorithm (train_sb3.py --list-algos), or package.module:Class
    :param env_id: Gymnasium id, or module:Id-v0 to import a module first
    :param env_kwargs: arguments for the environment, such as dt=0.02 goal_reward=100
    :param max_episode_steps: time limit of episodes in steps; default: the registered one
    :param n_envs: environments that training steps side by side; updates per step stay the same
    :param vec_env: dummy (SB3's DummyVecEnv), subproc (SubprocVecEnv) or native (the environment's
        own vector version)
    :param normalize: normalise observations and rewards (SB3's VecNormalize)
    :param seed: 0 to 2^32 - 1
    :param total_timesteps: environment steps to train for; algorithms that collect whole rollouts,
        or step several environments at once, may go on past them, to the end of the rollout
    :param eval_freq: environment steps between evaluations
    :param n_eval_episodes: episodes in each evaluation
    :param eval_envs: evaluation episodes played side by side, 1 or more; default: all, which takes
        the most memory and the fewest calls of the policy. Part of the configuration, since the
        last bits of a policy's actions depend on the size of the batch. Has no effect with
        evaluation published
    :param evaluation: fixed (the same start states for every run) or published (the TD3 author's
        protocol: episodes one after another in an environment seeded once, with seed + 100)
    :param preset: released (the TD3 author's settings; td3, ddpg, sac and classes derived from
        them) or sb3_default; for td3_reference released or paper; default: the algorithm's first
    :param hyperparams: overrides on top of the preset, such as learning_rate=linear:1e-3
        policy_kwargs.net_arch=[64,64]
    :param device: torch device, such as cpu or cuda
    :raises ConfigError: if a value is out of range
    """

    label: str = ""
    algo: str
    env_id: str
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    n_envs: int = 1
    vec_env: str = "dummy"
    normalize: bool = False
    seed: int = 0
    total_timesteps: int
    eval_freq: int = 1_000
    n_eval_episodes: int = 10
    evaluation: str = "fixed"
    preset: str | None = None
    hyperparams: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    max_episode_steps: int | None = None
    eval_envs: int | None = None

    def __post_init__(self) -> None:
        if not self.algo:
            raise ConfigError("algo must name an algorithm, got ''")
        object.__setattr__(self, "label", self.label or self.algo.split(":")[-1].lower())
        if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,99}", self.label):
            raise ConfigError(
                "label must be lower-case letters, digits, '_', '.' and '-', at most 100,"
                f" beginning with a letter or digit; got {self.label!r}"
            )
        for name, accepted in (("vec_env", VEC_ENVS), ("evaluation", PROTOCOLS)):
            value = getattr(self, name)
            if value not in accepted:
                raise ConfigError(f"{name} must be {' or '.join(accepted)}, got {value!r}")
        given = [name for name in OPTIONAL if getattr(self, name) is not None]
        for name in ("seed", *POSITIVE, *given):
            if type(getattr(self, name)) is not int:
                raise ConfigError(f"{name} must be a whole number, got {getattr(self, name)!r}")
        if not 0 <= self.seed <= MAX_SEED:
            raise ConfigError(f"seed must be from 0 to {MAX_SEED}, got {self.seed}")
        for name in (*POSITIVE, *given):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.max_episode_steps is not None and "max_episode_steps" in self.env_kwargs:
            raise ConfigError("max_episode_steps is given twice, in env_kwargs too")

    @property
    def directory(self) -> str:
        """Where the run lies below its root: ``<label>/<env_id>_<seed>``."""
        return f"{self.label}/{env_stem(self.env_id)}_{self.seed}"

    @property
    def is_as_registered(self) -> bool:
        """Whether the environment has its registered arguments and time limit."""
        return not self.env_kwargs and self.max_episode_steps is None

    @property
    def task(self) -> str:
        """The environment's name, with the arguments and the time limit that it was given."""
        given = sorted(self.env_kwargs.items())
        if self.max_episode_steps is not None:
            given.append(("max_episode_steps", self.max_episode_steps))
        return " ".join([env_name(self.env_id), *map(str, given)])

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Refuse hyperparameters that the algorithm does not have.

        :param known: names of those that it has
        :raises ConfigError: naming them
        """
        if unknown := [name for name in self.hyperparams if name not in known]:
            raise ConfigError(
                f"unknown hyperparameters of {self.algo}: {', '.join(unknown)};"
                f" it has {', '.join(known) or 'none'}"
            )

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON values, without optional ones that are None."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in OPTIONAL or value is not None
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "RunConfig":
        """The inverse of :meth:`to_json`.

        :raises ConfigError: if something is missing, unknown or out of range
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"not the configuration of a run: {error}") from error


@contextmanager
def reading(trust: Iterable[str] = ()) -> Iterator[None]:
    """Within this context, import only what ships with this project and what is trusted.

    :param trust: trusted modules, submodules included; ``module:Name`` trusts the module
    """
    token = _trusted.set((_trusted.get() or frozenset()) | {module_of(name) for name in trust})
    try:
        yield
    finally:
        _trusted.reset(token)


def module_of(name: str) -> str:
    """The module in ``module:Name`` or ``td3_reference:module:Name``; otherwise the name itself."""
    parts = name.split(":")
    return parts[-2] if len(parts) > 1 else name


def refuse_untrusted(module: str, name: str) -> None:
    """Within :func:`reading`, refuse to import a module that is not trusted.

    :param module: the module, empty if the name contains none
    :param name: the name in the run's configuration
    :raises ConfigError: saying how to trust it
    """
    trusted = _trusted.get()
    if trusted is None or not module or module.partition(".")[0] in SHIPPED:
        return
    if not any(module == known or module.startswith(f"{known}.") for known in trusted):
        raise ConfigError(
            f"{name!r} is code from outside this project, which reading does not run: if you"
            f" trust it, add --trust {module}"
        )


def is_trusted(name: str) -> bool:
    """Whether the command line trusts a file by this name."""
    return name in (_trusted.get() or ())
