"""The one style of all figures, and how a notebook shows them.

Colours are Okabe and Ito's ("Color Universal Design", 2008), which colour-blind readers can tell
apart; series also differ in marker and line style. Figures are unknown to pyplot, so nothing is
drawn twice and nothing has to be closed.
"""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import seaborn
from IPython import display
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from PIL import Image

BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#666666"
COLORS = (BLUE, ORANGE, GREEN, SKY, BLACK, PURPLE)  # of the series, in this order
MARKERS = ("o", "s", "^", "v", "P", "X")
DASHES = ("-", "-", "--", "-.", ":", (0, (6, 1, 1, 1)))
PAPER_DASHES = (*DASHES[1:], (0, (1, 4)))
OURS, PAPER = "recorded: embedded world", "the paper: Qwen2.5-Math-1.5B"
WIDTH = 8.0  # inches; a notebook shows 100 pixels per inch
DPI = 200
STYLE = {
    **seaborn.axes_style("whitegrid"),
    **seaborn.plotting_context("paper", font_scale=1.05),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e4e4e4",
}


def series_style(number: int, paper: bool = False) -> dict:
    """Colour, marker and line style of a figure's n-th series; the paper's differ in the last."""
    number %= len(COLORS)
    if paper:
        return {"color": VERMILION, "marker": "D", "linestyle": PAPER_DASHES[number]}
    return {"color": COLORS[number], "marker": MARKERS[number], "linestyle": DASHES[number]}


def panels(
    rows: int = 1, columns: int = 1, height: float = 3.4, title: str = "", **shared
) -> tuple[Figure, list[Axes]]:
    """An empty figure and its axes, row by row.

    Args:
        height: of the whole figure, in inches; its width is always 8.
        shared: further arguments of `Figure.subplots`, such as sharey=True.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **shared).ravel().tolist()
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", wrap=True)
    return figure, axes


def include(axis: Axes, **ranges: tuple[float, float]) -> None:
    """Make the axis show at least these values of x or y, such as y=(0, 100), and what it has."""
    for name, values in ranges.items():
        getattr(axis.dataLim, f"update_from_data_{name}")(values, ignore=False)
    axis.autoscale_view()


def level(axis: Axes, value: float, label: str, color: str = GREY, vertical: bool = False) -> None:
    """A dotted line at one value; a vertical one is named here, others by `name_lines`."""
    label = f"{label} {value:.3g}"
    style = {"color": color, "linestyle": ":", "linewidth": 1.5, "zorder": 1.5}
    if not vertical:
        axis.axhline(value, label=label, **style)
        return
    axis.axvline(value, **style)
    place = {"xycoords": ("data", "axes fraction"), "xytext": (0, 2), "textcoords": "offset points"}
    axis.annotate(label, (value, 1), ha="center", color=color, fontsize=8.5, **place)


def logarithmic(axis: Axes) -> None:
    """A logarithmic vertical axis with decimal numbers.

    It stays linear where no value is above 0, and where those that are span less than a factor of
    5, because it might then have no number at all.
    """
    heights = np.concatenate([np.asarray(line.get_ydata(), float) for line in axis.get_lines()])
    heights = heights[heights > 0]
    if not len(heights):
        axis.set_ylim(-0.05, 1)
    elif heights.max() >= 5 * heights.min():
        axis.set_yscale("log", nonpositive="mask")
        steps = (1, 2, 5) if heights.max() < 100 * heights.min() else (1,)
        axis.yaxis.set_major_locator(LogLocator(subs=steps))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("")


def name_lines(axis: Axes) -> None:
    """Write each line's label beside its right end, in its colour; no two labels overlap."""
    named = [line for line in axis.get_lines() if not line.get_label().startswith("_")]
    lines = [line for line in named if len(line.get_ydata())]
    lines.sort(key=lambda line: line.get_ydata()[-1])
    axis.figure.draw_without_rendering()  # lays out, so that heights are known
    size = 9.0
    gap = 1.35 * size / 72 * axis.figure.dpi / axis.bbox.height
    to_fraction = axis.transData + axis.transAxes.inverted()
    places = [to_fraction.transform((0, line.get_ydata()[-1]))[1] for line in lines]
    for _ in range(100):  # move neighbours that touch apart, each by half of what is missing
        for below, above in pairwise(range(len(places))):
            missing = max(0.0, places[below] + gap - places[above])
            places[below] -= missing / 2
            places[above] += missing / 2
    for line, place in zip(lines, places, strict=True):
        text = {"va": "center", "color": line.get_color(), "fontsize": size}
        beside = {"xycoords": "axes fraction", "xytext": (4, 0), "textcoords": "offset points"}
        axis.annotate(line.get_label(), (1, place), **text, **beside)


def legend(axis: Axes, columns: int = 4) -> None:
    """The names of one panel's series below the whole figure, if they have names."""
    handles, names = axis.get_legend_handles_labels()
    if names:
        place = {"loc": "outside lower center", "ncols": columns, "frameon": False}
        axis.figure.legend(handles, names, fontsize=9.5, **place)


def png(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as a PNG of at most 256 colours, a third of the size of one of all colours.

    The most frequent colours stay exactly what they are, so every flat area does; what is replaced
    by its nearest neighbour are rare shades at the edges of lines and letters.
    """
    for axis in figure.axes:
        axis.title.set_fontsize(10)
    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    pixels = np.asarray(Image.open(drawn).convert("RGB"), dtype=int)  # (height, width, 3)
    coded, inverse, counts = np.unique(
        pixels @ (65536, 256, 1), return_inverse=True, return_counts=True
    )
    colors = coded[:, None] // (65536, 256, 1) % 256  # (colours, 3)
    palette = colors[np.argsort(-counts)[:256]]  # (at most 256, 3)
    nearest = ((colors[:, None] - palette) ** 2).sum(axis=-1).argmin(axis=1)  # (colours,)
    picture = Image.fromarray(nearest[inverse].reshape(pixels.shape[:2]).astype(np.uint8))
    picture.putpalette(palette.astype(np.uint8).tobytes())
    picture.save(small, "PNG", optimize=True)
    return small.getvalue()


def show(figure: Figure, path: str | Path, *, alt: str, dpi: int = DPI) -> display.Image:
    """Write the figure as a PNG, and return it for display as the last line of a cell.

    Args:
        alt: what is drawn, for readers who do not see it; the figure's title is put before it.
        dpi: a notebook stays under 200 kB if a figure full of words or noise has 150.

    Raises:
        ValueError: alt is empty.
    """
    if not alt.strip():
        raise ValueError("alt: a figure needs a text for readers who do not see it, got none")
    path, data = Path(path), png(figure, dpi)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    alt = f"{figure.get_suptitle()}. {alt}"
    return display.Image(data, width=round(100 * figure.get_figwidth()), alt=alt)
