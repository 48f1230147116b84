r"""The reward of the paper's released training code, restated: for measuring its edges, never for
training.

Two graders, either of which may accept (reference notes on the paper, §3.1): exact match after the
normalisation of Hendrycks' MATH, and equality of values after the normalisation of PRM800K. Both
were written for textbook strings, and their quirks are kept: everything from ``\text{ `` on is
cut, unreduced fractions are refused, a comma is not a decimal point. The originals evaluate
strings with sympy; this one uses our own parser, so the same quirks come without evaluating code.

`paper_train_grader(response, gold)` is the whole of it, in the form that `onerl.rescore` takes;
the grader of the paper's evaluation is another one (`evaluation`).
"""

import re
from fractions import Fraction

from onerl.verifier import engine, numeric
from onerl.verifier.expression import parse
from onerl.verifier.numeric import NoValueError
from onerl.verifier.tokens import UnreadableError, tokenise

_FRACTION = re.compile(r"(-?)\(?(-?\d+)\)?/\(?(\d+)\)?")
_UNIT_WORDS = (
    "degree|cm|centimeter|meter|mile|second|minute|hour|day|week|month|year|foot|feet|inch|yard"
)
_TUPLE = re.compile(r"[(\[]([^()\[\]]*,[^()\[\]]*)[)\]]")
_TOO_HARD = re.compile(r"\^[{(]|\^\d+\^|\^\d\d")


def paper_train_grader(response: str, gold: str) -> bool:
    r"""The paper's training reward: whether the last ``\boxed{}`` is the gold answer by its rules.

    The original also reads the prompt, whose own empty box counts where a response has none; that
    is never right, unless the gold answer is empty.
    """
    answer = extract(response)
    return answer is not None and same_answer(answer, gold)[0]


def extract(response: str) -> str | None:
    """The last ``\\boxed{...}``; nothing when it is not closed."""
    start = response.rfind("\\boxed{")
    if start < 0 or start != response.rfind("\\boxed"):
        return None
    depth = 0
    for index in range(start + 6, min(len(response), start + 10_000)):
        depth += (response[index] == "{") - (response[index] == "}")
        if depth == 0:
            return response[start + 7 : index]
    return None


def same_answer(answer: str, gold: str) -> tuple[bool, str]:
    """(accepted, rule)."""
    if _hendrycks(answer) == _hendrycks(gold):
        return True, "paper: string"
    return _values_equal(_prm800k(answer), _prm800k(gold)), "paper: value"


def _hendrycks(text: str) -> str:
    text = text.replace("\n", "").replace("\\!", "").replace("\\\\", "\\")
    text = text.replace("tfrac", "frac").replace("dfrac", "frac")
    for dropped in ("\\left", "\\right", "^{\\circ}", "^\\circ", "\\$", "\\%"):
        text = text.replace(dropped, "")
    text = text.split("\\text{ ")[0].replace(" .", " 0.").replace("{.", "{0.")
    if not text:
        return text
    if text[0] == ".":
        text = "0" + text
    sides = text.split("=")
    if len(sides) == 2 and len(sides[0]) <= 2:
        text = sides[1]
    text = re.sub(r"\\sqrt(?!\{|\[)(\S)", r"\\sqrt{\1}", text).replace(" ", "")
    text = re.sub(r"\\frac(?!\{)(\w)(?!\{)(\w)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac(?!\{)(\w)\{", r"\\frac{\1}{", text)
    if text == "0.5":
        return "\\frac{1}{2}"
    slash = re.fullmatch(r"(-?\d+)/(-?\d+)", text)
    return rf"\frac{{{slash[1]}}}{{{slash[2]}}}" if slash else text


def _prm800k(text: str) -> str:
    whole = re.fullmatch(r"\\text\{(.+?)\}", text)
    text = whole[1] if whole else text
    for dropped in ("\\%", "\\$", "$", "%", "^{\\circ}", "^\\circ"):
        text = text.replace(dropped, "")
    text = text.replace(" or ", " , ").replace(" and ", " , ")
    for word, factor in (("million", "*10^6"), ("billion", "*10^9"), ("trillion", "*10^12")):
        text = text.replace(word, factor)
    text = re.sub(rf"(?:{_UNIT_WORDS})(?:es)?s? *(?:\^[0-9]+)?", "", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?:\D|$))", "", text)
    text = re.sub(r"\\[td]frac", r"\\frac", text)
    return text.strip().strip("{}") if text.startswith("{") else text.strip()


def _as_written(text: str) -> str | None:
    r"""a/b with its sign in front, if the text is one plain fraction."""
    text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2", re.sub(r"\s", "", text))
    text = re.sub(r"\\frac(\d)(\d)", r"\1/\2", text)
    match = _FRACTION.fullmatch(text)
    if not match:
        return None
    return f"{match[1] + match[2]}/{match[3]}".replace("--", "")


def _values_equal(answer: str, gold: str) -> bool:
    """Part by part, where both are a tuple or an interval with the same brackets."""
    if not answer or "=" in answer:
        return False
    given, wanted = _parts(answer), _parts(gold)
    if len(given) != len(wanted):
        return False
    if len(wanted) > 1 and (answer[0], answer[-1]) != (gold[0], gold[-1]):
        return False
    return all(_value_equal(*pair) for pair in zip(given, wanted, strict=True))


def _parts(text: str) -> list[str]:
    inside = _TUPLE.fullmatch(text)
    return [part.strip() for part in inside[1].split(",")] if inside else [text]


def _value_equal(answer: str, gold: str) -> bool:
    fractions = _as_written(answer), _as_written(gold)
    if None not in fractions:
        return fractions[0] == fractions[1]
    if any(_unknown_letters(text) > 2 or _TOO_HARD.search(text) for text in (answer, gold)):
        return False
    try:
        trees = [parse(tokenise(text, group_digits=False)) for text in (answer, gold)]
    except (UnreadableError, RecursionError):
        return False
    values = [_rational(tree) for tree in trees]
    whole = [value is not None and value.denominator == 1 for value in values]
    if whole[0] != whole[1]:
        return False
    if None not in values:
        return values[0] == values[1]
    return engine.ask(tuple(trees))[0] == "equal"


def _rational(tree: tuple) -> Fraction | None:
    try:
        return numeric.exact(tree)
    except (NoValueError, RecursionError):
        return None


def _unknown_letters(text: str) -> int:
    return len(set(re.findall(r"[A-Za-z]", re.sub(r"\\?(?:sqrt|frac)", "", text))))
