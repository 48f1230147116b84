"""Figures show the numbers they are given, also where there is nothing to see."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from onerl import plots
from onerl.estimates import Interval


@pytest.fixture
def metrics():
    steps = np.arange(1, 31)
    columns = {column: 0.1 + steps / 100 for column, *_ in plots.DIAGNOSTICS}
    return pd.DataFrame({"step": steps, "reward": steps / 31, **columns})


def lines(axis):
    """Drawn lines by label."""
    return {line.get_label(): line for line in axis.get_lines()}


def test_training_curves_show_reward_in_percent_and_all_levels(metrics):
    held_out = {0: Interval(20, 18, 22), 30: Interval(70, 67, 73)}
    figure = plots.training_curves(metrics, held_out, ceiling=Interval(75, 72, 78))
    drawn = lines(figure.axes[0])
    reward = drawn["training reward (sampled)"]
    assert reward.get_ydata() == pytest.approx(100 * metrics["reward"])
    assert set(drawn["elicitation ceiling: 75"].get_ydata()) == {75}
    assert set(drawn["base model: 20"].get_ydata()) == {20}
    curve = drawn["held-out accuracy on world, 95 % interval"]
    assert list(curve.get_xdata()) == [0, 30]
    assert list(curve.get_ydata()) == [20, 70]


def test_training_curves_without_a_ceiling_have_no_ceiling_line(metrics):
    figure = plots.training_curves(metrics, {0: Interval(20, 18, 22)})
    assert not any("ceiling" in label for label in lines(figure.axes[0]))


def test_diagnostics_draw_every_metric(metrics):
    figure = plots.diagnostics(metrics)
    assert len(figure.axes) == len(plots.DIAGNOSTICS)
    for axis, (column, label, scale, _) in zip(figure.axes, plots.DIAGNOSTICS, strict=True):
        assert axis.get_title() == label
        assert axis.get_lines()[0].get_ydata() == pytest.approx(scale * metrics[column])


@pytest.mark.filterwarnings("error")
def test_a_run_that_changes_nothing_can_be_drawn(metrics, tmp_path):
    """Row 1 of the ablation: every norm is exactly 0, which no logarithm can show."""
    still = metrics.assign(**{column: 0.0 for column, *_ in plots.DIAGNOSTICS})
    for figure in (plots.diagnostics(still), plots.norms(still, 3e-4, 1000)):
        drawn = plots.save(figure, tmp_path / "still.png")
        assert drawn.stat().st_size > 1000


def test_norms_show_the_step_adam_takes_from_noise(metrics):
    axis = plots.norms(metrics, learning_rate=3e-4, parameters=1_000_000).axes[1]
    level = next(line for label, line in lines(axis).items() if "learning rate" in label)
    assert level.get_ydata() == pytest.approx([0.3, 0.3])


def test_ablation_keeps_our_rows_and_the_papers_in_separate_panels():
    paper = pd.DataFrame({"row": range(1, 14), "math500": np.linspace(39, 75, 13)})
    ours = pd.DataFrame({"row": [1, 5], "value": [20, 70], "low": [18, 67], "high": [22, 73]})
    labels = [f"row {row}" for row in paper["row"]]
    left, right = plots.ablation(ours, paper, labels, base=20, ceiling=75).axes
    points = left.containers[0].lines[0]
    assert list(points.get_xdata()) == [20, 70]
    assert list(points.get_ydata()) == [1, 5]
    assert list(right.get_lines()[0].get_xdata()) == pytest.approx(paper["math500"])
    assert "Qwen2.5-Math-1.5B" in right.get_title()
    assert [text.get_text() for text in left.get_yticklabels()] == labels


def test_figures_are_small_and_unknown_to_pyplot(metrics, tmp_path):
    path = plots.save(plots.diagnostics(metrics), tmp_path / "new" / "figure.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size < 40_000
    assert not pyplot.get_fignums()
