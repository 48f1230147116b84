"""A number and how sure we are of it: the arithmetic behind every table.

    mean(values)                 over problems: accuracy, avg@k, any share; lengths with top=inf
    proportion(7, 30)            the same from counts
    difference(a, b)             a minus b on the same problems, in pairs, with its p-value
    combination(parts, weights)  a weighted sum of independent estimates: an average of benchmarks
    seeds(values)                over training seeds
    runs(values, minus)          problems x seeds: over seeds where there are two or more
    rank_correlation(a, b)       Spearman's
    METRICS["length"].mean(v)    the same in the metric's own unit

All return an `Estimate`, from one number per problem (or per seed): samples of one problem are
averaged first, because problems are what a benchmark samples from. `benchmarks/coverage.py`
measures how often each interval holds the truth; where it does not reach 95 %, `Estimate.note` says
so. Not covered: the choice of a checkpoint on the test set, which makes its number too high.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import comb, inf, isfinite, nan
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.95
TAILS = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
Z = float(stats.norm.ppf(TAILS[1]))
RESAMPLES = 10_000
FEW, FEW_UNEVEN, FEW_SEEDS = 10, 100, 10
"""Below these, an interval over problems, uneven problems, or seeds promises nothing."""

EXTRA = 0.1  # beside both sides of every estimated variance; chosen by benchmarks/coverage.py
HALF = 0.5  # a problem for each side, beside the data's own differences
SAME = 1e-12  # numbers that differ by less are equal


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval: over how many (`n`) of what (`over`).

    Attributes:
        low: nan, like `high`, where there is no interval: one seed, or nothing that varies.
        p: two-sided p-value of a difference; None of anything else.
        note: why the interval cannot promise 95 %; empty where it held the truth in 93 to 98 of
            100 simulated cases.
        points: the seeds' values, to be shown where they are few.
    """

    value: float
    low: float
    high: float
    n: int
    over: Literal["problems", "seeds", "pairs"] = "problems"
    p: float | None = None
    note: str = ""
    points: tuple[float, ...] = ()

    def map(self, function: Callable[[float], float]) -> Estimate:
        """The estimate seen through an increasing function."""
        value, low, high = (float(function(end)) for end in (self.value, self.low, self.high))
        points = tuple(float(function(point)) for point in self.points)
        return replace(self, value=value, low=low, high=high, points=points)

    def times(self, factor: float) -> Estimate:
        """In another unit: 100 for percent. `factor` is positive."""
        return self.map(lambda end: factor * end)

    def row(self) -> dict[str, Any]:
        """The attributes by name; a table takes what it shows."""
        return asdict(self)

    def __format__(self, spec: str) -> str:
        """f"{estimate:+.1f}" is "+7.1 [+3.2, +11.0]"; a star where it does not promise 95 %."""
        value, low, high = (format(end, spec) for end in (self.value, self.low, self.high))
        interval = f" [{low}, {high}]" if isfinite(self.low) else ""
        return value + interval + ("*" if self.note else "")


@dataclass(frozen=True)
class Metric:
    """What a table shows: `scale` times the mean of a column of the records, in `unit`.

    `top` is the largest value of one answer.
    """

    column: str
    unit: str = "%"
    scale: float = 100.0
    top: float = 1.0

    def mean(self, values: Sequence[float]) -> Estimate:
        """`mean` in the metric's unit, as all of these."""
        return mean(values, self.top).times(self.scale)

    def difference(self, a: Sequence[float], b: Sequence[float]) -> Estimate:
        return difference(a, b).times(self.scale)

    def runs(self, values: Any, minus: Any = None) -> Estimate:
        return runs(values, minus, self.top).times(self.scale)


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric("correct"),
    "accuracy_any_format": Metric("correct_any_format"),
    "boxed": Metric("boxed"),
    "truncated": Metric("truncated"),
    "reflection": Metric("reflection"),
    "reflection_words": Metric("reflection_words", "in 100 answers", 100.0, inf),
    "code": Metric("code"),
    "length": Metric("tokens", "tokens", 1.0, inf),
}
"""The metrics of every table, by name.

reflection: share of answers with "rethink", "recheck" or "recalculate"; reflection_words: how
often these words occur in 100 answers. The paper's section 3.2.4 speaks of the first, the caption
of its figure of the second; matched anywhere and in any case. code: share of answers that reason
in code. length: mean length in tokens.
"""


def mean(values: Sequence[float], top: float = 1.0) -> Estimate:
    """Mean over problems of values from 0 to `top`; top=inf for lengths and counts.

    The score interval: the means m whose distance to the one observed is at most z standard errors
    at m, where the variance of one problem is d * m * (top - m) / top (d * m without a top). For
    one answer a problem d is 1 and this is Wilson's interval (1927). Several answers vary less: d,
    the design effect, is estimated by the variance between the problems (Franco, Little, Louis and
    Slud 2019). `EXTRA` on both of its sides takes it to 1, its largest value, when nothing varies,
    so that the interval is never empty. The note says where fewer than 100 problems are uneven:
    where more than half of the variance is between them.

    Raises:
        ValueError: no values, one that is not a number, or one outside 0 to `top`.
    """
    x, bounded = _numbers(values, "a mean"), isfinite(top)
    for end in (x.min(), x.max()):
        if not -1e-9 <= end <= top + 1e-9:
            allowed = f"from 0 to {top:g}" if bounded else "of 0 or more"
            raise ValueError(f"a mean over problems takes values {allowed}, got {end:g}")
    if len(x) == 1 and not bounded:
        return Estimate(float(x[0]), nan, nan, 1, note="one problem has no interval")
    unit, end = (top, 1.0) if bounded else (1.0, inf)
    n, value = len(x), float(x.mean()) / unit
    spread = n / (n - 1) * np.sum((x / unit - value) ** 2) if n > 1 else inf
    design = (spread + EXTRA) / (n * value * (1 - value / end) + EXTRA)
    # without a bound nothing tells how far one problem is from the others
    uneven = design > 0.5 and bool(np.any((x > 0) & (x < top))) if bounded else True
    quantile = Z if bounded else stats.t.ppf(TAILS[1], n - 1)
    low, high = _score(value, n / min(end, design), end, quantile)
    return Estimate(value, low, high, n, note=_few(n, uneven)).times(unit)


def proportion(successes: int, n: int) -> Estimate:
    """Wilson's score interval of a share.

    Raises:
        ValueError: n is not positive, or not 0 <= successes <= n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a share needs 0 <= successes <= n, 1 <= n, got {successes} of {n}")
    return mean(np.repeat([1.0, 0.0], [successes, n - successes]))


def difference(a: Sequence[float], b: Sequence[float], seed: int = 0) -> Estimate:
    """Mean of a - b over the same problems, with a permutation p-value.

    The interval is the Bayesian bootstrap's (Rubin 1981): problems weighted at random instead of
    drawn, with half a problem beside them on either side whose difference is as large as theirs are
    (one answer, where none differs). For one answer a problem this is the posterior under Jeffreys'
    prior. The p-value flips the sign of each problem's difference 10,000 times.

    Raises:
        ValueError: the two have different lengths, or none, or hold what is not a number.
    """
    if len(a) != len(b) or len(a) == 0:
        raise ValueError(f"a paired comparison needs the same problems, got {len(a)} and {len(b)}")
    what = "a paired comparison"
    x = np.round(_numbers(a, what) - _numbers(b, what), 12)
    size = (np.sum(x**2) + EXTRA) / (np.abs(x).sum() + EXTRA)
    means = _weighted_means([*x, size, -size], [*np.ones(len(x)), HALF, HALF], seed)
    value, (low, high) = float(x.mean()), np.quantile(means, TAILS)
    low, high = min(float(low), value), max(float(high), value)
    note = _few(len(x))
    return Estimate(value, low, high, len(x), p=_sign_flip_p(x, seed + 1), note=note)


def combination(estimates: Sequence[Estimate], weights: Sequence[float] | None = None) -> Estimate:
    """A weighted sum of independent estimates; without weights, their plain mean.

    Weights 1 and -1 give the difference of two sets of different problems. The sides of the
    intervals are added like standard errors (Zou and Donner 2008). n is the sum of the parts' n.

    Raises:
        ValueError: no estimates, or not a weight for each.
    """
    if not estimates:
        raise ValueError("a combination needs at least one estimate, got none")
    weights = [1 / len(estimates)] * len(estimates) if weights is None else list(weights)
    if len(weights) != len(estimates):
        raise ValueError(f"{len(estimates)} estimates need as many weights, got {len(weights)}")
    value = sum(w * part.value for w, part in zip(weights, estimates, strict=True))
    below = above = 0.0
    for w, part in zip(weights, estimates, strict=True):
        sides = w * (part.value - part.low), w * (part.high - part.value)
        below, above = below + sides[w < 0] ** 2, above + sides[w > 0] ** 2
    notes = list(dict.fromkeys(part.note for part in estimates if part.note))
    n, over = sum(part.n for part in estimates), estimates[0].over
    return Estimate(value, value - below**0.5, value + above**0.5, n, over, note="; ".join(notes))


def seeds(values: Sequence[float], bounds: tuple[float, float] | None = None) -> Estimate:
    """Mean over training seeds with Student's interval, cut at the bounds that a value can have.

    It holds where seeds vary normally; fewer than ten seeds often do not show whether they do, so
    there, or where they fall into two groups, the note says it. Equal seeds show no variance: what
    a further seed could do has a chance of up to 1 - 0.025^(1/n) (Clopper and Pearson 1934), and
    the interval holds whatever that is within the bounds. Without bounds, or with one seed, there
    is none (nan).

    Raises:
        ValueError: no values, or one that is not a number.
    """
    x = _numbers(values, "a mean over seeds")
    n, value, points = len(x), float(x.mean()), tuple(map(float, x))
    lowest, highest = bounds or (-inf, inf)
    if np.ptp(x) > SAME:
        low, high = value + stats.t.ppf(TAILS, n - 1) * stats.sem(x)
        low, high, note = max(lowest, low), min(highest, high), _doubt(x)
    elif n == 1 or bounds is None:
        low = high = nan
        note = "one seed has no interval" if n == 1 else "equal seeds have no interval"
    else:
        same = TAILS[0] ** (1 / n)
        low, high = lowest + (value - lowest) * same, highest - (highest - value) * same
        note = f"{n} equal seeds"
    return Estimate(value, float(low), float(high), n, "seeds", note=note, points=points)


def runs(values: Any, minus: Any = None, top: float = 1.0) -> Estimate:
    """Mean of several training seeds' runs on the same problems, or their difference in pairs.

    Over seeds where there are two or more: a single run says nothing about the next one. Over
    problems for one seed, and for equal seeds, with a note.

    Args:
        values: one number per problem and seed, shape (problems, seeds).
        minus: of the same shape; p is Student's over seeds, or the permutation's over problems.

    Raises:
        ValueError: not such a shape, or not the same for both, or what is not a number.
    """
    x = np.asarray(values, dtype=float)
    y = np.zeros_like(x) if minus is None else np.asarray(minus, dtype=float)
    if x.ndim != 2 or x.shape != y.shape or 0 in x.shape:
        raise ValueError(
            f"runs need numbers of shape (problems, seeds), got {x.shape}"
            + ("" if minus is None else f" minus {y.shape}")
        )
    means = _numbers(x.mean(axis=0) - y.mean(axis=0), "a mean over seeds")
    points = tuple(map(float, means))
    if x.shape[1] > 1 and np.ptp(means) > SAME:
        found = seeds(means, (0.0 if minus is None else -top, top))
        p = None if minus is None else float(stats.ttest_1samp(means, 0.0).pvalue)
        return replace(found, p=p)
    x, y = x.mean(axis=1), y.mean(axis=1)
    found = mean(x, top) if minus is None else difference(x, y)
    if len(means) == 1:
        return replace(found, points=points)
    note = f"{len(means)} equal seeds: over problems"
    return replace(found, points=points, note="; ".join(filter(None, [found.note, note])))


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> Estimate:
    """Spearman's rank correlation of pairs, and its interval over them.

    Fisher's z with the standard error 1.03 / sqrt(n - 3) (Fieller, Hartley and Pearson 1957): an
    approximation, rough below ten pairs. nan where one side is constant or n is below 4.

    Raises:
        ValueError: the two have different lengths, or none, or hold what is not a number.
    """
    if len(a) != len(b):
        raise ValueError(f"a correlation needs pairs, got {len(a)} and {len(b)} values")
    x, y = (_numbers(side, "a correlation") for side in (a, b))
    n = len(x)
    if n < 4 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return Estimate(nan, nan, nan, n, "pairs", note="too few pairs, or nothing varies")
    value = float(stats.spearmanr(x, y).statistic)
    centre = np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12))
    half = Z * 1.03 / (n - 3) ** 0.5
    low, high = float(np.tanh(centre - half)), float(np.tanh(centre + half))
    note = f"{n} pairs: an approximation" if n < 10 else ""
    return Estimate(value, min(low, value), max(high, value), n, "pairs", note=note)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Unbiased chance that k of n samples, c of them right, contain a right one.

    Chen et al. 2021, eq. 1: 1 - C(n-c, k) / C(n, k).

    Raises:
        ValueError: not 1 <= k <= n, or not 0 <= c <= n.
    """
    if not 1 <= k <= n or not 0 <= c <= n:
        raise ValueError(f"pass@k needs 1 <= k <= n and 0 <= c <= n, got n={n}, c={c}, k={k}")
    return 1 - comb(n - c, k) / comb(n, k)


def table(estimates: Mapping[Any, Estimate]) -> pd.DataFrame:
    """A row per estimate: n, value, low, high, p and note, without columns that say nothing."""
    rows = [estimate.row() for estimate in estimates.values()]
    columns = ["n", "value", "low", "high", "p", "note"]
    found = pd.DataFrame(rows, index=list(estimates), columns=columns)
    return found.drop(columns=[c for c in ("p", "note") if not found[c].map(bool).any()])


def check(claim: str, holds: bool) -> None:
    """Print a claim, and whether what was found holds it: "as expected" or "NOT AS EXPECTED"."""
    print(f"{'as expected' if holds else 'NOT AS EXPECTED':17s}{claim}")


def _numbers(values: Sequence[float], what: str) -> np.ndarray:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or len(x) == 0:
        raise ValueError(f"{what} needs a list of at least one value, got shape {x.shape}")
    if not np.isfinite(x).all():
        bad = np.flatnonzero(~np.isfinite(x))
        raise ValueError(f"{what} needs numbers: value {bad[0] + 1} of {len(x)} is {x[bad[0]]}")
    return x


def _few(n: int, uneven: bool = False) -> str:
    if n < FEW:
        return f"{n} problem{'s' * (n > 1)}"
    return f"{n} uneven problems" if uneven and n < FEW_UNEVEN else ""


def _doubt(x: np.ndarray) -> str:
    """Why Student's interval over these seeds may not hold."""
    if len(x) < FEW_SEEDS:
        return f"{len(x)} seeds: holds if seeds vary normally"
    gaps = np.diff(np.sort(x))
    return "two groups of seeds" if gaps.max() > 0.5 * gaps.sum() else ""


def _score(value: float, n: float, top: float, z: float) -> tuple[float, float]:
    """Roots m of (value - m)^2 = z^2 m (1 - m / top) / n, which are within 0 and `top`."""
    a, b = 1 + z * z / (n * top), value + z * z / (2 * n)
    half = np.sqrt(max(0.0, b * b - a * value * value))
    low, high = max(0.0, (b - half) / a), min(top, (b + half) / a)
    return float(min(low, value)), float(max(high, value))


def _weighted_means(values: Sequence[float], weights: Sequence[float], seed: int) -> np.ndarray:
    """Means of `values` under 10,000 random weightings, Dirichlet with `weights`. Shape (10000,).

    The weight of several equal values together is one gamma draw.
    """
    levels, where = np.unique(np.asarray(values, dtype=float), return_inverse=True)
    drawn = np.random.default_rng(seed).standard_gamma(
        np.bincount(where, weights=weights), size=(RESAMPLES, len(levels))
    )
    return drawn @ levels / drawn.sum(axis=1)


def _sign_flip_p(differences: np.ndarray, seed: int) -> float:
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if len(sizes) == 0:
        return 1.0
    kept = np.random.default_rng(seed).binomial(counts, 0.5, size=(RESAMPLES, len(counts)))
    sums = np.abs((2 * kept - counts) @ sizes)
    extreme = np.count_nonzero(sums >= abs(differences.sum()) - 1e-9)
    return float((1 + extreme) / (1 + RESAMPLES))
