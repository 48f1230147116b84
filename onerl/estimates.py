"""Estimates with their uncertainty: the arithmetic behind every table.

All functions work on one number per problem (or per seed), so they know nothing of models. The
bootstrap resamples problems, because problems are what a benchmark samples from; samples of one
problem are averaged first. A resampled mean depends on the values only through how often each
distinct value is drawn, so one multinomial draw over the distinct values replaces the usual loop
and has exactly the same distribution.

Not covered: the spread between training runs. That needs several seeds: `seed_interval`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt
from typing import NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 10_000
LEVEL = 0.95


def check(claim: str, holds: bool) -> None:
    """Print a claim, and whether what was found holds it: "as expected" or "NOT AS EXPECTED"."""
    print(f"{'as expected' if holds else 'NOT AS EXPECTED':17s}{claim}")


class Interval(NamedTuple):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """A minus B over the same n problems, its 95 % interval and the two-sided p-value."""

    n: int
    difference: float
    low: float
    high: float
    p: float


def bootstrap_means(values: Sequence[float], seed: int = 0) -> np.ndarray:
    """Means of 10,000 resamples of `values` with replacement. Shape (10000,)."""
    levels, counts = np.unique(np.asarray(values, dtype=float), return_counts=True)
    n = counts.sum()
    drawn = np.random.default_rng(seed).multinomial(n, counts / n, size=RESAMPLES)
    return drawn @ levels / n


def wilson(successes: int, n: int) -> Interval:
    """Wilson's score interval for a proportion."""
    z = stats.norm.ppf(0.5 + LEVEL / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, centre - half), min(1.0, centre + half))


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Mean over problems with the percentile-bootstrap interval.

    Where every value is 0, or every value is 1, the bootstrap would claim certainty; such a
    proportion gets Wilson's interval instead.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        raise ValueError("an estimate needs at least one value, got none")
    if values.min() == values.max() and values[0] in (0.0, 1.0):
        return wilson(int(values.sum()), len(values))
    return Interval(float(values.mean()), *_percentiles(bootstrap_means(values, seed)))


def average_interval(groups: Sequence[Sequence[float]], seed: int = 0) -> Interval:
    """Plain mean of several benchmarks' means; each is resampled on its own."""
    means = [bootstrap_means(group, seed + i) for i, group in enumerate(groups)]
    value = float(np.mean([np.mean(group) for group in groups]))
    return Interval(value, *_percentiles(np.mean(means, axis=0)))


def paired_interval(a: Sequence[float], b: Sequence[float], seed: int = 0) -> Difference:
    """Mean of a - b over the same problems: bootstrap interval, permutation p-value.

    The p-value flips the sign of each problem's difference (10,000 times): under the null
    hypothesis the two sides could be swapped problem by problem.

    Raises:
        ValueError: the two have different lengths, or none.
    """
    if len(a) != len(b) or len(a) == 0:
        raise ValueError(f"a paired comparison needs the same problems, got {len(a)} and {len(b)}")
    differences = np.round(np.asarray(a, dtype=float) - np.asarray(b, dtype=float), 12)
    low, high = _percentiles(bootstrap_means(differences, seed))
    return Difference(
        len(a), float(differences.mean()), low, high, _sign_flip_p(differences, seed + 1)
    )


def seed_interval(values: Sequence[float]) -> Interval:
    """Mean over training seeds with Student's t interval; one seed has no interval (nan)."""
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        raise ValueError("a mean over seeds needs at least one seed, got none")
    mean = float(values.mean())
    if len(values) == 1:
        return Interval(mean, float("nan"), float("nan"))
    half = stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * values.std(ddof=1) / sqrt(len(values))
    return Interval(mean, float(mean - half), float(mean + half))


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Spearman's rank correlation of pairs, and its interval over them.

    Fisher's z with the standard error 1.03 / sqrt(n - 3) (Fieller, Hartley and Pearson 1957): an
    approximation, rough below ten pairs. NaN where one side is constant or n is below 4.

    Raises:
        ValueError: the two have different lengths.
    """
    if len(a) != len(b):
        raise ValueError(f"a correlation needs pairs, got {len(a)} and {len(b)} values")
    if len(a) < 4 or len(set(a)) == 1 or len(set(b)) == 1:
        return Interval(float("nan"), float("nan"), float("nan"))
    value = float(stats.spearmanr(a, b).statistic)
    centre = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
    half = stats.norm.ppf(0.5 + LEVEL / 2) * 1.03 / sqrt(len(a) - 3)
    return Interval(value, float(np.tanh(centre - half)), float(np.tanh(centre + half)))


def pass_at_k(n: int, c: int, k: int) -> float:
    """Unbiased chance that k of n samples, c of them right, contain a right one.

    Chen et al. 2021, eq. 1: 1 - C(n-c, k) / C(n, k).

    Raises:
        ValueError: not 1 <= k <= n, or not 0 <= c <= n.
    """
    if not 1 <= k <= n or not 0 <= c <= n:
        raise ValueError(f"pass@k needs 1 <= k <= n and 0 <= c <= n, got n={n}, c={c}, k={k}")
    return 1 - comb(n - c, k) / comb(n, k)


def _percentiles(means: np.ndarray) -> tuple[float, float]:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def _sign_flip_p(differences: np.ndarray, seed: int) -> float:
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if len(sizes) == 0:
        return 1.0
    kept = np.random.default_rng(seed).binomial(counts, 0.5, size=(RESAMPLES, len(counts)))
    sums = np.abs((2 * kept - counts) @ sizes)
    extreme = np.count_nonzero(sums >= abs(differences.sum()) - 1e-9)
    return float((1 + extreme) / (1 + RESAMPLES))
