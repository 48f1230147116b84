r"""A value with its unit, percent or degree mark; or a text; what is left when no shape remains."""
# ruff: noqa: SIM905

from onerl.verifier import units
from onerl.verifier.node import Node, matching
from onerl.verifier.tokens import FUNCTIONS, Token, UnreadableError, spell

# Words that change what a number says; next to one of them it is not read as the answer.
QUALIFIERS = frozenset(
    "or and not is wrong no if to but maybe either neither nor plus minus times more less than mod "
    "base at until for in when where incorrect false unless except between from least most all "
    "roughly around nearly almost rounded greater fewer over under".split()
)
_NAMES_EMPTY = frozenset(
    ("no solution", "no solutions", "none", "no real solution", "no real solutions", "empty set",
     "the empty set", "null set")
)  # fmt: skip
_NAMES_REALS = frozenset(("all real numbers", "all reals", "real numbers", "all real values"))
_PERCENT, _DEGREE = units.read_unit(["percent"]), units.read_unit(["deg"])
_MARKS = (
    (["%"], "%"),
    (["^", "{", "circ", "}"], "deg"),
    (["^", "circ"], "deg"),
    (["circ"], "deg"),
)
_ANGLED = FUNCTIONS - {"sqrt"}


def read_value(tokens: list[Token]) -> Node:
    """An expression with its unit, percent or degree mark, or a text."""
    words = spell(tokens)
    tokens = _without_words(tokens)
    spelling = spell(tokens)
    if spelling == "emptyset" or spelling.lower() in _NAMES_EMPTY:
        return Node("set", tokens)
    if spelling in ("mathbb R", "\\Re") or spelling.lower() in _NAMES_REALS:
        ends = [Node("value", [Token("op", sign), Token("cmd", "infty")]) for sign in "-+"]
        return Node("tuple", tokens, ends, detail="()")
    if any(token.kind in ("text", "word") for token in tokens):
        return Node("text", tokens, words=words)
    tokens, unit, mark = _without_unit(tokens)
    if not tokens:
        raise UnreadableError("a unit without a number")
    if tokens[0].text == "(" and matching(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    if any(token.kind == "unit" for token in tokens):
        return Node("text", tokens, words=words)
    return Node("value", tokens, unit=unit, mark=mark, words=words)


def _without_words(tokens: list[Token]) -> list[Token]:
    """Drops words around a number ("the answer is 5", "24 divisors") that do not qualify it."""
    if not any(token.kind in ("num", "cmd") for token in tokens):
        return tokens
    wordy = ("text", "word")
    start, end = 0, len(tokens)
    while (
        start < end and tokens[start].kind in wordy and _harmless(tokens[start].text, leading=True)
    ):
        start += 1
    if start and start < end and tokens[start].text in (":", "="):
        start += 1
    while end > start and tokens[end - 1].kind in wordy and _harmless(tokens[end - 1].text):
        end -= 1
    kept = tokens[start:end]
    numeric = any(token.kind == "num" or token.text in ("pi", "sqrt", "frac") for token in kept)
    return kept if kept and numeric else tokens


def _harmless(text: str, *, leading: bool = False) -> bool:
    words = "".join(c if c.isalpha() else " " for c in text.lower()).split()
    if any(character.isdigit() for character in text):
        return False
    allowed = {"is", "are", "at", "in"} if leading else set()
    return not (set(words) & (QUALIFIERS - allowed))


def _without_unit(tokens: list[Token]) -> tuple[list[Token], units.Unit | None, str]:
    """(expression, unit, mark): what is written behind (or, for currencies, before) the number."""
    tokens, words = _unit_words(tokens)
    tokens, mark = _mark(tokens)
    unit = units.read_unit(words) if words else None
    if not mark and unit in (_PERCENT, _DEGREE):
        mark, unit = ("%" if unit == _PERCENT else "deg"), None
    return tokens, unit, mark


def _unit_words(tokens: list[Token]) -> tuple[list[Token], list[str]]:
    """The expression, and the words of the unit around it."""
    words: list[str] = []
    if tokens[0].kind == "unit":  # $5
        words, tokens = [tokens[0].text], tokens[1:]
    elif len(tokens) > 1 and tokens[1].kind == "unit" and tokens[0].text in "+-":  # -$5
        words, tokens = [tokens[1].text], [tokens[0], *tokens[2:]]
    first = next((i for i, token in enumerate(tokens) if token.kind == "unit"), 0)
    if not first:
        return tokens, words
    behind: list[str] = []
    for token in tokens[first:]:
        if behind and behind[-1] == "-":  # the sign of a power
            behind[-1] += token.text
        elif token.text not in ("{", "}", "(", ")", "*"):
            behind.append(token.text)
    if units.read_unit(behind) is None:
        return tokens, words
    tokens = tokens[:first]
    if tokens[-1].text in ("*", "/"):
        behind = ["/"] * (tokens[-1].text == "/") + behind
        tokens = tokens[:-1]
    return tokens, words + behind


def _mark(tokens: list[Token]) -> tuple[list[Token], str]:
    """The expression without its closing percent or degree sign."""
    if any(token.kind == "cmd" and token.text in _ANGLED for token in tokens):
        return tokens, ""  # \sin 90^\circ: the sign belongs to the argument
    texts = [token.text for token in tokens]
    for ending, mark in _MARKS:
        if texts[-len(ending) :] == ending:
            return tokens[: -len(ending)], mark
    return tokens, ""
