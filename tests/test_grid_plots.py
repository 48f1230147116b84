"""Figures of the grids show the numbers they are given, the paper's on axes of their own."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from onerl import plots
from onerl.plots import grid_plots

ARMS = ["right", "guessable"]


def table(*means, index):
    values = np.array(means, dtype=float)
    return pd.DataFrame({"mean": values, "low": values - 2, "high": values + 3}, index=index)


def bars(axis, number=0):
    """Ends of the error bars of a panel's n-th series, shape (points, 2 ends, x and y)."""
    return np.array(axis.containers[number].lines[2][0].get_segments())


def levels(axis):
    return {tuple(line.get_xdata()) for line in axis.get_lines() if line.get_linestyle() == ":"}


def test_dots_keep_the_papers_values_in_the_other_panel():
    theirs = pd.Series({"right": 74.8, "base model": 36.0})
    figure = grid_plots.dots(table(95, 2, index=ARMS), 21, theirs, 36)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ARMS
    assert list(left.containers[0].lines[0].get_xdata()) == [95, 2]
    assert bars(left)[:, :, 0].tolist() == [[93, 98], [0, 5]]
    assert right.get_lines()[0].get_xdata() == pytest.approx([74.8, np.nan], nan_ok=True)
    assert (21, 21) in levels(left)
    assert (36, 36) in levels(right)
    assert "Qwen2.5-Math-1.5B" in right.get_title()


def test_sizes_mark_what_was_drawn_at_random():
    ours = table(95, 96, 94, 97, index=["1", "16", "random 16", "full set"])
    ours = ours.assign(size=[1, 16, 16, 504], drawn=[False, False, True, False])
    theirs = pd.DataFrame(
        {"model": "M", "size": [0, 1, 16, 1209], "drawn": False, "value": [36, 74, 71, 75]}
    )
    left, right = grid_plots.sizes(ours, 21, theirs).axes
    chosen, drawn = (container.lines[0] for container in left.containers)
    assert list(chosen.get_xdata()) == [1, 16, 504]
    assert list(chosen.get_ydata()) == [95, 96, 97]
    assert list(drawn.get_ydata()) == [94]
    assert list(right.get_lines()[0].get_ydata()) == [74, 71, 75]
    assert set(right.get_lines()[1].get_ydata()) == {36}  # before training, not at a size


def test_heat_maps_write_every_cell_in_a_colour_that_can_be_read():
    values = pd.DataFrame([[80.0, 5.0], [70.0, 0.0]], index=["A", "B"], columns=["A", "B"])
    texts = values.map(lambda value: f"+{value:.0f}")
    figure = grid_plots.heat_maps({"ours": (values, texts), "theirs": (values / 2, texts)}, "gain")
    ours, theirs = figure.axes[:2]
    assert [text.get_text() for text in ours.texts] == ["+80", "+5", "+70", "+0"]
    assert [text.get_color() for text in ours.texts] == ["black", "white", "black", "white"]
    assert ours.images[0].get_clim() == theirs.images[0].get_clim() == (0, 80)
    assert figure.axes[2].get_ylabel() == "gain"


def test_exploration_has_a_line_per_temperature():
    ours = {f"T = {t}": table(95, 96, index=[0.0, 0.001]) for t in (0.6, 1.0)}
    left, right = grid_plots.exploration(ours, 21.2, pd.Series({0.0: 70.8, 0.001: 74.8}), 36).axes
    assert [text.get_text() for text in left.get_xticklabels()] == ["0", "0.001"]
    assert len(left.containers) == 2
    assert "21.2" in left.get_title()
    assert "36.0" in right.get_title()
    assert "cut" in left.get_ylabel()
    assert "cut" in right.get_ylabel()
    assert list(right.get_lines()[0].get_ydata()) == [70.8, 74.8]


def test_by_step_draws_bands_and_the_base_model():
    curve = table(21, 30, 2, index=[0, 10, 20])
    theirs = pd.DataFrame({"model": "M", "steps": [0, 20], "value": [36.0, 63.4]})
    figure = grid_plots.by_step({"accuracy (%)": {"alone": curve}}, 21.2, theirs)
    ours, paper = figure.axes
    assert list(ours.get_lines()[0].get_ydata()) == [21, 30, 2]
    assert ours.collections[0].get_paths()[0].vertices[:, 1].max() == 33
    assert set(ours.get_lines()[1].get_ydata()) == {21.2}
    assert list(paper.get_lines()[0].get_ydata()) == [36.0, 63.4]


def test_scores_stand_beside_the_gain_of_the_same_example():
    gains = table(70, 2, index=["a", "b"])
    scores = pd.DataFrame({"std": [0.1, 0.4], "lim": [0.5, 0.6]}, index=["b", "a"])
    figure = grid_plots.scores_and_gains(gains, scores, ["one", "two"], "gain (points)")
    points = figure.axes[0].containers[0].lines[0]
    assert list(zip(points.get_xdata(), points.get_ydata(), strict=True)) == [(0.4, 70), (0.1, 2)]
    assert [text.get_text() for text in figure.axes[0].texts] == ["b"]  # it gains less


@pytest.mark.filterwarnings("error")
def test_a_figure_is_small_and_unknown_to_pyplot(tmp_path):
    figure = grid_plots.dots(table(95, 2, index=ARMS), 21, pd.Series(dtype=float), 36)
    assert 1000 < plots.save(figure, tmp_path / "dots.png").stat().st_size < 60_000
    assert pyplot.get_fignums() == []
