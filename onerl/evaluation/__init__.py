"""How good is a model, and how sure are we: sampled answers in, a table with intervals out.

    report = evaluate(run.checkpoints[-1], benchmarks=["world"], out="outputs/demo/evaluation")
    report.table        benchmark, metric, n, k, value, low, high, protocol, checkpoint
    report.by_category  accuracy per category; by_level: per level of difficulty
    report.records      one row per sampled answer; `rescore` grades them again without the model

Every answer is graded by the verifier that also gives the training reward. Beside accuracy stand
the numbers that tell a gain in format from a gain in reasoning: how many answers are in a box,
and the accuracy when the last number of an unboxed answer is accepted.

A rollout's random stream depends on (seed, benchmark, problem, sample) alone. With `out`, answers
are kept in parquet, a batch at a time, and an evaluation that was interrupted goes on with the
first problem that has none: what is lost is the batch in flight, and nothing that is on disk is
sampled twice. A batch is sampled together, so its size bounds the loss: 256 answers or a million
tokens, whichever is less.

A selection set (`onerl.problems.benchmarks.SELECTION_SETS`) is there to choose a checkpoint on
(`onerl.evaluation.choice`); the examples that the run was trained on are taken out of it.

Weights are used in the precision they are stored in, as in the paper, whose Table 7 shows that it
matters. Not covered: spread between training seeds (`onerl.estimates.seed_interval`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from onerl.evaluation.answers import (
    Answers,
    hold_settings,
    problems_of,
    sampled,
    without_training_examples,
)
from onerl.evaluation.grading import graded
from onerl.evaluation.protocols import PROTOCOLS, Protocol, protocol_for
from onerl.evaluation.report import Report, paired_difference
from onerl.verifier import grade_many

__all__ = [
    "PROTOCOLS",
    "Protocol",
    "Report",
    "evaluate",
    "paired_difference",
    "problems_of",
    "rescore",
]


def evaluate(
    model: str | Path | tuple[int, Path],
    benchmarks: str | Sequence[str] = ("world",),
    *,
    protocol: str | None = None,
    samples: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    max_completion_length: int | None = None,
    prompt: str = "auto",
    prefix: str = "",
    demonstration: tuple[str, str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    out: str | Path | None = None,
    progress: bool = True,
) -> Report:
    """Sample answers to benchmarks and grade them.

    Args:
        model: "world" (the shipped base model), a folder, a hub id, or a (step, folder) pair from
            `Run.checkpoints`.
        benchmarks: names of `onerl.problems.benchmarks`, or examples of the embedded
            world ("world:pi1"); "world…" is the model's own world (`onerl.world.world_of`).
        protocol: a name of `onerl.evaluation.protocols.PROTOCOLS`; None: each benchmark's own.
        samples, temperature, top_p, max_completion_length: the protocol's where None.
        prompt: a family of `onerl.problems.prompts.STRINGS`; "auto" tells it by the model.
        prefix: text every answer is forced to begin with. With the careful opening on the
            untouched base model this gives the elicitation ceiling.
        demonstration: a question and its solution that go before every question (in-context).
        limit: only so many problems of each benchmark, evenly spaced.
        backend: "torch", "vllm", or "auto": vLLM where it and a GPU are there.
        out: folder that keeps the answers; what is there already is not sampled again.
        progress: print how far it is, every 10 seconds.

    Raises:
        ValueError: an argument is out of range, a benchmark has an empty answer, one that the
            verifier cannot read, or a duplicated id, or `out` holds answers that were sampled in
            another way.
        FileNotFoundError: a benchmark's data is neither in ONERL_DATA nor on the hub.
    """
    names = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    if not names:
        raise ValueError("benchmarks: name at least one, for example ['world']")
    changes = {"samples": samples, "temperature": temperature, "top_p": top_p}
    changes["max_completion_length"] = max_completion_length
    plans = [(name, *protocol_for(name, protocol, **changes)) for name in names]
    with closing(Answers(model, seed, prompt, prefix, demonstration, backend)) as answers:
        asked = [
            without_training_examples(
                name, problems_of(name, limit, answers.world), answers.model, answers.world
            )
            for name in names
        ]
        tables = []
        for (name, label, how), problems in zip(plans, asked, strict=True):
            folder = None if out is None else Path(out) / name.replace(":", "-")
            if folder is not None:
                hold_settings(folder, answers.settings | {"limit": limit} | asdict(how))
            rows = pd.concat(sampled(answers, name, problems, how, folder, progress))
            order = {problem.id: place for place, problem in enumerate(problems)}
            rows = rows.sort_values("problem", key=lambda ids: ids.map(order), kind="stable")
            tables.append(rows.assign(protocol=label))
    checkpoint = f"step {model[0]}" if isinstance(model, tuple) else "as given"
    return Report(pd.concat(tables, ignore_index=True).assign(checkpoint=checkpoint))


def rescore(records: pd.DataFrame, grader: Callable[[str, str], bool] | None = None) -> Report:
    """Grade stored answers again, without the model.

    Args:
        records: `Report.records`, or the same read from parquet.
        grader: a function of (response, gold) like `onerl.verifier.verify`; None: our verifier.
            With another grader, which says only right or wrong, the answers that ours extracts
            and its status stay in the records.
    """
    if grader is None:
        return Report(graded(records, grade_many))
    ours = graded(records, grade_many)
    pairs = zip(records["text"], records["gold"], strict=True)
    correct = np.array([bool(grader(text, gold)) for text, gold in pairs])
    return Report(ours.assign(correct=correct))
