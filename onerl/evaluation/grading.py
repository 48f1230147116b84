"""Grades beside sampled answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pandas as pd

LAST_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?")


def graded(rows: pd.DataFrame, grade: Callable) -> pd.DataFrame:
    """The rows with answer, status, correct and correct_any_format.

    Any format: an answer without a box is read from the last number of the text, the last rule of
    the paper's evaluation (section 5.3 of its code's reading), which can only add right answers.
    """
    texts, golds = rows["text"].tolist(), rows["gold"].tolist()
    known = rows["options"] if "options" in rows else [None] * len(rows)
    options = [json.loads(each) if isinstance(each, str) else None for each in known]
    grades = grade(list(zip(texts, golds, strict=True)), options)
    lenient = [grade.correct for grade in grades]
    unboxed = [
        (i, numbers[-1])
        for i, grade in enumerate(grades)
        if grade.answer is None and (numbers := LAST_NUMBER.findall(texts[i]))
    ]
    regraded = grade(
        [(f"\\boxed{{{number}}}", golds[i]) for i, number in unboxed],
        [options[i] for i, _ in unboxed],
    )
    for (i, _), again in zip(unboxed, regraded, strict=True):
        lenient[i] = again.correct
    return rows.assign(
        answer=[grade.answer for grade in grades],
        status=[grade.status for grade in grades],
        correct=[grade.correct for grade in grades],
        correct_any_format=lenient,
    )
