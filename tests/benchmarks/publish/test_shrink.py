"""The small figures of published results."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from benchmarks.plot_style import COLOURS
from benchmarks.publish.folder import PNG_WIDTH, shrink


def test_a_small_figure_keeps_the_colours_of_all_its_lines(tmp_path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6.4, 4.0))
    for row, colour in enumerate(COLOURS):
        steps = np.linspace(0, 10, 50)
        axes.plot(steps, np.sin(steps + row) + row / 5, color=colour, label=str(row))
        axes.fill_between(steps, row / 5, row / 5 + 1, color=colour, alpha=0.1)
    axes.legend()
    figure.savefig(tmp_path / "large.png", dpi=150)
    plt.close(figure)
    shrink(tmp_path / "large.png", tmp_path / "small.png")
    with Image.open(tmp_path / "small.png") as image:
        assert image.width == PNG_WIDTH
        pixels = np.asarray(image.convert("RGB"), dtype=float).reshape(-1, 3)
    for colour in COLOURS:
        distance = np.abs(pixels - 255 * np.array(to_rgb(colour))).max(axis=1).min()
        assert distance < 16, colour  # 8 bits a channel; the closest two colours are 63 apart
