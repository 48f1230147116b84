r"""One part of an answer, and how tokens are split into parts."""

# ruff: noqa: SIM905

from dataclasses import dataclass, field
from functools import cached_property

from onerl.verifier import units
from onerl.verifier.expression import parse
from onerl.verifier.tokens import FUNCTIONS, Token, UnreadableError, depths, spell


@dataclass
class Node:
    """One part of an answer.

    kind: value, text, list, set, tuple, union, difference, complement, matrix, equation, relation,
    ratio, clock, base, chain, arrow. `items` are its parts (a matrix's rows, flattened, with
    `detail` the width).
    """

    kind: str
    tokens: list[Token]
    items: list["Node"] = field(default_factory=list)
    detail: object = None
    unit: units.Unit | None = None
    mark: str = ""  # "%" or "deg", as written behind a value
    parameters: frozenset[str] = frozenset()  # declared whole numbers, whose names are free
    words: str = ""  # everything written, or the "and" or "or" between the parts of a list

    @cached_property
    def spelling(self) -> str:
        return spell(self.tokens)

    @cached_property
    def tree(self) -> tuple | None:
        """The expression of a value, or None if it cannot be read."""
        return _parsed(self.tokens)

    @cached_property
    def tight(self) -> tuple | None:
        """The other reading of a/bc, a/(bc), or None if there is no such place."""
        slashed = any(token.text == "/" for token in self.tokens)
        tree = _parsed(self.tokens, tight=True) if slashed else None
        return tree if tree != self.tree else None


def _parsed(tokens: list[Token], *, tight: bool = False) -> tuple | None:
    try:
        return parse(tokens, tight=tight)
    except (UnreadableError, RecursionError):
        return None


def split(tokens: list[Token], where) -> tuple[list[list[Token]], list[Token]]:
    """Parts between the outermost tokens for which `where` holds, and those tokens."""
    parts, marks, depth = [[]], [], 0
    for token in tokens:
        kind, text, _ = token
        if kind == "open" or (kind == "cmd" and text.startswith("begin{")):
            depth += 1
        elif kind == "close" or (kind == "cmd" and text.startswith("end{")):
            depth -= 1
        if depth == 0 and kind != "close" and where(token):
            parts.append([])
            marks.append(token)
        else:
            parts[-1].append(token)
    return parts, marks


def is_separator(token: Token) -> bool:
    return token.kind == "sep" or (token.kind == "op" and token.text in ",;")


def is_op(kind: str, *texts: str):
    return lambda token: token.kind == kind and token.text in texts


_NAMING = frozenset(("letter", "word", "open", "close"))
_IN_NAMES = frozenset("_ ' angle overline triangle max min | ^ mathbb".split())
_IN_LABELS = FUNCTIONS | frozenset("frac : / _ ' ^ angle overline triangle |".split())


def is_name(tokens: list[Token]) -> bool:
    """Whether the tokens only name something: x, x_1, f(x), AB, \\angle ABC, (x, y), a+b is not."""
    if not tokens or tokens[0].kind == "num":
        return False
    depth = 0
    for at, token in enumerate(tokens, 1):
        depth += (token.kind == "open") - (token.kind == "close")
        if token.text == "^" and (at == len(tokens) or tokens[at].text not in "'{*"):
            return False
        if token.kind not in _NAMING and token.text not in _IN_NAMES:
            numbered = token.kind == "num" and any(other.text == "_" for other in tokens)
            if not numbered and not (token.text == "," and depth > 0):
                return False
    return True


def is_call(tokens: list[Token]) -> bool:
    """A name, or an unknown function of a number: x, f(x), f(2)."""
    kinds, texts = [t.kind for t in tokens[::2]], [t.text for t in tokens[1::2]]
    return (kinds == ["letter", "num"] and texts == ["(", ")"]) or is_name(tokens)


def is_label(tokens: list[Token]) -> bool:
    r"""Whether the tokens name what a gold answer is of: \frac{AB}{CD}, A^{-1}, \cos\theta."""
    return bool(tokens) and all(
        depth or token.kind in _NAMING or token.text in _IN_LABELS
        for token, depth in zip(tokens, depths(tokens), strict=True)
    )
