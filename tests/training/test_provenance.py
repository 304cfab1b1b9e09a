"""What a result was made with."""

from importlib.metadata import PackageNotFoundError, version

import pytest

from training import provenance


@pytest.mark.parametrize("mujoco", ["3.9.0", None])
def test_versions_are_of_all_that_results_depend_on_mujoco_where_it_is_installed(
    mujoco: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installed(name: str) -> str:
        if name != "mujoco":
            return version(name)
        if mujoco is None:
            raise PackageNotFoundError(name)
        return mujoco

    monkeypatch.setattr("importlib.metadata.version", installed)
    versions = provenance.package_versions.__wrapped__()  # as at the start of a process
    assert versions.get("mujoco") == mujoco
    assert versions["sb3-contrib"] == version("sb3-contrib")
    assert {"gymnasium", "stable-baselines3", "torch", "numpy"} < versions.keys()
