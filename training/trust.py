"""Which code a command that reads results may import: the user's runs name what they were made with.

A run directory may be a stranger's. Training imports whatever the user's own command names; reading
imports only what ships with this project, unless the command line trusts a module by name.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from training.config import ConfigError

SHIPPED = ("envs", "td3_reference", "training", "benchmarks",
           "gymnasium", "stable_baselines3", "sb3_contrib")  # fmt: skip
_trusted: ContextVar[frozenset[str] | None] = ContextVar("trusted", default=None)


@contextmanager
def reading(trust: Iterable[str] = ()) -> Iterator[None]:
    """Within this context, import nothing but what ships with this project and what is trusted.

    :param trust: further modules, with all that is below them; of ``module:Name`` the module
    """
    token = _trusted.set((_trusted.get() or frozenset()) | {module_of(name) for name in trust})
    try:
        yield
    finally:
        _trusted.reset(token)


def module_of(name: str) -> str:
    """The module of ``module:Name``, of ``td3_reference:module:Name`` too; else the name."""
    parts = name.split(":")
    return parts[-2] if len(parts) > 1 else name


def refuse_untrusted(module: str, name: str) -> None:
    """Refuse to import a module that a run names, where it is read and the module is not trusted.

    :param module: empty for what this project knows without one
    :param name: what the run calls it
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
