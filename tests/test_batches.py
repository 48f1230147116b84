"""Micro-batches: each sequence once, as many as the tokens ask for, and weights that are a mean."""

import random

import pytest

from onerl.recipe import Recipe
from onerl.training.batches import DataOrder, micro_batches, token_weights


def lengths(seed, n):
    rng = random.Random(seed)
    return [rng.randint(1, 300) for _ in range(n)], [rng.choice((1, 40, 3072)) for _ in range(n)]


@pytest.mark.parametrize("budget", [1, 1000, 24000, 10**9])
@pytest.mark.parametrize("n", [1, 7, 128])
def test_every_sequence_is_in_one_micro_batch_and_their_number_is_the_released_codes(n, budget):
    prompts, completions = lengths(n, n)
    totals = [p + c for p, c in zip(prompts, completions, strict=True)]
    packed = micro_batches(totals, budget)
    assert sorted(row for rows in packed for row in rows) == list(range(n))
    assert len(packed) == min(n, -(-sum(totals) // budget))  # ceil, never more than sequences


def test_micro_batches_are_balanced_to_one_sequence():
    _, totals = lengths(3, 128)
    sums = [sum(totals[row] for row in rows) for rows in micro_batches(totals, 24000)]
    assert len(sums) > 3
    assert max(sums) - min(sums) <= max(totals)
    assert sum(sums) / len(sums) <= 24000


@pytest.mark.parametrize("budget", [500, 5000, 24000])
def test_the_weights_of_all_completion_tokens_add_up_to_one(budget):
    prompts, completions = lengths(5, 64)
    weights = token_weights(prompts, completions, budget)
    total = sum(w * c for w, c in zip(weights, completions, strict=True))
    assert total == pytest.approx(1, rel=1e-12)


def test_one_micro_batch_is_a_mean_over_all_tokens():
    prompts, completions = lengths(6, 64)
    weights = token_weights(prompts, completions, 10**9)
    assert weights == pytest.approx([1 / sum(completions)] * 64)


def test_a_micro_batch_weighs_as_much_as_its_share_of_the_sequences():
    """Three short sequences beside one long: not the mean over all tokens."""
    weights = token_weights([0, 0, 0, 0], [90, 30, 30, 30], 90)
    assert weights == pytest.approx([1 / 4 / 90, *[3 / 4 / 90] * 3])


def test_no_completion_token_at_all_divides_nothing_by_zero():
    assert token_weights([3, 3], [0, 0], 100) == [1.0, 1.0]


@pytest.mark.parametrize(("examples", "copies"), [(1, 128), (2, 64), (4, 32), (16, 8)])
def test_a_step_of_the_paper_is_128_copies_in_groups_of_8(examples, copies):
    """One example is 128 groups of 8, each with a mean of its own (reference 2.4)."""
    recipe = Recipe(steps=2)
    order = list(DataOrder(recipe, examples))
    assert len(order) == 2 * 1024
    for step in (order[:1024], order[1024:]):
        groups = [step[i : i + 8] for i in range(0, 1024, 8)]
        assert len(groups) == 128
        assert all(len(set(group)) == 1 for group in groups)
        assert sorted(group[0] for group in groups) == sorted(list(range(examples)) * copies)
