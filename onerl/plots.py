"""A handful of kinds of figure in one style, drawn on pandas tables with seaborn.

    figure, (left, right) = plots.panels(1, 2, title="What is found, in one sentence")
    plots.curves(left, grid.curve("row 5"))              # lines with bands
    plots.intervals(right, grid.table())                 # dots with intervals
    plots.show(figure, folder / "figure.png", alt="What a reader who does not see it must know")

A table's index says where: a training step (`curves`), a group such as a category (`intervals`).
An outer level of the index, as `pandas.concat({"before": a, "after": b})` makes it, is the series.
Columns are `value`, `low` and `high`; rows without the last two have their mark alone, rows without
a value none. The paper's values (`paper=True`) are always vermilion diamonds and stand on axes of
their own: they are of another model, on other problems, without intervals. `beside`,
`training_curves`, `small_multiples` and `live` are whole figures.

Colours are Okabe and Ito's ("Color Universal Design", 2008), which colour-blind readers can tell
apart. Figures are unknown to pyplot, so nothing is drawn twice and nothing has to be closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
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

BASE = "base model"  # this series is grey, as its level is
FEW = 25  # points of a curve that are few enough for a marker each
PERCENT = (0.0, 100.0)
VERDICTS = {"right": BLUE, "wrong": ORANGE, "truncated": PURPLE}

Table = pd.DataFrame | pd.Series

# What seaborn leaves to the caller: nothing is averaged, and names of series are ours.
LINE = {"estimator": None, "errorbar": None, "legend": False, "linewidth": 1.6}
LINE |= {"markersize": 5, "markeredgewidth": 0}
DOTS = {"legend": False, "s": 28, "linewidth": 0, "zorder": 3}
CELLS = {"fmt": "", "linewidths": 1, "annot_kws": {"fontsize": 9.5, "color": BLACK}}
BARS = {"multiple": "stack", "stat": "percent", "alpha": 1, "linewidth": 0.3, "legend": False}


def series_style(number: int, paper: bool = False) -> dict:
    """Colour, marker and line style of a figure's n-th series; the paper's differ in the last."""
    number %= len(COLORS)
    if paper:
        return {"color": VERMILION, "marker": "D", "linestyle": PAPER_DASHES[number]}
    return {"color": COLORS[number], "marker": MARKERS[number], "linestyle": DASHES[number]}


def panels(
    rows: int = 1, columns: int = 1, height: float = 3.4, title: str = "", **shared
) -> tuple[Figure, list[Axes]]:
    """An empty figure, 8 by `height` inches, and its axes; `shared` is for `Figure.subplots`."""
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
    line = {"color": color, "linestyle": ":", "linewidth": 1.5, "zorder": 1.5}
    if not vertical:
        axis.axhline(value, label=label, **line)
        return
    axis.axvline(value, **line)
    place = {"xycoords": ("data", "axes fraction"), "xytext": (0, 2), "textcoords": "offset points"}
    axis.annotate(label, (value, 1), ha="center", color=color, fontsize=8.5, **place)


def logarithmic(axis: Axes) -> None:
    """A logarithmic vertical axis with decimal numbers, where values span at least a factor of 5.

    Below that, and where no value is above 0, it might have no number at all and stays linear.
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
    for line, height in zip(lines, places, strict=True):
        text = {"va": "center", "color": line.get_color(), "fontsize": size}
        place = {"xycoords": "axes fraction", "xytext": (4, 0), "textcoords": "offset points"}
        axis.annotate(line.get_label(), (1, height), **text, **place)


def legend(axis: Axes, columns: int = 4) -> None:
    """The names of one panel's series below the whole figure, if they have names."""
    handles, names = axis.get_legend_handles_labels()
    if names:
        place = {"loc": "outside lower center", "ncols": columns, "frameon": False}
        axis.figure.legend(handles, names, fontsize=9.5, **place)


def curves(axis: Axes, table: pd.DataFrame, paper: bool = False) -> None:
    """Lines with bands, a line per series; two points are joined by a thin line only.

    Where the column `interval` says that a series has intervals over seeds, the one over problems
    at step 0 is not drawn: the base model is the same for every seed.
    """
    for mark, name, rows in _series(table, paper):
        steps, values = rows.index.to_numpy(float), rows["value"].to_numpy(float)
        if len(rows) < 3:
            _dots(axis, rows, steps, values, "y", mark)
            mark |= {"linestyle": ":", "linewidth": 1}
        if len(rows) > FEW:
            mark |= {"marker": ""}
        seaborn.lineplot(x=steps, y=values, ax=axis, label=name, **LINE | mark)
        if "low" in rows and len(rows) > 2:
            bounds = rows[["low", "high"]].astype(float)
            if "interval" in rows and (seeds := rows["interval"] == "seeds").any():
                bounds = bounds.where(seeds, rows["value"], axis=0)
            band = {"color": mark["color"], "alpha": 0.2, "linewidth": 0}
            axis.fill_between(steps, bounds["low"], bounds["high"], **band)


def intervals(axis: Axes, table: pd.DataFrame, paper: bool = False) -> None:
    """Dots with intervals, a line per group from the top down, a marker per series on it.

    A categorical level of series keeps the colours of series that a panel lacks.
    """
    names = table.index.get_level_values(-1)
    groups, series = list(dict.fromkeys(names)), list(_series(table, paper))
    apart = 0.17 if names.has_duplicates else 0.0
    offsets = np.linspace(-apart, apart, len(series)) if len(series) > 1 else [0.0]
    for offset, (mark, name, rows) in zip(offsets, series, strict=True):
        places = [groups.index(group) + offset for group in rows.index]
        _dots(axis, rows, rows["value"], places, "x", mark, name)
    axis.set_yticks(range(len(groups)), groups)
    axis.set_ylim(len(groups) - 0.5, -0.5)


def scatter(axis: Axes, table: pd.DataFrame, x: str, paper: bool = False) -> None:
    """Dots with vertical intervals against the column `x`, a marker per series."""
    for mark, name, rows in _series(table, paper):
        _dots(axis, rows, rows[x], rows["value"], "y", mark, name)


def heat_map(
    axis: Axes, values: pd.DataFrame, texts: pd.DataFrame, limits: tuple[float, float], label: str
) -> None:
    """A coloured cell per value with its text; cells without a value stay empty.

    `limits` are the values at the ends of the colour scale, `label` is its name, "" for no bar.
    """
    (vmin, vmax), cmap = limits, seaborn.light_palette(SKY, as_cmap=True)
    scale = {"vmin": vmin, "vmax": vmax, "cbar": bool(label), "cbar_kws": {"label": label}}
    seaborn.heatmap(values.astype(float), annot=texts, cmap=cmap, ax=axis, **CELLS | scale)
    axis.tick_params(axis="y", rotation=0)
    axis.grid(visible=False)
    for name in axis.get_xticklabels():
        name.set(rotation=40, ha="right", rotation_mode="anchor")


def histogram(axis: Axes, table: pd.DataFrame, x: str, bins: Sequence[float]) -> None:
    """How often each size occurs, in percent, stacked by verdict; the mean as a line.

    Args:
        table: columns x and verdict (right, wrong or truncated).
        bins: edges of the bars, in units of x.
    """
    verdicts = [verdict for verdict in VERDICTS if (table["verdict"] == verdict).any()]
    hue = {"hue": "verdict", "hue_order": verdicts, "palette": VERDICTS}
    seaborn.histplot(table, x=x, bins=bins, ax=axis, **hue | BARS)
    for verdict, bars in zip(reversed(verdicts), axis.containers, strict=True):
        bars.set_label(verdict)
    level(axis, table[x].mean(), "mean", vertical=True)


def beside(ours: pd.DataFrame, paper: pd.Series, levels: Mapping[str, float], title: str) -> Figure:
    """Accuracy of arms, ours with intervals on the left, the paper's on the right.

    Args:
        ours: index arm; columns value, low, high, in percent.
        paper: the paper's value by arm and of "base model"; NaN or absent where it has none.
        levels: of the left panel, by name, such as the model before training; in percent.
    """
    figure, (left, right) = panels(1, 2, 1.8 + 0.3 * len(ours), title, sharey=True)
    intervals(left, ours)
    values = pd.to_numeric(paper)
    intervals(right, values.reindex(ours.index), paper=True)
    for name, value in levels.items():
        color = GREEN if "ceiling" in name else GREY
        level(left, value, name, color, vertical=True)
    if BASE in values:
        level(right, values[BASE], BASE, vertical=True)
    texts = {"held-out accuracy (%)": OURS, "best MATH500 (%)": PAPER}
    for axis, (label, text) in zip((left, right), texts.items(), strict=True):
        include(axis, x=PERCENT)
        axis.set_title(text.replace(": ", ":\n"), pad=16)  # narrow where names of arms are long
        axis.set_xlabel(label)
    return figure


def training_curves(
    metrics: pd.DataFrame,
    held_out: pd.DataFrame,
    ceiling: float | None = None,
    benchmark: str = "world",
) -> Figure:
    """Accuracy on the training example and on held-out problems, against the training step.

    Args:
        metrics: `Run.metrics`: columns step and reward (0 to 1).
        held_out: index step, 0 for the base model; columns value, low, high, in percent.
        ceiling: accuracy of the base model with the careful opening forced, in percent.
    """
    held_out = held_out.sort_index()
    values, last = held_out["value"], held_out.index[-1]
    title = f"Held-out accuracy: {values.iloc[0]:.0f} % at step {held_out.index[0]}"
    title += f", {values[last]:.0f} % at step {last}"
    figure, (axis,) = panels(height=3.8, title=title)
    reward = 100 * metrics.set_index("step")["reward"]
    series = {f"held-out, {benchmark}": held_out, "training reward": reward.to_frame("value")}
    curves(axis, pd.concat(series))
    if 0 in held_out.index:
        level(axis, values[0], BASE)
    if ceiling is not None:
        level(axis, ceiling, "elicitation ceiling", GREEN)
    axis.set(xlabel="training step", ylabel="accuracy (%), 95 % interval")
    include(axis, y=PERCENT)
    name_lines(axis)
    return figure


def small_multiples(
    kind: Callable, tables: Mapping[str, Table], title: str, columns: int = 3, height: float = 2.2
) -> tuple[Figure, list[Axes]]:
    """A panel per table, by title, `height` inches high; names of the series stand below them.

    All are of one kind: `curves` against the training step from 0 up, or `intervals` in percent.
    """
    columns = min(columns, len(tables))
    rows = -(-len(tables) // columns)
    groups = {tuple(table.index.get_level_values(-1).unique()) for table in tables.values()}
    same = kind is intervals and len(groups) == 1
    figure, axes = panels(rows, columns, rows * height + 0.6, title, sharey=same)
    while len(axes) > len(tables):
        axes.pop().remove()
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        kind(axis, table)
        axis.set_title(name)
        include(axis, **({"y": (0, 0)} if kind is curves else {"x": PERCENT}))
        if kind is curves and axis in axes[-columns:]:
            axis.set_xlabel("training step")
    legend(max(axes, key=lambda axis: len(axis.get_legend_handles_labels()[1])))
    return figure, axes


def live(rows: Sequence[Sequence[float]], steps: int) -> Figure:
    """A run so far, of as many steps: a row has step, reward (0 to 1) and mean length (tokens)."""
    table = pd.DataFrame(rows, columns=["step", "reward", "length"]).set_index("step")
    figure, axes = panels(1, 2, 2.6)
    titles = {"reward": "training reward (%)", "length": "response length (tokens)"}
    for axis, (name, title), scale in zip(axes, titles.items(), (100, 1), strict=True):
        curves(axis, scale * table[[name]].set_axis(["value"], axis=1))
        include(axis, x=(0, steps), y=PERCENT if scale == 100 else (0, 0))
        axis.set(title=title, xlabel="training step")
    return figure


def png(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as a PNG of its 256 most frequent colours, a third of the size of one of all.

    Only rare shades at the edges of lines and letters are replaced, by their nearest neighbour.
    """
    for axis in figure.axes:
        axis.title.set_fontsize(10)
    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    pixels = np.asarray(Image.open(drawn).convert("RGB"), dtype=int)  # (height, width, 3)
    coded = pixels @ (65536, 256, 1)
    coded, inverse, counts = np.unique(coded, return_inverse=True, return_counts=True)
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


def _series(table: Table, paper: bool) -> Iterator[tuple]:
    """Style, name and rows of each series, in the order of the table or of its categories."""
    table = table.to_frame("value") if isinstance(table, pd.Series) else table
    if table.index.nlevels == 1:
        yield series_style(0, paper), None, table
        return
    names = table.index.get_level_values(0)
    order = names.categories if isinstance(names, pd.CategoricalIndex) else names.unique()
    number = 0
    for name in order:
        mark = series_style(number, paper) | ({"color": GREY} if name == BASE else {})
        number += name != BASE
        if len(rows := table[names == name]):
            yield mark, name, rows.droplevel(0)


def _dots(axis: Axes, rows: pd.DataFrame, x, y, bars: str, mark: dict, name=None) -> None:
    """Dots at (x, y), with the intervals of the rows along one direction, "x" or "y"."""
    color, marker = mark["color"], mark["marker"]
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if "low" in rows:
        # A bound that rounding has put on the wrong side of its value is a bar of length 0.
        sides = np.array([rows["value"] - rows["low"], rows["high"] - rows["value"]], dtype=float)
        sides = {f"{bars}err": sides.clip(min=0)}
        axis.errorbar(x, y, fmt="none", color=color, capsize=3, elinewidth=1.5, **sides)
    seaborn.scatterplot(x=x, y=y, ax=axis, label=name, color=color, marker=marker, **DOTS)
