"""The verdict on a response: extraction, comparison, cache and statuses."""

import re
from dataclasses import dataclass

from onerl.verifier.compare import Comparison
from onerl.verifier.engine import ENGINE
from onerl.verifier.extract import MAX_ANSWER, extract
from onerl.verifier.policy import DEFAULT
from onerl.verifier.structure import read_answer
from onerl.verifier.tokens import Unreadable, strip_wrapping
from onerl.verifier.values import needs_engine

_LETTER = re.compile(r"\(?\s*([A-J])\s*\)?[.:]?")
_FONT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|textrm|mbox|textit|operatorname)\s*\{([^{}]*)\}")
_CHOSEN = re.compile(r"(?:option|choice|answer)?:?\s*\(?\s*([A-Ja-j])\s*(?:\)?[.:]?$|[.:)]+\s*(?![,;/|])(.*))", re.S | re.I)
_OTHER_CHOICE = re.compile(r"\b(?:or|and|not|[A-J])\b")


@dataclass(frozen=True)
class Grade:
    correct: bool
    answer: str | None
    status: str
    rule: str


def judge(answer: str, gold: str, ask=None, policy=DEFAULT) -> tuple[bool, str, str]:
    """(correct, status, rule) of two bare answers."""
    if len(answer) > MAX_ANSWER or len(gold) > MAX_ANSWER:
        return False, "too-long", "length"
    if not strip_wrapping(answer):
        return False, "no-answer", "empty"
    if not strip_wrapping(gold):
        return False, "bad-gold", "empty"
    letter = _LETTER.fullmatch(_bare(gold))
    if letter:
        chosen = _CHOSEN.fullmatch(_bare(answer))
        right = bool(chosen) and chosen[1].upper() == letter[1]
        return right and not _OTHER_CHOICE.search(chosen[2] or ""), "ok", "choice"
    comparison = Comparison(policy, ask)
    status, rule = "unparseable", "unreadable"
    for group_digits in _readings(answer, gold):
        try:
            first = read_answer(gold, group_digits=group_digits)
        except (Unreadable, RecursionError):
            continue
        try:
            second = read_answer(answer, group_digits=group_digits)
        except (Unreadable, RecursionError):
            continue
        status = "ok"
        if comparison.equal(first, second):
            return True, "ok", comparison.rule
        rule = comparison.rule
    if status == "unparseable":
        if _spelled(gold) == _spelled(answer):
            return True, "ok", "identical"
        first, second = strip_wrapping(gold), strip_wrapping(answer)
        if needs_engine(first) or needs_engine(second):
            if comparison.confirm_latex(first, second):
                return True, "ok", "symbolic"
            return False, comparison.undecided or "ok", comparison.rule
    return False, comparison.undecided or status, rule


def _spelled(text):
    return re.sub(r"\s+|\\[,;! ]", "", strip_wrapping(text))


def _bare(text: str) -> str:
    for _ in range(3):
        text = re.sub(r"\\(?:displaystyle|left|right|[,;! ])", "", text)
        text = _FONT.sub(r"\1", strip_wrapping(text))
    return text.replace("\\", "").strip()


def _readings(answer: str, gold: str) -> tuple[bool, ...]:
    """Whether digits may be grouped by commas or blanks: both ways where it matters."""
    ambiguous = re.search(r"\d[, ]\d{3}", answer) or re.search(r"\d[, ]\d{3}", gold)
    return (True, False) if ambiguous else (True,)


def same_answer(answer: str, gold: str) -> bool:
    return judge(str(answer), str(gold), _ASK)[0]


_ASK = ENGINE.ask


def grade(response: str, gold: str) -> Grade:
    if not isinstance(response, str):
        return Grade(False, None, "bad-input", "input")
    found = extract(response)
    if found.answer is None:
        return Grade(False, None, found.status, "extraction")
    correct, status, rule = judge(found.answer, str(gold), _ASK)
    return Grade(correct, found.answer, status, rule)


def grade_many(pairs) -> list[Grade]:
    return [grade(response, gold) for response, gold in pairs]


def verify(response: str, gold: str) -> bool:
    return grade(response, gold).correct


def extract_answer(response: str) -> str | None:
    return extract(response).answer if isinstance(response, str) else None
