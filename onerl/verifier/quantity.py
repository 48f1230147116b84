r"""A value with its unit, percent or degree mark; or a text; what is left when no shape remains."""

from onerl.verifier import units
from onerl.verifier.commands import matching
from onerl.verifier.node import Node
from onerl.verifier.tokens import FUNCTIONS, Token, UnreadableError, spell
from onerl.verifier.words import EMPTY, REALS, without_nouns

_PERCENT, _DEGREE = units.read_unit(["percent"]), units.read_unit(["deg"])
_MARKS = (
    (["%"], "%"),
    (["^", "{", "circ", "}"], "deg"),
    (["^", "circ"], "deg"),
    (["circ"], "deg"),
)
_ANGLED = FUNCTIONS - {"sqrt"}
_SAID = frozenset(("word", "letter", "sep"))


def read_value(tokens: list[Token]) -> Node:
    """An expression with its unit, percent or degree mark, or a text."""
    words = spell(tokens)
    if words == "emptyset" or words.lower() in EMPTY:
        return Node("set", tokens)
    if words in ("mathbb R", "\\Re") or words.lower() in REALS:
        ends = [Node("value", [Token("op", sign), Token("cmd", "infty")]) for sign in "-+"]
        return Node("tuple", tokens, ends, detail="()")
    tokens = without_nouns(tokens)
    if _is_text(tokens):
        return Node("text", tokens, words=words)
    tokens, unit_words = _unit_words(tokens)
    tokens, mark = _mark(tokens)
    unit = units.read_unit(unit_words) if unit_words else None
    if unit in (_PERCENT, _DEGREE) and not mark:
        mark, unit = ("%" if unit == _PERCENT else "deg"), None
    if unit is not None:
        tokens = without_nouns(tokens)
    if not tokens:
        raise UnreadableError("a unit without a number")
    if tokens[0].text == "(" and matching(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    if any(token.kind == "unit" for token in tokens):
        return Node("text", tokens, words=words)
    return Node("value", tokens, unit=unit, mark=mark, words=words)


def _is_text(tokens: list[Token]) -> bool:
    """Words and no mathematics: not -\\text{Var}(X), which is an expression."""
    if not any(token.kind == "word" for token in tokens) or tokens[0].text == "-":
        return False
    said = all(token.kind in _SAID or token.text in "-:.,;'()" for token in tokens)
    after = [*(token.kind for token in tokens[1:]), ""]
    pairs = zip(tokens, after, strict=True)
    return said and all(token.text != "(" or kind == "word" for token, kind in pairs)


def _unit_words(tokens: list[Token]) -> tuple[list[Token], list[str]]:
    """The expression, and the words of the unit around it."""
    words: list[str] = []
    at = int(len(tokens) > 1 and tokens[0].kind == "op" and tokens[0].text in "+-")
    if tokens[at].kind == "unit":  # $5, -$5
        words, tokens = [tokens[at].text], [*tokens[:at], *tokens[at + 1 :]]
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
    """The expression without its closing percent or degree sign, or minutes of arc."""
    marked = bool(tokens) and tokens[-1].text in ("%", "circ", "}", "'")
    if not marked or any(token.kind == "cmd" and token.text in _ANGLED for token in tokens):
        return tokens, ""  # \sin 90^\circ: the sign belongs to the argument
    texts = [token.text for token in tokens]
    for ending, mark in _MARKS:
        if texts[-len(ending) :] == ending:
            return tokens[: -len(ending)], mark
    primes = (texts[-1:] == ["'"]) + (texts[-2:] == ["'", "'"])
    value = tokens[: len(tokens) - primes]
    if not primes or not value or value[-1].kind != "num":
        return tokens, ""
    if "circ" in texts:
        return _arc(tokens), "deg"
    return value, ""  # feet, inches or minutes, which only the problem knows


def _arc(tokens: list[Token]) -> list[Token]:
    """60° 42' 30" as a sum of degrees."""
    out, scale = [], {"circ": "1", "'": "60", "''": "3600"}
    numbers = [at for at, token in enumerate(tokens) if token.kind == "num"]
    for at, end in zip(numbers, [*numbers[1:], len(tokens)], strict=True):
        sign = "".join(token.text for token in tokens[at + 1 : end] if token.text not in "^{}")
        if sign not in scale:
            return tokens
        out += [Token("op", "+")] * bool(out) + [tokens[at], Token("op", "/")]
        out.append(Token("num", scale[sign]))
    return out
