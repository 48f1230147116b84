"""A handful of kinds of figure in one style, drawn on pandas tables with seaborn.

    figure, (left, right) = plots.panels(1, 2, title="What is found, in one sentence")
    plots.curves(left, grid.curve("row 5"))              # lines with bands
    plots.intervals(right, grid.table())                 # dots with intervals
    plots.show(figure, folder / "figure.png", alt="What a reader who does not see it must know")

    style.py      palette, panels, levels, names at the lines, and how a notebook shows a figure
    figures.py    curves, intervals, scatter, heat map, histogram; four figures used more than once

The paper's values (`paper=True`) are always vermilion diamonds and stand on axes of their own: they
are of another model, on other problems, without intervals.
"""

from onerl.plots.figures import (
    beside,
    curves,
    heat_map,
    histogram,
    intervals,
    live,
    scatter,
    small_multiples,
    training_curves,
)
from onerl.plots.style import (
    PAPER,
    include,
    legend,
    level,
    logarithmic,
    name_lines,
    panels,
    png,
    series_style,
    show,
)

__all__ = [
    "PAPER",
    "beside",
    "curves",
    "heat_map",
    "histogram",
    "include",
    "intervals",
    "legend",
    "level",
    "live",
    "logarithmic",
    "name_lines",
    "panels",
    "png",
    "scatter",
    "series_style",
    "show",
    "small_multiples",
    "training_curves",
]
