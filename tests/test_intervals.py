"""The estimators against closed forms, brute force and simulation."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from onerl.estimates import (
    average_interval,
    bootstrap_means,
    mean_interval,
    paired_interval,
    pass_at_k,
    rank_correlation,
    seed_interval,
    wilson,
)


def test_bootstrap_spread_is_the_standard_error():
    values = np.random.default_rng(0).normal(3, 2, size=400)
    means = bootstrap_means(values)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)
    assert means.std() == pytest.approx(values.std() / 20, rel=0.03)


def test_multinomial_draw_has_the_distribution_of_resampling_by_index():
    rng = np.random.default_rng(1)
    values = rng.binomial(8, 0.3, size=60) / 8
    by_index = values[rng.integers(0, 60, size=(10_000, 60))].mean(axis=1)
    assert stats.ks_2samp(bootstrap_means(values), by_index).pvalue > 1e-3


@pytest.mark.parametrize(("share", "samples"), [(0.3, 1), (0.75, 1), (0.2, 8)])
def test_95_percent_interval_covers_93_to_97_percent(share, samples):
    """Simulated benchmarks of 300 problems, whose difficulty varies when sampled often."""
    rng = np.random.default_rng(2)
    hits, trials = 0, 1000 if samples == 1 else 400
    for trial in range(trials):
        chance = share if samples == 1 else rng.beta(2 * share, 2 * (1 - share), size=300)
        low, high = mean_interval(rng.binomial(samples, chance, size=300) / samples, trial)[1:]
        hits += low <= share <= high
    assert 0.93 <= hits / trials <= 0.97


def test_interval_of_a_difference_covers_93_to_97_percent():
    rng = np.random.default_rng(3)
    hits, trials = 0, 500
    for trial in range(trials):
        skill = rng.random(200)
        a, b = rng.random(200) < 0.2 + 0.6 * skill, rng.random(200) < 0.1 + 0.6 * skill
        _, _, low, high, _ = paired_interval(a, b, trial)
        hits += low <= 0.1 <= high
    assert 0.93 <= hits / trials <= 0.97


def test_permutation_p_is_uniform_when_nothing_differs():
    rng = np.random.default_rng(4)
    p = [paired_interval(*rng.normal(size=(2, 20)), seed=i).p for i in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_permutation_p_agrees_with_the_exact_sign_test():
    a, b = np.zeros(60), np.zeros(60)
    a[:15], b[15:20] = 1, 1
    exact = stats.binomtest(15, 20).pvalue
    assert paired_interval(a, b).p == pytest.approx(exact, abs=0.006)


def test_pairing_sees_what_unpaired_intervals_hide():
    rng = np.random.default_rng(5)
    b = (rng.random(400) < 0.5).astype(float)
    a = b.copy()
    a[np.flatnonzero(b == 0)[:16]] = 1
    assert mean_interval(a).low < mean_interval(b).high
    assert paired_interval(a, b).low > 0
    assert paired_interval(a, b).p < 0.01


def test_equal_answers_have_no_difference_and_p_one():
    assert paired_interval([1, 0, 1], [1, 0, 1]) == (3, 0.0, 0.0, 0.0, 1.0)


def test_all_right_or_all_wrong_still_has_an_interval():
    assert mean_interval(np.zeros(50))[:2] == (0.0, 0.0)
    assert 0.05 < mean_interval(np.zeros(50)).high < 0.10
    assert 0.90 < mean_interval(np.ones(50)).low < 0.95
    assert mean_interval([7.0, 7.0]) == (7.0, 7.0, 7.0)


def test_wilson_agrees_with_scipy():
    low, high = stats.binomtest(7, 30).proportion_ci(method="wilson")
    assert wilson(7, 30) == pytest.approx((7 / 30, low, high))


def test_average_of_benchmarks_weighs_each_the_same():
    small, large = [1.0, 0.0] * 15, [0.0] * 400 + [1.0] * 100
    average = average_interval([small, large])
    assert average.value == pytest.approx(0.35)
    spread = np.sqrt(0.25 / 30 + 0.16 / 500) / 2
    assert average.high - average.low == pytest.approx(2 * 1.96 * spread, rel=0.05)


def test_seed_interval_is_student_t():
    low, high = stats.ttest_1samp([60, 66, 70, 71, 63], 0).confidence_interval()
    assert seed_interval([60, 66, 70, 71, 63]) == pytest.approx((66, low, high))
    assert np.isnan(seed_interval([3.0]).low)


def test_rank_correlation_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    pairs = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=(1000, 20))
    truth = 6 / np.pi * np.arcsin(0.5 / 2)  # Spearman's rho of a normal pair
    found = [rank_correlation(*sample.T) for sample in pairs]
    covered = np.mean([low <= truth <= high for _, low, high in found])
    assert 0.92 < covered < 0.98
    assert np.mean([value for value, *_ in found]) == pytest.approx(truth, abs=0.03)


def test_rank_correlation_asks_only_for_order_and_says_when_there_is_none():
    assert rank_correlation([1, 2, 3, 4, 50], [2, 3, 4, 5, 6]).value == pytest.approx(1)
    assert np.isnan(rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]).value)
    assert np.isnan(rank_correlation([1, 2, 3], [1, 2, 3]).low)
    with pytest.raises(ValueError, match="pairs, got 3 and 4"):
        rank_correlation([1, 2, 3], [1, 2, 3, 4])


@pytest.mark.parametrize(("n", "c"), [(6, 0), (6, 1), (6, 3), (6, 6)])
@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_pass_at_k_equals_counting_all_subsets(n, c, k):
    right = [i < c for i in range(n)]
    subsets = [any(chosen) for chosen in combinations(right, k)]
    assert pass_at_k(n, c, k) == pytest.approx(np.mean(subsets))


@pytest.mark.parametrize("arguments", [(4, 1, 5), (4, 5, 1), (4, 1, 0)])
def test_pass_at_k_refuses_what_it_cannot_estimate(arguments):
    with pytest.raises(ValueError, match="1 <= k <= n"):
        pass_at_k(*arguments)


def test_no_values_is_an_error_not_a_nan():
    for call in (lambda: mean_interval([]), lambda: seed_interval([])):
        with pytest.raises(ValueError, match="at least one"):
            call()
    with pytest.raises(ValueError, match="same problems"):
        paired_interval([1.0], [1.0, 0.0])
