r"""Which gold answers cannot be used: found by name before a run, not by a silent reward of zero.

Two golds of DSR-sub are broken (one is empty, one is cut off), and the paper's reward pays 1.0 for
no answer at all on the first. A gold is usable if a response that boxes it word for word is
accepted.
"""

from collections.abc import Iterable
from typing import NamedTuple

from onerl.verifier.grade import grade
from onerl.verifier.spelling import strip_wrapping


class BadGold(NamedTuple):
    """A gold answer that does not accept itself."""

    name: str
    gold: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: gold answer {self.gold!r} {self.reason}"


def bad_golds(golds: Iterable[tuple[str, str]]) -> list[BadGold]:
    """The unusable ones among (name, gold) pairs."""
    return [BadGold(name, gold, reason) for name, gold in golds if (reason := _fault(gold))]


def _fault(gold: str) -> str:
    if not isinstance(gold, (str, int, float)) or isinstance(gold, bool):
        return "is not text"
    text = str(gold)
    if not strip_wrapping(text):
        return "is empty"
    verdict = grade(rf"\boxed{{{text}}}", text)
    if verdict.correct:
        return ""
    if verdict.status == "no-answer":
        return "has unbalanced braces"
    return f"does not accept itself ({verdict.status}: {verdict.rule})"
