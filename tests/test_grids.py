"""A grid's arms are the runs they claim to be, and equal runs are one."""

import pytest
import yaml

from onerl import grids, problems
from onerl.grids import declared
from onerl.parameters import RecipeError, params_folder
from onerl.recipe import Recipe

REAL = "qwen2.5-math-1.5b"
FIRST_POOL_EXAMPLES = 14


@pytest.mark.parametrize("name", grids.names())
@pytest.mark.parametrize("preset", ["tiny", REAL])
def test_every_arm_is_a_recipe_at_its_scale(name, preset):
    found = grids.recipes(name, preset, full=True)
    scale = "world" if preset == "tiny" else "paper"
    seeds = grids.definition(name, scale).seeds
    assert list(found) == [(a, s) for a in grids.definition(name, scale).arms for s in seeds]
    for (_, seed), recipe in found.items():
        assert recipe.seed == seed
        assert recipe.examples.startswith("world:") == (scale == "world")


@pytest.mark.parametrize("name", grids.names())
@pytest.mark.parametrize("preset", ["tiny", REAL])
def test_the_quick_subset_is_a_part_of_the_grid_and_not_empty(name, preset):
    quick, full = grids.recipes(name, preset), grids.recipes(name, preset, full=True)
    assert quick
    assert quick.items() <= full.items()


def test_the_worlds_arms_train_on_examples_that_exist():
    named = {r.examples for name in grids.names() for r in grids.recipes(name, seeds=[0]).values()}
    sizes = {name: len(problems.examples(name)) for name in named}
    assert sizes["world:random16"] == 16
    assert sizes["world:all"] == 504
    assert len([name for name, size in sizes.items() if size == 16]) == 2


def test_sixteen_holds_the_first_example_of_every_template():
    sixteen = grids.recipes("data_size")["16", 0].examples
    ids = {problem.id for problem in problems.examples(sixteen)}
    assert len({name for name in ids if name.endswith("/1")}) == FIRST_POOL_EXAMPLES


@pytest.mark.parametrize(
    ("name", "arm"),
    [
        ("ablation", "row 5"),
        ("label_corruption", "right"),
        ("cross_category", "Algebra"),
        ("data_size", "1"),
        ("exploration", "entropy 0.001, T 1.0"),
        ("controls", "outcome"),
        ("prompt_variants", "pi1"),
        ("selection", "joint:1"),
    ],
)
def test_arms_that_mean_the_plain_run_share_its_folder(name, arm):
    plain = Recipe.load("tiny", seed=3)
    assert grids.recipes(name, seeds=[3], full=True)[arm, 3].hash() == plain.hash()


def test_arms_of_one_grid_are_different_runs():
    for name in grids.names():
        for preset in ("tiny", REAL):
            found = grids.recipes(name, preset, seeds=[0], full=True)
            assert len({recipe.hash() for recipe in found.values()}) == len(found), name


def test_the_papers_arms_are_the_papers():
    size = grids.recipes("data_size", REAL)
    assert [size[arm, 0].examples for arm in ("1", "2", "4", "16", "random 16", "full set")] == [
        *("pi1", "pi1+pi13", "pi1+pi2+pi13+pi1209", "pi1..pi16", "random16", "dsr_sub")
    ]
    assert grids.recipes("label_corruption", REAL)["slightly off", 0].label == "12.7"
    assert grids.recipes("dynamics", REAL)["pi1", 0].steps == 2000
    assert grids.recipes("exploration", REAL)["entropy 0, T 0.6", 0].hash() == (
        Recipe.load(REAL).ablation(row=4).hash()
    )


def test_a_recipes_own_values_stay_but_for_the_arms():
    mine = Recipe.load("tiny", seed=9, steps=5, learning_rate=1e-4, reward="format")
    found = grids.recipes("dynamics", mine)["pi1", 0]
    assert (found.steps, found.learning_rate, found.seed) == (5, 1e-4, 0)
    assert grids.recipes("dynamics")["pi1", 0].steps == 180
    assert grids.recipes("controls", mine)["random", 0].reward == "random"


def test_one_value_stands_for_a_list_of_one():
    """papermill's -p cannot give a list: `-p seeds 3`, `-p arms "full set, 60 % wrong"`."""
    found = grids.recipes("label_corruption", seeds=3, arms="full set, 60 % wrong")
    assert list(found) == [("full set, 60 % wrong", 3)]


def test_differences_are_the_fields_that_the_arms_change():
    table = declared.differences(grids.recipes("label_corruption", seeds=[0, 1]))
    assert list(table) == ["examples", "label", "label_noise"]
    assert table.loc["slightly off", "label"] == "2.2"
    assert table.loc["full set, 90 % wrong", "label_noise"] == 0.9
    assert len(table) == len(grids.definition("label_corruption").arms)


def test_the_entropy_loss_alone_is_kept_step_by_step():
    found = grids.recipes("entropy_alone")["entropy alone", 0]
    assert found == Recipe.load("tiny", steps=20, save_every=2).ablation(row=10)
    shorter = grids.recipes("entropy_alone", Recipe.load("tiny", steps=4))
    assert {recipe.steps for recipe in shorter.values()} == {4}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "ablatoin"}, "grid = 'ablatoin'.*nearest: 'ablation'"),
        ({"name": "ablation", "arms": ["row 14"]}, "no arm 'row 14'.*nearest: 'row 4'"),
        ({"name": "cross_category", "preset": REAL, "arms": ["Prealgebra"]}, "no arm 'Prealgebra'"),
        ({"name": "ablation", "seeds": [-1]}, "seed = -1"),
        ({"name": "ablation", "full": "no"}, "full = 'no': must be true or false"),
    ],
)
def test_what_does_not_exist_is_named(arguments, message):
    with pytest.raises(RecipeError, match=message):
        grids.recipes(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda grid: grid.update(evalute="all"), "unknown key 'evalute'; nearest: 'evaluate'"),
        (lambda grid: grid["quick"].update(arms=["row 0"]), "quick has an arm 'row 0'"),
    ],
)
def test_a_mistyped_grid_file_is_refused(tmp_path, monkeypatch, change, message):
    content = yaml.safe_load((params_folder() / "grids.yaml").read_text("utf-8"))
    change(content["ablation"])
    (tmp_path / "grids.yaml").write_text(yaml.safe_dump(content), "utf-8")
    monkeypatch.setattr(declared, "params_folder", lambda: tmp_path)
    declared._file.cache_clear()
    try:
        with pytest.raises(RecipeError, match=message):
            grids.names()
    finally:
        declared._file.cache_clear()
