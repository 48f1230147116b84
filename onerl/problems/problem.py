"""What a problem is. Imports nothing, so that everything may import it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One problem, and where it is from."""

    id: str
    question: str  # without suffix
    answer: str  # as LaTeX
    category: str = ""
    source: str = ""
    level: int | None = None  # difficulty: 1 to 5 in MATH500, 1 to 20 in clean-arithmetic
    options: tuple[tuple[str, str], ...] | None = None  # (letter, text), of a multiple choice
