"""The paper's tables with ours beside them: every row has its place, every number its scale."""

from functools import partial

import pandas as pd
import pytest
from fake_runs import LIMIT, fake_run

from onerl import grids, paper
from onerl.grids import finished, recorded
from onerl.paper import beside
from onerl.recipe import Recipe

each_table = pytest.mark.parametrize("name", beside.declared())


def test_every_table_of_results_has_a_plan():
    others = {"benchmarks", "grader_truth_table", "pi_examples"}
    assert set(beside.declared()) == set(paper.tables()) - others


@each_table
def test_every_row_of_the_paper_is_shown_with_its_own_name(name):
    """Within one model and algorithm a row's name is its own, so no run can stand in two places."""
    rows = beside.paper_table(name, {})
    assert len(rows) == len(paper.table(name))
    plan = beside.declared()[name]
    shown = [f"paper: {column}" for column in plan["values"]]
    assert not rows.duplicated(["row", *shown]).any()


@each_table
def test_every_declared_arm_exists_and_every_name_is_a_row(name):
    plan = beside.declared()[name]
    called = set(beside.paper_table(name, {})["row"])
    shared = {"random16", "format_reward", "base", "DSR-sub", "pi1", "pi1+pi13", "pi1..pi16"}
    shared |= {"pi1+pi2+pi13+pi1209"}
    assert set(plan["arms"]) - shared <= called
    for arm in plan["arms"].values():
        grid, _, arm = arm.partition("/")
        scales = [grids.definition(grid, scale).arms for scale in ("world", "paper")]
        assert arm == "base model" or any(arm in arms for arms in scales), (grid, arm)


@each_table
def test_what_is_missing_has_a_command(name):
    """But for rows that the paper itself took from elsewhere."""
    assert beside.missing(name, {})


@pytest.fixture
def out(tmp_path, monkeypatch):
    """Rows 1 and 5 of the ablation, two seeds each, at the smallest scale."""
    monkeypatch.setattr(beside, "collect", partial(finished.collect, limit=LIMIT))
    monkeypatch.setattr(recorded, "outputs_folder", lambda: tmp_path)
    tiny = Recipe.load("tiny")
    for seed in (0, 1):
        for row, share in ((1, 0.25), (5, 0.75 + 0.25 * seed)):
            recipe = tiny.replace(seed=seed).ablation(row=row)
            fake_run(tmp_path, recipe, {0: 0.25, recipe.steps: share})
    return tmp_path


def test_a_finished_run_stands_beside_its_row_with_its_scale_and_interval(out):
    found = beside.finished_grids(out)
    rows = beside.paper_table("table5_ablation", found).set_index("row")
    assert rows.loc["5", "value"] == pytest.approx(87.5)
    assert rows.loc["5", ["seeds", "problems", "interval"]].tolist() == [2, LIMIT, "seeds"]
    assert rows.loc["5", "low"] < 87.5 < rows.loc["5", "high"]
    assert rows.loc["5", "paper: math500"] == 74.8
    assert rows.loc["5", "measured at"] == "embedded world, held-out"
    assert rows.drop(index=["1", "5"])["measured at"].isna().all()


def test_the_same_run_stands_beside_every_row_that_it_is(out):
    found = beside.finished_grids(out)
    for name, row in (("table8_main", "pi1"), ("table14_format_reward", "pi1, outcome, 1")):
        assert beside.paper_table(name, found).set_index("row").loc[row, "value"] == 87.5


def test_the_embedded_world_is_never_beside_another_model(out):
    found = beside.finished_grids(out)
    for name in ("table4_models", "table10_more_models", "table12_r1_distill"):
        assert beside.paper_table(name, found)["measured at"].isna().all()


def test_our_numbers_are_never_in_a_column_of_the_papers(out):
    empty = beside.paper_table("table8_main", {})
    rows = beside.paper_table("table8_main", beside.finished_grids(out))
    theirs = [column for column in rows if column.startswith("paper: ")]
    pd.testing.assert_frame_equal(empty[theirs], rows[theirs])


def test_what_is_there_is_no_longer_missing(out):
    sweep = "python -m onerl.sweep data_size --full"
    real = "python -m onerl.sweep data_size --preset qwen2.5-math-1.5b --full"
    assert {sweep, real} <= set(beside.missing("table16_in_context", {}))
    left = beside.missing("table16_in_context", beside.finished_grids(out))
    assert sweep not in left
    assert real in left


def test_grids_that_are_not_recorded_are_named_and_the_others_read(out):
    grid = beside.finished_grids(out)["ablation", "tiny"]
    recorded.record(grid, "ablation")
    found, missing = beside.recorded_grids()
    assert set(found) == {("ablation", "tiny")}
    assert set(missing) == set(grids.names()) - {"ablation"}


def test_what_is_recorded_under_another_name_is_read_too(out):
    recorded.record(beside.finished_grids(out)["ablation", "tiny"], "of one's own")
    assert set(beside.recorded_grids()[0]) == {("of one's own", "tiny")}


def test_a_table_of_verdicts_goes_on_without_the_grids_that_are_not_there(out):
    recorded.record(beside.finished_grids(out)["ablation", "tiny"], "ablation")
    rows, left = beside.verdicts()
    assert rows.empty  # rows 2, 4 and 8 have no run
    assert any(line.startswith("ablation: recorded in part") for line in left)
    assert any(line.startswith("data_size: not recorded yet") for line in left)


def test_runs_that_are_no_arm_are_listed_apart(out):
    own = Recipe.load("tiny", steps=7)
    fake_run(out, own, {0: 0.25, 7: 0.5})
    rows = beside.other_runs(beside.finished_grids(out), out)
    assert list(rows["folder"]) == [own.hash()]
    assert rows.loc[0, "steps"] == "7"


def test_the_papers_numbers_on_a_benchmark_say_how_they_were_made():
    rows = beside.theirs(["world", "aime24", "clean-arithmetic"])
    assert list(rows["benchmark"]) == ["math500", "math500", "aime24", "aime24"]
    assert rows.loc[1, ["n", "k", "value"]].tolist() == [500, 1, 72.8]
    assert rows.loc[3, ["n", "k", "value"]].tolist() == [30, 8, 15.4]
    assert rows.loc[1, "checkpoint"] == "best average on the test sets"


def test_an_unknown_table_is_named():
    with pytest.raises(ValueError, match="table5"):
        beside.paper_table("table5", {})
