"""Figures of evaluations show the numbers they are given."""

import pandas as pd
import pytest

from onerl import plots
from onerl.plots import evaluation_plots


def frame(**values):
    """group -> value, with an interval of 5 points to each side."""
    found = pd.DataFrame({"value": values}, dtype=float)
    return found.assign(low=found["value"] - 5, high=found["value"] + 5)


def test_each_series_has_its_markers_on_the_line_of_the_group():
    panels = {"category": {"base": frame(a=10, b=20), "after": frame(b=80, a=70)}}
    (axis,) = evaluation_plots.groups(panels).axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["a", "b"]
    base, after = (container.lines[0] for container in axis.containers)
    assert list(base.get_xdata()) == [10, 20]
    assert [round(y) for y in base.get_ydata()] == [0, 1]
    assert list(after.get_xdata()) == [80, 70]
    assert [round(y) for y in after.get_ydata()] == [1, 0]
    assert [text.get_text() for text in axis.figure.legends[0].get_texts()] == ["base", "after"]


def test_intervals_are_drawn_from_low_to_high():
    (axis,) = evaluation_plots.groups({"category": {"base": frame(a=10)}}).axes
    (segments,) = (bar.get_segments() for bar in axis.containers[0].lines[2])
    assert segments[0][:, 0] == pytest.approx([5, 15])


def test_an_interval_that_ends_at_its_value_can_be_drawn():
    found = frame(a=100).assign(high=100 - 1e-13)
    figure = evaluation_plots.groups({"category": {"base": found}})
    assert figure.axes[0].has_data()


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="panels"):
        evaluation_plots.groups({})


@pytest.fixture
def records():
    return pd.DataFrame(
        {
            "tokens": [10, 20, 96, 96],
            "correct": [True, False, False, True],
            "finish": ["stop", "stop", "length", "length"],
        }
    )


def test_an_answer_that_was_cut_off_and_is_right_counts_as_right(records):
    assert list(evaluation_plots.outcome(records)) == ["right", "wrong", "truncated", "right"]


def test_the_bars_of_a_panel_add_up_to_all_answers(records):
    axes = evaluation_plots.lengths({"base": records, "after": records.iloc[:2]}).axes
    for axis in axes:
        assert sum(bar.get_height() for bar in axis.patches) == pytest.approx(100)
    assert [axis.get_title() for axis in axes] == ["base", "after"]


def test_every_claim_has_a_line_and_those_with_an_effect_a_marker():
    rows = pd.DataFrame(
        [
            ["it lifts", 70.0, 60.0, 80.0, "seen here"],
            ["it rises on", -1.0, -3.0, 1.0, "not seen here"],
            ["the prompt matters", None, None, None, "cannot be seen at this scale: none"],
        ],
        columns=["claim", "effect", "low", "high", "verdict"],
    )
    (axis,) = evaluation_plots.effects(rows).axes
    assert [text.get_text() for text in axis.get_yticklabels()] == list(rows["claim"])
    seen, other = (container.lines[0] for container in axis.containers)
    assert (list(seen.get_xdata()), list(seen.get_ydata())) == ([70], [0])
    assert (list(other.get_xdata()), list(other.get_ydata())) == ([-1], [1])


def test_figures_are_small(records, tmp_path):
    path = plots.save(evaluation_plots.lengths({"base": records}), tmp_path / "figure.png")
    assert path.stat().st_size < 40_000
