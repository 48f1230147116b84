"""Families are told apart by id, and their gains are the runs' own."""

import pandas as pd
import pytest

from onerl import plots
from onerl.estimates import seed_interval
from onerl.evaluation.report import Report
from onerl.grids import transfer
from onerl.grids.grid import Grid, Outcome
from onerl.plots import transfer_plots
from onerl.recipe import Recipe

FAMILIES = ("joint", "bags", "mean")


def answers(**right: int) -> Report:
    """Ten held-out problems of each family, so many of them right."""
    rows = [
        {
            "benchmark": "world",
            "problem": f"world/heldout/{name}/{i}",
            "sample": 0,
            "correct": i < right[name],
            "answer": "1",
            "finish": "stop",
            "text": "",
        }
        for name in FAMILIES
        for i in range(10)
    ]
    return Report(pd.DataFrame(rows))


@pytest.fixture
def base():
    return answers(joint=1, bags=2, mean=0)


def grid(base: Report, *after: Report) -> Grid:
    recipes = [Recipe.load("tiny", seed=seed) for seed in range(len(after))]
    return Grid(
        {
            ("pi1", recipe.seed): Outcome(
                recipe, pd.DataFrame(), pd.DataFrame(), {60: report}, base
            )
            for recipe, report in zip(recipes, after, strict=True)
        }
    )


def test_each_family_has_its_own_gain_over_the_seeds(base):
    runs = grid(base, answers(joint=10, bags=8, mean=0), answers(joint=10, bags=6, mean=0))
    rows = transfer.by_family(runs, "pi1", "world")
    assert list(rows.index) == list(FAMILIES)
    bags = rows.loc["bags"]
    assert bags[["problems", "before", "after", "gain"]].tolist() == [10, 20, 70, 50]
    assert tuple(bags[["gain", "gain low", "gain high"]]) == pytest.approx(seed_interval([60, 40]))
    assert rows.loc["mean", "gain"] == 0


def test_a_single_seed_has_its_interval_over_problems(base):
    row = transfer.by_family(grid(base, answers(joint=9, bags=2, mean=0)), "pi1", "world").loc[
        "joint"
    ]
    assert row["gain"] == 80
    assert row["gain low"] < 80 < row["gain high"]
    assert row["low"] < 90 < row["high"]


def test_elsewhere_leaves_out_the_template_of_the_example(base):
    rows = transfer.elsewhere(grid(base, answers(joint=10, bags=8, mean=6)), "pi1")
    assert rows["problems"].to_dict() == {transfer.OWN: 10, transfer.OTHERS: 20}
    assert rows["gain"].to_dict() == pytest.approx({transfer.OWN: 90, transfer.OTHERS: 60})


def test_the_figure_shows_before_and_after_in_panels_of_their_own(tmp_path):
    ours = pd.DataFrame(
        {"before": [22, 0], "after": [98, 5], "low": [97, 4], "high": [99, 6]}, ["old", "new"]
    )
    theirs = pd.DataFrame({"before": [48.0], "after": [52.0]}, ["ARC-Easy"])
    figure = transfer_plots.before_and_after(ours, theirs)
    left, right = figure.axes
    drawn = {line.get_label(): list(line.get_xdata()) for line in left.get_lines()}
    assert drawn["before training"] == [22, 0]
    assert drawn["after"] == [98, 5]
    assert [list(line.get_xdata()) for line in right.get_lines()] == [[48.0], [52.0]]
    assert [text.get_text() for text in left.get_yticklabels()] == ["old", "new"]
    assert plots.save(figure, tmp_path / "figure.png").stat().st_size < 40_000
