r"""Tokens to the shape of an answer: a value, a list, a tuple, an interval, a matrix, an equation,
a text.

`read` splits at the outermost separators until only expressions are left. It decides nothing about
equality; `compare` does.
"""

from onerl.verifier.expression import matching
from onerl.verifier.node import Node, is_call, is_name, is_op, is_separator, split
from onerl.verifier.quantity import read_value
from onerl.verifier.tokens import Token, UnreadableError, tokenise
from onerl.verifier.words import folded, value_of, without_label, without_remarks

_MAX_READ_DEPTH = 8
_PAIRS = {"(": ")", "[": "]", "\\{": "\\}", "{": "}", "langle": "rangle"}
_MATRICES = frozenset(
    ("pmatrix", "bmatrix", "vmatrix", "matrix", "smallmatrix", "array", "Bmatrix", "Vmatrix")
)
_CASES = frozenset(("cases", "aligned", "align", "gathered"))


def read_answer(text: str, *, group_digits: bool) -> Node:
    """The shape of a whole answer. Raises UnreadableError."""
    tokens = _statements(folded(tokenise(text, group_digits=group_digits)))
    if any(token.text == "?" for token in tokens):
        raise UnreadableError("doubted")
    tokens, parameters = without_remarks(tokens)
    if not tokens:
        raise UnreadableError("empty")
    node = read(tokens)
    node.parameters = parameters
    return node


def _statements(tokens: list[Token]) -> list[Token]:
    """Two equations side by side ("x = 5 \\quad y = 6", "x = 5 y = 6") are a list of two."""
    parts, marks = split(tokens, is_op("cmd", "quad"))
    if marks:
        listed = sum(any(t.kind == "rel" for t in part) for part in parts) > 1
        comma = [Token("op", ",")] * listed
        joined = [token for part in parts for token in [*comma, *part]]
        tokens = joined[listed:]
    tokens = [token for token in tokens if token.text != "quad"]
    sides, marks = split(tokens, is_op("rel", "="))
    if len(marks) < 2 or any(token.kind == "sep" or token.text == "," for token in tokens):
        return tokens
    out = list(sides[0])
    for mark, side in zip(marks, sides[1:], strict=True):
        cut = next(
            (i for i in range(1, len(side)) if side[i].space and is_call(side[i:])
             and side[i - 1].kind in ("num", "close")), 0,
        )  # fmt: skip
        if cut and mark is not marks[-1]:
            side = [*side[:cut], Token("op", ","), *side[cut:]]
        out += [mark, *side]
    return out


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
    parts = [part for part in parts if part]
    if not marks or not parts:
        return None
    if len(parts) == 1:
        return read(parts[0], depth + 1)
    return Node("arrow", tokens, [read(part, depth + 1) for part in parts])


def _read_matrix(tokens, depth):
    """A matrix, with a factor before or behind it, a determinant, or a sum of matrices."""
    if not any(token.text.startswith("begin{") for token in tokens):
        return None
    if split(tokens, lambda token: token.kind == "rel" or is_separator(token))[1]:
        return None
    terms, signs = split(tokens, is_op("op", "+", "-"))
    if len(terms) > 1 and not terms[0]:
        terms, signs = terms[1:], signs
    else:
        signs = [Token("op", "+"), *signs]
    tables = [_read_table(term, depth) for term in terms]
    if len(tables) == 1 and signs[0].text == "+":
        name, rows = tables[0]
        if name in _CASES:
            return Node("list", tokens, [read(row, depth + 1) for row in rows])
        if name == "vmatrix":
            return read(_determinant(rows), depth + 1)
    elif any(name in _CASES or name == "vmatrix" for name, _ in tables):
        raise UnreadableError("sum of other things than matrices")
    rows = tables[0][1] if signs[0].text == "+" else _scaled(tables[0][1], [signs[0]])
    for (_, more), sign in zip(tables[1:], signs[1:], strict=True):
        if [len(row) for row in rows] != [len(row) for row in more]:
            raise UnreadableError("matrices of different sizes")
        pairs = [zip(*both, strict=True) for both in zip(rows, more, strict=True)]
        rows = [[[*one, sign, *_grouped(other)] for one, other in row] for row in pairs]
    items = [read(cell, depth + 1) for row in rows for cell in row]
    return Node("matrix", tokens, items, detail=len(rows[0]))


def _read_table(tokens, depth) -> tuple[str, list]:
    """(environment, rows) of one matrix; rows of cells of tokens, or of tokens alone for cases."""
    starts = [i for i, token in enumerate(tokens) if token.text.startswith("begin{")]
    if len(starts) != 1:
        raise UnreadableError("a product of matrices, or none")
    start = starts[0]
    name = tokens[start].text[6:-1]
    end = next((i for i, token in enumerate(tokens) if token.text == f"end{{{name}}}"), -1)
    if end < 0:
        raise UnreadableError("unfinished matrix")
    before, body, after = tokens[:start], tokens[start + 1 : end], tokens[end + 1 :]
    rows = [row for row in split(body, is_op("op", "\\\\"))[0] if row]
    if name in _CASES and "&" not in {token.text for token in body if name == "cases"}:
        return name, [[t for t in row if t.text != "&"] for row in rows]
    if name not in _MATRICES or not rows:
        raise UnreadableError(name)
    if before and after and before[-1].kind == "open" and after[0].kind == "close":
        if before[-1].text == "|":
            raise UnreadableError("determinant")
        before, after = before[:-1], after[1:]
    cells = [split(row, is_op("op", "&"))[0] for row in rows]
    if len({len(row) for row in cells}) != 1 or not all(cell for row in cells for cell in row):
        raise UnreadableError("ragged matrix")
    if [t.text for t in after if t.text not in "{}"] in (["^", "T"], ["^", "top"]):
        cells, after = [list(column) for column in zip(*cells, strict=True)], []
    if after and after[0].text not in ("*", "/"):
        raise UnreadableError("matrix product")
    if before and before[-1].text == "*":
        before = before[:-1]
    cells = _scaled(cells, _grouped(before), after) if before or after else cells
    return name, cells


def _grouped(tokens: list[Token]) -> list[Token]:
    return [Token("open", "("), *tokens, Token("close", ")")] if tokens else []


def _scaled(rows: list, before: list[Token], after: list[Token] = ()) -> list:
    return [[[*before, *_grouped(cell), *after] for cell in row] for row in rows]


def _determinant(rows: list) -> list[Token]:
    """The tokens of a determinant's expansion along its first row."""
    if len(rows) != len(rows[0]) or len(rows) > 3:
        raise UnreadableError("determinant")
    if len(rows) == 1:
        return _grouped(rows[0][0])
    out: list[Token] = []
    for at, cell in enumerate(rows[0]):
        minor = [row[:at] + row[at + 1 :] for row in rows[1:]]
        out += [Token("op", "+-"[at % 2]), *_grouped(cell), *_grouped(_determinant(minor))]
    return out


def _read_list(tokens, depth):
    parts, marks = split(tokens, is_separator)
    parts = [part for part in parts if _trim(part)]
    if not marks or len(parts) < 2:
        return None
    said = {mark.text for mark in marks if mark.kind == "sep"}
    items = [read(without_label(part), depth + 1) for part in parts]
    return Node("list", tokens, items, words="or" if "or" in said else " ".join(said))


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
    if signs[0] in ("in", "notin") and is_name(parts[0]) and parts[1]:
        inside = read(tokens[len(parts[0]) + 1 :], depth + 1)
        return inside if signs[0] == "in" else Node("complement", tokens, [inside])
    if not all(parts) or any(sign in ("in", "notin", "sim", "equiv") for sign in signs):
        if set(signs) == {"="} and all(parts[1:]):
            return read(tokens[1:], depth + 1)  # "= 5"
        raise UnreadableError("relation")
    sides = [read(part, depth + 1) for part in parts]
    if set(signs) == {"="}:
        return Node("equation", tokens, sides)
    return Node("relation", tokens, sides, detail=tuple(signs))


def _read_union(tokens, depth):
    for sign, kind in (("cup", "union"), ("setminus", "difference"), ("-", "difference")):
        parts, marks = split(
            tokens, lambda t, sign=sign: t.kind in ("cmd", "op") and t.text == sign
        )
        sets = len(parts) == 2 and all(parts) and all(
            part[0].text in ("\\{", "mathbb") and part[-1].kind == "close" for part in parts
        )  # fmt: skip
        if marks and all(parts) and (sign != "-" or sets):
            return Node(kind, tokens, [read(part, depth + 1) for part in parts])
    return None


def _read_named(tokens, depth):
    """A name before a shape: P(1, 2), L: y = 2x."""
    parts, marks = split(tokens, is_op("op", ":"))
    if len(marks) == 1 and is_name(parts[0]) and any(t.kind == "rel" for t in parts[1]):
        return read(parts[1], depth + 1)
    capital = tokens[0].kind == "letter" and tokens[0].text.isupper() and len(tokens) > 4
    if capital and tokens[1].text == "(" and matching(tokens, 1) == len(tokens) - 1:
        node = _read_bracketed(tokens[1:], depth)
        if node is not None and node.kind == "tuple":
            return Node("tuple", tokens, node.items, detail=node.detail)
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
    if parts[-1][-1].kind == "word" and parts[-1][-1].text in ("am", "pm"):
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
    at = next((i for i, token in enumerate(tokens) if token.text in ("_", "base")), -1)
    if at < 1 or tokens[0].kind not in ("num", "open", "letter"):
        return None
    digits = [token for token in tokens[:at] if token.text not in "()"]
    base = [token for token in tokens[at + 1 :] if token.text not in ("{", "}", "(", ")", "base")]
    if not digits or not any(t.kind == "num" for t in digits) or len(base) != 1:
        return None
    if any(t.kind != "num" and t.text not in "ABCDEF" for t in digits):
        return None
    if digits[0].kind == "letter" and at < 2:
        return None
    said = value_of(base[0].text)
    if base[0].kind != "num" and said is None:
        return None
    written = "".join(t.text for t in digits).upper()
    return Node("base", tokens, detail=(written, base[0].text if said is None else str(said)))


_READERS = (
    _read_arrow, _read_matrix, _read_list, _read_named, _read_chain, _read_relation, _read_union,
    _read_plus_minus, _read_bracketed, _read_ratio, _read_base,
)  # fmt: skip
