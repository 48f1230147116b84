"""Figures of a long run: training against test accuracy, and what changes along with it.

Plain data in, a matplotlib `Figure` out, as in `onerl.plots`, whose `save` shows it in a notebook.
Colours are seaborn's "colorblind" palette; the series differ in line style too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

BLUE, ORANGE, GREEN, VERMILION, PURPLE, BROWN, PINK, GREY, YELLOW, SKY = seaborn.color_palette(
    "colorblind"
)
STYLES = ((BLUE, "-"), (GREEN, "--"), (PURPLE, "-."), (BROWN, ":"))


def train_and_test(
    training: pd.DataFrame,
    tests: Mapping[str, pd.DataFrame],
    levels: Mapping[str, float],
    base: float,
    saturated: Sequence[int],
    paper: pd.DataFrame,
) -> Figure:
    """Accuracy on the training example and on held-out problems, against the training step.

    Args:
        training: share of right rollouts by step; columns mean, low, high (0 to 1).
        tests: held-out accuracy by label; index step, columns mean, low, high (percent).
        levels: horizontal lines by label, in percent, in the colours of the tests.
        base: accuracy of the base model on the first test, in percent.
        saturated: the step of saturation of each seed, drawn as ticks.
        paper: columns step and math500, for the panel of the paper's run.
    """
    figure = Figure(figsize=(9.0, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2.4, 1), sharey=True)
    _band(left, 100 * training, ORANGE, "-", "training reward, mean of 10 steps", 1.5)
    for (label, curve), (colour, style) in zip(tests.items(), STYLES, strict=False):
        _band(left, curve, colour, style, label, 2.0)
    for (label, value), (colour, _) in zip(levels.items(), STYLES, strict=False):
        left.axhline(value, color=colour, linestyle=":", label=f"{label}: {value:.1f}")
    left.axhline(base, color=GREY, linestyle="--", linewidth=1, label=f"base model: {base:.1f}")
    for index, step in enumerate(saturated):
        label = "saturation, a mark per seed" if index == 0 else None
        left.plot([step], [2], "|", color="black", markersize=12, label=label)
    left.set(xlabel="training step", ylabel="percent", ylim=(0, 102), xlim=(0, None))
    left.set_title("embedded world", fontsize=10)
    right.plot(paper["step"], paper["math500"], "D--", color=VERMILION, linewidth=1, markersize=5)
    right.set(xlabel="training step", xlim=(-50, 2000))
    right.set_title("the paper: MATH500, $\\pi_1$ (Table 15)", fontsize=10)
    for axis in (left, right):
        _bare(axis)
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    return figure


def along_the_run(
    panels: Mapping[str, Mapping[str, pd.DataFrame]],
    saturated: Sequence[int],
    logarithmic: Sequence[str] = (),
) -> Figure:
    """A panel per quantity against the training step, its series with bands.

    Args:
        panels: title with the unit -> label -> index step, columns mean, low, high.
        saturated: the step of saturation of each seed; their median is a vertical line.
        logarithmic: titles of the panels with a logarithmic scale.
    """
    rows = -(-len(panels) // 3)
    figure = Figure(figsize=(9.0, 2.6 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, 3, squeeze=False).ravel().tolist()
    for axis in axes[len(panels) :]:
        axis.remove()
    for axis, (title, series) in zip(axes, panels.items(), strict=False):
        for (label, curve), (colour, style) in zip(series.items(), STYLES, strict=False):
            _band(axis, curve, colour, style, label, 1.5)
        if saturated:
            axis.axvline(pd.Series(saturated).median(), color=GREY, linestyle=":", linewidth=1)
        axis.set_title(title, fontsize=9)
        axis.set_xlim(0, None)
        if title in logarithmic:
            axis.set_yscale("log", nonpositive="mask")
            axis.yaxis.set_minor_formatter(NullFormatter())
        else:
            axis.set_ylim(0, min(axis.get_ylim()[1], 103) if "(%)" in title else None)
        if len(series) > 1:
            axis.legend(frameon=False, fontsize=8)
        _bare(axis)
    for axis in axes[max(0, len(panels) - 3) : len(panels)]:
        axis.set_xlabel("training step")
    return figure


def _band(axis: Axes, curve: pd.DataFrame, colour, style: str, label: str, width: float) -> None:
    axis.fill_between(
        curve.index, curve["low"], curve["high"], color=colour, alpha=0.2, linewidth=0
    )
    axis.plot(curve.index, curve["mean"], style, color=colour, linewidth=width, label=label)


def _bare(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3)
