"""How good is a model, and how sure are we: sampled answers in, a table with intervals out.

    protocols.py      how each benchmark is sampled, by name
    answers.py        answers sampled, graded and kept, a batch at a time
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
answers or a million tokens, and nothing that is on disk is sampled twice. What is kept is returned
only while model, problems, answers, prompts and protocol have the sums they had. From a selection
set (`onerl.problems.benchmarks`) the examples that the run was trained on are taken out.

Weights are used in the precision they are stored in, as in the paper, whose Table 7 shows that it
matters. Not covered: spread between training seeds (`onerl.estimates.seeds`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from math import inf
from pathlib import Path
from typing import Any

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
from onerl.evaluation.protocols import PROTOCOLS, Protocol, protocol_for
from onerl.evaluation.report import Report, paired_difference
from onerl.models import locate

__all__ = [
    "PROTOCOLS",
    "Prompting",
    "Protocol",
    "Report",
    "evaluate",
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
    backend: str = "auto",
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
        backend: "torch", "vllm", or "auto": vLLM where it and a GPU are there.
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
    with closing(Answers(located, prompting or Prompting(), seed, backend)) as answers:
        for name, (label, how) in plans.items():
            problems, kept = without_training_examples(name, asked[name], located), None
            if out is not None:
                settings = answers.settings(problems, how) | {"limit": limit}
                kept = Kept(Path(out) / name.replace(":", "-"), settings)
            tables.append(sampled(answers, name, problems, how, kept).assign(protocol=label))
    checkpoint = "as given" if located.step is None else f"step {located.step}"
    return Report(pd.concat(tables, ignore_index=True).assign(checkpoint=checkpoint))


def side_by_side(reports: Mapping[str, Any]) -> pd.DataFrame:
    """The tables of `Report`s or `Completion`s as one, whose first column, model, has the keys."""
    tables = pd.concat({name: report.table for name, report in reports.items()}, names=["model"])
    return tables.reset_index("model").reset_index(drop=True)


def rescore(records: pd.DataFrame, grader: Callable[[str, str], bool] | None = None) -> Report:
    """Grade stored answers again, without the model.

    Args:
        records: `Report.records`, or the same read from parquet.
        grader: a function of (response, gold) like `onerl.verifier.verify`, which replaces the
            verdicts alone; None: our verifier.
    """
    ours = graded(records)
    if grader is None:
        return Report(ours)
    pairs = zip(records["text"], records["gold"], strict=True)
    return Report(ours.assign(correct=[bool(grader(text, gold)) for text, gold in pairs]))
