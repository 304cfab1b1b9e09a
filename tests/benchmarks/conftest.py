"""Fixtures that several tests of reports share."""

from collections.abc import Iterator

import pytest

from tests.helpers.made_up_runs import set_optimum


@pytest.fixture(scope="module")
def cheap_optimum() -> Iterator[None]:
    """An optimum that costs nothing, and none of the policies in the gallery."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        set_optimum(monkeypatch)
        monkeypatch.setattr("benchmarks.report.gallery.has_optimum", lambda env_id: False)
        yield
