"""How good is a model, and how sure are we: sampled answers in, a table with intervals out.

    protocols.py      how each benchmark is sampled, by name
    answers.py        answers sampled, graded and kept, a batch at a time
    engine.py         one sampler for all that is evaluated together
    report.py         tables with intervals, from one row per answer
    choice.py         which checkpoint is reported, and on what it was chosen
    graders.py        the same answers under the paper's graders
    contamination.py  whether a model completes problems that it should not know

    report = evaluate(run.checkpoints[-1], benchmarks=["world"], out="outputs/demo/evaluation")
    report.table        benchmark, metric, n, k, value, low, high, protocol, checkpoint
    report.by_category  accuracy per category; by_level: per level of difficulty
    report.records      one row per sampled answer; `rescore` grades them again without the model

Every answer is graded by the verifier that also gives the training reward. Beside accuracy stand
the numbers that tell a gain in format from a gain in reasoning: how many answers are in a box,
and the accuracy when the last number of an unboxed answer is accepted.

A rollout's random stream depends on (seed, benchmark, problem, sample) alone. With `out`, answers
are kept in parquet, a batch at a time: an interruption loses the batch in flight, of at most 256
answers or a million tokens (by vLLM: a benchmark), and nothing that is on disk is sampled twice.
What is kept is returned only while model, problems, answers, prompts and protocol have the sums
they had. From a selection set (`onerl.problems.benchmarks`) the examples that the run was trained
on are taken out.

The protocol says in which precision weights are used (the paper's Table 7 shows that it matters):
float16 for the paper's sets, as there, and for the others the one they are stored in. Not covered:
spread between training seeds (`onerl.estimates.seeds`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from onerl.evaluation.answers import (
    Answers,
    Kept,
    Prompting,
    graded,
    problems_of,
    sampled,
    without_training_examples,
)
from onerl.evaluation.engine import Engine, one_engine
from onerl.evaluation.graders import NAMED, near
from onerl.evaluation.protocols import PROTOCOLS, Protocol, protocol_for
from onerl.evaluation.report import Report, paired_difference
from onerl.models import locate
from onerl.parameters import choose

__all__ = [
    "PROTOCOLS",
    "Prompting",
    "Protocol",
    "Report",
    "evaluate",
    "one_engine",
    "paired_difference",
    "problems_of",
    "rescore",
    "side_by_side",
]


def evaluate(
    model: Any,
    benchmarks: str | Sequence[str] = ("world",),
    *,
    protocol: str | Protocol | None = None,
    prompting: Prompting | None = None,
    limit: int | None = None,
    seed: int = 0,
    backend: str | Engine = "auto",
    out: str | Path | None = None,
) -> Report:
    """Sample answers to benchmarks and grade them.

    Args:
        model: "world" (the shipped base model), a folder, a hub id, a run (its last checkpoint) or
            a (step, folder) pair of `Run.checkpoints`.
        benchmarks: names of `onerl.problems.benchmarks`, or examples of a world ("world:pi1").
        protocol: a name of `PROTOCOLS`, or a `Protocol`, of which what is unset is the
            benchmark's own: `Protocol(samples=8, temperature=0.6)`. None: all of it.
        prompting: prompt format, forced opening and demonstration. None: the model's format alone.
        limit: only so many problems of each benchmark, evenly spaced.
        backend: "torch", "vllm", or "auto": vLLM where it and a GPU are there; or a `one_engine`
            of these, for several models.
        out: folder that keeps the answers; what is there already is not sampled again.

    Raises:
        ValueError: an argument is out of range, a benchmark is named twice or has an answer that
            is empty or that the verifier cannot read, the model is not whole, or `out` holds
            answers that depend on something else.
        FileNotFoundError: the model or a benchmark's data is nowhere to be had.
    """
    names = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"benchmarks = {names!r}: name at least one, and each only once")
    plans = {name: protocol_for(name, protocol) for name in names}
    located, tables = locate(model), []
    asked = {name: problems_of(name, limit, located.world) for name in names}
    most = located.positions or inf
    for name, (_, how) in plans.items():
        if how.max_completion_length > most:
            raise ValueError(
                f"evaluation of {name}: max_completion_length = {how.max_completion_length}, but"
                f" {located.name} has {most} positions; allowed: at most {most}"
            )
    rows = max(len(asked[name]) * how.samples for name, (_, how) in plans.items())
    with one_engine(backend) as engine:
        answers = Answers(located, prompting or Prompting(), seed, engine, rows)
        for name, (label, how) in plans.items():
            problems, kept = without_training_examples(name, asked[name], located), None
            if out is not None:
                settings = answers.settings(problems, how) | {"limit": limit}
                kept = Kept(Path(out) / name.replace(":", "-"), settings)
            rows = sampled(answers, name, problems, how, kept)
            tables.append(rows.assign(protocol=_labels(label, how, rows)))
    checkpoint = "as given" if located.step is None else f"step {located.step}"
    return Report(pd.concat(tables, ignore_index=True).assign(checkpoint=checkpoint))


def _labels(label: str, how: Protocol, rows: pd.DataFrame) -> str | pd.Series:
    """The protocol's label, of each row that was computed in another precision with that one."""
    if "dtype" not in rows:
        return label
    others = label + "; " + rows["dtype"] + " on a CPU"
    return others.where(rows["dtype"] != how.dtype, label)


def side_by_side(reports: Mapping[str, Any]) -> pd.DataFrame:
    """The tables of `Report`s or `Completion`s as one, whose first column, model, has the keys."""
    tables = pd.concat({name: report.table for name, report in reports.items()}, names=["model"])
    return tables.reset_index("model").reset_index(drop=True)


def rescore(
    records: pd.DataFrame, grader: Callable[[str, str], bool] | str | None = None
) -> Report:
    """Grade stored answers again, without the model.

    Args:
        records: `Report.records`, or the same read from parquet.
        grader: a function of (response, gold) like `onerl.verifier.verify`, which replaces the
            verdicts alone; None: our verifier; "minerva": ours, but a number within a relative 1e-4
            of the answer of a Minerva problem is right, as in the paper's evaluation.

    Raises:
        ValueError: there is no grader of that name.
    """
    if isinstance(grader, str):
        choose("grader", grader, NAMED)
    ours = graded(records)
    if grader is None:
        return Report(ours)
    pairs = zip(records["text"], records["gold"], strict=True)
    if isinstance(grader, str):
        of = records["benchmark"] == NAMED[grader]
        close = [applies and near(*pair) for applies, pair in zip(of, pairs, strict=True)]
        return Report(ours.assign(correct=ours["correct"] | np.array(close, bool)))
    return Report(ours.assign(correct=[bool(grader(text, gold)) for text, gold in pairs]))
