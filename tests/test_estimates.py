"""The estimators against closed forms, scipy, brute force and simulation."""

from functools import partial
from itertools import combinations, product
from math import inf, isnan, nan
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from onerl import estimates
from onerl.estimates import (
    METRICS,
    Estimate,
    combination,
    difference,
    mean,
    pass_at_k,
    proportion,
    rank_correlation,
    runs,
    seeds,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def ends(found: Estimate) -> tuple[float, float, float]:
    return found.value, found.low, found.high


def coverage(truth, estimate, *samples) -> float:
    found = [estimate(*trial) for trial in zip(*samples, strict=True)]
    return np.mean([each.low - 1e-9 <= truth <= each.high + 1e-9 for each in found])


# -- over problems -------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "n"), [(0, 30), (1, 30), (7, 30), (29, 30), (500, 500)])
def test_one_answer_a_problem_gives_wilsons_interval_as_scipy_has_it(right, n):
    low, high = stats.binomtest(right, n).proportion_ci(method="wilson")
    expected = pytest.approx((right / n, low, high), abs=1e-12)
    assert ends(mean([1.0] * right + [0.0] * (n - right))) == expected
    assert ends(proportion(right, n)) == expected


@pytest.mark.parametrize("share", [0.05, 0.5, 0.98])
@pytest.mark.parametrize(("n", "k", "c"), [(30, 1, inf), (30, 8, 2), (30, 8, inf), (100, 8, 0.5)])
def test_the_mean_is_covered_whatever_the_difficulties(n, k, c, share, rng):
    """1,500 simulated evaluations; `benchmarks/coverage.py` has more of everything."""
    shape = (1500, n)
    chance = share if c == inf else rng.beta(c * share, c * (1 - share), shape)
    assert 0.93 <= coverage(share, mean, rng.binomial(k, chance, shape) / k) <= 0.99


@pytest.mark.parametrize("pair", [(0.97, 0.95), (0.05, 0.03), (0.6, 0.5)])
@pytest.mark.parametrize("k", [1, 8])
def test_the_difference_is_covered_near_zero_and_one_too(pair, k, monkeypatch, rng):
    monkeypatch.setattr(estimates, "RESAMPLES", 1000)
    a, b = (rng.binomial(k, p, (500, 30)) / k for p in pair)
    assert 0.92 <= coverage(pair[0] - pair[1], difference, a, b) <= 0.995


@pytest.mark.parametrize(
    "values",
    [[0.5], [0.0], [1.0], [0.3, 0.3], [0.0] * 30, [1.0] * 30, [0.5] * 30, [0.0, 1.0], [0.125] * 9],
)
def test_an_interval_over_problems_has_a_width_and_stays_inside(values):
    found = mean(values)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.02
    against = difference(values, values)
    assert -1 <= against.low < 0 < against.high <= 1
    assert against.high - against.low > 0.02


def test_answers_that_vary_less_than_single_ones_give_a_narrower_interval(rng):
    """Eight answers a problem to equally difficult problems are nearly eight times as many."""
    x = rng.binomial(8, 0.5, 400) / 8
    low, high = stats.binomtest(round(8 * x.sum()), 8 * 400).proportion_ci(method="wilson")
    found = mean(x)
    assert found.high - found.low == pytest.approx(high - low, rel=0.1)
    alike = mean(np.repeat([0.0, 1.0], 200))
    assert alike.high - alike.low > 2.5 * (found.high - found.low)


def test_lengths_get_students_interval_where_they_are_many(rng):
    x = rng.lognormal(5, 0.6, 2000)
    low, high = stats.ttest_1samp(x, 0).confidence_interval()
    assert ends(mean(x, inf)) == pytest.approx((x.mean(), low, high), rel=0.01)
    assert 0.93 <= coverage(0.05, partial(mean, top=inf), rng.poisson(0.05, (500, 100))) <= 0.99
    assert mean([0.0] * 100, inf).high > 0.02
    assert isnan(mean([300.0], inf).low)


def test_the_scale_of_the_values_does_not_matter(rng):
    x = rng.binomial(8, 0.3, 50) / 8
    assert ends(mean(4 * x, 4.0)) == pytest.approx(ends(mean(x).times(4)))


def test_weighted_means_are_the_dirichlet_posterior():
    """Of one answer a problem: a Dirichlet with Jeffreys' half for each side, here by scipy."""
    a, b = np.zeros(40), np.zeros(40)
    a[:6], b[6:9] = 1, 1
    posterior = stats.dirichlet([6.5, 3.5, 31]).rvs(100_000, random_state=1)
    low, high = np.quantile(posterior[:, 0] - posterior[:, 1], [0.025, 0.975])
    assert ends(difference(a, b)) == pytest.approx((3 / 40, low, high), abs=0.007)


def test_the_difference_of_many_problems_is_scipys_bootstrap(rng):
    a, b = rng.random(800) < 0.6, rng.random(800) < 0.5
    found = stats.bootstrap(
        ((a * 1.0 - b),), np.mean, n_resamples=4000, method="percentile", random_state=2
    ).confidence_interval
    assert ends(difference(a, b))[1:] == pytest.approx((found.low, found.high), abs=0.005)


def test_permutation_p_agrees_with_scipy(rng):
    """All 1,024 ways to swap ten pairs."""
    x = rng.integers(-8, 9, 10) / 8
    for shift in (0.0, 0.25):
        y = np.zeros(10) - shift
        exact = stats.permutation_test(
            (x, y), lambda a, b: np.mean(a - b), permutation_type="samples", vectorized=False
        ).pvalue
        assert difference(x, y).p == pytest.approx(exact, abs=0.015)


def test_permutation_p_agrees_with_the_exact_sign_test():
    a, b = np.zeros(60), np.zeros(60)
    a[:15], b[15:20] = 1, 1
    assert difference(a, b).p == pytest.approx(stats.binomtest(15, 20).pvalue, abs=0.006)


def test_permutation_p_is_uniform_when_nothing_differs(monkeypatch, rng):
    monkeypatch.setattr(estimates, "RESAMPLES", 1000)
    p = [difference(*rng.normal(size=(2, 20)), seed=i).p for i in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_equal_answers_have_no_difference_and_p_one():
    found = difference([1, 0, 1] * 10, [1, 0, 1] * 10)
    assert (found.n, found.value, found.p) == (30, 0.0, 1.0)


def test_pairing_sees_what_unpaired_intervals_hide(rng):
    b = (rng.random(400) < 0.5).astype(float)
    a = b.copy()
    a[np.flatnonzero(b == 0)[:16]] = 1
    assert mean(a).low < mean(b).high
    assert combination([mean(a), mean(b)], [1, -1]).low < 0
    assert difference(a, b).low > 0
    assert difference(a, b).p < 0.01


def test_a_difference_turned_round_changes_its_sign(rng):
    a, b = rng.binomial(8, 0.7, 40) / 8, rng.binomial(8, 0.5, 40) / 8
    there, back = difference(a, b), difference(b, a)
    assert (there.value, there.low) == pytest.approx((-back.value, -back.high), abs=0.01)


def test_an_average_weighs_each_benchmark_the_same():
    small, large = [1.0, 0.0] * 15, [0.0] * 400 + [1.0] * 100
    average = combination([mean(small), mean(large)])
    assert (average.value, average.n) == (pytest.approx(0.35), 530)
    spread = np.sqrt(0.25 / 30 + 0.16 / 500) / 2
    assert average.high - average.low == pytest.approx(2 * 1.96 * spread, rel=0.06)
    zero = combination([mean([0.0] * 30), mean([0.0] * 40)])
    assert (zero.low, zero.high) == (0.0, pytest.approx(0.0717, abs=1e-3))


def test_a_difference_of_other_problems_is_covered(rng):
    a, b = rng.random((800, 40)) < 0.95, rng.random((800, 60)) < 0.9

    def minus(x, y):
        return combination([mean(x), mean(y)], [1, -1])

    assert 0.93 <= coverage(0.05, minus, a, b) <= 0.99


# -- over seeds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[60, 66, 70, 71, 63], [1.0, 2.0], list(range(12))])
def test_seeds_get_students_interval_as_scipy_has_it(values):
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    assert ends(seeds(values)) == pytest.approx((np.mean(values), low, high), abs=1e-12)


def test_an_interval_over_seeds_ends_at_the_bounds():
    found = seeds([0.95, 0.95, 0.30], (0, 1))
    assert (found.low, found.high) == (0.0, 1.0)
    assert seeds([0.95, 0.95, 0.30]).high > 1


def test_equal_seeds_are_not_certain():
    for n, value in product((2, 5, 30), (0.0, 0.5, 1.0)):
        found = seeds([value] * n, (0, 1))
        assert 0 <= found.low <= value <= found.high <= 1
        assert found.high - found.low > 0.1
        assert found.note
    assert isnan(seeds([0.5] * 5).low)
    low, high = stats.binomtest(5, 5).proportion_ci(method="exact")
    assert ends(seeds([1.0] * 5, (0, 1))) == pytest.approx((1.0, low, high))


def test_few_seeds_and_two_groups_of_seeds_are_marked_and_show_their_points(rng):
    two = [0.95] * 9 + [0.3, 0.31, 0.94]
    assert seeds(two).note == "two groups of seeds"
    assert seeds([0.9, 0.91]).note.startswith("2 seeds")
    assert seeds([0.9, 0.91]).times(100).points == (90.0, 91.0)
    assert isnan(seeds([0.9]).low)
    normal = rng.normal(0.8, 0.02, (400, 12))
    assert np.mean([not seeds(each).note for each in normal]) > 0.95


def test_runs_are_over_seeds_or_else_over_problems_and_say_which(rng):
    x = rng.binomial(1, 0.5, (40, 3)).astype(float)
    y = rng.binomial(1, 0.3, (40, 3)).astype(float)
    over = runs(x, y)
    test = stats.ttest_1samp(x.mean(0) - y.mean(0), 0)
    assert (over.over, over.n, over.p) == ("seeds", 3, pytest.approx(test.pvalue))
    assert ends(over)[1:] == pytest.approx(tuple(test.confidence_interval()), abs=1e-9)
    single = runs(x[:, :1], y[:, :1])
    assert ends(single) == ends(difference(x[:, 0], y[:, 0]))
    assert (single.over, single.n, len(single.points)) == ("problems", 40, 1)
    assert ends(runs(x[:, :1])) == ends(mean(x[:, 0]))
    equal = runs(np.repeat(x[:, :1], 3, axis=1))
    assert ends(equal) == ends(mean(x[:, 0]))
    assert (equal.over, len(equal.points)) == ("problems", 3)
    assert "3 equal seeds" in equal.note


# -- the value itself ----------------------------------------------------------------------------


def test_another_unit_changes_every_end_and_point_and_nothing_else(rng):
    found = runs(rng.random((20, 3)), rng.random((20, 3)))
    percent = found.times(100)
    assert ends(percent) == pytest.approx(tuple(100 * end for end in ends(found)))
    assert percent.points == pytest.approx([100 * point for point in found.points])
    kept = ("n", "over", "p", "note")
    assert {name: percent.row()[name] for name in kept} == {
        name: found.row()[name] for name in kept
    }
    assert proportion(3, 30).map(lambda p: p**2).high == pytest.approx(proportion(3, 30).high ** 2)


def test_text_shows_the_interval_and_a_star_where_it_promises_nothing():
    assert f"{Estimate(7.06, 3.2, 11.0, 30):+.1f}" == "+7.1 [+3.2, +11.0]"
    assert f"{Estimate(7.06, 3.2, 11.0, 3, note='3 problems'):.1f}" == "7.1 [3.2, 11.0]*"
    assert f"{Estimate(7.0, nan, nan, 1, note='one seed'):.0f}" == "7*"


@pytest.mark.parametrize(
    ("estimate", "marked"),
    [
        (mean([1.0, 0.0] * 4), True),
        (mean([1.0, 0.0] * 15), False),
        (mean([0.0] * 25 + [0.25, 0.5, 0.75, 1.0, 1.0]), True),
        (mean([0.5, 0.375, 0.625] * 10), False),
        (mean([0.0, 0.5, 1.0] * 40), False),
        (mean([200.0, 300.0] * 15, inf), True),
        (combination([mean([1.0, 0.0] * 4), mean([1.0, 0.0] * 50)]), True),
    ],
)
def test_a_note_says_where_the_interval_promises_nothing(estimate, marked):
    assert bool(estimate.note) == marked


def test_metrics_are_shown_in_their_unit():
    assert ends(METRICS["accuracy"].mean([1.0, 0.0] * 20))[0] == 50.0
    assert METRICS["length"].mean([10.0, 20.0]).value == 15.0
    assert METRICS["reflection_words"].mean([0.0, 3.0]).value == 150.0
    gain = METRICS["accuracy"].difference([1.0] * 20, [1.0, 0.0] * 10)
    assert (gain.value, gain.n) == (50.0, 20)
    assert METRICS["length"].runs([[10, 14], [20, 18]], [[5, 5], [5, 5]]).value == 10.5


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        mean,
        partial(mean, top=inf),
        seeds,
        lambda values: difference(values, [0.0] * len(values)),
        lambda values: difference([0.0] * len(values), values),
        lambda values: rank_correlation(values, list(range(len(values)))),
        lambda values: runs([[value, value] for value in values]),
        lambda values: runs([[0.5]] * len(values), [[value] for value in values]),
    ],
)
@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_what_is_not_a_number_is_refused(call, bad):
    with pytest.raises(ValueError, match=r"nan|inf"):
        call([0.5, bad, 0.5, 0.25, 1.0])


def test_no_values_is_an_error_not_a_nan():
    for call in (mean, seeds, combination):
        with pytest.raises(ValueError, match="at least one"):
            call([])
    with pytest.raises(ValueError, match="same problems"):
        difference([1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="shape"):
        runs(np.ones((3, 2)), np.ones((2, 2)))


def test_a_share_in_percent_is_refused():
    with pytest.raises(ValueError, match="from 0 to 1, got 72"):
        mean([72.0, 0.5])
    with pytest.raises(ValueError, match="0 or more, got -3"):
        mean([-3.0, 0.5], inf)
    with pytest.raises(ValueError, match="got 4 of 3"):
        proportion(4, 3)
    with pytest.raises(ValueError, match="2 estimates need as many weights, got 1"):
        combination([proportion(1, 3), proportion(1, 3)], [1])


# -- rank correlation and pass@k -------------------------------------------------------------------


def test_rank_correlation_covers_the_truth_as_often_as_it_says(rng):
    pairs = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], size=(1000, 20))
    truth = 6 / np.pi * np.arcsin(0.5 / 2)  # Spearman's rho of a normal pair
    found = [rank_correlation(*sample.T) for sample in pairs]
    assert 0.92 < np.mean([each.low <= truth <= each.high for each in found]) < 0.98
    assert np.mean([each.value for each in found]) == pytest.approx(truth, abs=0.03)


def test_rank_correlation_asks_only_for_order_and_says_when_there_is_none():
    assert rank_correlation([1, 2, 3, 4, 50], [2, 3, 4, 5, 6]).value == pytest.approx(1)
    assert isnan(rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]).value)
    assert isnan(rank_correlation([1, 2, 3], [1, 2, 3]).low)
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


def test_the_file_imports_nothing_of_the_house():
    source = Path(estimates.__file__).read_text()
    assert "import onerl" not in source
    assert "from onerl" not in source
