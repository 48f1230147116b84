"""What an evaluation found: tables with intervals, made from one row per sampled answer.

The records are all there is; every table is computed from them, so a report read back from
parquet, or graded again, is as good as a fresh one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from onerl import estimates
from onerl.estimates import METRICS, Estimate, pass_at_k
from onerl.problems.benchmarks import PAPER_SETS, SELECTION_SETS

REFLECTION = re.compile("rethink|recheck|recalculate", re.IGNORECASE)
CODE = re.compile(
    r"```|\bprint\s*\(|\bdef\s+\w+\s*\(|\bpython\b"
    r"|^\s*import\s+\w+(?:\s+as\s+\w+)?\s*$|^\s*from\s+\w+\s+import\b",
    re.IGNORECASE | re.MULTILINE,
)
ESTIMATE = ["value", "low", "high"]
TABLE_COLUMNS = ["benchmark", "metric", "n", "k", *ESTIMATE, "protocol", "checkpoint", "note"]
SHARE = METRICS["accuracy"]
CUT_OFF = 0.05  # share of truncated answers from which an accuracy is one under a token budget


@dataclass(frozen=True)
class Report:
    """What an evaluation found. `records` has a row per sampled answer."""

    records: pd.DataFrame

    def values(self, benchmark: str, metric: str = "accuracy") -> pd.Series:
        """One number per problem, its mean over samples, indexed by problem id."""
        if metric not in METRICS:
            raise ValueError(f"metric: {metric!r} is unknown; allowed: {', '.join(METRICS)}")
        rows = self._measured[self._measured["benchmark"] == benchmark]
        if rows.empty:
            found = ", ".join(self.benchmarks)
            raise ValueError(f"benchmark: {benchmark!r} is not in this report, which has {found}")
        return rows.groupby("problem", sort=False)[METRICS[metric].column].mean()

    @cached_property
    def _measured(self) -> pd.DataFrame:
        """The records with the columns that are read off the text alone."""
        texts, known = self.records["text"], self.records
        return known.assign(
            boxed=known["answer"].notna(),
            truncated=known["finish"] == "length",
            reflection=texts.str.contains(REFLECTION),
            reflection_words=texts.str.count(REFLECTION),
            code=texts.str.contains(CODE),
        )

    @property
    def benchmarks(self) -> list[str]:
        return list(dict.fromkeys(self.records["benchmark"]))

    @property
    def averaged(self) -> list[str]:
        """What an average is over: the paper's six sets, or else all that are test sets."""
        tests = [name for name in self.benchmarks if name not in SELECTION_SETS]
        return list(PAPER_SETS) if set(PAPER_SETS) <= set(tests) else tests

    @cached_property
    def table(self) -> pd.DataFrame:
        """benchmark, metric, n problems, k samples each, value, 95 % interval over problems.

        protocol and checkpoint say how the answers were sampled and how the model was chosen; the
        interval knows nothing of that choice. note says where it does not promise 95 %, and where
        so many answers were cut off that brevity alone would raise the accuracy. The average is a
        plain mean of benchmarks, and is there if they are one model's.
        """
        rows = []
        for name in self.benchmarks:
            k, how = self.samples(name), self._labels([name])
            parts = {m: unit.mean(self.values(name, m)) for m, unit in METRICS.items()}
            powers = sorted({2**i for i in range(1, k.bit_length())} | {k} - {1})
            parts |= {f"pass@{m}": self.pass_at(m, name) for m in powers}
            same = {"benchmark": name, "k": k} | how
            if parts["truncated"].value > 100 * CUT_OFF:
                cut = f"{parts['truncated'].value:.0f} % of the answers were cut off: shorter ones"
                caution = f"{cut} alone would score higher; see the same with room"
                was = parts["accuracy"]
                parts["accuracy"] = replace(was, note="; ".join(filter(None, [was.note, caution])))
            rows += [same | {"metric": metric} | part.row() for metric, part in parts.items()]
        how = self._labels(self.averaged)
        if len(self.averaged) > 1 and "; " not in how["checkpoint"]:
            average = {"benchmark": "average", "metric": "accuracy", "k": None}
            rows.append(average | how | self.average().row())
        return pd.DataFrame(rows, columns=TABLE_COLUMNS).astype({"k": "Int64"})

    def _labels(self, benchmarks: Sequence[str]) -> dict[str, str]:
        """Protocol and checkpoint of the answers to these benchmarks."""
        rows = self.records[self.records["benchmark"].isin(benchmarks)]
        labels = rows.reindex(columns=["protocol", "checkpoint"], fill_value="not recorded")
        return {column: "; ".join(dict.fromkeys(labels[column])) for column in labels}

    def average(self, benchmarks: Sequence[str] | None = None) -> Estimate:
        """Mean accuracy in percent of benchmarks, each weighing the same; None: `averaged`."""
        names = benchmarks or self.averaged
        return estimates.combination([SHARE.mean(self.values(name)) for name in names])

    @cached_property
    def by_category(self) -> pd.DataFrame:
        """Accuracy per benchmark and category, with its interval over the category's problems."""
        return self._by("category")

    @cached_property
    def by_level(self) -> pd.DataFrame:
        """Accuracy per benchmark and level of difficulty, of benchmarks that have levels."""
        return self._by("level")

    def _by(self, column: str) -> pd.DataFrame:
        rows = []
        known = self.records.reindex(columns=["benchmark", column, "problem", "correct"])
        for (name, part), group in known.groupby(["benchmark", column]):
            found = SHARE.mean(group.groupby("problem", sort=False)["correct"].mean())
            rows.append({"benchmark": name, column: part} | found.row())
        return pd.DataFrame(rows, columns=["benchmark", column, "n", *ESTIMATE])

    def samples(self, benchmark: str) -> int:
        """k: how often each problem of the benchmark was sampled."""
        return int(self.records.loc[self.records["benchmark"] == benchmark, "sample"].max()) + 1

    def pass_at(self, k: int, benchmark: str) -> Estimate:
        """Unbiased pass@k in percent: the chance that k of the samples hold a right one."""
        n = self.samples(benchmark)
        right = (self.values(benchmark) * n).round().astype(int)
        return SHARE.mean([pass_at_k(n, c, k) for c in right])


def paired_difference(
    a: Report, b: Report, benchmark: str = "world", metric: str = "accuracy"
) -> Estimate:
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
    return METRICS[metric].difference(left, right.loc[left.index])
