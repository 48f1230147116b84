"""A recorded grid gives the same numbers as the runs it was made from, and says what it is."""

import json

import pandas as pd
import pytest
from fake_runs import LIMIT, fake_run

from onerl.evaluation.report import METRICS
from onerl.grids import recorded
from onerl.grids.finished import collect
from onerl.recipe import Recipe

RECIPES = {
    (arm, seed): Recipe.load("tiny", steps=4, seed=seed, reward=reward)
    for arm, reward in (("a", "outcome"), ("b", "format"))
    for seed in (0, 1)
}
HISTORY = [{"x": 0.5, "y": 0.25}, {"y": 1.0}, {"z": 0.0, "x": 1.0}]


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "outputs_folder", lambda: tmp_path / "outputs")
    for i, recipe in enumerate(RECIPES.values()):
        history = HISTORY if i == 0 else None
        fake_run(tmp_path, recipe, {0: 0.25, 2: 0.1 * i, 4: 0.2 + 0.2 * i}, history)
    return collect(RECIPES, tmp_path, "all", LIMIT)


def test_a_recorded_grid_gives_the_numbers_of_the_live_one(grid):
    recorded.record(grid, "both")
    again = recorded.load("both")
    for metric in METRICS:
        pd.testing.assert_frame_equal(grid.table(metric), again.table(metric))
    for arm in grid.arms:
        pd.testing.assert_frame_equal(grid.curve(arm), again.curve(arm))
        pd.testing.assert_frame_equal(
            grid.by_category(arm, minus="base model"), again.by_category(arm, minus="base model")
        )
        pd.testing.assert_frame_equal(grid.metrics(arm), again.metrics(arm), check_dtype=False)
    assert grid.difference("a", "b") == again.difference("a", "b")
    pd.testing.assert_frame_equal(grid.report("a", 0).table, again.report("a", 0).table)
    assert {key: run.recipe for key, run in again.outcomes.items()} == RECIPES


def test_a_history_comes_back_with_its_gaps(grid):
    recorded.record(grid, "both")
    again = recorded.load("both").outcomes["a", 0].history
    pd.testing.assert_frame_equal(grid.outcomes["a", 0].history, again, check_dtype=False)
    assert recorded.load("both").outcomes["a", 1].history.empty


def test_a_recorded_grid_says_that_it_was_not_run_here(grid):
    recorded.record(grid, "both")
    again = recorded.load("both")
    assert again.recorded
    assert again.label == (
        "RECORDED, not run here: 4 runs of 2026-11-23, at commit 0123456, on a processor,"
        " 1 thread a run, torch 2.13.0"
    )
    assert not grid.recorded


def test_no_text_of_a_model_is_recorded(grid):
    folder = recorded.record(grid, "both")
    for file in folder.iterdir():
        assert b"recheck" not in file.read_bytes()
    columns = set(pd.read_parquet(folder / "records.parquet"))
    assert not columns & {"text", "answer", "gold", "question"}


def test_one_run_of_two_arms_is_kept_once(grid, tmp_path):
    twice = {**RECIPES, ("also a", 0): RECIPES["a", 0]}
    folder = recorded.record(collect(twice, tmp_path, "all", LIMIT), "twice")
    assert len(pd.read_parquet(folder / "metrics.parquet")) == 4 * len(RECIPES)
    assert len(json.loads((folder / "runs.json").read_text())["runs"]) == 5
    pd.testing.assert_frame_equal(
        recorded.load("twice").metrics("also a", 0), recorded.load("twice").metrics("a", 0)
    )


def test_recording_again_replaces_what_was_there(grid, tmp_path):
    recorded.record(grid, "both")
    recorded.record(collect({("b", 0): RECIPES["b", 0]}, tmp_path, "all", LIMIT), "both")
    again = recorded.load("both")
    assert list(again.outcomes) == [("b", 0)]
    assert len(again.outcomes["b", 0].history) == 0


def test_nothing_recorded_is_recorded_again(grid):
    recorded.record(grid, "both")
    with pytest.raises(ValueError, match="nothing to record"):
        recorded.record(recorded.load("both"), "both")


def test_a_grid_that_is_not_recorded_is_named_with_those_that_are(grid):
    recorded.record(grid, "both")
    with pytest.raises(FileNotFoundError, match=r"'boht'.*nearest: 'both'.*recorded: both"):
        recorded.load("boht")
