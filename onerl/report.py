"""What an evaluation found: tables with intervals, made from one row per sampled answer.

The records are all there is; every table is computed from them, so a report read back from
parquet, or graded again, is as good as a fresh one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from onerl.intervals import (
    Difference,
    Interval,
    average_interval,
    mean_interval,
    paired_interval,
    pass_at_k,
)

METRICS = {
    "accuracy": "correct",
    "accuracy_any_format": "correct_any_format",
    "boxed": "boxed",
    "truncated": "truncated",
    "reflection": "reflection",
    "code": "code",
    "length": "tokens",
}
"""Metric of the table: column of the records it is the mean of.

reflection: share of answers with "rethink", "recheck" or "recalculate" (paper section 3.2.4).
code: share of answers that reason in code. length: mean length in tokens; all others in percent.
"""

REFLECTION = re.compile("rethink|recheck|recalculate", re.IGNORECASE)
CODE = re.compile(
    r"```|\bprint\s*\(|\bdef\s+\w+\s*\(|\bpython\b"
    r"|^\s*import\s+\w+(?:\s+as\s+\w+)?\s*$|^\s*from\s+\w+\s+import\b",
    re.IGNORECASE | re.MULTILINE,
)
TABLE_COLUMNS = ["benchmark", "metric", "n", "k", "value", "low", "high"]


@dataclass(frozen=True)
class Report:
    """What an evaluation found. `records` has a row per sampled answer."""

    records: pd.DataFrame

    def values(self, benchmark: str, metric: str = "accuracy") -> pd.Series:
        """One number per problem, its mean over samples, indexed by problem id."""
        if metric not in METRICS:
            raise ValueError(f"metric: {metric!r} is unknown; allowed: {', '.join(METRICS)}")
        rows = self.records[self.records["benchmark"] == benchmark]
        if rows.empty:
            found = ", ".join(self.benchmarks)
            raise ValueError(f"benchmark: {benchmark!r} is not in this report, which has {found}")
        return _measured(rows).groupby(rows["problem"], sort=False)[METRICS[metric]].mean()

    @property
    def benchmarks(self) -> list[str]:
        return list(dict.fromkeys(self.records["benchmark"]))

    @cached_property
    def table(self) -> pd.DataFrame:
        """benchmark, metric, n problems, k samples each, value, 95 % interval over problems."""
        rows = []
        for name in self.benchmarks:
            k = self.samples(name)
            for metric in METRICS:
                values = self.values(name, metric)
                rows.append(
                    [name, metric, len(values), k, *_percent(metric, mean_interval(values))]
                )
            if k > 1:
                rows.append([name, f"pass@{k}", len(values), k, *self.pass_at(k, name)])
        if len(self.benchmarks) > 1:
            groups = [self.values(name) for name in self.benchmarks]
            n = sum(map(len, groups))
            rows.append(["average", "accuracy", n, None, *_percent("", average_interval(groups))])
        return pd.DataFrame(rows, columns=TABLE_COLUMNS).astype({"k": "Int64"})

    @cached_property
    def by_category(self) -> pd.DataFrame:
        """Accuracy per benchmark and category, with its interval over the category's problems."""
        rows = []
        for (name, category), group in self.records.groupby(["benchmark", "category"]):
            values = group.groupby("problem", sort=False)["correct"].mean()
            rows.append([name, category, len(values), *_percent("", mean_interval(values))])
        return pd.DataFrame(rows, columns=["benchmark", "category", "n", "value", "low", "high"])

    def samples(self, benchmark: str) -> int:
        """k: how often each problem of the benchmark was sampled."""
        return int(self.records.loc[self.records["benchmark"] == benchmark, "sample"].max()) + 1

    def pass_at(self, k: int, benchmark: str) -> Interval:
        """Unbiased pass@k in percent: the chance that k of the samples hold a right one."""
        n = self.samples(benchmark)
        right = (self.values(benchmark) * n).round().astype(int)
        return Interval(*_percent("", mean_interval([pass_at_k(n, c, k) for c in right])))


def paired_difference(
    a: Report, b: Report, benchmark: str = "world", metric: str = "accuracy"
) -> Difference:
    """a minus b in percentage points (tokens for length) over the same problems, in pairs.

    Raises:
        ValueError: the reports do not have the same problems.
    """
    left, right = a.values(benchmark, metric), b.values(benchmark, metric)
    if set(left.index) != set(right.index):
        raise ValueError(
            f"a paired comparison on {benchmark} needs the same problems: "
            f"{len(set(left.index) ^ set(right.index))} are in only one of the two reports"
        )
    found = paired_interval(left, right.loc[left.index])
    scale = _scale(metric)
    return found._replace(
        difference=found.difference * scale, low=found.low * scale, high=found.high * scale
    )


def _measured(records: pd.DataFrame) -> pd.DataFrame:
    """The records with the columns that are read off the text alone."""
    return records.assign(
        boxed=records["answer"].notna(),
        truncated=records["finish"] == "length",
        reflection=records["text"].str.contains(REFLECTION),
        code=records["text"].str.contains(CODE),
    )


def _scale(metric: str) -> float:
    return 1.0 if metric == "length" else 100.0


def _percent(metric: str, interval: Interval) -> tuple[float, ...]:
    return tuple(bound * _scale(metric) for bound in interval)
