r"""Tokens to the shape of an answer: a value, a list, a tuple, an interval, a matrix, an equation,
a text.

`read` splits at the outermost separators until only expressions are left. It decides nothing about
equality; `compare` does.
"""

from onerl.verifier.node import Node, is_name, is_op, is_separator, matching, split
from onerl.verifier.quantity import read_value
from onerl.verifier.remarks import without_remarks
from onerl.verifier.tokens import Token, UnreadableError, tokenise

_MAX_READ_DEPTH = 8
_PAIRS = {"(": ")", "[": "]", "\\{": "\\}", "{": "}", "langle": "rangle"}
_MATRICES = frozenset(
    ("pmatrix", "bmatrix", "vmatrix", "matrix", "smallmatrix", "array", "Bmatrix", "Vmatrix")
)
_CASES = frozenset(("cases", "aligned", "align", "gathered"))


def read_answer(text: str, *, group_digits: bool) -> Node:
    """The shape of a whole answer. Raises UnreadableError."""
    tokens = tokenise(text, group_digits=group_digits)
    tokens, parameters = without_remarks(tokens)
    if not tokens:
        raise UnreadableError("empty")
    node = read(tokens)
    node.parameters = parameters
    return node


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
    return read_value(tokens)


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


def _read_arrow(tokens, depth):
    parts, marks = split(tokens, is_op("op", "=>"))
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
    rows, _ = split(body, is_op("op", "\\\\"))
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
    cells = [split(row, is_op("op", "&"))[0] for row in rows]
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
    parts, marks = split(tokens, is_separator)
    parts = [part for part in parts if _trim(part)]
    if not marks or len(parts) < 2:
        return None
    return Node("list", tokens, [read(part, depth + 1) for part in parts])


def _read_chain(tokens, depth):
    parts, marks = split(tokens, is_op("rel", "approx"))
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
        parts, marks = split(tokens, is_op("cmd", sign))
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
        parts, marks = split(body, is_op("op", ","))
        if len(parts) == 2 and all(parts):
            kind = ("(" if first == "]" else first) + (")" if last == "[" else last)
            return Node("tuple", tokens, [read(part, depth + 1) for part in parts], detail=kind)
        return None
    if first not in _PAIRS or tokens[-1].kind != "close" or matching(tokens, 0) != len(tokens) - 1:
        return None
    body = tokens[1:-1]
    if first in ("\\{", "{"):
        return _read_set(tokens, body, depth)
    parts, marks = split(body, is_separator)
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
    if tokens[0].text == "{" and len(split(body, is_separator)[0]) < 2:
        return None
    parts, _ = split(body, is_separator)
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
    if not any(_is_plus_minus(token) for token in tokens) or tokens[0].text == "\\{":
        return None  # in a set each member has its own sign
    if any(token.kind == "rel" for token in tokens) or split(tokens, is_separator)[1]:
        return None
    versions = []
    for plus, minus in (("+", "-"), ("-", "+")):
        sign = {"pm": plus, "mp": minus}
        version = [Token("op", sign[t.text], t.space) if _is_plus_minus(t) else t for t in tokens]
        versions.append(read(version, depth + 1))
    return Node("list", tokens, versions, detail="pm")


def _is_plus_minus(token: Token) -> bool:
    return token.kind == "cmd" and token.text in ("pm", "mp")


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
