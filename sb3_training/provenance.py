"""What a result was made with: package versions, commit, processor, command."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("gymnasium", "stable-baselines3", "sb3-contrib", "torch", "numpy")
PHYSICS = "mujoco"  # an extra


def describe_software(device: str) -> dict[str, Any]:
    """Versions, commit, machine and command line of this process.

    :param device: the torch device that the run uses
    """
    import torch

    commit = git_commit()
    return {
        "python": platform.python_version(),
        "packages": package_versions(),
        "git_commit": commit,
        "git_clean": None if commit is None else _git("status", "--porcelain") == "",
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "torch_threads": torch.get_num_threads(),
        "command": sys.argv,
    }


def package_versions() -> dict[str, str]:
    """Versions of the packages that results depend on; of MuJoCo's where it is installed."""
    versions = {name: version(name) for name in PACKAGES}
    try:
        return {**versions, PHYSICS: version(PHYSICS)}
    except PackageNotFoundError:
        return versions


def git_commit() -> str | None:
    """The commit of this project that is checked out; None where there is no repository."""
    return _git("rev-parse", "HEAD")


def _git(*arguments: str) -> str | None:
    """Output of a git command on this project's repository; None where there is none."""
    try:
        finished = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
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
