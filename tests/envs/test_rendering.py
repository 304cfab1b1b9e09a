"""The drawing: right format, right place, no side effects."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from envs import rendering
from envs.rendering import draw_rocket


def columns_of(frame: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Horizontal pixel positions at which a colour occurs."""
    return np.flatnonzero((frame == colour).all(axis=2).any(axis=0))


def test_a_frame_is_an_rgb_image() -> None:
    frame = draw_rocket(0.5, 0.0, 0.0, time=0.0)
    assert frame.shape == (200, 600, 3)
    assert frame.dtype == np.uint8


@pytest.mark.parametrize(("x", "pixel"), [(-2.0, 50), (-1.0, 175), (0.0, 300), (2.0, 550)])
def test_the_rocket_stands_at_its_place_on_the_axis(x: float, pixel: int) -> None:
    body = columns_of(draw_rocket(x, 0.0, 0.0, time=0.0), rendering.BLUE)
    assert body.min() <= pixel <= body.max()
    assert (body.min() + body.max()) / 2 == pytest.approx(pixel, abs=2)


def test_the_flame_lies_opposite_to_the_thrust_and_grows_with_it() -> None:
    def flame(u: float) -> np.ndarray:
        return columns_of(draw_rocket(1.0, 0.0, u, time=0.0), rendering.ORANGE)

    rocket = 425
    assert flame(1.0).max() < rocket
    assert flame(-1.0).min() > rocket
    assert len(flame(0.0)) == 0
    assert len(flame(1.0)) > len(flame(0.4)) > 0


def test_drawing_changes_neither_state_nor_generators_nor_the_next_frame() -> None:
    drawn = gym.make("envs:rocket-v0", render_mode="rgb_array")
    plain = gym.make("envs:rocket-v0")
    action = np.array([0.3], np.float32)
    for env in (drawn, plain):
        env.reset(seed=5)
    for _ in range(20):
        assert np.array_equal(np.asarray(drawn.render()), np.asarray(drawn.render()))
        assert np.array_equal(drawn.step(action)[0], plain.step(action)[0])
    assert np.array_equal(drawn.reset()[0], plain.reset()[0])


def test_drawing_does_not_load_matplotlib() -> None:
    code = (
        "import sys, gymnasium\n"
        "env = gymnasium.make('envs:rocket-v0', render_mode='rgb_array')\n"
        "env.reset(seed=0)\n"
        "env.render()\n"
        "assert 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
