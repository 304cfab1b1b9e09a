"""The project's real command lines, stopped once they have parsed their arguments."""

import argparse
import io
import runpy
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import tyro

ROOT = Path(__file__).parents[2]
parse_tyro, parse_subcommand = tyro.cli, tyro.extras.subcommand_cli_from_dict
parse_argparse = argparse.ArgumentParser.parse_args


class ParsedCommand(BaseException):
    """Raised instead of carrying out a command; ``except Exception`` does not catch it.

    :param name: of the subcommand or, without one, of the function, dataclass or program
    :param arguments: by name, with the defaults of those that were left out
    :param options: of all commands of the same command line
    """

    def __init__(self, name: str, arguments: dict[str, Any], options: set[str]) -> None:
        super().__init__(name)
        self.name, self.arguments, self.options = name, arguments, options


def parse(words: Sequence[str]) -> ParsedCommand:
    """Parse a command, and do nothing else.

    :param words: what follows ``python``: ``-m module ...``, or a script
    :raises ValueError: with the command line's error message, or if there is no such module
    """
    is_module = words[0] == "-m"
    name, *rest = words[1:] if is_module else words
    patches = [
        patch("tyro.cli", _stopping_tyro),
        patch("tyro.extras.subcommand_cli_from_dict", _stopping_subcommand),
        patch("argparse.ArgumentParser.parse_args", _stopping_argparse),
        patch("training.command_line.prepare_process", lambda: None),
        patch.object(sys, "argv", [name, *rest]),
        patch.object(sys, "path", [*sys.path]),
    ]
    said = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", RuntimeWarning)  # runpy's, of an imported module
        for each in [*patches, redirect_stderr(said), redirect_stdout(said)]:
            stack.enter_context(each)  # type: ignore[arg-type]
        try:
            if is_module:
                runpy.run_module(name, run_name="__main__")
            else:
                runpy.run_path(str(ROOT / name), run_name="__main__")
        except ParsedCommand as command:
            return command
        except (ImportError, OSError) as error:
            raise ValueError(str(error)) from error
        except SystemExit as error:
            raise ValueError(" ".join(said.getvalue().split())) from error
    raise ValueError(f"{name} has no command line that is known here")


def options_of(command: Any) -> set[str]:
    """Options that tyro makes of a function or dataclass."""
    found: set[str] = set()
    for name, kind in _fields_of(command).items():
        if is_dataclass(kind):
            found |= options_of(kind)
        option = name.replace("_", "-")
        found |= {f"--{option}", f"--no-{option}"} if kind is bool else {f"--{option}"}
    return found


def _fields_of(command: Any) -> dict[str, Any]:
    if is_dataclass(command):
        return {field.name: field.type for field in fields(command)}
    parameters = signature(command).parameters.values()
    kinds = {each.name: each.annotation for each in parameters}
    return {name: getattr(kind, "__origin__", kind) for name, kind in kinds.items()}


def _stopping(command: Callable[..., Any], name: str, options: set[str]) -> Callable[..., NoReturn]:
    """A function with the same command line that raises its arguments."""

    @wraps(command)
    def stop(*args: Any, **kwargs: Any) -> NoReturn:
        bound = signature(command).bind(*args, **kwargs)
        raise ParsedCommand(name, bound.arguments, options)

    return stop


def _stopping_subcommand(commands: dict[str, Callable[..., Any]], **kwargs: Any) -> Any:
    options = set().union(*map(options_of, commands.values()))
    stopping = {name: _stopping(command, name, options) for name, command in commands.items()}
    return parse_subcommand(stopping, **kwargs)


def _stopping_tyro(command: Any, **kwargs: Any) -> Any:
    options = options_of(command)
    if not isinstance(command, type):
        return parse_tyro(_stopping(command, command.__name__, options), **kwargs)
    parsed = parse_tyro(command, **kwargs)
    raise ParsedCommand(command.__name__, {"arguments": parsed}, options)


def _stopping_argparse(parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> NoReturn:
    parser.allow_abbrev = False
    values = parse_argparse(parser, *args, **kwargs)
    options = {option for action in parser._actions for option in action.option_strings}
    raise ParsedCommand(parser.prog, vars(values), options)
