"""Labels made wrong: so many, never by accident right, and the same every time."""

import os
import random

import pytest

from onerl.problems import Problem, examples
from onerl.problems.labels import corrupted, wrong_label
from onerl.recipe import Recipe
from onerl.training.rows import training_rows
from onerl.verifier import verify

LABELS = ["12.8", "4", "-3", r"\frac{2}{3}", r"-\frac{1}{2}", r"2\sqrt{3}", "0", "(1,2)", "x+1"]
POOL = [Problem(str(i), f"What is {i}+1?", str(i + 1)) for i in range(101)]


def right(label: str, answer: str) -> bool:
    return verify(f"\\boxed{{{answer}}}", label)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_exactly_the_share_is_wrong_and_nothing_else_changes(share, seed):
    noisy = corrupted(POOL, share, seed)
    changed = [a.answer != b.answer for a, b in zip(POOL, noisy, strict=True)]
    assert sum(changed) == round(share * len(POOL))
    for before, after, other in zip(POOL, noisy, changed, strict=True):
        assert (before.id, before.question) == (after.id, after.question)
        assert right(before.answer, after.answer) is not other


def test_a_larger_share_keeps_the_wrong_labels_of_a_smaller_one():
    some, more = (corrupted(POOL, share, 0) for share in (0.6, 0.9))
    kept = [b == c for a, b, c in zip(POOL, some, more, strict=True) if a != b]
    assert len(kept) == 61
    assert all(kept)


def test_the_same_seed_gives_the_same_labels_and_another_seed_others():
    assert corrupted(POOL, 0.5, 3) == corrupted(POOL, 0.5, 3)
    assert corrupted(POOL, 0.5, 3) != corrupted(POOL, 0.5, 4)


@pytest.mark.parametrize("label", LABELS)
def test_a_wrong_label_is_never_right_and_can_be_read(label):
    made = {wrong_label(label, random.Random(i)) for i in range(60)}
    assert len(made) > 5
    for wrong in made:
        assert not right(label, wrong)
        assert right(wrong, wrong)


def test_a_number_moves_by_at_most_ten_keeps_its_decimals_and_its_sign_is_flipped_half_the_time():
    made = [wrong_label("12.8", random.Random(i)) for i in range(400)]
    assert all(len(wrong.partition(".")[2]) == 1 for wrong in made)
    assert all(2.8 <= abs(float(wrong)) <= 22.8 for wrong in made)
    assert 150 < sum(wrong.startswith("-") for wrong in made) < 250


def test_both_parts_of_a_fraction_are_changed():
    for seed in range(40):
        wrong = wrong_label(r"\frac{2}{3}", random.Random(seed)).removeprefix("-")
        top, bottom = wrong.removeprefix(r"\frac{").removesuffix("}").split("}{")
        assert top != "2"
        assert bottom != "3"
        assert bottom != "0"
        assert not wrong_label("1/7", random.Random(seed)).endswith("/0")


@pytest.mark.parametrize("label", [r"\text{Evelyn}", "C", r"\pi"])
def test_a_label_without_a_number_becomes_a_small_whole_number(label):
    made = {wrong_label(label, random.Random(i)) for i in range(60)}
    assert {abs(int(wrong)) for wrong in made} <= set(range(1, 11))


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=r"label_noise = .*from 0 to 1"):
        corrupted(POOL, share, 0)


def test_the_recipe_asks_for_noise_by_its_own_seed():
    recipe = Recipe(examples="pi1", label_noise=1.0, seed=5)
    (row,) = training_rows(recipe)
    assert row["answer"] == corrupted(examples("pi1"), 1.0, 5)[0].answer != "12.8"


@pytest.mark.skipif(not os.environ.get("ONERL_DATA"), reason="ONERL_DATA names no data")
@pytest.mark.parametrize("share", [0.6, 0.9])
def test_the_whole_pool_can_be_made_noisy(share):
    pool = examples("dsr_sub")
    noisy = corrupted(pool, share, 0)
    wrong = [(a.answer, b.answer) for a, b in zip(pool, noisy, strict=True) if a != b]
    assert len(wrong) == round(share * 1207)
    assert not any(right(label, other) for label, other in wrong)
    assert all(right(other, other) for _, other in wrong)
