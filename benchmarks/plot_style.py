"""How all figures are drawn: colours, curves, axis limits, legends, files."""

import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")  # no display is needed
if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
    # Without a display MuJoCo's default aborts the process, and pygame's reports an error.
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from benchmarks.analysis.load import Results, curve_matrix, groups
from benchmarks.analysis.statistics import Values, student_interval
from benchmarks.table import number
from envs.controllers import CONTROLLERS

matplotlib.rcdefaults()  # else a matplotlibrc, even in the working folder, changes all figures

# Okabe and Ito's colours and Paul Tol's wine (his "muted" scheme), which the colour-blind can tell
# apart; line styles and markers tell them apart without colours.
POSITION, VELOCITY = "#D00000", "#0040D0"  # red and blue, as in the article
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255")
LINE_PATTERNS = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "p")
DASHES = ((1, 1), (4, 2), (1, 3), (9, 2), (9, 2, 1, 2), (3, 2, 1, 2, 1, 2), (9, 6))
SETTINGS: Any = {
    "svg.hashsalt": "td3-rocket-benchmark",
    "axes.grid": True,
    "grid.alpha": 0.3,
    "text.parse_math": False,
}  # parse_math: a name may have dollar signs
SIZE = (6.4, 3.8)  # inches, without a legend
FONT_SIZE = 10.0  # points
FORMATS = ("png", "svg", "pdf")
DPI = 150
OPTIMUM = "optimum"
FEW_POWERS = 50.0  # below this ratio of its ends, a logarithmic axis has numbers between powers
MIN_BAND = 5  # runs: fewer are drawn one by one, without an interval
# Pendulum-v1: 200 steps at an angle of pi, 8 rad/s and full torque. The rockets: 500 steps at 2 m/s
# away from the origin, each of which costs 20, and a crash.
LEAST_RETURNS = {
    "Pendulum-v1": -200 * (np.pi**2 + 0.1 * 8**2 + 0.001 * 2**2),
    "rocket-v0": -500 * 20.0 - 500.0,
}
ReferenceLines = Mapping[str, float]  # name -> mean return
LineStyle = dict[str, Any]


class FigureStyle(NamedTuple):
    """How figures are drawn and kept.

    :param formats: of the files, each one of FORMATS
    :param width: in inches; None for each figure's own
    :param font_size: in points; None for each figure's own
    """

    formats: tuple[str, ...] = ("png", "svg")
    width: float | None = None
    font_size: float | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Size of most figures, in inches, without a legend."""
        width = self.width or SIZE[0]
        return width, SIZE[1] * width / SIZE[0]

    @property
    def room(self) -> float:
        """Letters that a line holds, as a fraction of those at the usual width and font size."""
        return self.size[0] / SIZE[0] * FONT_SIZE / (self.font_size or FONT_SIZE)


DEFAULT_FIGURE_STYLE = FigureStyle()
FIGURE_STYLE: ContextVar[FigureStyle] = ContextVar(
    "FIGURE_STYLE", default=DEFAULT_FIGURE_STYLE
)  # of the figures being drawn


@contextmanager
def using_figure_style(style: FigureStyle) -> Iterator[None]:
    """Draw all figures in the ``with`` block like this."""
    settings: Any = {"pdf.fonttype": 42}  # TrueType fonts, which journals ask for
    if style.font_size is not None:
        settings["font.size"] = style.font_size
    token = FIGURE_STYLE.set(style)
    try:
        with plt.rc_context(settings):
            yield
    finally:
        FIGURE_STYLE.reset(token)


class Picture(NamedTuple):
    """A figure for the files ``<name>.png``, ``<name>.svg`` and ``<name>.pdf``, or some of them.

    :param short: what is shown, in at most two sentences
    :param notes: how to read it
    :param pdf: empty unless it is among the formats
    :param formats: of the files
    """

    name: str
    title: str
    short: str
    notes: str = ""
    png: bytes = b""
    svg: bytes = b""
    pdf: bytes = b""
    formats: tuple[str, ...] = ("png", "svg")

    @property
    def caption(self) -> str:
        """What is shown, and how to read it."""
        return f"{self.short} {self.notes}".strip()

    @property
    def files(self) -> dict[str, bytes]:
        """The files' content by name."""
        return {f"{self.name}.{kind}": getattr(self, kind) for kind in self.formats}


def draw_curves(
    axes: Axes, results: Results, env_id: str, column: str, half_std: bool
) -> list[Values]:
    """Draw every implementation; returns mean, low and high end (num_evaluations,) of each."""
    drawn = []
    for label, style in line_styles_of(results, env_id).items():
        timesteps, runs = curve_matrix(results, env_id, label, column)
        mean, low, high = np.array([student_interval(point) for point in runs.T]).T
        if len(runs) < MIN_BAND:
            axes.plot(timesteps, runs.T, color=style["color"], linewidth=0.6, alpha=0.7)
            low, high = runs.min(axis=0), runs.max(axis=0)
        else:
            if half_std:
                half = runs.std(axis=0, ddof=1) / 2
                low, high = mean - half, mean + half
            least, most = possible_range(results, env_id, column)
            low, high = np.maximum(low, least), np.minimum(high, np.maximum(mean, most))
            axes.fill_between(timesteps, low, high, color=style["color"], alpha=0.2, linewidth=0)
        every = max(1, len(timesteps) // 10)
        axes.plot(timesteps, mean, label=f"{label} (n = {len(runs)})", markevery=every, **style)
        drawn += [mean, low, high]
    axes.xaxis.set_major_locator(ticker.MaxNLocator(5))
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("environment steps")
    return drawn


def possible_range(results: Results, env_id: str, column: str) -> tuple[float, float]:
    """The least and greatest mean return or regret that a policy can have, where known.

    :param column: mean_return or mean_regret
    """
    row = results.curves.query("env_id == @env_id").iloc[0]
    optimum = float(row["mean_return"] + row["mean_regret"])
    least, most = LEAST_RETURNS.get(env_id, -np.inf), np.inf if np.isnan(optimum) else optimum
    return (0.0, most - least) if column == "mean_regret" else (least, most)


def draw_reference_lines(axes: Axes, levels: ReferenceLines) -> None:
    """Draw horizontal lines, each controller's in its own dashes."""
    dashes = dict(zip(CONTROLLERS, DASHES, strict=True))
    for name, level in levels.items():
        style: LineStyle = {"color": "black", "linestyle": "-"}
        if name != OPTIMUM:
            style = {"color": "0.4", "linestyle": (0, dashes[name])}
        axes.axhline(level, linewidth=1.2, label=f"{name}: {number(level)}", **style)


def robust_limits(
    results: Results, env_id: str, drawn: Iterable[ArrayLike], column: str = "mean_return"
) -> tuple[float, float]:
    """Ends of an axis of returns that diverged runs and very bad controllers cannot stretch.

    They enclose all that is drawn within a range: the one that median curves cross in learning,
    widened by half its width on both sides.
    """
    medians = [
        np.median(curve_matrix(results, env_id, label, column)[1], axis=0)
        for label in line_styles_of(results, env_id)
    ]
    low = min(max(median.min() for median in medians), *(median[0] for median in medians))
    high = max(median.max() for median in medians)
    values = np.concatenate([np.ravel(part) for part in drawn])
    values = values[np.isfinite(values)]
    room = (high - low) / 2
    inside = values[(values >= low - room) & (values <= high + room)]
    if room > 0 and len(inside):
        values = inside
    pad = 0.04 * float(np.ptp(values)) or 1.0
    return float(values.min()) - pad, float(values.max()) + pad


def line_styles_of(results: Results, env_id: str | None = None) -> dict[str, LineStyle]:
    """How each implementation is drawn: in the same way in all figures of a report.

    :param env_id: only those that ran there
    """
    pairs = groups(results)
    labels = sorted({label for _, label in pairs}, key=lambda x: (x in results.elsewhere, x))
    styles = {
        label: {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": LINE_PATTERNS[i % len(LINE_PATTERNS)],
            "marker": MARKERS[i % len(MARKERS)],
            "markersize": 4,
        }
        for i, label in enumerate(labels)
    }
    return {
        label: style
        for label, style in styles.items()
        if env_id is None or (env_id, label) in pairs
    }


def band_text(results: Results, env_id: str, half_std: bool) -> str:
    """What a caption says of the spread of an environment's curves."""
    most = results.finals.query("env_id == @env_id").groupby("label").size().max()
    if most < MIN_BAND:
        return "each run being a thin line"
    return "± half a standard deviation" if half_std else "with its 95% Student interval"


def set_log_scale(axes: Axes) -> None:
    """Make the axis of values logarithmic, with plain numbers; a short axis has more of them."""

    def between(value: float, _: int) -> str:
        low, high = axes.get_ylim()
        is_told = high < FEW_POWERS * low and f"{value:e}"[0] in "235"
        return f"{value:,g}" if is_told else ""

    axes.set_yscale("log", nonpositive="clip")
    axes.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:,g}"))
    axes.yaxis.set_minor_formatter(ticker.FuncFormatter(between))


def set_limits(axes: Axes, low: float, high: float) -> None:
    """Set the ends of the axis of values, and say in the legend how far curves go beyond."""
    for line in axes.get_lines():
        values, label = np.asarray(line.get_ydata()), str(line.get_label())
        if not label.startswith("_") and np.ptp(values):
            if values.min() < low:
                label += f", down to {number(values.min())} \u2193"
            if values.max() > high:
                label += f", up to {number(values.max())} \u2191"
            line.set_label(label)
    axes.set_ylim(low, high)


def finish(figure: Figure, name: str, title: str, short: str, notes: str = "") -> Picture:
    """Add a title, and a legend in its own space below the axes, and draw the figure.

    The legend names what can be seen; the notes name the lines that lie outside.
    """
    (axes,) = figure.axes
    axes.set_title(title, fontsize="medium")
    if FIGURE_STYLE.get().room < 1:  # break labels that may be longer than their axes
        axes.set_xlabel(axes.get_xlabel().replace(": ", ":\n"))
        axes.set_ylabel(axes.get_ylabel().replace(" = ", " =\n").replace(", ", ",\n"))
    handles, texts = axes.get_legend_handles_labels()
    room = axes.bbox.padded(1.0)
    hidden = [not room.count_overlaps([each.get_window_extent()]) for each in handles]
    outside = [text for text, is_hidden in zip(texts, hidden, strict=True) if is_hidden]
    handles = [each for each, is_hidden in zip(handles, hidden, strict=True) if not is_hidden]
    if handles:
        style, longest = FIGURE_STYLE.get(), max(map(len, texts))
        columns = 3 if longest <= 20 * style.room else 2
        if style.room < 1 and longest > 40 * style.room:
            columns = 1
        width, height = figure.get_size_inches()
        line = 0.2 * (style.font_size or FONT_SIZE) / FONT_SIZE
        figure.set_size_inches(width, height + line * -(-len(handles) // columns))
        figure.legend(handles=handles, loc="outside lower center", ncols=columns,
                      fontsize="small", frameon=False, handlelength=3.5)  # fmt: skip
    if outside:
        notes += f" Outside the axes: {', '.join(outside)}."
    return Picture(
        name, title, short, notes.strip(), *save_figure(figure), formats=FIGURE_STYLE.get().formats
    )


def save_figure(figure: Figure) -> tuple[bytes, bytes, bytes]:
    """A figure as PNG, SVG and PDF, the same bytes for the same figure; it is closed.

    The PDF is empty unless it is asked for. Call it with SETTINGS in force.
    """
    png, svg, pdf = io.BytesIO(), io.BytesIO(), io.BytesIO()
    # Not by savefig, which draws everything twice, the first time only for the layout.
    usual = figure.dpi
    figure.set_dpi(DPI)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(png, metadata={"Software": None})
    figure.set_dpi(usual)
    figure.set_layout_engine("none")  # keeps the layout of the first drawing
    canvas = FigureCanvasSVG(figure)
    canvas.print_svg(svg, metadata={"Date": None})
    if "pdf" in FIGURE_STYLE.get().formats:
        from matplotlib.backends.backend_pdf import FigureCanvasPdf

        figure.set_dpi(usual)  # print_svg has changed it
        canvas = FigureCanvasPdf(figure)
        canvas.print_pdf(pdf, metadata={"CreationDate": None})
    plt.close(figure)
    return png.getvalue(), svg.getvalue(), pdf.getvalue()
