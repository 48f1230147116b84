"""The same stored answers under three graders: ours, and the two of the paper.

    found = graded(report.records)      adds a column of verdicts per grader
    agreement(found)                    how many answers each combination of verdicts has
    kinds(found)                        why the graders disagree, in words, per answer
    accuracies(found, "world")          the number that each grader would give

The paper trains with one grader and evaluates with another (`onerl.verifier.paper.training` and
`evaluation`, restated from its code). Not covered: a judge that is a language model, which
the paper uses in its Table 15.
"""

from __future__ import annotations

import pandas as pd

from onerl.estimates import METRICS
from onerl.evaluation.report import Report, paired_difference
from onerl.verifier import grade_many
from onerl.verifier.paper.evaluation import TOLERANCE, extract, paper_eval_grader, strip
from onerl.verifier.paper.training import paper_train_grader

OURS, TRAINING, EVALUATION = "ours", "paper, training", "paper, evaluation"
GRADERS = (OURS, TRAINING, EVALUATION)
AGREE = "all agree"


def graded(records: pd.DataFrame) -> pd.DataFrame:
    """The records with a column of True and False per grader, and `answer` and `status` by ours.

    The records have at least text and gold; with a column benchmark, the units of Minerva Math are
    kept by the paper's evaluation, as in its code.
    """
    pairs = list(zip(records["text"], records["gold"], strict=True))
    keep = records.get("benchmark", pd.Series("", index=records.index)) == "minerva_math"
    ours = grade_many(pairs)
    return records.assign(
        **{
            "answer": [grade.answer for grade in ours],
            "status": [grade.status for grade in ours],
            OURS: [grade.correct for grade in ours],
            TRAINING: [paper_train_grader(*pair) for pair in pairs],
            EVALUATION: [
                paper_eval_grader(*pair, keep_units=units)
                for pair, units in zip(pairs, keep, strict=True)
            ],
        }
    )


def agreement(found: pd.DataFrame) -> pd.DataFrame:
    """Number of answers by combination of verdicts ("right", "wrong"), most frequent first."""
    words = found[list(GRADERS)].replace({True: "right", False: "wrong"})
    counts = words.value_counts().rename("answers").reset_index()
    return counts.sort_values(["answers", *GRADERS], ascending=False, ignore_index=True)


def kinds(found: pd.DataFrame) -> pd.Series:
    """Why the graders do not agree on an answer, or "all agree"."""
    return pd.Series([_kind(row) for _, row in found.iterrows()], index=found.index, dtype=str)


def _kind(row: pd.Series) -> str:
    ours, training, evaluation = (bool(row[name]) for name in GRADERS)
    if ours == training == evaluation:
        return AGREE
    if training and evaluation:
        return "ours alone refuses it"
    if ours:
        return f"the {'training' if evaluation else 'evaluation'} refuses a form of the answer"
    if training:
        return "the training accepts another form"
    if row["status"] == "no-answer":
        return "no closed box: the evaluation reads the answer elsewhere"
    return _numeric(row["text"], row["gold"]) or "the evaluation accepts another form"


def _numeric(text: str, gold: str) -> str | None:
    """The rule by which the evaluation takes one number for another."""
    try:
        answer, wanted = (float(strip(part)) for part in (extract(text), gold))
    except ValueError:
        return None
    for scale, words in (
        (1, f"numbers within {TOLERANCE:g} of each other"),
        (100, "a hundred times the answer"),
        (0.01, "a hundredth of the answer"),
    ):
        if abs(answer - scale * wanted) <= TOLERANCE * max(abs(answer), abs(scale * wanted)):
            return words
    return None


def report_by(found: pd.DataFrame, grader: str) -> Report:
    """A report with this grader's verdicts as `correct`: its intervals and paired comparisons."""
    return Report(found.assign(correct=found[grader]))


def accuracies(found: pd.DataFrame, benchmark: str) -> pd.DataFrame:
    """Accuracy under each grader, and minus ours on the same answers, paired by problem.

    Index grader; n problems, k answers to each, value, low, high in percent; minus ours, from, to
    in points; p.
    """
    ours, rows = report_by(found, OURS), []
    for grader in GRADERS:
        report = report_by(found, grader)
        own = METRICS["accuracy"].mean(report.values(benchmark))
        minus = paired_difference(report, ours, benchmark)
        row = [own.n, report.samples(benchmark), own.value, own.low, own.high]
        rows.append([*row, minus.value, minus.low, minus.high, minus.p])
    columns = ["n", "k", "value", "low", "high", "minus ours", "from", "to", "p"]
    return pd.DataFrame(rows, index=pd.Index(GRADERS, name="grader"), columns=columns)
