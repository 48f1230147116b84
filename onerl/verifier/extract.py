r"""Which answer a response gives: the content of its last complete ``\boxed{}``.

Extraction is where reward hacking happens, so its rules are few and never look at the gold answer:

* only ``\boxed{...}`` and ``\fbox{...}`` are answers; the text around them is worth nothing;
* the last box counts, and an unterminated or empty last box is no answer;
* boxes joined as one statement ("\boxed{1} or \boxed{2}") are one list: a second guess never pays.

Everything is linear in the length of the response and looks at it from the right.
"""

import itertools
import re
from dataclasses import dataclass

MAX_ANSWER = 1000  # characters; the longest gold answer of the six test sets and DSR-sub has 159
_SCAN = 100_000  # how far a closing brace is looked for
_MAX_BOXES = 64  # boxes joined into one answer, or around one another, at most
_MAX_LOOKS = 10_000  # times the word "box" is looked at
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


def closing_brace(text: str, opening: int, reach: int = _SCAN) -> int:
    """Index of the brace that closes the one at `opening`, or -1. Escaped braces do not count."""
    depth = 0
    for match in _BRACES.finditer(text, opening, opening + reach):
        if match.group() == "{":
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if depth == 0:
                return match.start()
    return -1


def _openings(response: str):
    """The box openings of a response, last first, as (start, index of the brace)."""
    end = len(response)
    for _ in range(_MAX_LOOKS):
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
    openings = _openings(response)
    start, brace = next(openings, (-1, -1))
    if start < 0:
        return Extraction(None, "no-answer")
    close = closing_brace(response, brace)
    if close < 0:
        return Extraction(None, "too-long" if len(response) - brace > _SCAN else "no-answer")
    boxes = [response[brace + 1 : close]]
    for earlier, brace in itertools.islice(openings, _MAX_BOXES):
        close = closing_brace(response, brace, 2 * MAX_ANSWER)
        if close > start and len(boxes) == 1:  # a box around the last one
            boxes = [response[brace + 1 : close]]
        elif 0 < close < start and _joined(response[close + 1 : start]):
            boxes.append(response[brace + 1 : close])
        else:
            break
        start = earlier
    distinct = list(dict.fromkeys(box.strip() for box in reversed(boxes)))
    if not any(distinct):
        return Extraction(None, "no-answer")
    answer = " , ".join(distinct)
    return Extraction(answer, "ok") if len(answer) <= MAX_ANSWER else Extraction(None, "too-long")


def _joined(between: str) -> bool:
    """Whether two boxes with only this between them are one statement."""
    return len(between) <= _MAX_GAP and "\n\n" not in between and bool(_JOINT.fullmatch(between))
