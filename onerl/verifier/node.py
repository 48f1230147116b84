r"""One part of an answer, and how tokens are split into parts."""

from dataclasses import dataclass, field
from functools import cached_property

from onerl.verifier import units
from onerl.verifier.expression import parse
from onerl.verifier.tokens import FUNCTIONS, Token, UnreadableError, spell


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
        return self._parsed(False)

    @cached_property
    def tight(self) -> tuple | None:
        """The other reading of a/bc, a/(bc), or None if there is no such place."""
        texts = [token.text for token in self.tokens]
        tree = self._parsed(True) if "/" in texts else None
        return tree if tree != self.tree else None

    def _parsed(self, tight: bool) -> tuple | None:
        try:
            return parse(self.tokens, tight=tight)
        except (UnreadableError, RecursionError):
            return None


def split(tokens: list[Token], where) -> tuple[list[list[Token]], list[Token]]:
    """Parts between the outermost tokens for which `where` holds, and those tokens."""
    parts, marks, depth = [[]], [], 0
    for token in tokens:
        if token.kind == "open" or token.text.startswith("begin{"):
            depth += 1
        elif token.kind == "close" or token.text.startswith("end{"):
            depth -= 1
        if depth == 0 and token.kind != "close" and where(token):
            parts.append([])
            marks.append(token)
        else:
            parts[-1].append(token)
    return parts, marks


def is_separator(token: Token) -> bool:
    return token.kind == "sep" or (token.kind == "op" and token.text in ",;")


def is_op(kind: str, *texts: str):
    return lambda token: token.kind == kind and token.text in texts


def is_name(tokens: list[Token]) -> bool:
    """Whether the tokens only name something: x, x_1, f(x), AB, \\angle ABC, (x, y), a+b is not."""
    if not tokens:
        return False
    if any(token.kind == "num" for token in tokens) and "_" not in {t.text for t in tokens}:
        return False
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.kind == "open") - (token.kind == "close")
        simple = token.kind in ("letter", "word", "open", "close") or token.text in (
            "_", "'", "angle", "overline", "triangle", "max", "min", "|", "^", "mathbb",
        )  # fmt: skip
        if token.text == "^" and (index + 1 == len(tokens) or tokens[index + 1].text not in "'{*"):
            return False
        inside = token.text == "," and depth > 0
        if not simple and not inside and not (token.kind == "num" and index):
            return False
    return True


def is_call(tokens: list[Token]) -> bool:
    """A name, or an unknown function of a number: x, f(x), f(2)."""
    texts = [token.text for token in tokens[1::2]]
    called = tokens[0].kind == "letter" and len(tokens) == 4 and texts == ["(", ")"]
    return (called and tokens[2].kind == "num") or is_name(tokens)


_LABELS = frozenset(("frac", ":", "/", "_", "'", "^", "angle", "overline", "triangle", "|"))


def is_label(tokens: list[Token]) -> bool:
    r"""Whether the tokens name what a gold answer is of: \frac{AB}{CD}, A^{-1}, \cos\theta."""
    depth = 0
    for token in tokens:
        depth += (token.kind == "open") - (token.kind == "close")
        named = token.kind in ("letter", "word", "open", "close") or token.text in _LABELS
        if not named and token.text not in FUNCTIONS and not depth:
            return False
    return bool(tokens)
