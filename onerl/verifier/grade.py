r"""The verdict on a response: extraction, comparison, cache and statuses.

`Grade.status` says whether there was a verdict at all, and training counts it per step:

ok           the answer was read and compared
no-answer    no box, an empty one, or the last one was never closed
too-long     the answer has more than `MAX_ANSWER` characters
unparseable  the answer is no mathematics we can read, and not the gold's own text
timeout      the symbolic engine used up its CPU time; wrong, like all that follow
error        the worker could not be started: no verdict, with a warning, and never cached
bad-input    the response is not a string
bad-gold     the gold answer is empty or not text

`Grade.rule` names the rule that decided. Verdicts are cached on (answer, gold): a model at work on
one problem gives the same few answers thousands of times.
"""

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from onerl.verifier import engine
from onerl.verifier.compare import Comparison
from onerl.verifier.extract import MAX_ANSWER, extract
from onerl.verifier.spelling import strip_wrapping
from onerl.verifier.structure import read_answer
from onerl.verifier.tokens import UnreadableError
from onerl.verifier.words import same_text

CACHE_SIZE = 1 << 14

_LETTER = re.compile(r"\(?\s*([A-J])\s*\)?[.:]?")
_FONT = re.compile(
    r"\\(?:text|textbf|mathrm|mathbf|textrm|mbox|textit|operatorname)\s*\{([^{}]*)\}"
)
_CHOSEN = re.compile(
    r"(?:the )?(?:correct |final )?(?:option|choice|answer)?(?: is)?:?\s*"
    r"\(?\s*([A-Ja-j])\s*(?:\)?[.:]?$|[.:)]+\s*(?![,;/|])(.*))",
    re.S | re.I,
)
_OTHER_CHOICE = re.compile(r"\b(?:or|and|not|[A-J])\b")
_SPACED_DIGITS = re.compile(r"-?\d(?: \d)+")
_SPACING = re.compile(r"\\[,;! ]")
_BLANKS = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
_GROUPED = re.compile(r"\d[, ]\d{3}")


@dataclass(frozen=True, slots=True)
class Grade:
    """A verdict: `correct`, the extracted `answer` (None if there is none), `status` and `rule`."""

    correct: bool
    answer: str | None
    status: str
    rule: str


class _UndecidedError(Exception):
    """Carries a verdict that must not be cached."""


def verify(response: str, gold: str, *, options: Mapping[str, str] | None = None) -> bool:
    r"""Whether the last ``\boxed{}`` of `response` is the gold answer. No response raises."""
    return grade(response, gold, options=options).correct


def extract_answer(response: str) -> str | None:
    r"""What the last complete ``\boxed{}`` of `response` says, or None."""
    return extract(response).answer if isinstance(response, str) else None


def same_answer(answer: str, gold: str) -> bool:
    """Whether two bare answers are the same."""
    return isinstance(answer, str) and _verdict(answer, _gold_text(gold))[0]


def grade_many(
    pairs: Iterable[tuple[str, str]], options: Iterable[Mapping[str, str] | None] | None = None
) -> list[Grade]:
    """A `Grade` for each (response, gold), in order; `options` has the choices of each."""
    pairs = list(pairs)
    choices = [None] * len(pairs) if options is None else options
    return [grade(*pair, options=texts) for pair, texts in zip(pairs, choices, strict=True)]


def grade(response: str, gold: str, *, options: Mapping[str, str] | None = None) -> Grade:
    """The verdict on one response, with the answer found, its status and the deciding rule.

    `options` are the texts of a multiple-choice problem by their letters, {"A": "heat", …}: the
    gold letter is then answered by its letter, its text, or both, and by no other.
    """
    if not isinstance(response, str):
        return Grade(False, None, "bad-input", "extraction")
    found = extract(response)
    if found.answer is None:
        return Grade(False, None, found.status, "extraction")
    choices = tuple(sorted(options.items())) if options else ()
    correct, status, rule = _verdict(found.answer, _gold_text(gold), choices)
    return Grade(correct, found.answer, status, rule)


def _gold_text(gold) -> str:
    """Benchmarks store some golds as numbers, and some as the box of a solution."""
    if isinstance(gold, str):
        return (extract(gold).answer or "") if "\\boxed" in gold else gold
    return str(gold) if isinstance(gold, (int, float)) and not isinstance(gold, bool) else ""


def _verdict(answer: str, gold: str, choices: tuple = ()) -> tuple[bool, str, str]:
    """(correct, status, rule), from the cache where it was decided before."""
    try:
        return _cached(answer, gold, choices)
    except _UndecidedError as undecided:
        correct, status, rule = undecided.args
        warnings.warn(f"no verdict on {answer!r:.60}: {rule} ({status})", RuntimeWarning, 2)
        return correct, status, rule


@lru_cache(CACHE_SIZE)
def _cached(answer: str, gold: str, choices: tuple) -> tuple[bool, str, str]:
    try:
        verdict = judge(answer, gold, choices=choices)
    except Exception as error:  # the contract: no string raises; a test keeps this branch unreached
        raise _UndecidedError(False, "error", type(error).__name__) from None
    if verdict[1] == "error":
        raise _UndecidedError(*verdict)
    return verdict


def clear_cache() -> None:
    """Forget all verdicts (the cache is bounded and shared by all threads)."""
    _cached.cache_clear()


def judge(answer: str, gold: str, *, choices: tuple = (), ask=None) -> tuple[bool, str, str]:
    """(correct, status, rule) of two bare answers, uncached; `choices` are (letter, text) pairs."""
    if len(answer) > MAX_ANSWER or len(gold) > MAX_ANSWER:
        return False, "too-long" if len(answer) > MAX_ANSWER else "bad-gold", "length"
    if not strip_wrapping(answer):
        return False, "no-answer", "empty"
    if not strip_wrapping(gold):
        return False, "bad-gold", "empty"
    if _letters(gold) == _letters(answer):
        return True, "ok", "identical"
    letter = _LETTER.fullmatch(_bare(gold))
    if letter:
        return _chosen(letter[1], _bare(answer), dict(choices)), "ok", "choice"
    return _compare(answer, gold, Comparison(ask or engine.ask))


def _chosen(letter: str, answer: str, options: dict[str, str]) -> bool:
    """Whether an answer names one choice, the right one, by its letter, its text or both."""
    text = _bare(options.get(letter, ""))
    chosen = _CHOSEN.fullmatch(answer)
    if chosen is None:
        named = [other for other, said in options.items() if same_text(_bare(said), answer)]
        return named == [letter]
    said = (chosen[2] or "").strip()
    if chosen[1].upper() != letter or not said:
        return chosen[1].upper() == letter
    return same_text(text, said) if text else not _OTHER_CHOICE.search(said)


def _compare(answer: str, gold: str, comparison: Comparison) -> tuple[bool, str, str]:
    """Both answers read, with digits grouped by commas or not where that matters, and compared."""
    if _SPACED_DIGITS.fullmatch(answer.strip()):
        answer = answer.replace(" ", "")
    ambiguous = _GROUPED.search(answer) or _GROUPED.search(gold)
    status, rule = "unparseable", "unread"
    for group_digits in (True, False) if ambiguous else (True,):
        given = _readable(read_answer, answer, group_digits=group_digits)
        wanted = _readable(read_answer, gold, group_digits=group_digits)
        status = "ok" if given is not None else status
        if given is None or wanted is None:
            continue
        if _readable(comparison.same, wanted, given):
            return True, "ok", comparison.rule
        rule = comparison.rule
    if comparison.unread and status == "ok":
        status = "unparseable"
    return False, comparison.undecided or status, rule


def _readable(read, *texts, **options):
    """What `read` makes of the texts, or None if they cannot be read."""
    try:
        return read(*texts, **options)
    except (UnreadableError, RecursionError):
        return None


def _letters(text: str) -> str:
    """A text without its spacing, but for blanks between digits (1 1/2 is not 11/2)."""
    return _BLANKS.sub("", _SPACING.sub(" ", strip_wrapping(text)))


def _bare(text: str) -> str:
    """A text without fonts and LaTeX spacing, for reading a choice."""
    for _ in range(3):
        text = re.sub(r"\\(?:displaystyle|left|right|q?quad|large|[,;! ])|^\s*=", "", text)
        text = _FONT.sub(r"\1", strip_wrapping(text))
    return text.replace("\\", "").strip()
