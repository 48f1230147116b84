"""What a problem is. Imports nothing, so that everything may import it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One problem: question without suffix, answer as LaTeX text, category and where it is from.

    `level` is its difficulty where the source has one: 1 to 5 in MATH500, 1 to 20 in
    clean-arithmetic. `options` are the (letter, text) pairs of a multiple-choice question.
    """

    id: str
    question: str
    answer: str
    category: str = ""
    source: str = ""
    level: int | None = None
    options: tuple[tuple[str, str], ...] | None = None


def from_items(items: Iterable[Any]) -> list[Problem]:
    """Problems of the embedded world's items, which have the same fields but for the level."""
    return [Problem(i.id, i.question, i.answer, i.category, i.source) for i in items]
