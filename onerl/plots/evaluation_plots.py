"""Figures of evaluations and of what graders make of them; as in `onerl.plots`, plain data in,
a matplotlib `Figure` out.

Values are in percent with 95 % intervals over problems. The paper's values are never drawn here:
they are of another model on other problems, and stand in tables of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from onerl.plots import BLUE, GREEN, GREY, ORANGE, VERMILION, _legend_below, _panels

SERIES = ((GREY, "o"), (BLUE, "s"), (ORANGE, "D"), (GREEN, "^"), (VERMILION, "v"))
OUTCOMES = (("right", BLUE, ""), ("wrong", ORANGE, "//"), ("truncated", VERMILION, "xx"))


def groups(
    panels: Mapping[str, Mapping[str, pd.DataFrame]], xlabel: str = "accuracy (%), 95 % interval"
) -> Figure:
    """A line per group, such as a category, and on it a marker per series, such as a model.

    Args:
        panels: title: series: a frame indexed by group, with columns value, low, high in percent.
            A group that a series lacks gets no marker.

    Raises:
        ValueError: there is nothing to draw.
    """
    if not panels:
        raise ValueError("panels: at least one is needed")
    lines = {
        title: list(dict.fromkeys(group for found in series.values() for group in found.index))
        for title, series in panels.items()
    }
    height = 1.7 + 0.42 * max(len(names) for names in lines.values())
    figure, axes = _panels(1, len(panels), 8.0 if len(panels) == 1 else 9.0, max(height, 2.6))
    for axis, (title, series) in zip(axes, panels.items(), strict=True):
        places = {name: place for place, name in enumerate(lines[title])}
        offsets = np.linspace(-0.16, 0.16, len(series)) if len(series) > 1 else [0.0]
        for (name, found), offset, (color, marker) in zip(
            series.items(), offsets, SERIES, strict=False
        ):
            at = [places[group] + offset for group in found.index]
            sides = [found["value"] - found["low"], found["high"] - found["value"]]
            sides = np.clip(sides, 0, None)  # 100 - 99.99999999999999
            axis.errorbar(
                found["value"], at, xerr=sides, fmt=marker, color=color, capsize=3, label=name
            )
        axis.set(title=title, xlabel=xlabel, xlim=(-2, 102), ylim=(len(places) - 0.5, -0.5))
        axis.set_yticks(list(places.values()), list(places))
        axis.title.set_fontsize(10)
    _legend_below(figure, axes[0], columns=3)
    return figure


def lengths(records: Mapping[str, pd.DataFrame]) -> Figure:
    """How long right, wrong and truncated answers are, stacked; a panel per model.

    Args:
        records: by model, `Report.records`: columns tokens, correct, finish.
    """
    figure, axes = _panels(1, len(records), 9.0, 3.4, sharex=True, sharey=True)
    longest = max(rows["tokens"].max() for rows in records.values())
    edges = np.linspace(0, longest + 1, 41)
    there = set().union(*(outcome(rows) for rows in records.values()))
    for axis, (name, rows) in zip(axes, records.items(), strict=True):
        kinds = outcome(rows)
        bottom = np.zeros(len(edges) - 1)
        for kind, color, hatch in [row for row in OUTCOMES if row[0] in there]:
            counts = np.histogram(rows["tokens"][kinds == kind], edges)[0] * 100 / len(rows)
            axis.bar(
                edges[:-1],
                counts,
                np.diff(edges),
                bottom,
                align="edge",
                color=color,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.3,
                label=kind,
            )
            bottom += counts
        axis.axvline(rows["tokens"].mean(), color=GREY, linestyle="--", label="mean length")
        axis.set(title=name, xlabel="length (tokens)")
        axis.title.set_fontsize(10)
        axis.margins(y=0.08)
    axes[0].set_ylabel("answers (%)")
    _legend_below(figure, axes[0], columns=4)
    return figure


def effects(rows: pd.DataFrame) -> Figure:
    """Claims with the effect that was measured, one line each; filled where the claim was seen.

    Args:
        rows: `onerl.paper.claims.table()`: columns claim, effect, low, high, verdict. Claims
            without an effect get a line without a marker.
    """
    figure, (axis,) = _panels(1, 1, 9.0, 1.4 + 0.27 * len(rows))
    rows = rows.reset_index(drop=True)
    seen = rows["verdict"] == "seen here"
    for kind, part, color, fill in (
        ("seen here", rows[seen], BLUE, BLUE),
        ("not seen here", rows[~seen & rows["effect"].notna()], VERMILION, "white"),
    ):
        sides = np.clip([part["effect"] - part["low"], part["high"] - part["effect"]], 0, None)
        axis.errorbar(
            part["effect"],
            part.index,
            xerr=sides,
            fmt="o",
            color=color,
            markerfacecolor=fill,
            capsize=2,
            label=kind,
        )
    axis.axvline(0, color=GREY, linewidth=1)
    axis.set_yticks(range(len(rows)), rows["claim"], fontsize=8)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("effect (points, or as the claim says), 95 % interval over seeds")
    _legend_below(figure, axis, columns=2)
    return figure


def outcome(records: pd.DataFrame) -> pd.Series:
    """right, wrong or truncated, per answer; one that was cut off and is right counts as right."""
    kinds = np.where(records["finish"] == "length", "truncated", "wrong")
    return pd.Series(np.where(records["correct"], "right", kinds), index=records.index)
