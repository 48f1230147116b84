r"""The reward of the paper's released training code, restated: to measure its edges, and for runs
that want the paper's own.

Two graders, either of which may accept (reference notes on the paper, §3.1): exact match after the
normalisation of Hendrycks' MATH, and equality of values after the normalisation of PRM800K. Both
were written for textbook strings, and their quirks are kept, with our own parser in place of sympy:
everything from ``\text{ `` on is cut, unreduced fractions are refused, a comma is no decimal point.
"""

import re
from fractions import Fraction

from onerl.verifier import engine, numeric
from onerl.verifier.expression import parse
from onerl.verifier.extract import closing_brace
from onerl.verifier.numeric import NoValueError
from onerl.verifier.tokens import UnreadableError, tokenise

_UNIT_WORDS = (
    "degree|cm|centimeter|meter|mile|second|minute|hour|day|week|month|year|foot|feet|inch|yard"
)
_COMMA = re.compile(r"(\d),(\d\d\d)(?=$|\D)")
_FRACTION = re.compile(r"-?[0-9]+.?/0*[1-9][0-9]*.?")
_TUPLE = re.compile(r"[(\[]([^()\[\]]+)[)\]]")
_TOO_HARD = re.compile(r"\^[{(]|\^\d+\^|\^\d\d|,\)|(?:\D|\.\d+)\.\)")
_ARGUMENT = r"\s*(?:\{([^{}]*)\}|(\\?\w))"
_FRAC = re.compile(rf"\\[td]?frac{_ARGUMENT}{_ARGUMENT}")
_ROOT = re.compile(rf"\\sqrt{_ARGUMENT}")
_MACRO = re.compile(r"\\([A-Za-z]+)\s*|\\(.)")
_SIGNS = {"pi": "pi", "infty": "inf", "cup": "U", "cdot": "*", "times": "*", "div": "÷", "pm": "±",
          "approx": "≈", "neq": "≠", "ne": "≠", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥",
          "circ": "∘", "in": "∈", "theta": "θ", "alpha": "α", "to": "→", "sim": "~"}  # fmt: skip

_SPACES = dict.fromkeys(",;: ", " ")


def paper_train_grader(response: str, gold: str) -> bool:
    r"""The paper's training reward: whether the last ``\boxed{}`` is the gold answer by its rules.

    The original also reads the prompt, whose own empty box counts where a response has none; that
    is never right, unless the gold answer is empty.
    """
    start = response.rfind("\\boxed")
    end = closing_brace(response, start + 6) if response[start + 6 : start + 7] == "{" else -1
    if start < 0 or end < 0:
        return False
    answer = response[start + 7 : end]
    return _hendrycks(answer) == _hendrycks(gold) or _same_values(_prm800k(answer), _prm800k(gold))


def _hendrycks(text: str) -> str:
    text = text.strip().replace("\n", "").replace("\\!", "").replace("\\\\", "\\")
    text = text.replace("tfrac", "frac").replace("dfrac", "frac")
    for dropped in ("\\left", "\\right", "^{\\circ}", "^\\circ", "\\$", "\\%"):
        text = text.replace(dropped, "")
    text = text.split("\\text{ ")[0].replace(" .", " 0.").replace("{.", "{0.")
    if text[:1] == ".":
        text = "0" + text
    sides = text.split("=")
    if len(sides) == 2 and len(sides[0]) <= 2:
        text = sides[1]
    text = re.sub(r"\\sqrt([^{])", r"\\sqrt{\1}", text).replace(" ", "")
    text = re.sub(r"\\frac([^{])([^{])", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac([^{])\{", r"\\frac{\1}{", text)
    if text == "0.5":
        return "\\frac{1}{2}"
    slash = re.fullmatch(r"(-?\d+)/(-?\d+)", text)
    return rf"\frac{{{slash[1]}}}{{{slash[2]}}}" if slash else text


def _prm800k(text: str) -> str:
    whole = re.fullmatch(r"\\text\{(.+?)\}", text)
    text = whole[1] if whole else text
    for old, new in (("\\%", ""), ("\\$", ""), ("$", ""), ("%", ""), (" or ", " , "),
                     (" and ", " , "), ("million", "*10^6"), ("billion", "*10^9"),
                     ("trillion", "*10^12")):  # fmt: skip
        text = text.replace(old, new)
    text = re.sub(rf"(?:{_UNIT_WORDS})(?:es)?s? *(?:\^[0-9]+)?", "", text)
    text = re.sub(r"\^ *\\circ", "", text)
    if text[:1] == "{" and text[-1:] == "}":
        text = text[1:-1]
    text = _plain(re.sub(r",\\! *", "", text)) if "\\" in text else text
    text = re.sub(r"([0-9]) +([0-9])", r"\1+\2", re.sub(r"- *", "-", text))  # 22 1/2
    text = re.sub(r"[ {}]", "", text).lower()
    number = _number(text)
    return str(int(number)) if number is not None and number.denominator == 1 else text


def _plain(text: str) -> str:
    r"""LaTeX as text: \frac{1}{2} is " 1/2", \sqrt{x} is sqrt(x), other commands go."""
    for pattern, form in ((_ROOT, "sqrt({0})"), (_FRAC, " {0}/{1}")) * 4:
        text = pattern.sub(lambda found, form=form: form.format(*_arguments(found)), text)
    return _MACRO.sub(lambda m: _SIGNS.get(m[1] or m[2], _SPACES.get(m[2], "")), text).strip()


def _arguments(found: re.Match) -> list[str]:
    pairs = zip(found.groups()[::2], found.groups()[1::2], strict=True)
    return [braced if braced is not None else bare for braced, bare in pairs]


def _number(text: str) -> Fraction | None:
    """A number as Python writes it, with commas between groups of three digits."""
    text = _without_commas(text)
    return Fraction(text) if re.fullmatch(r"-?\d{1,300}\.?\d{0,300}|-?\.\d{1,300}", text) else None


def _without_commas(text: str) -> str:
    while (shorter := _COMMA.sub(r"\1\2", text)) != text:
        text = shorter
    return text


def _same_values(answer: str, gold: str) -> bool:
    """Part by part, where both are a tuple or an interval with the same brackets."""
    if answer == gold:
        return True
    given, wanted = _parts(answer), _parts(gold)
    if not answer or len(given) != len(wanted):
        return False
    if len(wanted) > 1 and (answer[0], answer[-1]) != (gold[0], gold[-1]):
        return False
    return all(_same_value(*pair) for pair in zip(given, wanted, strict=True))


def _parts(text: str) -> list[str]:
    inside = _TUPLE.fullmatch(text := _without_commas(text))
    return [part.strip() for part in inside[1].split(",")] if inside else [text]


def _same_value(answer: str, gold: str) -> bool:
    if _FRACTION.fullmatch(answer) and _FRACTION.fullmatch(gold):
        return answer == gold
    whole = [(n := _number(text)) is not None and n.denominator == 1 for text in (answer, gold)]
    letters = re.findall(r"[^\W\d_]", re.sub("sqrt|frac", "", answer + gold))
    difference = f"({gold})-({answer})"
    if whole[0] != whole[1] or len(set(letters)) > 2 or _TOO_HARD.search(difference):
        return False
    try:
        trees = [parse(tokenise(text, group_digits=False)) for text in (answer, gold)]
        return numeric.exact(trees[0]) == numeric.exact(trees[1])
    except NoValueError:
        return engine.ask(tuple(trees))[0] == "equal"
    except (UnreadableError, RecursionError):
        return False
