"""What a result was made with: package versions, commit, processor, command.

If several processes made a run one after another, each of them is described.
"""

import hashlib
import json
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from training.config import ConfigError
from training.schemas import Json, parsed

PACKAGES = ("gymnasium", "stable-baselines3", "sb3-contrib", "torch", "numpy")
PHYSICS = "mujoco"  # an optional dependency
# What a result may depend on: a run is not continued under another of these.
SOFTWARE = ("python", "packages", "git_commit", "git_changes", "cpu", "device")
DIGEST = "sha256"
PARTS = "parts.json"  # in a checkpoint
ALLOW_MIXED = "--allow-mixed"
UNKNOWN = "not known"
WITHOUT_DIGEST = "from before it had a digest"


def describe_software(device: str) -> dict[str, Any]:
    """Versions, commit, machine and command line of this process.

    :param device: the torch device that the run uses
    """
    import torch

    return {
        "python": platform.python_version(),
        "packages": package_versions(),
        "git_commit": git_commit(),
        "git_clean": git_clean(),
        "git_changes": git_changes(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "torch_threads": torch.get_num_threads(),
        "command": sys.argv,
    }


# What runs in this process is what was there at its start, so that one look is enough.
@cache
def package_versions() -> dict[str, str]:
    """Versions of the packages that results depend on; of MuJoCo if it is installed."""
    from importlib.metadata import PackageNotFoundError, version  # not for --help

    versions = {name: version(name) for name in PACKAGES}
    try:
        return {**versions, PHYSICS: version(PHYSICS)}
    except PackageNotFoundError:
        return versions


@cache
def git_commit() -> str | None:
    """The commit of this project that is checked out; None if there is no repository.

    Also None if the project is installed inside another project's repository.
    """
    tracked = _git("ls-files", "--error-unmatch", Path(__file__).name) is not None
    return _git("rev-parse", "HEAD") if tracked else None


@cache
def git_clean() -> bool | None:
    """Whether the checkout has no changes and no new files; None if there is no repository."""
    return None if git_commit() is None else _git("status", "--porcelain") == ""


@cache
def git_changes() -> str | None:
    """A digest of what has changed in the code since the commit; None if nothing has."""
    changes = _git("diff", "HEAD", "--", ":/*.py", ":/*.toml") if git_commit() else None
    return hashlib.sha256(changes.encode()).hexdigest()[:12] if changes else None


def software_of(description: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a description that results may depend on, the packages' versions by name."""
    known = {name: description[name] for name in SOFTWARE if name in description}
    if "packages" in known:
        known |= {PHYSICS: None, **known.pop("packages")}
    return known


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences between two results of :func:`software_of`, in words."""
    return [
        f"{name} was {before.get(name, UNKNOWN)}, here it is {now.get(name, UNKNOWN)}"
        for name in {**before, **now}
        if before.get(name, UNKNOWN) != now.get(name, UNKNOWN)
    ]


def software_differences(contents: Iterable[Mapping[str, Any]]) -> str | None:
    """One line that says how the software of runs differs or is unknown; None if all is the same.

    :param contents: of provenance.json, one for each run
    """
    counts: dict[str, Counter[str]] = {}
    for content in contents:
        parts = [part["software"] for part in content.get("parts", ())] or [software_of(content)]
        seen = {(name, str(value)) for part in parts for name, value in part.items()}
        seen |= {("software", UNKNOWN) for part in parts if not part}
        if content and DIGEST not in content:
            seen.add(("provenance.json", WITHOUT_DIGEST))
        for name, value in seen:
            counts.setdefault(name, Counter())[value] += 1
    texts = []
    for name, values in sorted(counts.items()):
        if len(values) > 1 or {UNKNOWN, WITHOUT_DIGEST} & values.keys():
            each = [f"{value} ({n} run{'s'[: n - 1]})" for value, n in sorted(values.items())]
            texts.append(f"{name} {', '.join(each)}")
    return f"These runs were not all made alike: {'; '.join(texts)}." if texts else None


def with_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add to the content of a file its own digest, which status.json does not hold."""
    return {**content, DIGEST: _digest_of(content)}


def digest_matches(content: Mapping[str, Any]) -> bool:
    """Whether content matches its digest; true for content from before there were digests."""
    if DIGEST not in content:
        return "parts" not in content  # digests and parts were introduced together
    return bool(content[DIGEST] == _digest_of(content))


def _digest_of(content: Mapping[str, Any]) -> str:
    values = {name: value for name, value in content.items() if name != DIGEST}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _git(*arguments: str) -> str | None:
    """Output of a git command on this project's repository; None where there is none."""
    try:
        finished = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return finished.stdout.strip()


def _cpu_name() -> str:
    """The processor's model name; the architecture where the system does not tell."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


class History:
    """The parts of a run: those of processes that were stopped, then the one of this process.

    :param description: of this process, from :func:`describe_software`
    :param allow_mixed: whether other software may have made the earlier parts
    """

    def __init__(self, description: Json, allow_mixed: bool = False) -> None:
        self._description = description
        self._allow_mixed = allow_mixed
        self._began = time.time()
        self._before: list[Json] = []

    def follow(self, checkpoint: dict[str, bytes] | None) -> None:
        """Go on from a checkpoint, or begin anew without one.

        :raises ConfigError: if other software made it, naming what differs
        """
        self._before = []
        if checkpoint is None:
            return
        # A checkpoint without parts is from before they were kept: what made it is unknown.
        nothing: Json = {"parts": [{"software": {}, "from_step": 0, "seconds": None}]}
        kept = parsed(checkpoint[PARTS], Path(PARTS)) if PARTS in checkpoint else nothing
        self._before = kept["parts"] or nothing["parts"]
        made_with = self._before[-1]["software"]
        found = differences(made_with, software_of(self._description))
        if found and not self._allow_mixed:
            what = "; ".join(found) if made_with else f"which one is {UNKNOWN}"
            raise ConfigError(
                f"it was begun with other software ({what}): go on with the same, or with"
                f" {ALLOW_MIXED}, which provenance.json records; without its folder checkpoint"
                " it begins anew"
            )

    def parts(self, first_step: int, step: int) -> list[Json]:
        """For each process its software, steps (from, to) and seconds.

        :param first_step: the step from which this process goes on
        :param step: the step that it has reached
        """
        now = {
            "software": software_of(self._description),
            "from_step": first_step,
            "to_step": step,
            "seconds": time.time() - self._began,
        }
        before = [*self._before]
        if before:  # the last one may have gone beyond its last checkpoint
            before[-1] = {**before[-1], "to_step": first_step}
        return [*before, now]

    def provenance(self, first_step: int, step: int) -> Json:
        """Content of provenance.json of a run that ends at a step; its speed is over all parts."""
        parts = self.parts(first_step, step)
        timed = [part for part in parts if part["seconds"] is not None]
        seconds = sum(part["seconds"] for part in timed)
        return {
            **self._description,
            "began": self._began,
            "seconds": seconds,
            "continued_from_step": first_step,
            "steps": step,
            "steps_per_second": sum(p["to_step"] - p["from_step"] for p in timed) / seconds,
            "parts": parts,
        }
