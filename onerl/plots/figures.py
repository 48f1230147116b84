"""The kinds of figure: each draws one table on one axis.

A table's index says where: a training step (`curves`), a group such as a category (`intervals`).
An outer level of the index, as `pandas.concat({"before": a, "after": b})` makes it, is the series.
Columns are `value`, `low` and `high`; without the last two no interval is drawn. Rows without a
value have no mark, and a value without an interval has its mark alone. `paper` says that they are
the paper's values.

`beside`, `training_curves`, `small_multiples` and `live` are whole figures; their titles say what
they show, as a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from onerl.plots import style

BASE = "base model"  # this series is grey, as its level is
FEW = 25  # points of a curve that are few enough for a marker each
PERCENT = (0.0, 100.0)
VERDICTS = {"right": style.BLUE, "wrong": style.ORANGE, "truncated": style.PURPLE}

# What seaborn leaves to the caller: nothing is averaged, and names of series are ours.
LINE = {"estimator": None, "errorbar": None, "legend": False, "linewidth": 1.6}
LINE |= {"markersize": 5, "markeredgewidth": 0}
DOTS = {"legend": False, "s": 28, "linewidth": 0, "zorder": 3}
CELLS = {"fmt": "", "linewidths": 1, "annot_kws": {"fontsize": 9.5, "color": style.BLACK}}
BARS = {"multiple": "stack", "stat": "percent", "alpha": 1, "linewidth": 0.3, "legend": False}


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
    """A coloured cell per value with its text in it; cells without a value stay empty.

    Args:
        limits: the values at the two ends of the colour scale.
        label: of the colour bar; "" for none.
    """
    scale = dict(zip(("vmin", "vmax"), limits, strict=True), cbar=bool(label))
    scale |= {"cmap": seaborn.light_palette(style.SKY, as_cmap=True), "cbar_kws": {"label": label}}
    seaborn.heatmap(values.astype(float), annot=texts, ax=axis, **CELLS | scale)
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
    style.level(axis, table[x].mean(), "mean", vertical=True)


def beside(ours: pd.DataFrame, paper: pd.Series, levels: Mapping[str, float], title: str) -> Figure:
    """Accuracy of arms, ours with intervals on the left, the paper's on the right.

    Args:
        ours: index arm; columns value, low, high, in percent.
        paper: the paper's value by arm and of "base model"; NaN or absent where it has none.
        levels: of the left panel, by name, such as the model before training; in percent.
    """
    figure, (left, right) = style.panels(1, 2, 1.8 + 0.3 * len(ours), title, sharey=True)
    intervals(left, ours)
    values = pd.to_numeric(paper)
    intervals(right, values.reindex(ours.index), paper=True)
    for name, value in levels.items():
        color = style.GREEN if "ceiling" in name else style.GREY
        style.level(left, value, name, color, vertical=True)
    if BASE in values:
        style.level(right, values[BASE], BASE, vertical=True)
    texts = {"held-out accuracy (%)": style.OURS, "best MATH500 (%)": style.PAPER}
    for axis, (label, text) in zip((left, right), texts.items(), strict=True):
        style.include(axis, x=PERCENT)
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
    figure, (axis,) = style.panels(height=3.8, title=title)
    reward = 100 * metrics.set_index("step")["reward"]
    series = {f"held-out, {benchmark}": held_out, "training reward": reward.to_frame("value")}
    curves(axis, pd.concat(series))
    if 0 in held_out.index:
        style.level(axis, values[0], BASE)
    if ceiling is not None:
        style.level(axis, ceiling, "elicitation ceiling", style.GREEN)
    axis.set(xlabel="training step", ylabel="accuracy (%), 95 % interval")
    style.include(axis, y=PERCENT)
    style.name_lines(axis)
    return figure


def small_multiples(
    kind: Callable[[Axes, pd.DataFrame], None],
    tables: Mapping[str, pd.DataFrame | pd.Series],
    title: str,
    columns: int = 3,
    height: float = 2.2,
) -> tuple[Figure, list[Axes]]:
    """A panel per table, all of one kind; the names of the series stand below the figure.

    Args:
        kind: `curves`, against the training step and from 0 up, or `intervals`, in percent.
        tables: by the title of their panel.
        columns: panels in a row, at most.
        height: of a panel, in inches.
    """
    columns = min(columns, len(tables))
    rows = -(-len(tables) // columns)
    groups = {tuple(table.index.get_level_values(-1).unique()) for table in tables.values()}
    same = kind is intervals and len(groups) == 1
    figure, axes = style.panels(rows, columns, rows * height + 0.6, title, sharey=same)
    for axis in axes[len(tables) :]:
        axis.remove()
    axes = axes[: len(tables)]
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        kind(axis, table)
        axis.set_title(name)
        style.include(axis, **({"y": (0, 0)} if kind is curves else {"x": PERCENT}))
        if kind is curves and axis in axes[-columns:]:
            axis.set_xlabel("training step")
    style.legend(max(axes, key=lambda axis: len(axis.get_legend_handles_labels()[1])))
    return figure, axes


def live(rows: Sequence[Sequence[float]], steps: int) -> Figure:
    """A run so far: training reward and response length against the step.

    Args:
        rows: (step, reward from 0 to 1, mean response length in tokens) of each step done.
        steps: of the whole run.
    """
    table = pd.DataFrame(rows, columns=["step", "reward", "length"]).set_index("step")
    figure, axes = style.panels(1, 2, 2.6)
    titles = {"reward": "training reward (%)", "length": "response length (tokens)"}
    for axis, (name, title), scale in zip(axes, titles.items(), (100, 1), strict=True):
        curves(axis, scale * table[[name]].set_axis(["value"], axis=1))
        style.include(axis, x=(0, steps), y=PERCENT if scale == 100 else (0, 0))
        axis.set(title=title, xlabel="training step")
    return figure


def _series(table: pd.DataFrame | pd.Series, paper: bool) -> Iterator[tuple]:
    """Style, name and rows of each series, in the order of the table or of its categories."""
    table = table.to_frame("value") if isinstance(table, pd.Series) else table
    if table.index.nlevels == 1:
        yield style.series_style(0, paper), None, table
        return
    names = table.index.get_level_values(0)
    order = names.categories if isinstance(names, pd.CategoricalIndex) else names.unique()
    number = 0
    for name in order:
        mark = style.series_style(number, paper) | ({"color": style.GREY} if name == BASE else {})
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
