"""The command line: ``python -m envs.checks my_package:MyEnv-v0``."""

import sys
from typing import Annotated

import tyro

from envs.checks.checker import CheckRefusedError, Limits, check_id
from envs.checks.findings import format_report, has_errors

DEFAULT_LIMITS = Limits()


def run(
    env_id: tyro.conf.Positional[str],
    limits: Annotated[Limits, tyro.conf.arg(name="")] = DEFAULT_LIMITS,
) -> None:
    """Check an environment for faults that would spoil training; exit status 1 if there are errors.

    Args:
        env_id: Gymnasium id, or module:Id-v0 to import a module first
        limits: how many episodes and steps are played
    """
    findings = check_id(env_id, limits, _show_stage)
    _show_stage("")
    print(format_report(env_id, findings))
    sys.exit(1 if has_errors(findings) else 0)


def _show_stage(stage: str) -> None:
    """Show a stage on the current line of the terminal; an empty stage clears the line."""
    if sys.stderr.isatty():
        line = f"checking {stage} ..." if stage else ""
        print(f"\r{line:<60}\r", end="", file=sys.stderr, flush=True)


def main() -> None:
    """The command line."""
    try:
        tyro.cli(run, prog="python -m envs.checks")
    except CheckRefusedError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
