"""Families are told apart by id, and their gains are the runs' own."""

import pandas as pd
import pytest

from onerl.estimates import seed_interval
from onerl.evaluation.report import Report
from onerl.grids import transfer
from onerl.grids.grid import Grid, Outcome
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
