"""Schemas of the project's JSON files, checked on reading: bytes give a value or a ConfigError."""

import io
import json
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin

from training.config import ConfigError, RunConfig, one_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

Json = dict[str, Any]
STATES = ("pending", "running", "done", "failed", "diverged", "interrupted")
METRICS = ("late_return", "final_return", "last_10", "auc")  # of verdicts
MOST_DIGITS = 2**63  # no step, seed or count is a larger whole number
NEEDED = ("timesteps", "results", "final_results")  # of evaluations.npz
NUMBER, MAYBE, ANY = (int, float), (int, float, None), {"*": object}
# A schema is a type, None, a text that stands for itself, a tuple of schemas of which one must fit,
# a list whose items have one schema, or a dictionary of schemas by name: "name?" may be missing,
# "*" is for all other names.


def _kind_of(annotation: Any) -> Any:
    """The schema of a field of RunConfig."""
    if get_origin(annotation) is dict:
        return ANY
    return tuple(None if each is NoneType else each for each in get_args(annotation)) or annotation


def _configuration(needed: bool) -> Json:
    """The schema of a RunConfig.

    :param needed: whether fields without a default are required
    """
    names = {
        each.name if needed and each.default is each.default_factory else f"{each.name}?": each
        for each in fields(RunConfig)  # both MISSING where there is no default
    }
    return {**{name: _kind_of(each.type) for name, each in names.items()}, "*": object}


RUN, OPEN = _configuration(needed=True), _configuration(needed=False)
SOFTWARE = {"packages?": {"*": (str, None)}, "*": object}
DECLARATION = {
    "seeds": [int], "against": str, "margins": {"*": MAYBE},
    "metrics?": ({f"{name}?": str for name in METRICS}, [METRICS]),
    "failure_regrets?": {"*": MAYBE}, "rate_margin?": NUMBER, "looks?": [int], "level?": NUMBER,
    "*": object,
}  # fmt: skip
SCHEMAS: dict[str, Any] = {
    "config.json": {"config": RUN, "hyperparameters": ANY, "*": object},
    "status.json": {
        "state": STATES, "step": int, "last_return?": MAYBE, "message?": str,
        "digests?": {"*": (str, None)}, "*": object,
    },
    "provenance.json": {
        **SOFTWARE, "notes?": [str], "command?": [str], "steps?": int, "seconds?": NUMBER,
        "steps_per_second?": MAYBE, "continued_from_step?": int, "sha256?": str,
        "parts?": [{"software": SOFTWARE, "seconds": MAYBE, "*": object}],
    },
    "experiment.json": {
        "description": str, "implementations": {"*": OPEN},
        "total_timesteps": {"*": int}, "seeds": [int], "against": str, "margins": {"*": MAYBE},
        "metrics?": [METRICS], "failure_regrets?": {"*": MAYBE}, "rate_margin?": NUMBER,
        "looks?": [int], "baselines?": [str], "settings?": OPEN, "sha256": str,
        "declaration": DECLARATION, "declared_first?": bool, "*": object,
    },
    "verdicts.json": [{
        "env_id": str, "first": str, "second": str, "metric": str, "earlier": [int],
        "verdict": (None, {"num_runs": [int], "*": object}), "*": object,
    }],
    "published.json": {
        "name": str, "runs": {"*": {"state": STATES, "sha256": {"*": (str, None)}, "*": object}},
        "*": object,
    },
    "manifest.json": {"*": str},
    "parts.json": {"parts": [{"software": SOFTWARE, "from_step": int, "seconds": MAYBE,
                              "*": object}], "*": object},
}  # fmt: skip


def read_json(file: Path) -> Any:
    """Read one of the project's JSON files.

    :raises FileNotFoundError: if there is none
    :raises ConfigError: if it cannot be read, is not JSON, or does not match its schema
    """
    try:
        content = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"there is no {file}") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    return parsed(content, file)


def parsed(content: bytes, file: Path) -> Any:
    """Parse the content of one of the project's JSON files.

    :raises ConfigError: if it is not JSON, or does not match its schema
    """
    try:
        value = json.loads(content)
        fault = schema_violation(value, SCHEMAS.get(file.name, ANY))
    except RecursionError:
        raise ConfigError(f"{file} is damaged: it is nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{file} is damaged: {one_line(error)}") from error
    if fault is not None:
        raise ConfigError(f"{file} is damaged: {fault}")
    return value


def read_evaluations(content: bytes, file: Path) -> "dict[str, NDArray[Any]]":
    """The arrays of an evaluations.npz; docs/file_formats.md says what they are.

    :raises ConfigError: if they are missing, or of another shape or kind
    """
    import numpy as np

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as kept:
            arrays = dict(kept)
    except Exception as error:  # NumPy and zipfile may raise anything for a damaged file
        raise ConfigError(f"{file} is damaged: {one_line(error)}") from error
    rows: dict[str, tuple[int, ...]] = {}  # number of rows of the arrays, by prefix
    for name, array in arrays.items():
        prefix = next((each for each in ("final_", "late_") if name.startswith(each)), "")
        if array.dtype.kind not in "fiub" or not array.size:
            raise ConfigError(f"{file} is damaged: {name} must hold numbers")
        if name.removeprefix(prefix) == "timesteps":
            fits = array.ndim == 1 and array.dtype.kind in "iu" and bool((np.diff(array) > 0).all())
        else:
            fits = array.ndim == (1 if prefix == "final_" else 2)
        known = rows.setdefault(prefix, array.shape[:1])
        if not fits or array.shape[:1] != known:
            raise ConfigError(f"{file} is damaged: {name} must not have the shape {array.shape}")
    if missing := [name for name in NEEDED if name not in arrays]:
        raise ConfigError(f"{file} is damaged: it holds no {missing[0]}")
    return arrays


def schema_violation(value: Any, schema: Any, where: str = "") -> str | None:
    """What is wrong with a value, in words; None if it matches its schema.

    :param where: its place within the file
    """
    if isinstance(schema, tuple):
        faults = [schema_violation(value, each, where) for each in schema]
        return None if None in faults else f"{_at(where)} must be {_words(schema)}"
    if isinstance(schema, dict) and isinstance(value, dict):
        return _fault_of_parts(value, schema, where)
    if isinstance(schema, list) and isinstance(value, list):
        faults = [
            schema_violation(each, schema[0], f"{where}[{i}]") for i, each in enumerate(value)
        ]
        return next((fault for fault in faults if fault), None)
    if schema is None or isinstance(schema, str):
        fits = value == schema
    elif schema is int:
        fits = type(value) is int and abs(value) < MOST_DIGITS
    else:
        fits = isinstance(schema, type) and isinstance(value, schema)
    return None if fits else f"{_at(where)} must be {_words(schema)}"


def _fault_of_parts(value: Json, schema: Json, where: str) -> str | None:
    for name in schema:
        if not name.endswith("?") and name != "*" and name not in value:
            return f"{_at(where)} has no {name}"
    for name, part in value.items():
        kind = schema.get(name, schema.get(f"{name}?", schema.get("*")))
        if kind is None:
            return f"{_at(where)} has an unknown entry {name!r:.60}"
        if kind is not object and (fault := schema_violation(part, kind, f"{where}.{name:.60}")):
            return fault
    return None


def _at(where: str) -> str:
    return " ".join(where.lstrip(".").split()) or "its content"


def _words(schema: Any) -> str:
    if isinstance(schema, tuple):
        return " or ".join(dict.fromkeys(map(_words, schema)))
    if isinstance(schema, dict | list):
        return "a list" if isinstance(schema, list) else "a dictionary"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(schema, "null" if schema is None else str(schema))
