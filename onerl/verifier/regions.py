r"""Sets of real numbers: intervals, unions, inequalities, intersections, complements.

A set is a list of pieces (left, closed, right, closed) whose ends are nodes. Ends that are numbers
are put in order and touching pieces are joined; ends that are expressions stay as they are written.
"""

import math

from onerl.verifier.commands import matching
from onerl.verifier.node import Node, is_name
from onerl.verifier.numeric import NoValueError, infinite
from onerl.verifier.structure import read
from onerl.verifier.tokens import Token
from onerl.verifier.values import constant

FLIPPED = {"<": ">", ">": "<", "le": "ge", "ge": "le", "ne": "ne", "=": "="}
_MAX_PARTS = 24
_MINUS, _PLUS = (read([Token("op", sign), Token("cmd", "infty")]) for sign in "-+")


def region(node: Node, *, trusted: bool = False) -> list | None:
    """The pieces of a set of reals, or None if it is not read as one.

    "And" between inequalities is their intersection, "or" their union, a comma the intersection
    unless that is empty. In a gold answer (`trusted`), so is an "and".
    """
    pieces = _pieces(node, trusted)
    return None if pieces is None else _joined(pieces)


def _pieces(node: Node, trusted: bool) -> list | None:
    if node.kind == "tuple" and len(node.items) == 2:
        left, right = node.items
        return [(left, node.detail[0] == "[", right, node.detail[1] == "]")]
    if node.kind == "set":
        return [(item, True, item, True) for item in node.items]
    if node.kind == "relation":
        return _relation_region(node)
    if node.kind not in ("union", "list", "difference", "complement") or not node.items:
        return None
    if (
        len(node.items) > _MAX_PARTS
        or len({_subject(item) for item in node.items if item.kind == "relation"}) > 1
    ):
        return None
    parts = [_pieces(item, trusted) for item in node.items]
    if None in parts:
        return None
    if node.kind == "complement":
        return _complement(parts[0])
    if node.kind == "difference":
        return _common(parts[0], _complement(parts[1])) if len(parts) == 2 else None
    either = [piece for part in parts for piece in part]
    related = any(item.kind in ("relation", "complement") for item in node.items)
    if node.kind == "union" or node.words == "or" or not related:
        return either
    both = parts[0]
    for part in parts[1:]:
        both = _common(both, part)
    return either if both == [] and (trusted or node.words != "and") else both


def _subject(node: Node) -> str:
    """The variable that an inequality is about."""
    names = [item.spelling for item in node.items if _is_variable(item)]
    return names[0] if len(names) == 1 else ""


def _complement(pieces: list | None) -> list | None:
    pieces = None if pieces is None else _joined(pieces)
    if pieces is None or any(math.isnan(at) for p in pieces for at in _ends(p)):
        return None
    out, left, closed = [], _MINUS, False
    for low, low_closed, high, high_closed in pieces:
        out.append((left, closed, low, not low_closed))
        left, closed = high, not high_closed
    out.append((left, closed, _PLUS, False))
    return [piece for piece in out if _holds_something(piece)]


def _common(first: list | None, second: list | None) -> list | None:
    """The intersection; None when an end is no number and decides."""
    if first is None or second is None:
        return None
    if len(first) == len(second) == 1 and not _known(first[0], second[0]):
        return _meeting(first[0], second[0])
    out = []
    for one in first:
        for other in second:
            if not _known(one, other):
                return None
            low = max((one[:2], other[:2]), key=lambda end: (_position(end[0]), not end[1]))
            high = min((one[2:], other[2:]), key=lambda end: (_position(end[0]), end[1]))
            out.append((*low, *high))
    return [piece for piece in out if _holds_something(piece)]


def _meeting(one: tuple, other: tuple) -> list | None:
    """a < x and x < b, for ends that are expressions."""
    for first, second in ((one, other), (other, one)):
        if infinite(first[2].tree) == "+" and infinite(second[0].tree) == "-":
            return [(*first[:2], *second[2:])]
    return None


def _known(*pieces: tuple) -> bool:
    return not any(math.isnan(at) for piece in pieces for at in _ends(piece))


def _ends(piece: tuple) -> tuple[float, float]:
    return _position(piece[0]), _position(piece[2])


def _holds_something(piece: tuple) -> bool:
    low, high = _ends(piece)
    return low < high or (low == high and piece[1] and piece[3])


def _joined(pieces: list) -> list:
    """In order, with touching pieces as one; as they are where ends are unknown."""
    if len(pieces) < 2 or not _known(*pieces):
        return pieces
    out: list = []
    for piece in sorted(pieces, key=lambda p: (_position(p[0]), not p[1])):
        if out and _position(out[-1][2]) == _position(piece[0]) and (out[-1][3] or piece[1]):
            out[-1] = (*out[-1][:2], *piece[2:])
        else:
            out.append(piece)
    return out


def _position(node: Node) -> float:
    """Where a number lies on the line; nan if it is none."""
    if node.kind != "value" or node.tree is None:
        return math.nan
    if infinite(node.tree):
        return math.inf if infinite(node.tree) == "+" else -math.inf
    try:
        return float(constant(node))
    except (NoValueError, OverflowError):
        return math.nan


def _relation_region(node: Node) -> list | None:
    """x < 5, 2 <= x < 3 and x != 5 as pieces; only one variable, or its distance, on a side."""
    sides, signs = node.items, node.detail
    if len(sides) == 3 and (_is_variable(sides[1]) or _absolute(sides[1])):
        if not (set(signs) <= {"<", "le"} or set(signs) <= {">", "ge"}):
            return None
        low = _one_sided(sides[1], sides[0], FLIPPED[signs[0]])
        high = _one_sided(sides[1], sides[2], signs[1])
        return _common(low, high)
    if len(sides) != 2:
        return None
    (left, right), sign = sides, signs[0]
    if (_is_variable(right) and not _is_variable(left)) or _absolute(right):
        left, right, sign = right, left, FLIPPED.get(sign, "")
    if _is_variable(right):
        return None
    return _one_sided(left, right, sign)


def _one_sided(left: Node, right: Node, sign: str) -> list | None:
    center = _absolute(left)
    if not _is_variable(left) and not center:
        return None
    below, above = right, right
    if center:  # |x - c| < a lies between c - a and c + a
        bound = [Token("open", "("), *right.tokens, Token("close", ")")]
        below, above = (read([*center, Token("op", s), *bound]) for s in "-+")
    closed = sign in ("le", "ge")
    if sign in ("<", "le"):
        return [(below if center else _MINUS, closed and bool(center), above, closed)]
    if sign in (">", "ge"):
        outside = [(above, closed, _PLUS, False)]
        return [(_MINUS, False, below, closed), *outside] if center else outside
    if sign == "ne" and not center:
        return [(_MINUS, False, right, False), (right, False, _PLUS, False)]
    return None


def _absolute(node: Node) -> list[Token] | None:
    """The tokens of c in |x - c|, 0 in |x|; None if it is no such distance."""
    tokens = node.tokens
    if node.kind != "value" or len(tokens) < 3 or (tokens[0].text, tokens[-1].text) != ("|", "|"):
        return None
    inner = tokens[1:-1]
    if inner[0].kind != "letter" or any(token.text == "|" for token in inner):
        return None
    if len(inner) == 1:
        return [Token("num", "0")]
    if inner[1].text not in "+-" or any(token.kind == "letter" for token in inner[2:]):
        return None
    rest = inner[2:]
    if rest[0].text == "(" and matching(rest, 0) == len(rest) - 1:
        rest = rest[1:-1]
    sign = Token("op", "-" if inner[1].text == "+" else "+")
    return [sign, Token("open", "("), *rest, Token("close", ")")]


def _is_variable(node: Node) -> bool:
    return node.kind == "value" and is_name(node.tokens) and node.tree is not None
