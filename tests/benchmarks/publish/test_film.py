"""The animation shows a published policy beside a controller and the optimum, in a small file."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from benchmarks.analysis.sources.published import RUNS, SUMMARY
from benchmarks.experiments import EXPERIMENT_FILE
from benchmarks.publish import film
from benchmarks.publish.folder import pack
from envs.controllers import make_controller
from tests.helpers.made_up_runs import made_up_run
from training.config import RunConfig
from training.environments import make_env
from training.schemas import Json

CONFIG = RunConfig(algo="td3", env_id="rocket-v0", total_timesteps=1)


@pytest.mark.slow
def test_it_is_made_from_the_first_published_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here one that brakes, beside an optimum that brakes too."""
    for seed in (3, 1):
        run = made_up_run(tmp_path / "runs", "td3_reference", seed, [0.0, 1.0], "rocket-v0")
        (run / "policy.safetensors").write_bytes(b"weights")
    (tmp_path / "mine").mkdir()
    assert film.make_film(tmp_path / "mine", tmp_path / "images") is None
    pack(tmp_path / "runs", tmp_path / "mine" / RUNS)
    done: Json = {"state": "done", "sha256": {}}
    content = {"name": "mine", "runs": {f"td3_reference/rocket-v0_{k}": done for k in (3, 1)}}
    (tmp_path / "mine" / SUMMARY).write_text(json.dumps(content))
    (tmp_path / "mine" / EXPERIMENT_FILE).write_text("{}")
    loaded = []

    def load(source: str, env: object) -> SimpleNamespace:
        loaded.append(Path(source).name)
        return SimpleNamespace(policy=make_controller("brake", env))  # type: ignore[arg-type]

    monkeypatch.setattr(film, "load_policy", load)
    monkeypatch.setattr(film, "solution", lambda env_id: None)
    monkeypatch.setattr(
        film, "OptimalPolicy", lambda _: make_controller("bang-bang", make_env(CONFIG))
    )
    shown = film.make_film(tmp_path / "mine", tmp_path / "images")
    assert loaded == ["rocket-v0_1"]
    assert shown is not None
    assert list(shown["policies"]) == ["td3_reference, 100 steps, seed 1", "PD", "optimum"]
    # PD ends within a centimetre of the goal; braking alone leaves the rocket where it stood.
    assert shown["policies"]["PD"]["steady-state error in m"] < 0.01
    with Image.open(tmp_path / "images/film.gif") as image:
        assert image.n_frames == 100  # type: ignore[attr-defined]
        assert image.width == 600
    assert (tmp_path / "images/film.gif").stat().st_size < 2_000_000
