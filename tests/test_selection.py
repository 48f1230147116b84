"""The historical variance score ranks as the paper does; its rivals are what they claim to be."""

import math
import os

import numpy as np
import pandas as pd
import pytest

from onerl import paper
from onerl.grids import selection
from onerl.problems import released

NEEDS_DATA = pytest.mark.skipif("ONERL_DATA" not in os.environ, reason="needs the released data")


@NEEDS_DATA
def test_the_released_history_gives_every_rank_of_the_paper():
    table = selection.scores(released.released_history())
    given = paper.table("pi_examples")
    assert table.loc[given["index"], "rank std"].tolist() == given["pi"].tolist()
    assert len(table) == 1209
    assert sorted(table["rank std"]) == list(range(1, 1210))


@NEEDS_DATA
def test_the_released_history_gives_the_papers_numbers():
    table = selection.scores(released.released_history()).loc[paper.table("pi_examples")["index"]]
    given = paper.table("pi_examples").set_index("index")
    assert table["visits"].tolist() == given["n_visits"].tolist()
    assert np.allclose(table["std"] ** 2, given["variance"], atol=6e-5)
    assert np.allclose(table["mean"], given["mean_acc"], atol=6e-4)


@NEEDS_DATA
def test_the_ranking_of_the_examples_is_the_scores():
    table = selection.scores(released.released_history())
    assert released.ranking() == tuple(table.sort_values("rank std").index)


def test_historical_variance_is_the_populations():
    assert released.historical_variance([0.0, 1.0]) == 0.5
    assert released.historical_variance([0.25, 0.25, 0.25]) == 0.0


def test_equal_scores_keep_their_order():
    assert released.ranks([0.1, 0.5, 0.1, 0.5, 0.0]).tolist() == [3, 1, 4, 2, 5]
    assert released.ranks([0.0, 1.0] * 100)[::2].tolist() == list(range(101, 201))


def test_lim_is_one_on_the_mean_curve_and_falls_with_the_distance():
    low, high, middle = [0.0, 0.5, 0.5], [0.5, 0.5, 1.0], [0.25, 0.5, 0.75]
    found = selection.lim([low, high, middle])
    assert found[2] == 1.0
    room = 0.75**2 + 0.5**2 + 0.25**2
    assert found[0] == pytest.approx(1 - (0.25**2 + 0.25**2) / room)


def test_lim_cuts_to_the_shortest_history():
    long, short = [0.0, 1.0, 0.0, 0.0], [0.0, 0.5]
    assert selection.lim([long, short]).tolist() == selection.lim([long[:2], short]).tolist()


def test_lim_of_a_set_that_is_always_right_is_no_number():
    assert all(math.isnan(value) for value in selection.lim([[1.0, 1.0], [1.0, 1.0]]))


def test_near_half_is_greatest_where_half_of_the_answers_are_right():
    lists = [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.5, 0.25]]
    assert [selection.near_half(history) for history in lists] == [0.0, 0.0, 1.0, 0.75]


def test_a_runs_history_is_scored_by_the_visits_that_were_made():
    steps = pd.DataFrame(
        {"a": [0.0, np.nan, 1.0], "b": [np.nan, 0.5, np.nan]},
        index=pd.Index([1, 2, 3], name="step"),
    )
    table = selection.scores(steps)
    assert table["visits"].tolist() == [2, 1]
    assert table["mean"].tolist() == [0.5, 0.5]
    assert table["std"].tolist() == [0.5, 0.0]
    assert table["rank std"].tolist() == [1, 2]


def test_the_random_order_is_the_seeds():
    history = {i: [0.5] for i in range(50)}
    first, again, other = (selection.scores(history, seed)["rank random"] for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.parametrize("history", [{}, {"a": [0.5], "b": []}])
def test_a_history_without_visits_is_refused(history):
    with pytest.raises(ValueError, match=r"history: .* examples, never visited"):
        selection.scores(history)
