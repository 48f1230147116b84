"""How often our 95 % intervals hold the truth, beside other methods, on simulated evaluations.

    python benchmarks/coverage.py [--small] [--out FILE]

Prints a summary and writes every cell to `benchmarks/results/coverage-2026-11-25.json` (--small
writes only where --out says): coverage and mean width in percent, how often an interval has no
width or leaves its bounds, and for ours how often its note says that it may not hold. The rows
"ours" call `onerl.estimates`; the others are what it was chosen from, "before" what stood there.

- means: n problems, k answers each, mean p. Problems are equally difficult, or their difficulties
  follow Beta(c p, c (1 - p)): uneven (c = 2) and very uneven (c = 0.5).
- differences: two models on the same problems; difficulties the same for both, of their own, or in
  the same order; "nearly the same answers" share their random numbers.
- averages: six benchmarks of the sizes of the paper's.
- seeds: normal; or 80 % end at 0.95 and 20 % at 0.30, exactly or within 0.01.
- lengths: skewed, very skewed, and rare counts; n problems, no upper bound.

Not covered: that problems are no random sample of what they stand for.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from onerl import estimates

RESULTS = Path(__file__).parent / "results" / "coverage-2026-11-25.json"
Z, TAILS = estimates.Z, estimates.TAILS
DRAWS, TRIALS = 1000, 1000  # of the other methods; all trials of a cell share their draws
SIZES, SMALL_SIZES = (30, 100, 500), (30,)
SPREADS = {"equal": None, "uneven": 2.0, "very uneven": 0.5}
BENCHMARKS = ((30, 8), (30, 8), (40, 8), (500, 1), (272, 1), (675, 1))  # problems, answers each
LEVELS = {"weak": (0, 0, 0.05, 0.3, 0.1, 0.1), "strong": (0.15, 0.05, 0.5, 0.75, 0.3, 0.4)}

Ends = tuple[np.ndarray, np.ndarray]


# -- candidates: samples of shape (trials, n) in, lower and upper ends of shape (trials,) out ------


def student(x: np.ndarray) -> Ends:
    half = stats.t.ppf(TAILS[1], x.shape[1] - 1) * stats.sem(x, axis=1)
    return x.mean(1) - half, x.mean(1) + half


def logit_student(x: np.ndarray) -> Ends:
    low, high = student(stats.logistic.ppf(np.clip(x, 0.001, 0.999)))
    return stats.logistic.cdf(low), stats.logistic.cdf(high)


def resampled(x: np.ndarray) -> np.ndarray:
    """Means of multinomial resamples, shape (trials, DRAWS)."""
    n = x.shape[1]
    return x @ np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), DRAWS).T / n


def percentile(x: np.ndarray) -> Ends:
    return tuple(np.quantile(resampled(x), TAILS, axis=1))


def percentile_or_wilson(x: np.ndarray) -> Ends:
    low, high = percentile(x)
    certain = (np.ptp(x, axis=1) == 0) & np.isin(x[:, 0], (0, 1))
    bounds = wilson(x.mean(1), x.shape[1])
    return np.where(certain, bounds[0], low), np.where(certain, bounds[1], high)


def studentised(x: np.ndarray) -> Ends:
    means, squares, centre = resampled(x), resampled(x**2), x.mean(1)
    errors = np.sqrt(np.maximum(squares - means**2, 1e-12))
    ratios = np.quantile((means - centre[:, None]) / errors, TAILS, axis=1)
    return centre - x.std(1) * ratios[1], centre - x.std(1) * ratios[0]


def weighted(x: np.ndarray, below: float = 0.0, above: float = 1.0, extra: float = 0.5) -> Ends:
    """The Bayesian bootstrap with `extra` problems at either bound."""
    rng = np.random.default_rng(0)
    weights = rng.standard_exponential((DRAWS, x.shape[1]))
    sides = rng.standard_gamma(extra, (DRAWS, 2))
    total = weights.sum(1) + sides.sum(1)
    return tuple(np.quantile((x @ weights.T + sides @ (below, above)) / total, TAILS, axis=1))


def gaffke(x: np.ndarray) -> Ends:
    """Gaffke 2005: one further value at the bound in question; Clopper-Pearson for two outcomes."""
    rng = np.random.default_rng(0)
    weights, side = rng.standard_exponential((DRAWS, x.shape[1])), rng.standard_exponential(DRAWS)
    total = weights.sum(1) + side
    means = x @ weights.T / total
    above = means + side / total
    return np.quantile(means, TAILS[0], axis=1), np.quantile(above, TAILS[1], axis=1)


def wilson(share: np.ndarray, n: np.ndarray | int) -> Ends:
    centre, scale = share + Z * Z / (2 * n), 1 + Z * Z / n
    half = Z * np.sqrt(np.maximum(share * (1 - share), 0) / n + (Z / (2 * n)) ** 2)
    return np.clip((centre - half) / scale, 0, 1), np.clip((centre + half) / scale, 0, 1)


def wilson_of_problems(x: np.ndarray) -> Ends:
    return wilson(x.mean(1), x.shape[1])


def effective(x: np.ndarray) -> np.ndarray:
    """Problems with one answer each that would say as much (Korn and Graubard 1998)."""
    room, variance = x.mean(1) * (1 - x.mean(1)), x.var(1, ddof=1)
    ratio = np.divide(room, variance, out=np.ones(len(x)), where=variance > 0)
    return x.shape[1] * ratio


def wilson_effective(x: np.ndarray) -> Ends:
    return wilson(x.mean(1), effective(x))


def clopper_pearson(x: np.ndarray) -> Ends:
    right, wrong = x.mean(1) * effective(x), (1 - x.mean(1)) * effective(x)
    low = stats.beta.ppf(TAILS[0], np.maximum(right, 1e-9), wrong + 1)
    return low, stats.beta.ppf(TAILS[1], right + 1, np.maximum(wrong, 1e-9))


def jeffreys(x: np.ndarray) -> Ends:
    right, wrong = x.mean(1) * effective(x), (1 - x.mean(1)) * effective(x)
    return tuple(stats.beta.ppf(tail, right + 0.5, wrong + 0.5) for tail in TAILS)


def bonett_price(x: np.ndarray) -> Ends:
    """Bonett and Price 2012: one more problem on either side, then a normal interval."""
    n = x.shape[1] + 2
    centre = x.sum(1) / n
    half = Z * np.sqrt(((x**2).sum(1) + 2) / n - centre**2) / n**0.5
    return np.clip(centre - half, -1, 1), np.clip(centre + half, -1, 1)


def tango(x: np.ndarray) -> Ends:
    """Tango 1998: the differences that a score test does not refuse."""
    n, up, down = x.shape[1], np.maximum(x, 0).mean(1), np.maximum(-x, 0).mean(1)

    def score(d):
        a, b = 2.0, (up + down) * (d - 1) + 2 * down * d + 2 * (1 - up - down) * d
        q = (-b + np.sqrt(np.maximum(b * b + 4 * a * down * d * (1 - d), 0))) / (2 * a)
        q = np.clip(q, np.maximum(0, -d), (1 - d) / 2)
        return (up - down - d) / np.sqrt(np.maximum(2 * q + d - d * d, 1e-15) / n)

    ends = []
    for sign in (1, -1):
        far, near = np.full(len(x), -1.0 * sign), up - down
        for _ in range(40):
            middle = (far + near) / 2
            outside = sign * score(middle) > Z
            far, near = np.where(outside, middle, far), np.where(outside, near, middle)
        ends.append(near)
    return ends[0], ends[1]


def newcombe(a: np.ndarray, b: np.ndarray) -> Ends:
    """Newcombe 1998: the two means' Wilson intervals, added with the answers' correlation."""
    (low_a, high_a), (low_b, high_b) = wilson_of_problems(a), wilson_of_problems(b)
    mean_a, mean_b = a.mean(1), b.mean(1)
    spread = np.maximum(a.std(1) * b.std(1), 1e-12)
    r = np.clip(((a - mean_a[:, None]) * (b - mean_b[:, None])).mean(1) / spread, 0, 1)

    def side(p, q):
        return np.sqrt(np.maximum(p * p - 2 * r * p * q + q * q, 0))

    low = mean_a - mean_b - side(mean_a - low_a, high_b - mean_b)
    return low, mean_a - mean_b + side(high_a - mean_a, mean_b - low_b)


def ours(function: Callable, *samples: np.ndarray) -> pd.DataFrame:
    """`function` of each trial; equal trials, which are frequent, are worked out once."""
    known: dict[bytes, estimates.Estimate] = {}
    found = []
    for rows in zip(*samples, strict=True):
        order = np.lexsort(rows)
        key = b"".join(row[order].tobytes() for row in rows)
        if key not in known:
            known[key] = function(*rows)
        found.append(known[key])
    return pd.DataFrame([each.row() for each in found])


def row(part: str, cell: dict, method: str, truth: float, ends: Ends, **more) -> dict:
    low, high = (np.asarray(end, dtype=float) for end in ends)
    lowest, highest = more.pop("bounds", (-np.inf, np.inf))
    return {
        "part": part,
        "cell": cell,
        "method": method,
        "coverage": round(100 * float(np.mean((low <= truth + 1e-9) & (truth - 1e-9 <= high))), 1),
        "width": round(100 * float(np.mean(high - low)), 2),
        "no_width": round(100 * float(np.mean(high - low < 1e-9)), 1),
        "outside": round(100 * float(np.mean((low < lowest - 1e-9) | (high > highest + 1e-9))), 1),
        "trials": len(low),
        **more,
    }


def compared(part, cell, truth, function, samples, methods, bounds=(-np.inf, np.inf)) -> list[dict]:
    """A row for ours and one for each other method, on the same trials."""
    found = ours(function, *samples)
    marked = round(100 * float((found["note"] != "").mean()), 1)
    ends = found["low"], found["high"]
    rows = [row(part, cell, "ours", truth, ends, bounds=bounds, marked=marked)]
    for name, method in methods.items():
        few = [sample[:TRIALS] for sample in samples]
        rows.append(row(part, cell, name, truth, method(*few), bounds=bounds))
    return rows


def difficulties(rng, shape, p: float, spread: str) -> np.ndarray:
    c = SPREADS[spread]
    return np.full(shape, p) if c is None or p in (0, 1) else rng.beta(c * p, c * (1 - p), shape)


def means(rng, sizes, trials) -> list[dict]:
    methods = {
        "before": percentile_or_wilson,
        "studentised bootstrap": studentised,
        "Student": student,
        "logit Student": logit_student,
        "Bayesian bootstrap, half at the bounds": weighted,
        "Wilson, n problems": wilson_of_problems,
        "Wilson, effective n": wilson_effective,
        "Clopper-Pearson, effective n": clopper_pearson,
        "Jeffreys, effective n": jeffreys,
    }
    rows = []
    for n in sizes:
        for k, spread in ((1, "equal"), *((8, name) for name in SPREADS)):
            for p in (0.05, 0.5, 0.98):
                x = rng.binomial(k, difficulties(rng, (trials, n), p, spread)) / k
                cell = {"n": n, "k": k, "p": p, "difficulties": spread}
                rows += compared("means", cell, p, estimates.mean, [x], methods, (0, 1))
    return rows


def two_models(rng, shape, k: int, pair: tuple[float, float], how: str) -> list[np.ndarray]:
    """Shares of right answers of two models to the same problems."""
    spread = "equal" if how in ("equal", "nearly the same answers") else "uneven"
    if how == "the same order":
        c, rank = SPREADS[spread], rng.random(shape)
        chances = [stats.beta.ppf(rank, c * p, c * (1 - p)) for p in pair]
    else:
        chances = [difficulties(rng, shape, p, spread) for p in pair]
    if how == "nearly the same answers":
        drawn = rng.random((*shape, k))
        return [(drawn < chance[..., None]).mean(-1) for chance in chances]
    return [rng.binomial(k, chance) / k for chance in chances]


def differences(rng, sizes, trials) -> list[dict]:
    single = {"before": percentile, "Student": student, "Bonett-Price": bonett_price}
    single |= {
        "Tango": tango,
        "Bayesian bootstrap, half at the bounds": partial(weighted, below=-1),
    }
    methods = {
        name: lambda a, b, f=method: f(np.round(a - b, 12)) for name, method in single.items()
    }
    methods["Newcombe"] = newcombe
    hows = ("equal", "nearly the same answers", "of their own", "the same order")
    rows = []
    for n in sizes:
        for pair in ((0.97, 0.95), (0.05, 0.03), (0.5, 0.4)):
            for k, how in ((1, hows[0]), (1, hows[1]), *((8, how) for how in hows)):
                samples = two_models(rng, (trials, n), k, pair, how)
                cell = {"n": n, "k": k, "pair": pair, "difficulties": how}
                truth = pair[0] - pair[1]
                rows += compared(
                    "differences", cell, truth, estimates.difference, samples, methods, (-1, 1)
                )
    return rows


def averages(rng, trials) -> list[dict]:
    rows = []
    for (level, chances), spread in ((item, s) for item in LEVELS.items() for s in SPREADS):
        parts = [
            rng.binomial(k, difficulties(rng, (trials, n), p, spread if k > 1 else "equal")) / k
            for (n, k), p in zip(BENCHMARKS, chances, strict=True)
        ]

        def before(*groups):
            return tuple(
                np.quantile(np.mean([resampled(x) for x in groups], axis=0), TAILS, axis=1)
            )

        def normal(*groups):
            half = Z * np.sqrt(np.sum([stats.sem(x, axis=1) ** 2 for x in groups], axis=0))
            centre = np.mean([x.mean(1) for x in groups], axis=0)
            return centre - half / len(groups), centre + half / len(groups)

        def average(*groups):
            return estimates.combination([estimates.mean(x) for x in groups])

        found = pd.DataFrame([average(*groups).row() for groups in zip(*parts, strict=True)])
        truth, cell = float(np.mean(chances)), {"level": level, "difficulties": spread}
        ends, marked = (found["low"], found["high"]), round(100 * (found["note"] != "").mean(), 1)
        rows.append(row("averages", cell, "ours", truth, ends, bounds=(0, 1), marked=marked))
        few = [x[:TRIALS] for x in parts]
        for name, method in (("before", before), ("normal", normal)):
            rows.append(row("averages", cell, name, truth, method(*few), bounds=(0, 1)))
    return rows


shares_of_seeds = partial(estimates.seeds, bounds=(0, 1))
unbounded = partial(estimates.mean, top=np.inf)


def seeds(rng, trials) -> list[dict]:
    def two(shape, spread):
        return np.where(rng.random(shape) < 0.8, 0.95, 0.30) + spread * rng.standard_normal(shape)

    kinds = {
        "normal": (0.8, lambda shape: 0.8 + 0.02 * rng.standard_normal(shape)),
        "two outcomes": (0.82, lambda shape: two(shape, 0.0)),
        "two outcomes, within 0.01": (0.82, lambda shape: two(shape, 0.01)),
    }
    methods = {"before (Student)": student, "logit Student": logit_student, "Gaffke": gaffke}
    methods["Bayesian bootstrap, half at the bounds"] = weighted
    rows = []
    for kind, (truth, draw) in kinds.items():
        for n in (2, 3, 5, 10, 20):
            x = np.clip(draw((trials, n)), 0, 1)
            cell = {"seeds": kind, "n": n}
            rows += compared("seeds", cell, truth, shares_of_seeds, [x], methods, (0, 1))
    return rows


def lengths(rng, sizes, trials) -> list[dict]:
    kinds = {
        "skewed": (np.exp(0.18), lambda shape: rng.lognormal(0, 0.6, shape)),
        "very skewed": (np.exp(0.5), lambda shape: rng.lognormal(0, 1, shape)),
        "rare counts": (0.02, lambda shape: rng.poisson(0.02, shape).astype(float)),
    }
    methods = {"before": percentile, "studentised bootstrap": studentised, "Student": student}
    rows = []
    for kind, (truth, draw) in kinds.items():
        for n in sizes:
            cell, x = {"values": kind, "n": n}, draw((trials, n))
            rows += compared("lengths", cell, truth, unbounded, [x], methods, (0, np.inf))
    return rows


def summary(rows: list[dict]) -> str:
    """By part and method: lowest and highest coverage, and in how many cells it is 93 to 98 %."""
    table = pd.DataFrame(rows)
    table["held"] = table["coverage"].between(93, 98)
    groups = table.groupby(["part", "method"], sort=False)
    found = groups.agg(
        cells=("held", "size"),
        held=("held", "sum"),
        lowest=("coverage", "min"),
        highest=("coverage", "max"),
        width=("width", "mean"),
        no_width=("no_width", "max"),
        outside=("outside", "max"),
    )
    return found.round(1).to_string()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few trials, smallest sizes")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    out = given.out or (None if given.small else RESULTS)
    began, rng = time.process_time(), np.random.default_rng(0)
    sizes, trials = (SMALL_SIZES, 60) if given.small else (SIZES, 2000)
    estimates.RESAMPLES = 4000  # instead of 10,000, for speed; fewer shift the ends of all trials
    rows = means(rng, sizes, trials)
    rows += differences(rng, sizes, trials * 2 // 5)
    rows += averages(rng, trials // 2)
    rows += seeds(rng, trials)
    rows += lengths(rng, sizes, trials)
    print(summary(rows))
    print("\nours, where not 93 to 98 %:")
    for each in rows:
        if each["method"] == "ours" and not 93 <= each["coverage"] <= 98:
            cell = ", ".join(f"{name} {value}" for name, value in each["cell"].items())
            print(f"  {each['part']}: {cell}: {each['coverage']} %, marked {each['marked']} %")
    seconds = round(time.process_time() - began, 1)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"trials": trials, "cpu_s": seconds, "rows": rows}, indent=1))
    print(f"\n{seconds} s of CPU")


if __name__ == "__main__":
    main()
