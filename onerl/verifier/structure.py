r"""Tokens to the shape of an answer: a value, a list, a tuple, an interval, a matrix, an equation,
a text.

`read` splits at the outermost separators until only expressions are left. It decides nothing about
equality; `compare` does.
"""
# word lists read better as words
# ruff: noqa: SIM905

from dataclasses import dataclass, field
from functools import cached_property

from onerl.verifier import units
from onerl.verifier.expression import parse
from onerl.verifier.remarks import without_remarks
from onerl.verifier.tokens import FUNCTIONS, Token, UnreadableError, spell, tokenise

_MAX_READ_DEPTH = 8
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
_PAIRS = {"(": ")", "[": "]", "\\{": "\\}", "{": "}", "langle": "rangle"}
_MATRICES = frozenset(
    "pmatrix bmatrix vmatrix matrix smallmatrix array Bmatrix Vmatrix gathered".split()
)
_ANGLED = FUNCTIONS - {"sqrt"}
_CASES = frozenset(("cases", "aligned", "align", "gathered"))


@dataclass
class Node:
    """One part of an answer.

    kind: value, text, list, set, tuple, union, difference, matrix, equation, relation, ratio,
    clock, base, chain. `items` are its parts (a matrix's rows,
    flattened, with `detail` the width).
    """

    kind: str
    tokens: list[Token]
    items: list["Node"] = field(default_factory=list)
    detail: object = None
    unit: units.Unit | None = None
    mark: str = ""  # "%" or "deg", as written behind a value
    parameters: frozenset[str] = frozenset()  # declared whole numbers, whose names are free
    words: str = ""  # everything written, when it is compared as a text

    @cached_property
    def spelling(self) -> str:
        return spell(self.tokens)

    @cached_property
    def tree(self) -> tuple | None:
        """The expression of a value, or None if only the symbolic engine may read it."""
        try:
            return parse(self.tokens)
        except (UnreadableError, RecursionError):
            return None


def read_answer(text: str, *, group_digits: bool) -> Node:
    """The shape of a whole answer. Raises UnreadableError."""
    tokens = tokenise(text, group_digits=group_digits)
    tokens, parameters = without_remarks(tokens)
    if not tokens:
        raise UnreadableError("empty")
    node = read(tokens)
    node.parameters = parameters
    return node


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


def _is_separator(token: Token) -> bool:
    return token.kind == "sep" or (token.kind == "op" and token.text in ",;")


def _is(kind: str, *texts: str):
    return lambda token: token.kind == kind and token.text in texts


def read(tokens: list[Token], depth: int = 0) -> Node:
    """The shape of `tokens`."""
    tokens = _trim(tokens)
    if not tokens:
        raise UnreadableError("empty part")
    if depth > _MAX_READ_DEPTH:
        raise UnreadableError("nested too deeply")
    for reader in _READERS:
        node = reader(tokens, depth)
        if node is not None:
            return node
    return _read_value(tokens)


def _trim(tokens: list[Token]) -> list[Token]:
    """Without separators and stops at the ends and without one brace group around everything."""
    changed = True
    while changed and tokens:
        changed = False
        if tokens[-1].text in (",", ";", ".", ":") and tokens[-1].kind == "op":
            tokens, changed = tokens[:-1], True
        elif tokens[0].text in (",", ";", ":") or tokens[0].kind == "sep":
            tokens, changed = tokens[1:], True
        elif tokens[0].text == "{" and matching(tokens, 0) == len(tokens) - 1:
            tokens, changed = tokens[1:-1], True
    return tokens


def matching(tokens: list[Token], start: int) -> int:
    """Index of the bracket that closes the one at `start`, or -1."""
    depth = 0
    for index in range(start, len(tokens)):
        depth += (tokens[index].kind == "open") - (tokens[index].kind == "close")
        if depth == 0:
            return index
    return -1


def _read_arrow(tokens, depth):
    parts, marks = split(tokens, _is("op", "=>"))
    return read(parts[-1], depth + 1) if marks and parts[-1] else None


def _read_matrix(tokens, depth):
    starts = [i for i, token in enumerate(tokens) if token.text.startswith("begin{")]
    if not starts:
        return None
    if len(starts) > 1:
        raise UnreadableError("several matrices")
    start = starts[0]
    name = tokens[start].text[6:-1]
    end = next((i for i, token in enumerate(tokens) if token.text == f"end{{{name}}}"), -1)
    if end < 0:
        raise UnreadableError("unfinished matrix")
    before, body, after = tokens[:start], tokens[start + 1 : end], tokens[end + 1 :]
    rows, _ = split(body, _is("op", "\\\\"))
    rows = [row for row in rows if row]
    if name in _CASES and "&" not in {token.text for token in body if name == "cases"}:
        rows = [[t for t in row if t.text != "&"] for row in rows]
        return Node("list", tokens, [read(row, depth + 1) for row in rows])
    if name not in _MATRICES or not rows:
        raise UnreadableError(name)
    if before and after and before[-1].kind == "open" and after[0].kind == "close":
        before, after = before[:-1], after[1:]
    if before and before[-1].text in ("*",):
        before = before[:-1]
    transposed = [t.text for t in after if t.text not in "{}"] in (["^", "T"], ["^", "top"])
    if (after and not transposed) or any(token.kind == "rel" for token in before):
        return None if any(token.text == "=" for token in before) else _unreadable("matrix product")
    cells = [split(row, _is("op", "&"))[0] for row in rows]
    if len({len(row) for row in cells}) != 1:
        raise UnreadableError("ragged matrix")
    if transposed:
        cells = [list(column) for column in zip(*cells, strict=True)]
    if before:
        left, right, times = Token("open", "("), Token("close", ")"), Token("op", "*")
        cells = [[[left, *before, right, times, left, *c, right] for c in row] for row in cells]
    items = [read(cell, depth + 1) for row in cells for cell in row]
    return Node("matrix", tokens, items, detail=len(cells[0]))


def _unreadable(reason: str):
    raise UnreadableError(reason)


def _read_list(tokens, depth):
    parts, marks = split(tokens, _is_separator)
    parts = [part for part in parts if _trim(part)]
    if not marks or len(parts) < 2:
        return None
    return Node("list", tokens, [read(part, depth + 1) for part in parts])


def _read_chain(tokens, depth):
    parts, marks = split(tokens, _is("rel", "approx"))
    if not marks:
        return None
    parts = [part for part in parts if part]
    if len(parts) > 1 and is_name(parts[0]):
        parts = parts[1:]
    if len(parts) < 2:
        return read(parts[0] if parts else [], depth + 1)
    return Node("chain", tokens, [read(part, depth + 1) for part in parts])


def _read_relation(tokens, depth):
    parts, marks = split(tokens, lambda token: token.kind == "rel")
    if not marks:
        return None
    signs = [mark.text for mark in marks]
    if signs[0] == "in" and is_name(parts[0]) and parts[1]:
        rest = tokens[len(parts[0]) + 1 :]
        return read(rest, depth + 1)
    if not all(parts) or any(sign in ("in", "notin", "sim", "equiv") for sign in signs):
        if set(signs) == {"="} and all(parts[1:]):
            return read(tokens[1:], depth + 1)  # "= 5"
        raise UnreadableError("relation")
    sides = [read(part, depth + 1) for part in parts]
    if set(signs) == {"="}:
        return Node("equation", tokens, sides)
    return Node("relation", tokens, sides, detail=tuple(signs))


def _read_union(tokens, depth):
    for sign, kind in (("cup", "union"), ("setminus", "difference")):
        parts, marks = split(tokens, _is("cmd", sign))
        if marks and all(parts):
            return Node(kind, tokens, [read(part, depth + 1) for part in parts])
    return None


def _read_bracketed(tokens, depth):
    first, last = tokens[0].text, tokens[-1].text
    if len(tokens) < 2:
        return None
    reverse = first == "]" or last == "["
    if reverse and first in "([]" and last in ")][":
        body = tokens[1:-1]
        parts, marks = split(body, _is("op", ","))
        if len(parts) == 2 and all(parts):
            kind = ("(" if first == "]" else first) + (")" if last == "[" else last)
            return Node("tuple", tokens, [read(part, depth + 1) for part in parts], detail=kind)
        return None
    if first not in _PAIRS or tokens[-1].kind != "close" or matching(tokens, 0) != len(tokens) - 1:
        return None
    body = tokens[1:-1]
    if first in ("\\{", "{"):
        return _read_set(tokens, body, depth)
    parts, marks = split(body, _is_separator)
    kind = "()" if first == "langle" else first + last
    plain = all(parts) and not any(mark.kind == "sep" for mark in marks)
    if len(parts) >= 2 and plain and kind in ("()", "[]", "(]", "[)"):
        return Node("tuple", tokens, [read(part, depth + 1) for part in parts], detail=kind)
    if kind == "()" and body:
        return read(body, depth + 1)
    return None


def _read_set(tokens, body, depth):
    if not body:
        return Node("set", tokens)
    parts, marks = split(body, lambda t: t.kind == "op" and t.text in "|:")
    if len(marks) == 1 and any(token.kind == "rel" for token in parts[1]):
        return read(parts[1], depth + 1)  # {x | x > 2}
    if tokens[0].text == "{" and len(split(body, _is_separator)[0]) < 2:
        return None
    parts, _ = split(body, _is_separator)
    return Node("set", tokens, [read(part, depth + 1) for part in parts if part])


def _read_ratio(tokens, depth):
    parts, marks = split(tokens, lambda token: token.text == ":" or token.text == "to")
    if not marks or not all(parts):
        return None
    half = ""
    if parts[-1][-1].kind == "text" and parts[-1][-1].text in ("am", "pm"):
        half = parts[-1].pop().text
    if not all(parts):
        return None
    items = [read(part, depth + 1) for part in parts]
    if half:
        return Node("clock", tokens, items, detail=half)
    return Node("ratio", tokens, items)


def _read_plus_minus(tokens, depth):
    if not any(token.text in ("pm", "mp") for token in tokens):
        return None
    if (
        tokens[0].text == "\\{"
        or any(token.kind == "rel" for token in tokens)
        or split(tokens, _is_separator)[1]
    ):
        return None
    versions = []
    for plus, minus in (("+", "-"), ("-", "+")):
        sign = {"pm": plus, "mp": minus}
        version = [Token("op", sign[t.text], t.space) if t.text in sign else t for t in tokens]
        versions.append(read(version, depth + 1))
    return Node("list", tokens, versions, detail="pm")


def _read_base(tokens, depth):
    at = next((i for i, token in enumerate(tokens) if token.text == "_"), -1)
    if at < 1 or tokens[0].kind not in ("num", "open"):
        return None
    digits = [token for token in tokens[:at] if token.text not in "()"]
    base = [token for token in tokens[at + 1 :] if token.text not in "{}"]
    if (
        not digits
        or digits[0].kind != "num"
        or any(t.kind not in ("num", "letter") for t in digits)
    ):
        return None
    if len(base) != 1 or base[0].kind not in ("num", "text", "word", "letter"):
        return None
    return Node("base", tokens, detail=("".join(t.text for t in digits).upper(), base[0].text))


_READERS = (
    _read_arrow, _read_matrix, _read_list, _read_chain, _read_relation, _read_union,
    _read_plus_minus, _read_bracketed, _read_ratio, _read_base,
)  # fmt: skip


def is_name(tokens: list[Token]) -> bool:
    """Whether the tokens only name something: x, x_1, f(x), AB, \\angle ABC, (x, y), a+b is not."""
    if not tokens:
        return False
    if any(token.kind == "num" for token in tokens) and "_" not in {t.text for t in tokens}:
        return False
    depth = 0
    for index, token in enumerate(tokens):
        depth += (token.kind == "open") - (token.kind == "close")
        simple = token.kind in ("letter", "text", "word", "open", "close") or token.text in (
            "_", "'", "angle", "overline", "triangle", "max", "min", "|", "^", "mathbb",
        )  # fmt: skip
        if token.text == "^" and (index + 1 == len(tokens) or tokens[index + 1].text not in "'{*"):
            return False
        inside = token.text == "," and depth > 0
        if not simple and not inside and not (token.kind == "num" and index):
            return False
    return True


def _read_value(tokens: list[Token]) -> Node:
    """An expression with its unit, percent or degree mark, or a text."""
    words = spell(tokens)
    tokens = _without_words(tokens)
    spelling = spell(tokens)
    if spelling == "emptyset" or spelling.lower() in _NAMES_EMPTY:
        return Node("set", tokens)
    if spelling in ("mathbb R", "\\Re"):
        ends = [read([Token("op", sign), Token("cmd", "infty")]) for sign in "-+"]
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
    words: list[str] = []
    if tokens[0].kind == "unit":  # $5
        words, tokens = [tokens[0].text], tokens[1:]
    elif len(tokens) > 1 and tokens[1].kind == "unit" and tokens[0].text in "+-":  # -$5
        words, tokens = [tokens[1].text], [tokens[0], *tokens[2:]]
    first = next((i for i, token in enumerate(tokens) if token.kind == "unit"), None)
    if first is not None and first > 0:
        tail = [t.text for t in tokens[first:] if t.text not in ("{", "}", "(", ")", "*")]
        joined: list[str] = []
        for text in tail:
            if joined and joined[-1] == "-":
                joined[-1] = "-" + text
            else:
                joined.append(text)
        unit = units.read_unit(joined)
        if unit is not None:
            words = words + joined
            tokens = tokens[:first]
            if tokens and tokens[-1].text in ("*", "/"):
                words = ["/"] * (tokens[-1].text == "/") + words
                tokens = tokens[:-1]
    mark = ""
    texts = [token.text for token in tokens]
    if any(token.kind == "cmd" and token.text in _ANGLED for token in tokens):
        pass  # \sin 90^\circ: the mark belongs to the argument
    elif texts and texts[-1] == "%":
        tokens, mark = tokens[:-1], "%"
    elif texts[-4:] == ["^", "{", "circ", "}"]:
        tokens, mark = tokens[:-4], "deg"
    elif texts[-2:] == ["^", "circ"]:
        tokens, mark = tokens[:-2], "deg"
    elif texts[-1:] == ["circ"]:
        tokens, mark = tokens[:-1], "deg"
    unit = units.read_unit(words) if words else None
    if mark == "" and unit and dict(unit).get("percent") == 1 and len(unit) == 1:
        mark, unit = "%", None
    if mark == "" and unit and unit == units.read_unit(["deg"]):
        mark, unit = "deg", None
    return tokens, unit, mark
