r"""Tokens to the shape of an answer: a value, a list, a tuple, an interval, a matrix, an equation,
a text.

`read` splits at the outermost separators until only expressions are left. It decides nothing about
equality; `compare` does.
"""

from collections.abc import Iterable
from dataclasses import replace

from onerl.verifier.commands import matching
from onerl.verifier.node import Node, is_call, is_name, is_op, is_separator, split
from onerl.verifier.quantity import read_value
from onerl.verifier.tokens import Token, UnreadableError, tokenise
from onerl.verifier.words import NUMERALS, folded, without_label, without_remarks

_MAX_READ_DEPTH = 8
# what can make more than a value of the tokens around it
_SHAPES = frozenset(
    (",", ";", "=>", "cup", "setminus", "pm", "mp", ":", "to", "_", "base", "mathbb")
)
_PAIRS = {"(": ")", "[": "]", "\\{": "\\}", "{": "}", "langle": "rangle"}
_MATRICES = frozenset(
    ("pmatrix", "bmatrix", "vmatrix", "matrix", "smallmatrix", "array", "Bmatrix", "Vmatrix")
)
_COMMA = [Token("op", ",")]
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
    texts = [token.text for token in tokens]
    if "quad" in texts:
        parts, _ = split(tokens, is_op("cmd", "quad"))
        comma = _COMMA * (sum(any(t.kind == "rel" for t in part) for part in parts) > 1)
        joined = [token for part in parts for token in [*comma, *part]]
        tokens = [token for token in joined[len(comma) :] if token.text != "quad"]
    if texts.count("=") < 2 or any(token.kind == "sep" or token.text == "," for token in tokens):
        return tokens
    sides, marks = split(tokens, is_op("rel", "="))
    out = sides[0]
    for mark, side in zip(marks, sides[1:], strict=True):
        ends = (at for at, token in enumerate(side[:-1]) if token.kind in ("num", "close"))
        cut = next((at + 1 for at in ends if side[at + 1].space and is_call(side[at + 1 :])), 0)
        comma = _COMMA * bool(cut and mark is not marks[-1])
        out = [*out, mark, *side[:cut], *comma, *side[cut:]]
    return out


def read(tokens: list[Token], depth: int = 0) -> Node:
    """The shape of `tokens`."""
    tokens = _trim(tokens)
    if not tokens:
        raise UnreadableError("empty part")
    if depth > _MAX_READ_DEPTH:
        raise UnreadableError("nested too deeply")
    shaped = tokens[0].kind in ("open", "close") or any(
        kind in ("rel", "sep") or text in _SHAPES or text[:6] == "begin{"
        for kind, text, _ in tokens
    )
    for reader in _READERS if shaped else ():
        if node := reader(tokens, depth):
            return node
    return read_value(tokens)


def _trim(tokens: list[Token]) -> list[Token]:
    """Without separators and stops at the ends and without one brace group around everything."""
    while tokens:
        first, last = tokens[0], tokens[-1]
        if last.kind == "op" and last.text in (",", ";", ".", ":"):
            tokens = tokens[:-1]
        elif first.kind == "sep" or first.text in (",", ";", ":"):
            tokens = tokens[1:]
        elif first.text == "{" and matching(tokens, 0) == len(tokens) - 1:
            tokens = tokens[1:-1]
        else:
            break
    return tokens


def _all(parts: Iterable[list[Token]], depth: int) -> list[Node]:
    return [read(part, depth + 1) for part in parts]


def _one_or_more(kind: str, tokens: list[Token], parts: list, depth: int) -> Node:
    items = _all(parts, depth)
    return items[0] if len(items) == 1 else Node(kind, tokens, items)


def _read_arrow(tokens, depth):
    parts, marks = split(tokens, is_op("op", "=>"))
    parts = [part for part in parts if part]
    return _one_or_more("arrow", tokens, parts, depth) if marks and parts else None


def _read_matrix(tokens, depth):
    """A matrix, with a factor before or behind it, a determinant, or a sum of matrices."""
    if not any(map(_begins, tokens)):
        return None
    if split(tokens, lambda token: token.kind == "rel" or is_separator(token))[1]:
        return None
    terms, signs = split(tokens, is_op("op", "+", "-"))
    if len(terms) > 1 and not terms[0]:
        terms = terms[1:]
    else:
        signs = [Token("op", "+"), *signs]
    (name, rows), *others = map(_read_table, terms)
    if not others and signs[0].text == "+":
        if name in _CASES:
            return Node("list", tokens, _all(rows, depth))
        if name == "vmatrix":
            return read(_determinant(rows), depth + 1)
    elif {name, *(other for other, _ in others)} & {"vmatrix", *_CASES}:
        raise UnreadableError("sum of other things than matrices")
    if signs[0].text == "-":
        rows = _scaled(rows, [signs[0]])
    for (_, more), sign in zip(others, signs[1:], strict=True):
        if [len(row) for row in rows] != [len(row) for row in more]:
            raise UnreadableError("matrices of different sizes")
        pairs = [zip(*both, strict=True) for both in zip(rows, more, strict=True)]
        rows = [[[*one, sign, *_grouped(other)] for one, other in row] for row in pairs]
    items = _all((cell for row in rows for cell in row), depth)
    return Node("matrix", tokens, items, detail=len(rows[0]))


def _begins(token: Token) -> bool:
    return token.text.startswith("begin{")


def _read_table(tokens: list[Token]) -> tuple[str, list]:
    """(environment, rows) of one matrix; rows of cells of tokens, or of tokens alone for cases."""
    starts = [at for at, token in enumerate(tokens) if _begins(token)]
    if len(starts) != 1:
        raise UnreadableError("a product of matrices, or none")
    start = starts[0]
    name = tokens[start].text[6:-1]
    end = next((at for at, token in enumerate(tokens) if token.text == f"end{{{name}}}"), -1)
    if end < 0:
        raise UnreadableError("unfinished matrix")
    before, body, after = tokens[:start], tokens[start + 1 : end], tokens[end + 1 :]
    rows = [row for row in split(body, is_op("op", "\\\\"))[0] if row]
    if name in _CASES and (name != "cases" or all(token.text != "&" for token in body)):
        return name, [[token for token in row if token.text != "&"] for row in rows]
    if name not in _MATRICES or not rows:
        raise UnreadableError(name)
    if before and after and before[-1].kind == "open" and after[0].kind == "close":
        before, after = before[:-1], after[1:]
    cells = [split(row, is_op("op", "&"))[0] for row in rows]
    if len({len(row) for row in cells}) != 1 or not all(cell for row in cells for cell in row):
        raise UnreadableError("ragged matrix")
    if [token.text for token in after if token.text not in "{}"] in (["^", "T"], ["^", "top"]):
        cells, after = [list(column) for column in zip(*cells, strict=True)], []
    if after and after[0].text not in ("*", "/"):
        raise UnreadableError("matrix product")
    if before and before[-1].text == "*":
        before = before[:-1]
    return name, _scaled(cells, _grouped(before), after) if before or after else cells


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
    parts = [without_label(part) for part in parts if _trim(part)]
    if len(parts) < 2:
        return None
    said = {mark.text for mark in marks if mark.kind == "sep"}
    words = "or" if "or" in said else " ".join(said)
    return Node("list", tokens, _all(parts, depth), words=words)


def _read_chain(tokens, depth):
    parts, marks = split(tokens, is_op("rel", "approx"))
    if not marks:
        return None
    parts = [part for part in parts if part]
    if len(parts) > 1 and is_name(parts[0]):
        parts = parts[1:]
    return _one_or_more("chain", tokens, parts or [[]], depth)


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
    if set(signs) == {"="}:
        return Node("equation", tokens, _all(parts, depth))
    return Node("relation", tokens, _all(parts, depth), detail=tuple(signs))


def _read_union(tokens, depth):
    for mark, kind in (("cup", "union"), ("setminus", "difference"), ("-", "difference")):
        parts, marks = split(tokens, is_op("op" if mark == "-" else "cmd", mark))
        sets = len(parts) == 2 and all(
            part and part[0].text in ("\\{", "mathbb") and part[-1].kind == "close"
            for part in parts
        )
        if marks and all(parts) and (mark != "-" or sets):
            return Node(kind, tokens, _all(parts, depth))
    return None


def _read_named(tokens, depth):
    """A name before a shape: P(1, 2), L: y = 2x."""
    parts, marks = split(tokens, is_op("op", ":"))
    if len(marks) == 1 and is_name(parts[0]) and any(t.kind == "rel" for t in parts[1]):
        return read(parts[1], depth + 1)
    capital = tokens[0].kind == "letter" and tokens[0].text.isupper() and len(tokens) > 4
    if capital and tokens[1].text == "(" and matching(tokens, 1) == len(tokens) - 1:
        node = _read_bracketed(tokens[1:], depth)
        if node and node.kind == "tuple":
            return replace(node, tokens=tokens)
    return None


def _read_bracketed(tokens, depth):
    if len(tokens) < 2:
        return None
    first, last = tokens[0].text, tokens[-1].text
    body = tokens[1:-1]
    if (first == "]" or last == "[") and first in "([]" and last in ")][":
        parts, _ = split(body, is_op("op", ","))
        if len(parts) != 2 or not all(parts):
            return None
        kind = ("(" if first == "]" else first) + (")" if last == "[" else last)
        return Node("tuple", tokens, _all(parts, depth), detail=kind)
    if first not in _PAIRS or tokens[-1].kind != "close" or matching(tokens, 0) != len(tokens) - 1:
        return None
    if first in ("\\{", "{"):
        return _read_set(tokens, body, depth)
    parts, marks = split(body, is_separator)
    kind = "()" if first == "langle" else first + last
    plain = all(parts) and not any(mark.kind == "sep" for mark in marks)
    if len(parts) >= 2 and plain and kind in ("()", "[]", "(]", "[)"):
        return Node("tuple", tokens, _all(parts, depth), detail=kind)
    return read(body, depth + 1) if kind == "()" and body else None


def _read_set(tokens, body, depth):
    if not body:
        return Node("set", tokens)
    parts, marks = split(body, is_op("op", "|", ":"))
    if len(marks) == 1 and any(token.kind == "rel" for token in parts[1]):
        return read(parts[1], depth + 1)  # {x | x > 2}
    parts, _ = split(body, is_separator)
    if tokens[0].text == "{" and len(parts) < 2:
        return None
    return Node("set", tokens, _all(filter(None, parts), depth))


def _read_ratio(tokens, depth):
    parts, marks = split(tokens, lambda token: token.text in (":", "to"))
    if not marks or not all(parts):
        return None
    last = parts[-1][-1]
    if last.kind != "word" or last.text not in ("am", "pm"):
        return Node("ratio", tokens, _all(parts, depth))
    parts[-1].pop()
    return Node("clock", tokens, _all(parts, depth), detail=last.text) if parts[-1] else None


def _read_plus_minus(tokens, depth):
    varies = is_op("cmd", "pm", "mp")
    if not any(map(varies, tokens)) or tokens[0].text == "\\{":
        return None  # in a set each member has its own sign
    if any(token.kind == "rel" for token in tokens) or split(tokens, is_separator)[1]:
        return None
    versions = [
        [Token("op", signs[t.text], t.space) if varies(t) else t for t in tokens]
        for signs in ({"pm": "+", "mp": "-"}, {"pm": "-", "mp": "+"})
    ]
    return Node("list", tokens, _all(versions, depth), detail="pm")


def _read_base(tokens, depth):
    at = next((i for i, token in enumerate(tokens) if token.text in ("_", "base")), -1)
    if at < 1 or tokens[0].kind not in ("num", "open", "letter"):
        return None
    digits = [token for token in tokens[:at] if token.text not in "()"]
    base = [token for token in tokens[at + 1 :] if token.text not in ("{", "}", "(", ")", "base")]
    if len(base) != 1 or not any(token.kind == "num" for token in digits):
        return None
    if any(token.kind != "num" and token.text not in "ABCDEF" for token in digits):
        return None
    value = base[0].text if base[0].kind == "num" else NUMERALS.get(base[0].text.lower())
    written = "".join(token.text for token in digits).upper()
    return None if value is None else Node("base", tokens, detail=(written, str(value)))


_READERS = (
    _read_arrow, _read_matrix, _read_list, _read_named, _read_chain, _read_relation, _read_union,
    _read_plus_minus, _read_bracketed, _read_ratio, _read_base,
)  # fmt: skip
