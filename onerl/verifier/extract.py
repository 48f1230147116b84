r"""Which answer a response gives: the content of its last complete ``\boxed{}``.

Extraction is where reward hacking happens, so its rules are few and never look at the gold answer:

* only ``\boxed{...}`` and ``\fbox{...}`` are answers; the text around them is worth nothing;
* the last box counts, and an unterminated or empty last box is no answer;
* boxes of one statement ("\boxed{1} or \boxed{2}") are one list: a second guess never pays.

Everything is linear in the length of the response and looks at it from the right.
"""

import itertools
import re
from dataclasses import dataclass

MAX_ANSWER = 1000  # characters; the longest gold answer of the six test sets and DSR-sub has 159
_SCAN = 100_000  # how far a closing brace is looked for
_MAX_BOXES = 64  # boxes joined into one answer, or around one another, at most
_MAX_LOOKS = 10_000  # times the word "box" is looked at
_MAX_GAP = 80  # characters between two boxes of one statement

# with braces, or a number behind it: TeX reads \boxed 42 otherwise, and a reader does not
_OPENING = re.compile(r"\\f?box(?:ed)?(?:\s{0,8}\{|\s{1,8}(-?\d+(?:\.\d+)?)(?![\d{\w]))")
_BRACES = re.compile(r"\\.|[{}]", re.S)
_SPECIAL = re.compile(r"(?:<\|[a-z_]+\|>|</s>)\s*$")
# What makes a second box a new answer, not one more: a new sentence or line, or a step of thought.
_NEXT = re.compile(
    r"[.!?;]\s+\$?[A-Z][a-z]|\n\n|[^-*\s]\s*\n\s*[A-Z]|\b(?:then|no|wait|so|thus|hence|therefore|actually|correction|"
    r"rather|instead|final|finally|gives?|giving|yields?|we|i|is|was|get|have|put|means|equals|which|"
    r"into|becomes|from|with|using|the answer)\b",
    re.I,
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
        depth += (match[0] == "{") - (match[0] == "}")
        if depth == 0 and match[0] == "}":
            return match.start()
    return -1


def _boxes(response: str):
    """The boxes of a response, last first, as (start, end, content); an open one ends at -1."""
    end = len(response)
    for _ in range(_MAX_LOOKS):
        found = response.rfind("box", 0, end)
        if found < 0:
            return
        end = found
        start = response.rfind("\\", max(0, found - 2), found)
        match = _OPENING.match(response, start) if start >= 0 else None
        if match and match[1]:
            yield start, match.end(), match[1]
        elif match:
            close = closing_brace(response, match.end() - 1)
            yield start, close, _SPECIAL.sub("", response[match.end() : close])


def extract(response: str) -> Extraction:
    """The answer of `response`, with the reason when there is none."""
    boxes = _boxes(response)
    start, end, content = next(boxes, (-1, -1, ""))
    if end < 0:
        cut = 0 <= start < len(response) - _SCAN
        return Extraction(None, "too-long" if cut else "no-answer")
    contents = [content]
    for earlier, end, content in itertools.islice(boxes, _MAX_BOXES):
        between = response[end:start].removeprefix("}")
        if end > start and len(contents) == 1:  # a box around the last one
            contents = [content]
        elif 0 < end <= start and len(between) <= _MAX_GAP and not _NEXT.search(between):
            contents.append(content)
        else:
            break
        start = earlier
    distinct = list(dict.fromkeys(box.strip() for box in reversed(contents)))
    if not any(distinct):
        return Extraction(None, "no-answer")
    answer = " , ".join(distinct)
    return Extraction(answer, "ok") if len(answer) <= MAX_ANSWER else Extraction(None, "too-long")
