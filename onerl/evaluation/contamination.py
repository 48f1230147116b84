"""Has the model read the test? How often it completes a problem from the first part of its text.

    found = completion("world", ["world", "world-corpus", "clean-arithmetic"])
    found.table      benchmark, metric, n, value, low, high
    found.records    a row per problem: what was given, what follows, what the model wrote

The measure is the partial-prompt completion of arXiv 2507.10532, which finds that Qwen2.5-Math-7B
writes the last 40 % of 54.6 % of MATH500's problems word for word, and of none of a set that is
younger than it. The text is cut after a share of its words and continued greedily, without a chat
template. exact: the completion begins with the rest, word for word. rouge_l: F-measure of the
longest common subsequence of words, over as many words of the completion as the rest has.

A high share says that text like this was read, not that this problem was: where text is templated,
the rest follows from the beginning. The embedded model completes the questions of its own training
text ("world-corpus") hardly more often than unread questions of the same templates ("world"). So
compare a benchmark with one of its own kind that is younger than the model.

Not covered: answers from a cut problem, the paper's second measure; paraphrased leaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import pandas as pd

from onerl.estimates import Metric
from onerl.evaluation.answers import problems_of
from onerl.models import locate
from onerl.problems import Problem
from onerl.problems.prompts import STRINGS
from onerl.world import World

CORPUS = "world-corpus"
CORPUS_SIZE = 1000
START = {"world": STRINGS["world"]["eval"].partition("{q}")[0]}
"""By prompt format, what stands before a problem in the text that such a model was trained on."""

SPARE_TOKENS = 8  # beyond the length of the rest, in which a completion may be spelled otherwise
METRICS = ("exact", "rouge_l")


@dataclass(frozen=True)
class Completion:
    """What a completion test found. `records` has a row per problem."""

    records: pd.DataFrame

    @cached_property
    def table(self) -> pd.DataFrame:
        """benchmark, metric, n problems, value in percent, 95 % interval over problems."""
        rows = []
        for name, group in self.records.groupby("benchmark", sort=False):
            for metric in METRICS:
                found = Metric(metric).mean(group[metric]).row()
                rows.append({"benchmark": name, "metric": metric} | found)
        return pd.DataFrame(rows, columns=["benchmark", "metric", "n", "value", "low", "high"])


def completion(
    model: Any,
    benchmarks: str | Sequence[str] = "world",
    share: float = 0.6,
    *,
    limit: int | None = None,
    backend: str = "auto",
) -> Completion:
    """How often a model completes problems from the first `share` of their words, greedily.

    Args:
        model, limit, backend: as for `onerl.evaluate`.
        benchmarks: names of `onerl.problems.benchmarks`, or "world-corpus": 1,000 questions of
            the text that the embedded model was trained on.

    Raises:
        ValueError: share is not between 0 and 1, or a benchmark is unknown or cannot be scored.
    """
    from onerl.rollouts import Request
    from onerl.rollouts.backends import sampler_for

    if not 0 < share < 1:
        raise ValueError(f"share: {share} is out of range; allowed: above 0 and below 1")
    names = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    model, rows = locate(model), []
    asked = [(name, _problems(name, limit, model.world)) for name in names]
    sampler, tokenizer = sampler_for(backend, model), model.tokenizer
    encode = partial(tokenizer.encode, add_special_tokens=False)
    start = START.get(model.format, "")
    for name, problems in asked:  # a long rest of one set lengthens no other's completions
        part = [
            {"benchmark": name, "problem": problem.id, **cut(problem.question, share)}
            for problem in problems
        ]
        longest = max(len(encode(f" {row['rest']}")) for row in part)
        request = Request([1] * len(part), longest + SPARE_TOKENS, model.stops)
        rollouts = sampler.sample([encode(start + row["given"]) for row in part], request)
        for row, rollout in zip(part, rollouts, strict=True):
            text = tokenizer.decode(rollout.token_ids, skip_special_tokens=True)
            rows.append(row | {"completion": text} | compare(row["rest"], text))
    sampler.close()
    return Completion(pd.DataFrame(rows))


def cut(text: str, share: float) -> dict[str, str]:
    """A text in two, after `share` of its words; both parts have one word at least."""
    words = text.split(" ")
    first = min(max(1, round(share * len(words))), len(words) - 1)
    return {"given": " ".join(words[:first]), "rest": " ".join(words[first:])}


def compare(rest: str, completed: str) -> dict[str, float]:
    """exact (0 or 1) and rouge_l (0 to 1) of a completion; white space does not count."""
    wanted = rest.split()
    written = completed.split()[: len(wanted)]
    # a completion may go on without a space where the text ends: "x=2.\\nSolution" begins with it
    exact = "".join(completed.split()).startswith("".join(wanted)) and written[:-1] == wanted[:-1]
    common = _common(wanted, written)
    return {"exact": float(exact), "rouge_l": 2 * common / max(1, len(wanted) + len(written))}


def _common(first: list[str], second: list[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for i, other in enumerate(second, start=1):
            diagonal, row[i] = row[i], diagonal + 1 if word == other else max(row[i], row[i - 1])
    return row[-1]


def _problems(name: str, limit: int | None, world: World) -> list[Problem]:
    """Of the corpus the questions of the world's text of seed 0, from its beginning, each once."""
    if name != CORPUS:
        return problems_of(name, limit, world)
    from onerl.world import corpus

    before, after = corpus.prompt("\\0").split("\\0")
    found: dict[str, Problem] = {}  # by question
    for document in corpus.documents(world):
        if len(found) == (CORPUS_SIZE if limit is None else limit):
            break
        question = document.text.removeprefix(before).split(after)[0]
        if document.way is not None and question not in found:
            id = f"{CORPUS}/{len(found) + 1}"
            found[question] = Problem(id, question, "", source=CORPUS)
    return list(found.values())
