"""A first, string-and-fraction version of the verdict, so that the rest of the library can call it."""

import re
from dataclasses import dataclass
from fractions import Fraction

from onerl.verifier.extract import extract


@dataclass(frozen=True)
class Grade:
    correct: bool
    answer: str | None
    status: str
    rule: str


def _canonical(text: str) -> str:
    text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\$", "")
    text = re.sub(r"\\left|\\right|\\[,;!: ]|\s|\$|~", "", text).rstrip(".")
    return re.sub(r"^\\?[A-Za-z]+=", "", text)


def _number(text: str) -> Fraction | None:
    match = re.fullmatch(r"(-?)\\frac\{(-?\d+)\}\{(\d+)\}", text)
    try:
        if match:
            value = Fraction(int(match[2]), int(match[3]))
            return -value if match[1] else value
        return Fraction(text) if len(text) < 100 else None
    except (ValueError, ZeroDivisionError):
        return None


def same_answer(answer: str, gold: str) -> bool:
    a, b = _canonical(str(answer)), _canonical(str(gold))
    if not a:
        return False
    if a == b:
        return True
    x, y = _number(a), _number(b)
    return x is not None and x == y


def grade(response: str, gold: str) -> Grade:
    if not isinstance(response, str):
        return Grade(False, None, "bad-input", "input")
    found = extract(response)
    if found.answer is None:
        return Grade(False, None, found.status, "extraction")
    return Grade(same_answer(found.answer, gold), found.answer, "ok", "exact")


def grade_many(pairs) -> list[Grade]:
    return [grade(response, gold) for response, gold in pairs]


def verify(response: str, gold: str) -> bool:
    return grade(response, gold).correct


def extract_answer(response: str) -> str | None:
    return extract(response).answer if isinstance(response, str) else None
