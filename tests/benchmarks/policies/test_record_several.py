"""Recordings of several policies, films, and the window."""

import io
import stat
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.policies import record as recording
from benchmarks.policies.drawing import NAME_HEIGHT, encode_mp4, side_by_side
from benchmarks.policies.record import record
from benchmarks.request import RecordOptions
from tests.helpers.made_up_runs import made_up_run
from training.config import ConfigError
from training.sb3.model_zip import policy_weights

pytestmark = pytest.mark.usefixtures("cheap_optimum")


@pytest.mark.slow
def test_several_policies_start_alike_and_share_a_picture_and_an_animation(tmp_path: Path) -> None:
    alone = record(["brake"], RecordOptions(output=tmp_path / "one", initial_state=(1.0, 0.0)))
    text = record(
        ["brake", "zero", "brake"], RecordOptions(output=tmp_path / "all", initial_state=(1.0, 0.0))
    )
    assert text.splitlines()[0] == "brake, zero on rocket-v0 from [1. 0.]"
    (achieved,) = (line for line in alone.splitlines() if line.startswith("return: "))
    # At rest at 1 m, with no thrust and with the brake: the same for both.
    assert text.count(f"  {achieved}") == 2
    with Image.open(tmp_path / "one.gif") as one, Image.open(tmp_path / "all.gif") as both:
        assert both.size == (one.size[0], 2 * (one.size[1] + NAME_HEIGHT))
        assert getattr(both, "n_frames", 1) == getattr(one, "n_frames", 1)
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "all.png") as both:
        assert both.size[1] > one.size[1]


def test_a_film_that_ends_keeps_its_last_frame_beside_the_others() -> None:
    def film(*greys: int) -> list[np.ndarray[Any, Any]]:
        return [np.full((30, 40, 3), grey, np.uint8) for grey in greys]

    frames = side_by_side({"short": film(10), "long": film(20, 30)})
    assert [frame.shape for frame in frames] == [(30 + NAME_HEIGHT, 80, 3)] * 2
    assert [frame[-1, [0, -1], 0].tolist() for frame in frames] == [[10, 20], [10, 30]]
    (alone,) = side_by_side({"alone": film(10)})
    assert alone.shape == (30, 40, 3)


def test_policies_of_different_environments_are_refused(tmp_path: Path) -> None:
    paths = [str(made_up_run(tmp_path, "td3", 0, [0.0], env_id=name))
             for name in ("Pendulum-v1", "rocket-v0")]  # fmt: skip
    with pytest.raises(ConfigError, match="trained in Pendulum-v1 and rocket-v0"):
        record(paths, RecordOptions(output=tmp_path / "x"))
    with pytest.raises(ConfigError, match="record needs a policy"):
        record([], RecordOptions(output=tmp_path / "x"))


def program(path: Path, code: str) -> str:
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


# Says which frames it got, as a film.
STAND_IN = """
import sys
import zipfile
size = sys.argv[sys.argv.index("-video_size") + 1]
open(sys.argv[-1], "w").write(f"{size} {len(sys.stdin.buffer.read())}")
"""


def test_a_film_is_written_where_ffmpeg_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "ffmpeg", STAND_IN)
    monkeypatch.setenv("PATH", str(tmp_path))
    text = record(["random"], RecordOptions(env_id="CartPole-v1", output=tmp_path / "out/cart"))
    assert f"film: {tmp_path / 'out/cart.mp4'}" in text
    with Image.open(tmp_path / "out/cart.gif") as animation:
        (width, height), frames = animation.size, getattr(animation, "n_frames", 1)
    size, count = (tmp_path / "out/cart.mp4").read_text().split()
    assert size == f"{width}x{height}"
    shown, rest = divmod(int(count), 3 * width * height)
    assert rest == 0
    assert shown >= frames > 1  # a GIF holds equal frames once
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert "film: " not in record(
        ["random"], RecordOptions(env_id="CartPole-v1", output=tmp_path / "out/other")
    )


def test_an_odd_edge_is_cut_and_a_failure_is_told(tmp_path: Path) -> None:
    frames = [np.zeros((31, 41, 3), np.uint8)] * 2
    ffmpeg = program(tmp_path / "ffmpeg", STAND_IN)
    assert encode_mp4(frames, 25.0, ffmpeg) == f"40x30 {3 * 40 * 30 * 2}".encode()
    broken = program(tmp_path / "broken", "import sys; sys.exit('no\\nencoder')")
    with pytest.raises(ConfigError, match="broken failed: no encoder"):
        encode_mp4(frames, 25.0, broken)


def test_the_window_shows_each_policy_and_needs_a_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in recording.DISPLAYS:
        monkeypatch.delenv(name, raising=False)
    if sys.platform == "linux":
        with pytest.raises(ConfigError, match="a window needs a display"):
            record(
                ["random"], RecordOptions(env_id="CartPole-v1", output=tmp_path / "x", window=True)
            )
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    record(["random"], RecordOptions(env_id="CartPole-v1", output=tmp_path / "x", window=True))
    assert capsys.readouterr().out == "in the window: random\n"


def test_weights_that_are_pickled_are_refused_with_how_to_trust_them(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("data", "{}")
    with pytest.raises(ConfigError, match="pickled weights could run any code"):
        policy_weights(content.getvalue())
