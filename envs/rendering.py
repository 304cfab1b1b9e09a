"""Drawing the rocket: state -> RGB frame.

Pillow draws on a copy of a fixed background. A Matplotlib figure per frame would be some fifty
times slower and would leave figures behind.
"""

from functools import cache

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 600, 200  # pixels
MARGIN = 50  # pixels between the picture's edge and the end of the axis
AXIS_Y = 140  # pixels from the top
ROCKET_Y = 100

WHITE, BLACK, GREY = (255, 255, 255), (30, 30, 30), (150, 150, 150)
GREEN, RED, BLUE, ORANGE = (0, 130, 80), (200, 40, 40), (60, 90, 160), (240, 140, 20)


def draw_rocket(
    x: float, v: float, u: float, time: float, position_limit: float = 2.0
) -> NDArray[np.uint8]:
    """Draw the rocket above its ruled axis.

    :param x: position in m
    :param v: velocity in m/s
    :param u: thrust in m/s^2; drawn as a flame on the opposite side
    :param time: since the start of the episode in s
    :param position_limit: |x| in m at the ends of the axis
    :return: array of shape (200, 600, 3)
    """
    image = _background(position_limit).copy()
    draw = ImageDraw.Draw(image)
    # Even far outside the limits, a lost rocket stays in the picture.
    centre = min(max(_to_pixel(x / position_limit), MARGIN / 2), WIDTH - MARGIN / 2)
    body = 16 if u >= 0 else -16  # half the rocket's length; it points where it is pushed
    tail = centre - body
    if u != 0:
        flame = [(tail, ROCKET_Y - 5), (tail, ROCKET_Y + 5), (tail - 35 * u, ROCKET_Y)]
        draw.polygon(flame, fill=ORANGE)
    nose = centre + body
    shoulder = centre + body // 4
    hull = [(tail, -9), (shoulder, -9), (nose, 0), (shoulder, 9), (tail, 9)]
    draw.polygon([(px, ROCKET_Y + dy) for px, dy in hull], fill=BLUE, outline=BLACK)
    draw.line([(centre, ROCKET_Y + 12), (centre, AXIS_Y)], fill=BLUE)
    text = f"t = {time:.2f} s     x = {x:+.3f} m     v = {v:+.3f} m/s     u = {u:+.3f} m/s^2"
    draw.text((WIDTH / 2, 25), text, fill=BLACK, font=_font(16), anchor="mm")
    return np.array(image)


@cache
def _background(position_limit: float) -> Image.Image:
    """What is the same in every frame: axis, ticks with numbers, bounds and goal."""
    image = Image.new("RGB", (WIDTH, HEIGHT), WHITE)
    draw = ImageDraw.Draw(image)
    left, right = _to_pixel(-1.0), _to_pixel(1.0)
    draw.line([(left, AXIS_Y), (right, AXIS_Y)], fill=BLACK, width=2)
    for tick in range(-20, 21):
        px = _to_pixel(tick / 20)
        numbered = tick % 5 == 0
        draw.line([(px, AXIS_Y), (px, AXIS_Y + (10 if numbered else 5))], fill=BLACK)
        if numbered:
            number = f"{position_limit * tick / 20:.4g}"
            draw.text((px, AXIS_Y + 22), number, BLACK, _font(14), anchor="mm")
    for px in (left, right):
        draw.line([(px, 60), (px, AXIS_Y)], fill=RED, width=3)
    goal = _to_pixel(0.0)
    draw.line([(goal, 60), (goal, AXIS_Y)], fill=GREEN, width=3)
    draw.text((goal, 50), "goal", GREEN, _font(14), anchor="mm")
    draw.text((WIDTH / 2, AXIS_Y + 45), "position x in m", GREY, _font(14), anchor="mm")
    return image


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _to_pixel(fraction: float) -> float:
    """Horizontal pixel coordinate of a position, given as a fraction of the position limit."""
    return WIDTH / 2 + fraction * (WIDTH / 2 - MARGIN)


class Window:
    """A window on the screen that shows frames at a steady pace.

    :param title: of the window
    :raises gymnasium.error.DependencyNotInstalled: without pygame
    """

    def __init__(self, title: str) -> None:
        try:
            import pygame
        except ImportError as error:
            raise DependencyNotInstalled(
                'render_mode "human" needs pygame: pip install "gymnasium[classic-control]"'
            ) from error
        self._pygame = pygame
        pygame.display.init()
        self.surface = pygame.display.set_mode((WIDTH, HEIGHT))
        pygame.display.set_caption(title)
        self._clock = pygame.time.Clock()

    def show(self, frame: NDArray[np.uint8], fps: int) -> None:
        """Show a frame of shape (200, 600, 3), no sooner than 1/fps s after the last one."""
        pygame = self._pygame
        pygame.event.pump()  # lets the window system know that the program is alive
        pygame.surfarray.blit_array(self.surface, frame.swapaxes(0, 1))
        self._clock.tick(fps)
        pygame.display.flip()

    def close(self) -> None:
        """Remove the window."""
        self._pygame.display.quit()
