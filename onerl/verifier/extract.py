r"""Which answer a response gives: the content of its last complete ``\boxed{}``.

Extraction is where reward hacking happens, so its rules are few and never look at the gold answer:

* only ``\boxed{...}`` and ``\fbox{...}`` are answers; the text around them is worth nothing;
* the last box counts, and an unterminated or empty last box is no answer;
* boxes joined as one statement ("\boxed{1} or \boxed{2}") are one list: a second guess never pays.

Everything is linear in the length of the response and looks at it from the right.
"""

import re
from dataclasses import dataclass

MAX_ANSWER = 1000  # characters; the longest gold answer of the six test sets and DSR-sub has 159
_SCAN = 100_000  # how far a closing brace is looked for
_MAX_BOXES = 64  # boxes joined into one answer at most
_MAX_GAP = 60  # characters between two boxes of one statement

_OPENING = re.compile(r"\\(?:f?boxed|fbox)\s{0,8}\{")
_BRACES = re.compile(r"\\.|[{}]", re.S)
_JOINT = re.compile(
    r"(?:[\s$,;.:&+/|]|\\[,;:! \]\[()]|\\q?quad\b|\\\\|\\(?:text|mathrm|textrm|mbox)\s*\{"
    r"|\}|\\(?:lor|vee|land|wedge|cup)\b|\b(?:and|or|also|maybe|perhaps|possibly|either|else|alternatively)\b)*"
)


@dataclass(frozen=True)
class Extraction:
    """`answer` is None when there is none; `status` is "ok", "no-answer" or "too-long"."""

    answer: str | None
    status: str


def closing_brace(text: str, opening: int) -> int:
    """Index of the brace that closes the one at `opening`, or -1. Escaped braces do not count."""
    depth = 0
    for match in _BRACES.finditer(text, opening, opening + _SCAN):
        if match.group() == "{":
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if depth == 0:
                return match.start()
    return -1


def _openings(response: str, end: int):
    """The box openings before `end`, last first, as (start, index of the brace)."""
    for _ in range(10_000):
        found = response.rfind("box", 0, end)
        if found < 0:
            return
        end = found
        start = response.rfind("\\", max(0, found - 2), found)
        match = _OPENING.match(response, start) if start >= 0 else None
        if match:
            yield start, match.end() - 1


def extract(response: str) -> Extraction:
    """The answer of `response`, with the reason when there is none."""
    boxes: list[str] = []  # the joined boxes, last first
    left_edge = None
    for start, brace in _openings(response, len(response)):
        close = closing_brace(response, brace)
        if left_edge is None:
            if close < 0:
                long = len(response) - brace > _SCAN
                return Extraction(None, "too-long" if long else "no-answer")
            if response[start:close].count("box") > 1:  # the last opening may be nested in a box
                pass
        elif close < 0 or close > left_edge:  # an enclosing box, or text that is not a box
            if close > left_edge and len(boxes) == 1:
                boxes, left_edge = [response[brace + 1 : close]], start
                continue
            break
        elif (
            left_edge - close > _MAX_GAP
            or not _JOINT.fullmatch(response, close + 1, left_edge)
            or "\n\n" in response[close:left_edge]
            or len(boxes) >= _MAX_BOXES
        ):
            break
        boxes.append(response[brace + 1 : close])
        left_edge = start
    distinct = list(dict.fromkeys(box.strip() for box in reversed(boxes)))
    if not distinct or not any(distinct):
        return Extraction(None, "no-answer")
    answer = distinct[0] if len(distinct) == 1 else " , ".join(distinct)
    if len(answer) > MAX_ANSWER:
        return Extraction(None, "too-long")
    return Extraction(answer, "ok")
