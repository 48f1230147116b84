"""The figure of transfer: before and after training, and the paper's ARC in a panel of its own.

Plain data in, a matplotlib `Figure` out, as in `onerl.plots`. Colours are seaborn's "colorblind".
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, _, _, VERMILION, *_ = seaborn.color_palette("colorblind")


def before_and_after(ours: pd.DataFrame, theirs: pd.DataFrame) -> Figure:
    """A line per group of problems: hollow before training, full after it.

    Args:
        ours: index group; columns before, after, low, high (percent; interval of after).
        theirs: index task and training data; columns before, after.
    """
    figure = Figure(figsize=(9.0, 1.5 + 0.34 * max(len(ours), len(theirs))), layout="constrained")
    left, right = figure.subplots(1, 2)
    _arrows(left, ours, "o", BLUE)
    sides = np.array([ours["after"] - ours["low"], ours["high"] - ours["after"]]).clip(min=0)
    places = np.arange(len(ours))
    left.errorbar(ours["after"], places, xerr=sides, fmt="none", color=BLUE, capsize=3)
    left.set(title="embedded world, trained on one example", xlabel="accuracy (%), 95 % interval")
    _arrows(right, theirs, "D", VERMILION)
    right.set(title="the paper: Qwen2.5-Math-1.5B", xlabel="accuracy (%)")
    for axis in (left, right):
        axis.set_xlim(-2, 101)
        axis.title.set_fontsize(10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    return figure


def _arrows(axis: Axes, rows: pd.DataFrame, marker: str, colour) -> None:
    places = np.arange(len(rows))
    axis.hlines(places, rows["before"], rows["after"], color=colour, linewidth=1)
    axis.plot(
        rows["before"],
        places,
        marker,
        color=colour,
        markerfacecolor="white",
        label="before training",
    )
    axis.plot(rows["after"], places, marker, color=colour, label="after")
    axis.set_yticks(places, rows.index)
    axis.set_ylim(len(rows) - 0.5, -0.5)
