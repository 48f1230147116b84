"""A grid's numbers are over seeds where there are several, over problems where there is one."""

import dataclasses

import pytest
from fake_runs import LIMIT, fake_run

from onerl import estimates
from onerl.grids import finished
from onerl.grids.finished import collect
from onerl.recipe import Recipe

TINY = Recipe.load("tiny", steps=4)
ACCURACY = {("a", 0): 0.5, ("a", 1): 0.75, ("a", 2): 1.0, ("b", 0): 0.25, ("b", 1): 0.5}


def recipe_of(arm, seed):
    return TINY.replace(seed=seed, reward={"a": "outcome", "b": "format"}[arm])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    for (arm, seed), share in ACCURACY.items():
        fake_run(out, recipe_of(arm, seed), {0: 0.25, 2: share - 0.25, 4: share})
    return out


@pytest.fixture(scope="module")
def grid(folder):
    recipes = {key: recipe_of(*key) for key in ACCURACY}
    return collect(recipes, folder, "all", LIMIT)


def ends(found):
    return [found.value, found.low, found.high]


def rounded(row):
    return [round(float(value), 6) for value in row]


def test_several_seeds_give_students_interval_over_them(grid):
    table = grid.table()
    assert list(table.index) == ["a", "b"]
    assert rounded(table.loc["a", ["value", "low", "high"]]) == rounded(
        ends(estimates.seeds([50.0, 75.0, 100.0], (0, 100)))
    )
    assert table.loc["a", ["seeds", "problems", "interval"]].tolist() == [3, LIMIT, "seeds"]


def test_one_seed_gives_the_interval_over_problems_and_says_so(folder):
    alone = collect({("a", 0): recipe_of("a", 0)}, folder, "last", LIMIT).table().loc["a"]
    assert rounded(alone[["value", "low", "high"]]) == rounded(
        ends(estimates.mean([0.0, 1.0] * (LIMIT // 2)).times(100))
    )
    assert (alone["seeds"], alone["interval"]) == (1, "problems")


def test_a_difference_is_paired_by_seed(grid):
    """a - b is 25 points with either common seed: equal seeds, so the interval is over problems."""
    found = grid.difference("a", "b")
    assert (found.points, found.over) == ((25.0, 25.0), "problems")
    assert found.low < 25.0 < found.high
    assert "2 equal seeds" in found.note
    assert rounded(grid.table(minus="b").loc["a", ["value", "low", "high"]]) == rounded(ends(found))


def test_the_p_value_is_students(grid):
    """Gains of 25, 50 and 75 points: t = 50 / (25 / sqrt(3)) with 2 degrees of freedom."""
    assert grid.difference("a", "base model").p == pytest.approx(0.0742, abs=1e-4)


def test_a_difference_of_single_runs_is_paired_by_problem(folder):
    recipes = {key: recipe_of(*key) for key in (("a", 0), ("b", 0))}
    found = collect(recipes, folder, "last", LIMIT).difference("a", "b")
    assert (len(found.points), found.n, found.over) == (1, LIMIT, "problems")
    assert found.value == pytest.approx(25.0)
    assert found.low < 25.0 < found.high
    assert 0 < found.p < 1


def test_gains_over_the_base_model_are_paired_with_every_seed(grid):
    found = grid.difference("a", "base model")
    assert len(found.points) == 3
    assert found.value == pytest.approx(50.0)
    assert grid.base_estimate().value == pytest.approx(25.0)


def test_a_curve_begins_with_the_base_model(grid):
    curve = grid.curve("a")
    assert list(curve.index) == [0, 2, 4]
    assert rounded(curve["value"]) == [25.0, 50.0, 75.0]
    assert list(curve["interval"]) == ["problems", "seeds", "seeds"]


def test_categories_together_are_the_whole(grid):
    parts = grid.by_category("a")
    assert parts["problems"].sum() == LIMIT
    whole = (parts["value"] * parts["problems"]).sum() / LIMIT
    assert whole == pytest.approx(grid.table().loc["a", "value"])
    gains = grid.by_category("a", minus="base model")
    assert (gains["value"] * gains["problems"]).sum() / LIMIT == pytest.approx(50.0)


def test_length_is_in_tokens_and_shares_in_percent(grid):
    assert grid.table("length").loc["b", "value"] == pytest.approx(10 + (LIMIT - 1) / 2)
    assert grid.table("truncated").loc["b", "value"] == pytest.approx(100 * 4 / LIMIT)


def test_only_the_last_checkpoint_counts_when_only_that_was_asked_for(folder):
    last = collect({("a", 0): recipe_of("a", 0)}, folder, "last", LIMIT)
    assert last.steps("a") == [0, 4]


def test_runs_that_are_not_finished_or_not_evaluated_are_missing(folder, tmp_path):
    recipes = {("a", seed): recipe_of("a", seed) for seed in range(5)}
    (fake_run(tmp_path, recipes["a", 3], {4: 0.5}) / "DONE").unlink()
    fake_run(tmp_path, recipes["a", 4], {4: 0.5})
    found = collect(recipes, tmp_path, "last", LIMIT)
    assert list(found.outcomes) == [("a", 4)]
    assert found.missing == (("a", 0), ("a", 1), ("a", 2), ("a", 3))
    part = tmp_path / recipes["a", 4].hash() / "evaluations/step-000004/world/from-00000.parquet"
    content = part.read_bytes()
    for damaged in (content[:-10], b"", content[:50] + b"\0" + content[51:]):
        part.write_bytes(damaged)
        assert collect(recipes, tmp_path, "last", LIMIT).arms == []
    part.write_bytes(content)
    part.with_name("from-00000 (copy).parquet").write_bytes(content)
    assert collect(recipes, tmp_path, "last", LIMIT).arms == ["a"], "a copy is not counted"
    part.unlink()
    assert collect(recipes, tmp_path, "last", LIMIT).arms == []


def test_answers_to_other_problems_do_not_count(tmp_path, monkeypatch):
    recipe = recipe_of("a", 4)
    fake_run(tmp_path, recipe, {4: 0.5})
    assert collect({("a", 4): recipe}, tmp_path, "last", LIMIT).arms == ["a"]
    problems = finished.problems_of("world", LIMIT)
    edited = [*problems[:-1], dataclasses.replace(problems[-1], answer="7/13")]
    monkeypatch.setattr(finished, "_problems", lambda *_: edited)
    assert collect({("a", 4): recipe}, tmp_path, "last", LIMIT).arms == []


def test_metrics_of_an_arm_name_the_seed(grid):
    rows = grid.metrics("b")
    assert list(rows["seed"]) == [0] * 4 + [1] * 4
    assert list(grid.metrics("b", 1)["step"]) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda grid: grid.curve("c"), "arm: 'c' has no finished run.*arms: a, b"),
        (lambda grid: grid.report("b", 2), "b has no finished run with seed 2"),
        (lambda grid: grid.report("b", 1, 3), "not evaluated at step 3, but at 0, 2, 4"),
    ],
)
def test_what_is_not_there_is_named(grid, ask, message):
    with pytest.raises(ValueError, match=message):
        ask(grid)
