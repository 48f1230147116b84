"""Figures of the grids: arms with their intervals, and the paper's numbers in panels of their own.

The paper's values were measured on another model, on other problems and at checkpoints chosen on
the test sets, so they never share an axis with ours, whatever the figure. They have no intervals.
As in `onerl.plots`, a function takes plain data and returns a `Figure`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from onerl.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, _legend_below, _panels

PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
NAMED = 0.9  # of the greatest gain; who gains less has its name in the figure
SERIES = ((BLUE, "o-"), (ORANGE, "s--"), (GREEN, "^-."), (PURPLE, "v:"), (SKY, "P-"), (GREY, "X--"))
PAPER = "the paper: Qwen2.5-Math-1.5B"
OURS = "accuracy (%), 95 % interval"
THEIRS = "MATH500 accuracy (%), best checkpoint"


def dots(
    ours: pd.DataFrame,
    base: float,
    theirs: pd.Series,
    their_base: float,
    title: str = "embedded world, held-out",
) -> Figure:
    """A line per arm: ours with intervals on the left, the paper's on the right.

    Args:
        ours: `Grid.table()`: index arm; columns mean, low, high, in percent.
        theirs: the paper's value by arm; NaN, or no entry, where it has none.
        base, their_base: the model before training, in percent.
    """
    figure, (left, right) = _panels(1, 2, 9.0, 1.6 + 0.36 * len(ours), sharey=True)
    places = np.arange(len(ours))
    left.errorbar(ours["mean"], places, xerr=_sides(ours), fmt="o", color=BLUE, capsize=3)
    left.set(title=title, xlabel=OURS, xlim=(0, 101))
    left.set_yticks(places, ours.index)
    left.set_ylim(len(ours) - 0.5, -0.5)
    right.plot(theirs.reindex(ours.index), places, "D", color=VERMILION)
    right.set(title=PAPER, xlabel=THEIRS, xlim=(0, 101))
    for axis, value in ((left, base), (right, their_base)):
        axis.axvline(value, color=GREY, linestyle=":", linewidth=1.5, label="model before training")
        axis.title.set_fontsize(10)
    _legend_below(figure, left, columns=1)
    return figure


def sizes(
    ours: pd.DataFrame,
    base: float,
    theirs: pd.DataFrame,
    title: str = "embedded world, held-out",
) -> Figure:
    """Accuracy against the number of training examples; examples drawn at random marked apart.

    Args:
        ours: columns size, drawn (whether at random), mean, low, high.
        theirs: the paper's; columns model, size (0: before training), drawn, value.
    """
    figure, (left, right) = _panels(1, 2, 9.0, 4.4)
    for drawn, color, style, label in (
        (False, BLUE, "o-", "chosen examples, and the full set"),
        (True, BLACK, "D", "drawn at random"),
    ):
        rows = ours[ours["drawn"] == drawn].sort_values("size")
        shift = 1.25 if drawn else 1.0  # beside the other point of 16, not on it
        left.errorbar(
            rows["size"] * shift,
            rows["mean"],
            yerr=_sides(rows),
            fmt=style,
            color=color,
            capsize=3,
            label=f"{label}, 95 % interval",
        )
    left.axhline(base, color=GREY, linestyle=":", label=f"base model: {base:.3g}")
    left.set(title=title, ylabel="accuracy (%)", ylim=(0, 101))
    theirs = theirs.dropna(subset="value")
    for (model, rows), (color, style) in zip(
        theirs.groupby("model", sort=False), SERIES, strict=False
    ):
        chosen = rows[(rows["size"] > 0) & ~rows["drawn"]].sort_values("size")
        right.plot(chosen["size"], chosen["value"], style, color=color, label=model, markersize=5)
        before = rows[rows["size"] == 0]["value"]
        right.axhline(before.iloc[0], color=color, linestyle=":", linewidth=1)
        drawn = rows[rows["drawn"]]
        if len(drawn):
            label = f"{model}, drawn at random"
            right.plot(drawn["size"] * 1.25, drawn["value"], "D", color=BLACK, label=label)
    right.set(
        title="the paper (dotted: before training)", ylabel="MATH500 accuracy (%)", ylim=(0, 101)
    )
    for axis, ticks in ((left, ours["size"]), (right, theirs["size"])):
        axis.set_xscale("log", base=2)
        shown = sorted(size for size in set(ticks) if size > 0)
        axis.set_xticks(shown, [str(size) for size in shown])
        axis.set_xlabel("training examples")
        axis.title.set_fontsize(10)
        axis.legend(loc="lower right", fontsize=7.5)
    return figure


def heat_maps(maps: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], label: str) -> Figure:
    """One heat map below the other on one colour scale, each with a text in every cell.

    Args:
        maps: by title; values, and what is written in the cells, both of the same shape.
        label: of the colour bar.
    """
    rows = sum(len(values) for values, _ in maps.values())
    figure = Figure(figsize=(9.0, 1.9 * len(maps) + 0.36 * rows), layout="constrained")
    axes = figure.subplots(len(maps), 1, squeeze=False).ravel()
    low = min(0.0, *(values.min().min() for values, _ in maps.values()))
    high = max(values.max().max() for values, _ in maps.values())
    for axis, (title, (values, texts)) in zip(axes, maps.items(), strict=True):
        image = axis.imshow(values, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        for i, j in np.ndindex(values.shape):
            bright = (values.iloc[i, j] - low) / (high - low) > 0.5
            axis.text(
                j,
                i,
                texts.iloc[i, j],
                ha="center",
                va="center",
                fontsize=7.5,
                color="black" if bright else "white",
            )
        axis.set_xticks(range(values.shape[1]), [name.replace(" ", "\n", 1) for name in values])
        axis.set_yticks(range(len(values)), values.index)
        axis.tick_params(labelsize=8)
        axis.set(xlabel="tested on", ylabel="trained on one example of")
        axis.set_title(title, fontsize=10)
    figure.colorbar(image, ax=list(axes), label=label, shrink=0.6)
    return figure


def exploration(
    ours: Mapping[str, pd.DataFrame],
    base: float,
    theirs: pd.Series,
    their_base: float,
    title: str = "embedded world, held-out",
) -> Figure:
    """Accuracy against the entropy coefficient, a line per temperature.

    The axes are cut: the models before training lie far below, and stand in the titles.

    Args:
        ours: by temperature, as text; index coefficient, columns mean, low, high.
        theirs: the paper's value by coefficient, at its one tabulated temperature.
        base, their_base: the model before training, in percent.
    """
    figure, (left, right) = _panels(1, 2, 9.0, 3.8)
    for number, ((name, rows), (color, style)) in enumerate(
        zip(ours.items(), SERIES, strict=False)
    ):
        left.errorbar(
            np.arange(len(rows)) + 0.08 * number,
            rows["mean"],
            yerr=_sides(rows),
            fmt=style,
            color=color,
            capsize=3,
            label=f"{name}, 95 % interval",
        )
        left.set_xticks(range(len(rows)), [f"{value:g}" for value in rows.index])
    left.set(title=f"{title}\nbase model: {base:.1f}", ylabel="accuracy (%), axis cut")
    left.legend(fontsize=8)
    right.plot(range(len(theirs)), theirs, "D", color=VERMILION)
    right.set_xticks(range(len(theirs)), [f"{value:g}" for value in theirs.index])
    right.set(
        title=f"{PAPER}, T = 0.6\nbase model: {their_base:.1f}",
        ylabel="MATH500 accuracy (%), axis cut",
    )
    for axis in (left, right):
        axis.set_xlabel("coefficient of the entropy bonus")
        axis.margins(x=0.2, y=0.3)
        axis.title.set_fontsize(10)
    return figure


def by_step(
    panels: Mapping[str, Mapping[str, pd.DataFrame]], base: float, theirs: pd.DataFrame
) -> Figure:
    """Curves of several arms against the training step, and the paper's before and after.

    Args:
        panels: by label of the vertical axis, then by arm, `Grid.curve()`: index step; columns
            mean, low, high. The first panel has the accuracy, and `base` as a line.
        theirs: columns model, steps, value; steps 0 is the model before training.
    """
    figure, axes = _panels(1, len(panels) + 1, 9.0, 3.8)
    for axis, (label, arms) in zip(axes, panels.items(), strict=False):
        for (arm, rows), (color, style) in zip(arms.items(), SERIES, strict=False):
            axis.fill_between(
                rows.index, rows["low"], rows["high"], color=color, alpha=0.2, linewidth=0
            )
            axis.plot(rows.index, rows["mean"], style, color=color, markersize=4, label=arm)
        axis.set_title(label, fontsize=9)
    axes[0].axhline(base, color=GREY, linestyle=":", label=f"base model: {base:.3g}")
    _legend_below(figure, axes[0], columns=3)
    for (model, rows), (color, style) in zip(
        theirs.groupby("model", sort=False), SERIES[2:], strict=False
    ):
        axes[-1].plot(rows["steps"], rows["value"], style, color=color, markersize=5, label=model)
    axes[-1].legend(loc="lower right", fontsize=7.5)
    axes[-1].set_title("the paper: MATH500 accuracy (%)", fontsize=9)
    axes[-1].set_ylim(0, 101)
    for axis in axes:
        axis.set_xlabel("training step")
    return figure


def scores_and_gains(
    gains: pd.DataFrame, scores: pd.DataFrame, titles: Sequence[str], ylabel: str
) -> Figure:
    """A panel per score: each example's score against what training on it alone gains.

    Examples that gain much less than the best are named.

    Args:
        gains: index example; columns mean, low, high, in points.
        scores: index example, a column per score.
        titles: one per score.
    """
    columns = 2
    rows = -(-len(titles) // columns)
    figure, axes = _panels(rows, columns, 9.0, 3.2 * rows, sharey=True)
    for axis, name, title in zip(axes, scores, titles, strict=True):
        x = scores[name].reindex(gains.index)
        axis.errorbar(x, gains["mean"], yerr=_sides(gains), fmt="o", color=BLUE, capsize=3)
        few = gains["mean"][gains["mean"] < NAMED * gains["mean"].max()]
        for number, example in enumerate(few.sort_values().index):
            axis.annotate(
                example,
                (x[example], gains.loc[example, "mean"]),
                xytext=((-6, 6)[number % 2], 3),
                textcoords="offset points",
                fontsize=7.5,
                ha=("right", "left")[number % 2],
            )
        axis.axhline(0, color=GREY, linestyle=":", linewidth=1.5)
        axis.set_xlabel(f"score: {name}")
        axis.set_title(title, fontsize=9)
        axis.margins(x=0.15)
    for axis in axes[::columns]:
        axis.set_ylabel(ylabel)
    return figure


def _sides(rows: pd.DataFrame) -> np.ndarray:
    """Lengths of the error bars below and above the mean, shape (2, rows)."""
    return np.array([rows["mean"] - rows["low"], rows["high"] - rows["mean"]]).clip(min=0)
