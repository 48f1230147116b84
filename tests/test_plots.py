"""Figures show the numbers they are given, whole, and in colours that everybody can tell apart."""

from io import BytesIO
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from onerl import plots

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
SIGHTS = {
    "full": np.eye(3),
    "without red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "without green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "without blue cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
KINDS = ["curves", "intervals", "scatter"]


def table(*values, index=None, half=2.0):
    values = pd.Series(values, index=index, dtype=float)
    return pd.DataFrame({"value": values, "low": values - half, "high": values + half})


def draw(kind, rows, **options):
    """A figure of one panel of a kind that takes values with intervals."""
    _, (axis,) = plots.panels()
    if kind == "scatter":
        options["x"], rows = "score", rows.assign(score=np.arange(len(rows), dtype=float))
    getattr(plots, kind)(axis, rows, **options)
    return axis


def seen(color, sight):
    """Where somebody with this sight sees a colour: CIELAB, shape (3,)."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(SIGHTS[sight] @ linear, 0, 1)
    white = TO_XYZ @ np.ones(3)
    f = np.cbrt(TO_XYZ @ linear / white)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def bars(axis):
    """Ends of all error bars of an axis, shape (bars, 2 ends, x and y); unknown ones left out."""
    segments = [bar for series in axis.containers for bar in series.lines[2][0].get_segments()]
    return np.array([bar for bar in segments if len(bar)])


def picture(data):
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


# -- style --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sight", SIGHTS)
def test_any_two_colours_can_be_told_apart(sight):
    """15 is six times a difference that is just noticed (2.3); unlike markers help besides."""
    colors = (*plots.COLORS, plots.VERMILION)
    distances = {
        pair: np.linalg.norm(seen(pair[0], sight) - seen(pair[1], sight))
        for pair in combinations(colors, 2)
    }
    assert min(distances.values()) > 15, min(distances, key=distances.get)


def test_a_picture_keeps_every_flat_colour_as_it_was_drawn():
    axis = draw("curves", table(*range(0, 100, 5), half=0), paper=True)
    axis.fill_between([0, 5], 0, 10, color=plots.ORANGE, linewidth=0)
    axis.imshow(np.arange(200).reshape(1, -1), extent=(6, 16, 0, 20), aspect="auto")
    axis.axis("auto")
    shown = {tuple(color) for color in picture(plots.png(axis.figure)).reshape(-1, 3)}
    for color in (plots.VERMILION, plots.ORANGE, "#ffffff"):
        assert tuple(round(255 * part) for part in to_rgb(color)) in shown


def test_a_shown_figure_is_written_sharp_and_described(tmp_path):
    figure, (axis,) = plots.panels(title="It rises")
    plots.curves(axis, table(1, 2, 3))
    shown = plots.show(figure, tmp_path / "new" / "figure.png", alt="A curve.")
    _, metadata = shown._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "It rises. A curve."
    assert (tmp_path / "new" / "figure.png").read_bytes() == shown.data
    width = picture(shown.data).shape[1]
    assert width == 2 * metadata["image/png"]["width"]
    assert len(shown.data) < 60_000
    assert not pyplot.get_fignums()


@pytest.mark.parametrize("alt", ["", "  "])
def test_a_figure_without_a_description_is_refused(alt, tmp_path):
    with pytest.raises(ValueError, match="alt: a figure needs a text"):
        plots.show(plots.panels()[0], tmp_path / "figure.png", alt=alt)
    assert not list(tmp_path.iterdir())


def test_names_of_lines_that_end_together_do_not_overlap():
    ends = {"a": 96.0, "b": 96.1, "c": 95.9, "d": 20.0}
    axis = draw("curves", pd.concat({name: table(0, 50, end) for name, end in ends.items()}))
    plots.level(axis, 96, "ceiling", plots.GREEN)
    plots.name_lines(axis)
    axis.figure.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in axis.texts}
    assert set(boxes) == {*ends, "ceiling 96"}
    assert not any(a.overlaps(b) for a, b in combinations(boxes.values(), 2))
    assert boxes["d"].y1 < min(boxes[name].y0 for name in "abc")
    colors = {text.get_text(): to_hex(text.get_color()).upper() for text in axis.texts}
    assert colors["a"] == plots.BLUE
    assert colors["ceiling 96"] == plots.GREEN


def test_included_values_are_in_sight_and_so_is_what_lies_beyond():
    axis = draw("intervals", table(99, index=["a"], half=12))
    plots.include(axis, x=(0, 100))
    low, high = axis.get_xlim()
    assert low < 0
    assert high > 111


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([0, 0, 0], "linear"),
        ([0.6, 0.7, 0.9], "linear"),
        ([0, 1, 5.5], "log"),
        ([0.3, 0.6, 1.6], "log"),
        ([3e-5, 1, 10], "log"),
    ],
)
def test_a_logarithmic_axis_has_numbers_and_is_kept_to_what_spans_some_range(values, scale):
    axis = draw("curves", table(*values, half=0))
    plots.logarithmic(axis)
    plots.png(axis.figure)
    assert axis.get_yscale() == scale
    low, high = axis.get_ylim()
    assert sum(low <= float(text) <= high for text in map(_number, axis.get_yticklabels())) >= 2


def _number(text):
    return text.get_text().replace("−", "-")


# -- kinds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("paper", [False, True])
def test_the_papers_marker_is_its_own_and_always_the_same(kind, paper):
    series = pd.concat({name: table(1, 2) for name in "ab"})
    axis = draw(kind, series, paper=paper)
    dots = [dots for dots in axis.collections if len(dots.get_offsets()) == 2]
    colors = [to_hex(mark.get_facecolor()[0]).upper() for mark in dots]
    assert colors == ([plots.VERMILION] * 2 if paper else [plots.BLUE, plots.ORANGE])
    shapes = [mark.get_paths()[0].vertices.tolist() for mark in dots]
    diamond = draw("intervals", table(1), paper=True).collections[-1].get_paths()[0].vertices
    assert [shape == diamond.tolist() for shape in shapes] == [paper, paper]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 50.0, 100.0])
def test_error_bars_are_never_cut_off(kind, value):
    axis = draw(kind, table(value, value, index=[0, 1], half=15))
    plots.include(axis, **{"x" if kind == "intervals" else "y": (0, 100)})
    (x0, x1), (y0, y1) = axis.get_xlim(), axis.get_ylim()
    ends = bars(axis).reshape(-1, 2)
    assert ends.min() in (0, value - 15)
    assert ((ends > [x0, min(y0, y1)]) & (ends < [x1, max(y0, y1)])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_bound_on_the_wrong_side_by_rounding_is_a_bar_of_length_0(kind):
    rows = table(100, 50, index=[0, 1]).assign(high=[100 - 1e-13, 52])
    along = 0 if kind == "intervals" else 1
    assert bars(draw(kind, rows))[0, :, along] == pytest.approx([98, 100])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
def test_rows_without_value_or_interval_are_drawn_as_far_as_they_are_known(kind):
    rows = table(10, np.nan, 30, 40, index=[0, 1, 2, 3])
    rows.loc[2, ["low", "high"]] = np.nan
    axis = draw(kind, rows)
    plots.png(axis.figure)
    if kind != "curves":
        along = 0 if kind == "intervals" else 1
        assert axis.collections[-1].get_offsets()[:, along].tolist() == [10, 30, 40]
        assert bars(axis)[:, 0, along].tolist() == [8, 38]


def test_a_curve_has_a_band_and_two_points_have_intervals():
    axis = draw("curves", table(10, 20, 30))
    band = axis.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (8, 32)
    axis = draw("curves", table(10, 90, index=[0, 60]))
    assert bars(axis)[:, :, 1].tolist() == [[8, 12], [88, 92]]
    assert axis.get_lines()[-1].get_linestyle() == ":"


def test_a_band_is_of_one_kind():
    """An interval over problems at step 0 has no place in a band over seeds."""
    rows = table(21, 30, 40, 50, half=5).assign(interval=["problems", "seeds", "seeds", "seeds"])
    for given, start in ((rows, (21, 21)), (rows.assign(interval="problems"), (16, 26))):
        band = draw("curves", given).collections[0].get_paths()[0].vertices
        heights = band[band[:, 0] == 0][:, 1]
        assert (heights.min(), heights.max()) == start


def test_groups_stand_in_their_order_and_series_beside_each_other():
    both = pd.concat({"base": table(10, 20, index=["a", "b"]), "after": table(80, index=["b"])})
    axis = draw("intervals", both)
    assert [text.get_text() for text in axis.get_yticklabels()] == ["a", "b"]
    base, after = (
        dots.get_offsets() for dots in axis.collections if dots.get_label() in both.index
    )
    assert base[:, 0].tolist() == [10, 20]
    assert after[0, 0] == 80
    assert [round(y) for y in (*base[:, 1], *after[:, 1])] == [0, 1, 1]
    assert base[1, 1] != after[0, 1]
    assert axis.yaxis_inverted()


def test_a_category_that_a_panel_lacks_keeps_the_colours_of_the_others():
    kind = pd.Categorical(["other"], ["seen", "other"])
    rows = table(1).set_index(pd.MultiIndex.from_arrays([kind, ["a"]]))
    dots = draw("intervals", rows).collections[-1]
    assert to_hex(dots.get_facecolor()[0]).upper() == plots.ORANGE


def test_the_base_model_is_grey_and_takes_no_colour_from_the_others():
    series = pd.concat({name: table(1, index=["a"]) for name in ("base model", "a", "b")})
    dots = [
        dots for dots in draw("intervals", series).collections if dots.get_label() in series.index
    ]
    colors = [to_hex(mark.get_facecolor()[0]).upper() for mark in dots]
    assert colors == [plots.GREY, plots.BLUE, plots.ORANGE]


def test_heat_maps_write_every_known_cell_in_black():
    values = pd.DataFrame([[100.0, 50.0], [np.nan, 0.0]], index=["A", "B"], columns=["A", "B"])
    _, (axis,) = plots.panels()
    plots.heat_map(axis, values, values.map("{:.0f}".format), (0, 100), "gain")
    assert [text.get_text() for text in axis.texts] == ["100", "50", "0"]
    assert {text.get_color() for text in axis.texts} == {plots.BLACK}
    colors = axis.collections[0].get_facecolors()
    assert colors[0].tolist() != colors[1].tolist()
    assert axis.figure.axes[1].get_ylabel() == "gain"


def test_a_histogram_adds_up_to_all_answers_and_names_its_kinds():
    rows = pd.DataFrame(
        {"tokens": [10, 20, 20, 96], "verdict": ["right", "wrong", "right", "right"]}
    )
    _, (axis,) = plots.panels()
    plots.histogram(axis, rows, "tokens", np.linspace(0, 100, 11))
    heights = {bars.get_label(): sum(bar.get_height() for bar in bars) for bars in axis.containers}
    assert heights == pytest.approx({"right": 75, "wrong": 25})
    assert axis.texts[0].get_text() == "mean 36.5"


# -- whole figures ------------------------------------------------------------------------------


def test_the_papers_values_stand_in_a_panel_of_their_own():
    ours = table(95, 2, index=["right", "guessable"])
    papers = pd.Series({"right": 74.8, "base model": "36.0"})
    figure = plots.beside(
        ours, papers, {"base model": 21.2, "elicitation ceiling": 96.4}, "It is so"
    )
    left, right = figure.axes
    assert left.collections[-1].get_offsets()[:, 0].tolist() == [95, 2]
    assert right.collections[-1].get_offsets().tolist() == [[74.8, 0]]
    assert [text.get_text() for text in left.texts] == [
        "base model 21.2",
        "elicitation ceiling 96.4",
    ]
    assert [text.get_text() for text in right.texts] == ["base model 36"]
    assert right.get_title().replace("\n", " ") == plots.PAPER


def test_training_curves_show_the_reward_in_percent_and_name_every_level():
    metrics = pd.DataFrame({"step": range(1, 31), "reward": np.linspace(0, 1, 30)})
    held_out = table(20, 50, 70, index=[0, 15, 30])
    figure = plots.training_curves(metrics, held_out, ceiling=75)
    (axis,) = figure.axes
    drawn = {line.get_label(): line.get_ydata() for line in axis.get_lines()}
    assert drawn["training reward"] == pytest.approx(100 * metrics["reward"])
    assert list(drawn["held-out, world"]) == [20, 50, 70]
    assert set(drawn["elicitation ceiling 75"]) == {75}
    assert set(drawn["base model 20"]) == {20}
    assert figure.get_suptitle() == "Held-out accuracy: 20 % at step 0, 70 % at step 30"
    figure = plots.training_curves(metrics, held_out)
    assert not any("ceiling" in line.get_label() for line in figure.axes[0].get_lines())


@pytest.mark.parametrize(("n", "columns"), [(1, 3), (3, 3), (4, 3), (2, 2)])
def test_small_multiples_have_a_panel_per_table(n, columns):
    tables = {f"panel {i}": pd.concat({"a": table(1, 2, 3), "b": table(2, 3, 4)}) for i in range(n)}
    figure, axes = plots.small_multiples(plots.curves, tables, "So", columns)
    assert [axis.get_title() for axis in figure.axes] == list(tables)
    assert axes == figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert all(axis.get_ylim()[0] < 0 for axis in axes)


def test_the_live_curve_has_the_steps_of_the_whole_run_in_sight():
    figure = plots.live([(1, 0.5, 30.0), (2, 1.0, 40.0)], steps=60)
    reward, length = figure.axes
    assert reward.get_lines()[-1].get_ydata().tolist() == [50, 100]
    assert length.get_lines()[-1].get_ydata().tolist() == [30, 40]
    assert all(axis.get_xlim()[1] > 60 for axis in figure.axes)
    assert length.get_ylim()[1] > 40
