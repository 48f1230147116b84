"""Which checkpoint of a run is reported, and on what it was chosen.

    chosen = choose({0: report, 20: report, ...}, how="held-out")
    chosen.table            its column checkpoint says "held-out: step 40"

The paper evaluates a checkpoint every 20 steps and reports the best one on the test sets (its
appendix B.5), which is too high, and no interval over problems says so. Choosing on other problems
has no such bias; the difference between the two tables is the optimism.

    last        the last step
    held-out    the best on a selection set (`onerl.problems.benchmarks`), which is no test set
    paper       the best average of the test sets (the paper's Tables 4, 8 and 10)
    paper-each  the best for each test set on its own (Tables 3, 5, 9 and 11); no one checkpoint
                has these numbers, so there is no average

Equal scores: the earliest step. Not covered: the noise of the choice itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

import pandas as pd

from onerl.evaluation.report import Report
from onerl.parameters import nearest
from onerl.problems.benchmarks import SELECTION_SETS

RULES = ("last", "held-out", "paper", "paper-each")


def choose(
    reports: Mapping[int, Report], how: str = "held-out", selection: str | None = None
) -> Report:
    """The report of the chosen checkpoint, or of one per benchmark; its table says which.

    Args:
        reports: by training step, all over the same problems.
        how: one of `RULES`.
        selection: for "held-out", the benchmark to choose on; None: the selection set in the
            reports. It is left out of the test sets.

    Raises:
        ValueError: an unknown rule, no reports, reports over different problems, or no selection
            set to choose on.
    """
    if how not in RULES:
        raise ValueError(
            f"how: {how!r} is unknown{nearest(how, RULES)}; allowed: {', '.join(RULES)}"
        )
    names = _same_problems(reports)
    tests = [name for name in names if name not in (*SELECTION_SETS, selection)]
    if how == "last":
        steps = dict.fromkeys(names, max(reports))
    elif how == "paper-each":
        steps = {name: _best(reports, [name]) for name in tests}
    elif how == "paper":
        averaged = [name for name in reports[max(reports)].averaged if name in tests]
        steps = dict.fromkeys(tests, _best(reports, averaged))
    else:
        chosen_on = selection or next((name for name in names if name in SELECTION_SETS), None)
        if chosen_on not in names:
            raise ValueError(
                f"selection: the reports have {', '.join(names)}, and choosing held-out needs a"
                f" benchmark that is no test set, one of {', '.join(SELECTION_SETS)}"
            )
        steps = dict.fromkeys(names, _best(reports, [chosen_on]))
    parts = []
    for name, step in steps.items():
        records = reports[step].records
        parts.append(records[records["benchmark"] == name].assign(checkpoint=f"{how}: step {step}"))
    return Report(pd.concat(parts, ignore_index=True))


def _same_problems(reports: Mapping[int, Report]) -> list[str]:
    """The benchmarks of the reports, if all are over the same problems."""
    if not reports:
        raise ValueError("reports: at least one is needed to choose from")
    pairs = {
        step: set(zip(report.records["benchmark"], report.records["problem"], strict=True))
        for step, report in reports.items()
    }
    first = min(pairs)
    for step, found in pairs.items():
        if found != pairs[first]:
            raise ValueError(
                f"reports: those of steps {first} and {step} are over different problems,"
                f" {len(found ^ pairs[first])} are in only one"
            )
    return reports[first].benchmarks


def _best(reports: Mapping[int, Report], benchmarks: list[str]) -> int:
    """The step with the best plain mean of these benchmarks, the earliest of equals."""
    scores = {
        step: fmean(reports[step].values(name).mean() for name in benchmarks)
        for step in sorted(reports)
    }
    return max(scores, key=scores.get)
