"""A verdict is read off an interval, and off nothing else."""

from pathlib import Path

import pandas as pd
import pytest
from fake_runs import LIMIT, fake_run

from onerl import grids
from onerl.estimates import Estimate
from onerl.grids import recorded
from onerl.grids.finished import collect
from onerl.paper import claims, effects
from onerl.paper.claims import CANNOT, NOT_SEEN, SEEN, Claim
from onerl.recipe import Recipe

TINY = Recipe.load("tiny", steps=4)
ARMS = {"better": "outcome", "same": "format", "worse": "random"}
RIGHT = {"better": (0.75, 0.78, 0.86), "same": (0.5, 0.5, 0.5), "worse": (0.25, 0.2, 0.1)}


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    out, recipes = tmp_path_factory.mktemp("runs"), {}
    for arm, reward in ARMS.items():
        for seed, share in enumerate(RIGHT[arm]):
            recipe = recipes[arm, seed] = TINY.replace(seed=seed, reward=reward)
            fake_run(out, recipe, {0: 0.5, 2: 1 - share, 4: share})
    return collect(recipes, out, "all", LIMIT)


@pytest.mark.parametrize(
    ("expected", "low", "high", "verdict"),
    [
        ("above", 0.1, 9.0, SEEN),
        ("above", -0.1, 9.0, NOT_SEEN),
        ("above", 0.4, 0.6, NOT_SEEN),
        ("below", -0.6, -0.4, NOT_SEEN),
        ("above", -9.0, -1.0, NOT_SEEN),
        ("below", -9.0, -0.1, SEEN),
        ("below", -9.0, 0.1, NOT_SEEN),
        ("equal", -2.9, 2.9, SEEN),
        ("equal", -3.1, 2.0, NOT_SEEN),
        ("equal", 0.5, 3.1, NOT_SEEN),
        ("above", float("nan"), float("nan"), NOT_SEEN),
    ],
)
def test_the_whole_interval_must_lie_where_the_claim_says(expected, low, high, verdict):
    claim = Claim("a claim", "Table 1", expected, minus)
    assert claim.verdict(over_seeds((low + high) / 2, low, high, 5)) == verdict


def over_seeds(value, low, high, seeds):
    return Estimate(value, low, high, seeds, "seeds", points=(value,) * seeds)


def minus(grid):
    return grid.difference("better", "same")


def test_fewer_than_three_seeds_give_no_verdict():
    claim = Claim("a claim", "Table 1", "above", minus)
    assert claim.verdict(over_seeds(50.0, 40.0, 60.0, 2)) == "no verdict: 2 of 3 seeds"


def test_what_the_world_lacks_is_said_with_the_reason():
    assert (
        Claim("a claim", "Table 1", why="no such thing").verdict(None) == f"{CANNOT}: no such thing"
    )


def test_an_effect_is_over_the_seeds_of_the_grid(grid):
    found = effects.MEASURES["minus"](grid, "better", "worse")
    by_seed = [
        100
        * (
            grid.report("better", s).values("world") - grid.report("worse", s).values("world")
        ).mean()
        for s in range(3)
    ]
    assert len(found.points) == 3
    assert found.value == pytest.approx(sum(by_seed) / 3)
    assert found.low < min(by_seed) < max(by_seed) < found.high


def test_the_best_step_is_the_best_on_average(grid):
    """The arm "worse" is best at step 2, where 1 - share are right."""
    found = effects.best_step(grid, "worse")
    at_2 = [100 * grid.report("worse", s, 2).values("world").mean() for s in range(3)]
    assert found.value == pytest.approx(sum(at_2) / 3 - 50.0)


def test_every_claim_is_on_a_grid_and_measures_or_says_why_not():
    assert set(claims.declared()) <= {
        *grids.names(),
        "slips",
    }  # by benchmarks/worlds.py
    for found in claims.declared().values():
        for claim in found:
            assert (claim.measure is None) == bool(claim.why)


@pytest.mark.parametrize("name", claims.declared())
def test_every_recorded_grid_answers_its_claims(name):
    if not (recorded.folder_of(name) / "runs.json").exists():
        pytest.skip(f"grid {name} is not recorded")
    rows = claims.table(name)
    assert len(rows) == len(claims.declared()[name])
    measured = rows[rows["seeds"] >= claims.SEEDS]
    assert measured["verdict"].isin([SEEN, NOT_SEEN]).all()
    assert (measured["low"] <= measured["effect"]).all()


def test_the_text_shows_effect_interval_and_verdict():
    row = ["one lifts", "Table 5", 74.62, 73.6, 75.65, 5, SEEN]
    assert claims.text(pd.DataFrame([row], columns=claims.COLUMNS)) == (
        "one lifts (Table 5)\n    +74.6 [+73.6, +75.7], 5 seeds: seen here"
    )


def test_the_pages_have_the_verdicts_of_the_recorded_grids():
    root, table = Path(__file__).parents[1], claims.markdown(claims.table())
    assert table in (root / "docs" / "verdicts.md").read_text("utf-8")
    readme = (root / "README.md").read_text("utf-8")
    begin = readme.index(table.splitlines()[0])
    shown = readme[begin : readme.index("\n\n", begin)].splitlines()
    assert len(shown) > 5
    assert set(shown) <= set(table.splitlines())
