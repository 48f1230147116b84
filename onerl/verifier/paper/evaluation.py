r"""The grader of the paper's evaluation, restated: for measuring how much of a number it is.

It is not the grader of its training (reference notes on the paper, §5.3): a fork of the one of
Qwen2.5-Math. It finds an answer where there is no box, down to the last number of the text, and
takes numbers within 1e-4 of the gold answer, of a hundredth and of a hundred times it. Quirks are
kept, with our own parser in place of sympy; what neither can read is wrong, as after its time
limit. Not covered: the choice letters of other sets, and running a response's python block.

>>> paper_eval_grader("The answer is 12.7999.", "12.8")
True
"""

import re

from onerl.verifier import engine, numeric
from onerl.verifier.expression import parse
from onerl.verifier.extract import closing_brace
from onerl.verifier.numeric import NoValueError
from onerl.verifier.tokens import UnreadableError, tokenise

TOLERANCE = 1e-4
_NUMBER = re.compile(r"-?\d*\.?\d+")
_UNITS = (
    "degrees?|mph|kmph|ft|m|cm|mm|km|inch(?:es)?|feet|foot|yards?|miles?|meters?|centimeters?|"
    "seconds?|minutes?|min|hours?|days?|weeks?|months?|years?|am|pm|points?|units?|square|cubic|per|"
    "sq|cents?|dollars?|grams?|g|kg|liters?|percent|ways|people|students?|pieces?|sides?"
)
_UNIT = re.compile(rf"(^|\W)(?:{_UNITS})(?=$|\W)")
_NAME = re.compile(r"\b[xyz](?:=|\\in|\\to)")
_FOLDED = {
    r"\!": "", r"\tfrac": r"\frac", r"\dfrac": r"\frac", r"\left": "", r"\right": "", r"\{": "{",
    r"\}": "}", r"\neq": r"\ne", r"\leq": r"\le", r"\geq": r"\ge",
}  # fmt: skip
_MATRIX = re.compile(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}", re.DOTALL)


def paper_eval_grader(response: str, gold: str, keep_units: bool = False) -> bool:
    """Whether the paper's evaluation would count a response as right; for `onerl.rescore`.

    `keep_units` is on in its evaluation of Minerva Math alone. Nothing raises and nothing hangs.
    """
    answer = strip(extract(response), keep_units)
    return same_answer(answer, strip(gold.strip("$"), keep_units))


def extract(response: str) -> str:
    """The answer by the first of six rules that applies; empty where none does."""
    if "final answer is $" in response and "$. I hope" in response:
        return response.split("final answer is $", 1)[1].split("$. I hope", 1)[0].strip()
    if "boxed" in response:
        tail = response.split("boxed")[-1]
        if not tail.startswith("{"):
            return tail.split("$")[0].strip()
        end = closing_brace(tail, 0)
        return tail[1:end] if end > 0 else tail[1:]  # an open box is read to the end
    for mark in ("he answer is", "final answer is"):
        if mark in response:
            return response.split(mark)[-1].strip()
    if "答案是" in response:
        return response.split("答案是")[1].strip().split("\n\n")[0].strip()
    numbers = _NUMBER.findall(response.replace(",", ""))
    return numbers[-1] if numbers else ""


def strip(text: str, keep_units: bool = False) -> str:
    """An answer without layout, units, signs of currency and percent, and names before it."""
    text = re.sub(r"\n\s*", "", text).strip()
    text = text.removeprefix(":").removesuffix(".").removesuffix("/")
    text = re.sub(r"\\begin\{(?:array\}\{.*?|bmatrix)\}", r"\\begin{pmatrix}", text)
    text = re.sub(r"\\end\{(?:array|bmatrix)\}", r"\\end{pmatrix}", text)
    for old, new in _FOLDED.items():
        text = text.replace(old, new)
    text = re.sub(r"\\text\{[^{}]*\}$", "", text).strip() or text
    if not keep_units:
        for _ in range(2):
            text = _UNIT.sub(r"\1", text)
    for dropped in (r"^{\circ}", r"^\circ", r"\$", "$", r"\(", r"\)", r"\%", "%"):
        text = text.replace(dropped, "")
    text = re.sub(r"\\(?:text|mathrm|mathbf|mbox)\{([^{}]*)\}", r"\1", text)
    text = _NAME.sub("", text.replace(" =", "=")).replace(" .", " 0.").replace("{.", "{0.")
    if re.fullmatch(r"\{\w+\}|\(\w+\)|\[\w+\]", text):
        text = text[1:-1]
    text = re.sub(r"(\d+)\.0+(?=\D|$)", r"\1", text)
    if text.startswith("."):
        text = f"0{text}"
    sides = text.split("=")
    if len(sides) == 2 and len(sides[0]) <= 2:
        text = sides[1]
    text = re.sub(r"\\sqrt\s*(\w)", r"\\sqrt{\1}", text).replace(" ", "")
    text = re.sub(r"\\frac(\w)(\w)", r"\\frac{\1}{\2}", text)
    return re.sub(r"^(-?\d+)/(-?\d+)$", r"\\frac{\1}{\2}", text)


def same_answer(answer: str, gold: str) -> bool:
    """Equality of two stripped answers."""
    if answer.lower() == gold.lower():
        return True
    numbers = _digits(answer), _digits(gold)
    if None not in numbers:
        return any(_near(numbers[0], numbers[1] * scale) for scale in (1, 0.01, 100))
    return bool(answer) and _same_shape(answer, gold)


def _same_shape(answer: str, gold: str) -> bool:
    bare = answer.strip("{}()[]").lower() == gold.strip("{}()[]").lower()
    if bare and answer[0] + gold[:1] not in ("[(", "(["):
        return True
    both = answer, gold
    matrices = [_MATRIX.fullmatch(text) for text in both]
    if all(matrices):
        return _all_same(*(re.split(r"&|\\\\", found[1]) for found in matrices))
    if all(re.fullmatch(r"[(\[].+[)\]]", text) and "," in text for text in both):
        return _all_same(*(text[1:-1].split(",") for text in both))
    if answer.count("=") == gold.count("=") == 1:
        ours, theirs = ("{}-({})".format(*text.split("=")) for text in both)
        return _symbolic(ours, theirs) or _symbolic(f"-({ours})", theirs)
    for text, other in (both, both[::-1]):
        left, equals, right = text.partition("=")
        if equals and len(left) <= 2 and "=" not in right + other:
            return same_answer(right, other) if text is answer else same_answer(other, right)
    return _symbolic(answer, gold)


def _all_same(answers: list[str], golds: list[str]) -> bool:
    pairs = zip(answers, golds, strict=False)
    return len(answers) == len(golds) and all(same_answer(a.strip(), g.strip()) for a, g in pairs)


def _digits(text: str) -> float | None:
    """A number as Python writes it, with thousands commas or a percent sign."""
    text = text.replace(",", "")
    percent = text.endswith("%")
    try:
        return float(text.rstrip("%\\")) * (0.01 if percent else 1)
    except ValueError:
        return None


def _near(answer: float, gold: float) -> bool:
    return abs(answer - gold) <= TOLERANCE * max(abs(answer), abs(gold))


def _symbolic(answer: str, gold: str) -> bool:
    """Equal expressions; constants within the tolerance, as the original's numeric fallback."""
    try:
        trees = [parse(tokenise(text, group_digits=True)) for text in (answer, gold)]
        if not any(numeric.variables(tree) for tree in trees):
            values = [numeric.numeric(tree, {}) for tree in trees]
            return abs(values[0] - values[1]) <= TOLERANCE * max(map(abs, values))
    except (UnreadableError, NoValueError, RecursionError, OverflowError):
        return False
    return engine.ask(tuple(trees))[0] == "equal"
