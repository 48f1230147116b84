"""The odds of a run are counted right, and the advice follows from them."""

import itertools

import pandas as pd
import pytest

from onerl.estimates import proportion
from onerl.recipe import Recipe
from onerl.training import prospects
from onerl.training.prospects import Odds, informative, judge, sample

OWN = {"problem": "What is the average of 3, 5 and 7?", "answer": "5"}


@pytest.mark.parametrize("p", [0.0, 0.063, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("group", [2, 4])
def test_informative_is_the_share_of_groups_with_both_outcomes(p, group):
    chance = sum(
        p ** sum(outcome) * (1 - p) ** (group - sum(outcome))
        for outcome in itertools.product([0, 1], repeat=group)
        if 0 < sum(outcome) < group
    )
    assert informative(p, group) == pytest.approx(chance)


def test_informative_gives_the_numbers_of_the_reference():
    assert informative(0.063, 8) == pytest.approx(0.41, abs=0.005)
    assert informative(0.99, 8) == pytest.approx(0.077, abs=0.0005)


def test_the_interval_of_the_success_rate_is_carried_over():
    odds = Odds(n=512, right=32, group=8, groups=128)
    low, high = proportion(32, 512).low, proportion(32, 512).high
    found = odds.informed.value, odds.informed.low, odds.informed.high
    assert found == pytest.approx([prospect8(p) for p in (1 / 16, low, high)])
    assert odds.table["value"].tolist() == pytest.approx(
        [6.25, 100 * prospect8(1 / 16), 128 * prospect8(1 / 16), 100], abs=1e-6
    )


def prospect8(p):
    return informative(p, 8)


def test_around_one_half_the_interval_reaches_the_top():
    odds = Odds(n=8, right=4, group=2, groups=1)
    assert odds.informed.value == odds.informed.high == 0.5
    assert odds.informed.low < 0.5


@pytest.mark.parametrize(
    ("right", "groups", "words"),
    [
        (0, 8, "Not one of 512 answers is right (at most 0.7 %)"),
        (510, 8, "knows it already: 99.6 %"),
        (1, 8, "A step has 0.12 informative groups, so about 8 steps pass"),
        (32, 8, "There is a signal: 6.2 % right, and about 3.2 of 8 groups"),
    ],
)
def test_the_advice_follows_from_the_number(right, groups, words):
    assert words in Odds(n=512, right=right, group=8, groups=groups).advice


def test_samples_are_the_models_own_and_the_same_for_a_seed():
    recipe = Recipe.load("tiny", examples=OWN)
    first, again = sample(recipe, 24), sample(recipe, 24)
    pd.testing.assert_frame_equal(first, again)
    assert first["text"].nunique() > 6
    assert (sample(recipe.replace(seed=1), 24)["text"] != first["text"]).mean() > 0.5
    assert judge(first, recipe) == Odds(24, int(first["correct"].sum()), 8, 8)
    counted = prospects.answers(first, most=100)
    assert counted["times"].sum() == 24
    assert counted.loc[counted["right"], "times"].sum() == first["correct"].sum()


def test_what_a_run_would_refuse_is_refused():
    with pytest.raises(ValueError, match="samples = 0"):
        sample(Recipe.load("tiny", examples=OWN), 0)
    with pytest.raises(ValueError, match="one example is needed"):
        sample(Recipe.load("tiny", examples="world:all"), 8)
    with pytest.raises(ValueError, match="max_prompt_length"):
        sample(Recipe.load("tiny", examples=OWN, max_prompt_length=3), 8)
