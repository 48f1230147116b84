"""The kinds of figure: each draws one table on one axis.

A table's index says where: a training step (`curves`), a group such as a category (`intervals`).
An outer level of the index, as `pandas.concat({"before": a, "after": b})` makes it, is the series.
Columns are `value`, `low` and `high`; without the last two no interval is drawn. Rows without a
value have no mark, and a value without an interval has its mark alone.

The last three functions are whole figures that more than one notebook shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from onerl.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAPER,
    PURPLE,
    include,
    level,
    name_lines,
    panels,
    series_style,
)

FEW = 25  # points of a curve that are few enough for a marker each
PERCENT = (0.0, 100.0)
VERDICTS = {"right": BLUE, "wrong": ORANGE, "truncated": PURPLE}


def curves(axis: Axes, table: pd.DataFrame, paper: bool = False) -> None:
    """Lines with bands, a line per series; two points are joined by a thin line only.

    Where the column `interval` says that a series has intervals over seeds, the one over problems
    at step 0 is not drawn: the base model is the same for every seed.

    Args:
        table: index step, or (series, step); columns value, low, high, interval.
        paper: whether these are the paper's values.
    """
    for style, name, rows in _series(table, paper):
        steps, values = rows.index.to_numpy(float), rows["value"].to_numpy(float)
        if len(rows) < 3:
            _dots(axis, rows, steps, values, "y", style)
            style |= {"linestyle": ":", "linewidth": 1}
        seaborn.lineplot(
            x=steps,
            y=values,
            ax=axis,
            label=name,
            legend=False,
            errorbar=None,
            estimator=None,
            markersize=5,
            markeredgewidth=0,
            **{"linewidth": 1.6, **style, "marker": style["marker"] if len(rows) <= FEW else ""},
        )
        if "low" in rows and len(rows) > 2:
            bounds = rows[["low", "high"]].astype(float)
            if "interval" in rows and (seeds := rows["interval"] == "seeds").any():
                bounds = bounds.where(seeds, rows["value"], axis=0)
            axis.fill_between(
                steps, bounds["low"], bounds["high"], color=style["color"], alpha=0.2, linewidth=0
            )


def intervals(axis: Axes, table: pd.DataFrame, paper: bool = False) -> None:
    """Dots with intervals, a line per group from the top down, a marker per series on it.

    Args:
        table: index group, or (series, group); columns value, low, high.
        paper: whether these are the paper's values.
    """
    groups = list(dict.fromkeys(table.index.get_level_values(-1)))
    several = table.index.nlevels > 1 and len(set(table.index.get_level_values(0)))
    offsets = np.linspace(-0.17, 0.17, several) if several and several > 1 else [0.0]
    for offset, (style, name, rows) in zip(offsets, _series(table, paper), strict=True):
        places = [groups.index(group) + offset for group in rows.index]
        _dots(axis, rows, rows["value"], places, "x", style, name)
    axis.set_yticks(range(len(groups)), groups)
    axis.set_ylim(len(groups) - 0.5, -0.5)
    axis.grid(axis="x", visible=True)


def scatter(axis: Axes, table: pd.DataFrame, x: str, paper: bool = False) -> None:
    """Dots with vertical intervals against a column, a marker per series.

    Args:
        table: index anything, or (series, anything); columns x, value, low, high.
        paper: whether these are the paper's values.
    """
    for style, name, rows in _series(table, paper):
        _dots(axis, rows, rows[x], rows["value"], "y", style, name)


def heat_map(
    axis: Axes, values: pd.DataFrame, texts: pd.DataFrame, limits: tuple[float, float], label: str
) -> None:
    """A coloured cell per value with a text in it; cells without a value stay empty.

    Args:
        values, texts: of the same rows and columns.
        limits: the values at the two ends of the colour scale.
        label: of the colour bar; "" for none.
    """
    seaborn.heatmap(
        values.astype(float),
        annot=texts,
        fmt="",
        vmin=limits[0],
        vmax=limits[1],
        cmap=seaborn.light_palette(BLUE, as_cmap=True),
        linewidths=1,
        annot_kws={"fontsize": 9.5},
        cbar=bool(label),
        cbar_kws={"label": label} if label else None,
        ax=axis,
    )
    axis.tick_params(axis="y", rotation=0)


def histogram(axis: Axes, table: pd.DataFrame, x: str, bins: Sequence[float]) -> None:
    """How often each size occurs, in percent, stacked by verdict; the mean as a line.

    Args:
        table: columns x and verdict (right, wrong or truncated).
        bins: edges of the bars, in units of x.
    """
    seaborn.histplot(
        table,
        x=x,
        hue="verdict",
        hue_order=list(VERDICTS),
        palette=VERDICTS,
        bins=bins,
        multiple="stack",
        stat="percent",
        alpha=1,
        linewidth=0.3,
        legend=False,
        ax=axis,
    )
    level(axis, table[x].mean(), "mean", vertical=True)


def beside(
    ours: pd.DataFrame,
    paper: pd.Series,
    levels: Mapping[str, float],
    title: str,
    panel: str = "recorded: embedded world, held-out",
) -> Figure:
    """Accuracy of arms, ours with intervals on the left, the paper's on the right.

    Args:
        ours: index arm; columns value, low, high, in percent.
        paper: the paper's value by arm and of "base model"; NaN or absent where it has none.
        levels: of the left panel, by name, such as the model before training; in percent.
        title: what the figure shows, as a sentence.
    """
    height = 1.7 + 0.3 * len(ours)
    figure, (left, right) = panels(1, 2, height, title, sharey=True)
    intervals(left, ours)
    values = pd.to_numeric(paper)
    intervals(right, values.reindex(ours.index).to_frame("value"), paper=True)
    for name, value in levels.items():
        level(left, value, name, GREEN if "ceiling" in name else GREY, vertical=True)
    if "base model" in values:
        level(right, values["base model"], "base model", vertical=True)
    for axis, text, label in (
        (left, panel, "accuracy (%), 95 % interval"),
        (right, PAPER, "MATH500 accuracy (%), best checkpoint"),
    ):
        include(axis, x=PERCENT)
        axis.set_title(text, pad=16)
        axis.set_xlabel(label)
    return figure


def training_curves(
    metrics: pd.DataFrame,
    held_out: pd.DataFrame,
    title: str,
    ceiling: float | None = None,
    benchmark: str = "world",
) -> Figure:
    """Accuracy on the training example and on held-out problems, against the training step.

    Args:
        metrics: `Run.metrics`: columns step and reward (0 to 1).
        held_out: index step, 0 for the base model; columns value, low, high, in percent. Two
            steps are drawn as two points: nothing was measured between them.
        title: what the figure shows, as a sentence.
        ceiling: accuracy of the base model with the careful opening forced, in percent.
    """
    figure, (axis,) = panels(height=3.8, title=title)
    reward = 100 * metrics.set_index("step")[["reward"]].set_axis(["value"], axis=1)
    curves(axis, pd.concat({f"held-out, {benchmark}": held_out, "training reward": reward}))
    if 0 in held_out.index:
        level(axis, held_out["value"][0], "base model")
    if ceiling is not None:
        level(axis, ceiling, "elicitation ceiling", GREEN)
    axis.set(xlabel="training step", ylabel="accuracy (%), 95 % interval")
    include(axis, y=PERCENT)
    name_lines(axis)
    return figure


def live(rows: Sequence[Sequence[float]], steps: int) -> Figure:
    """A run so far: training reward and response length against the step.

    Args:
        rows: (step, reward from 0 to 1, mean response length in tokens) of each step done.
        steps: of the whole run.
    """
    table = pd.DataFrame(rows, columns=["step", "reward", "length"]).set_index("step")
    figure, axes = panels(1, 2, 2.6)
    titles = {"reward": "training reward (%)", "length": "response length (tokens)"}
    for axis, (name, title), scale in zip(axes, titles.items(), (100, 1), strict=True):
        curves(axis, scale * table[[name]].set_axis(["value"], axis=1))
        include(axis, x=(0, steps), y=PERCENT if scale == 100 else (0, 0))
        axis.set(title=title, xlabel="training step")
    return figure


def _series(table: pd.DataFrame, paper: bool) -> Iterator[tuple[dict, str | None, pd.DataFrame]]:
    """Style, name and rows of each series, in the order of the table."""
    if table.index.nlevels == 1:
        yield series_style(0, paper), None, table
        return
    for number, name in enumerate(dict.fromkeys(table.index.get_level_values(0))):
        yield series_style(number, paper), name, table.loc[name]


def _dots(axis: Axes, rows: pd.DataFrame, x, y, bars: str, style: dict, name=None) -> None:
    """Dots at (x, y), with the intervals of the rows along one direction, "x" or "y"."""
    color = style["color"]
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if "low" in rows:
        # A bound that rounding has put on the wrong side of its value is a bar of length 0.
        sides = np.array([rows["value"] - rows["low"], rows["high"] - rows["value"]], dtype=float)
        sides = {f"{bars}err": sides.clip(min=0)}
        axis.errorbar(x, y, fmt="none", color=color, capsize=3, elinewidth=1.5, **sides)
    seaborn.scatterplot(
        x=x,
        y=y,
        ax=axis,
        label=name,
        legend=False,
        color=color,
        marker=style["marker"],
        s=36,
        linewidth=0,
        zorder=3,
    )
