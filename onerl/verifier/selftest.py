r"""What is checked before the first step of a run: a broken verifier must not train a model, and a
gold answer that cannot be used is found by name, not by a silent reward of zero.

Two golds of DSR-sub are broken (one is empty, one is cut off), and the paper's reward pays 1.0 for
no answer at all on the first. A gold is usable if a response that boxes it word for word is
accepted.
"""

from collections.abc import Iterable
from typing import NamedTuple

from onerl.verifier.grade import grade
from onerl.verifier.spelling import strip_wrapping

_KNOWN = (
    (r"so the speed is \boxed{12.8}", "12.8", True),
    (r"\boxed{\frac{64}{5}}", "12.8", True),
    (r"\boxed{12.8\text{ mph}}", "12.8", True),
    (r"\boxed{12.7}", "12.8", False),
    (r"\boxed{12.7} or \boxed{12.8}", "12.8", False),
    ("12.8", "12.8", False),
    (r"\boxed{12.8", "12.8", False),
    (r"\boxed{-\frac{4046}{4048}}", r"-\frac{2023}{2024}", True),
    (r"\boxed{2, -1}", r"\{-1, 2\}", True),
    (r"\boxed{(2, 1)}", "(1, 2)", False),
    # these need the worker
    (r"\boxed{\sqrt{117}}", r"3\sqrt{13}", True),
    (r"\boxed{\frac{1}{\cos x}}", r"\sec x", True),
    (r"\boxed{\sqrt{13} \cdot 3.000001}", r"3\sqrt{13}", False),
)


class SelfTestError(RuntimeError):
    """The verifier gives wrong verdicts here; nothing may be trained or scored with it."""


def self_test() -> int:
    """Grades the known pairs; returns how many. Raises SelfTestError on a wrong verdict."""
    for response, gold, expected in _KNOWN:
        verdict = grade(response, gold)
        if verdict.correct is not expected:
            missing = "; the verifier's worker did not start: is mpmath installed?"
            raise SelfTestError(
                f"verifier self-test: {response!r} against {gold!r} should be {expected}, "
                f"is {verdict.correct} (status {verdict.status}, rule {verdict.rule})"
                + missing
                * (verdict.status == "error")
            )
    return len(_KNOWN)


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
    if verdict.status == "no-answer":
        return "has unbalanced braces"
    return "" if verdict.correct else f"does not accept itself ({verdict.status}: {verdict.rule})"
