r"""Sets of real numbers: intervals, unions, inequalities, intersections, complements.

A set is a list of pieces (left, closed, right, closed) whose ends are nodes. Ends that are numbers
are put in order and touching pieces are joined; ends that are expressions stay as they are written.
What is no such set raises NoValueError inside this file.
"""

import functools
import itertools
from fractions import Fraction

from onerl.verifier.node import Node, is_name
from onerl.verifier.numeric import NoValueError, attempt, infinite, variables
from onerl.verifier.values import constant

FLIPPED = {"<": ">", ">": "<", "le": "ge", "ge": "le", "ne": "ne", "=": "="}
_MAX_PARTS = 24


def _end(tree: tuple) -> Node:
    node = Node("value", [])
    node.tree = tree
    return node


_MINUS, _PLUS = _end(("neg", ("const", "oo"))), _end(("const", "oo"))


def region(node: Node, *, trusted: bool = False) -> list[Node] | None:
    """The intervals of a set of reals, or None if it is not read as one.

    "And" between inequalities is their intersection, "or" their union, a comma the intersection
    unless that is empty. In a gold answer (`trusted`), so is an "and".
    """
    pieces = attempt(lambda: _joined(_pieces(node, trusted)))
    return pieces and [
        Node("tuple", [], [left, right], detail="(["[left_closed] + ")]"[right_closed])
        for left, left_closed, right, right_closed in pieces
    ]


def _pieces(node: Node, trusted: bool) -> list:
    if node.kind == "tuple" and len(node.items) == 2:
        left, right = node.items
        return [(left, node.detail[0] == "[", right, node.detail[1] == "]")]
    if node.kind == "set":
        return [(item, True, item, True) for item in node.items]
    if node.kind == "relation":
        return _relation(node.items, node.detail)
    collection = node.kind in ("union", "list", "difference", "complement")
    subjects = {_subject(item) for item in node.items if item.kind == "relation"}
    if not collection or not 0 < len(node.items) <= _MAX_PARTS or len(subjects) > 1:
        raise NoValueError
    parts = [_pieces(item, trusted) for item in node.items]
    if node.kind == "complement":
        return _complement(parts[0])
    if node.kind == "difference":
        if len(parts) > 2:
            raise NoValueError
        return _common(parts[0], _complement(parts[1]))
    either = [piece for part in parts for piece in part]
    related = any(item.kind in ("relation", "complement") for item in node.items)
    if node.kind == "union" or node.words == "or" or not related:
        return either
    both = functools.reduce(_common, parts)
    return either if both == [] and (trusted or node.words != "and") else both


def _subject(node: Node) -> str:
    """The variable that an inequality is about."""
    names = [item.spelling for item in node.items if _is_variable(item)]
    return names[0] if len(names) == 1 else ""


def _complement(pieces: list) -> list:
    out, left, closed = [], _MINUS, False
    for low, low_closed, high, high_closed in _joined(pieces):
        out.append((left, closed, low, not low_closed))
        left, closed = high, not high_closed
    out.append((left, closed, _PLUS, False))
    return [piece for piece in out if _holds_something(piece)]


def _common(first: list, second: list) -> list:
    """The intersection. Raises NoValueError when an end is no number and decides."""
    if len(first) == len(second) == 1 and not _known(first + second):
        return _meeting(first[0], second[0])
    out = []
    for one, other in itertools.product(first, second):
        low = max(one[:2], other[:2], key=lambda end: (_position(end[0]), not end[1]))
        high = min(one[2:], other[2:], key=lambda end: (_position(end[0]), end[1]))
        out.append((*low, *high))
    return [piece for piece in out if _holds_something(piece)]


def _meeting(one: tuple, other: tuple) -> list:
    """a < x and x < b, for ends that are expressions."""
    for first, second in ((one, other), (other, one)):
        if infinite(first[2].tree) == "+" and infinite(second[0].tree) == "-":
            return [(*first[:2], *second[2:])]
    raise NoValueError


def _holds_something(piece: tuple) -> bool:
    low, high = _position(piece[0]), _position(piece[2])
    return low < high or (low == high and piece[1] and piece[3])


def _known(pieces: list) -> bool:
    return attempt(lambda: [_holds_something(piece) for piece in pieces]) is not None


def _joined(pieces: list) -> list:
    """In order, with touching pieces as one; as they are where ends are unknown."""
    if len(pieces) < 2 or not _known(pieces):
        return pieces
    out: list = []
    for piece in sorted(pieces, key=lambda p: (_position(p[0]), not p[1])):
        if out and _position(out[-1][2]) == _position(piece[0]) and (out[-1][3] or piece[1]):
            out[-1] = (*out[-1][:2], *piece[2:])
        else:
            out.append(piece)
    return out


def _position(node: Node) -> float:
    """Where a number lies on the line. Raises NoValueError if it is none."""
    if node.kind != "value":
        raise NoValueError
    try:
        return float(infinite(node.tree) + "inf" if infinite(node.tree) else constant(node))
    except OverflowError as error:
        raise NoValueError from error


def _relation(sides: list[Node], signs: tuple[str, ...]) -> list:
    """x < 5, 2 <= x < 3 and x != 5 as pieces; only one variable, or its distance, on a side."""
    if len(sides) == 3 and (_is_variable(sides[1]) or _center(sides[1])):
        if not (set(signs) <= {"<", "le"} or set(signs) <= {">", "ge"}):
            raise NoValueError
        low = _one_sided(sides[1], sides[0], FLIPPED[signs[0]])
        return _common(low, _one_sided(sides[1], sides[2], signs[1]))
    if len(sides) != 2:
        raise NoValueError
    (left, right), sign = sides, signs[0]
    if (_is_variable(right) and not _is_variable(left)) or _center(right):
        left, right, sign = right, left, FLIPPED.get(sign, "")
    if _is_variable(right):
        raise NoValueError
    return _one_sided(left, right, sign)


def _one_sided(left: Node, right: Node, sign: str) -> list:
    center, closed = _center(left), sign in ("le", "ge")
    below, above = right, right
    if center and right.kind == "value" and right.tree:  # between c - a and c + a
        below, above = (_end((operator, center, right.tree)) for operator in ("sub", "add"))
    elif not _is_variable(left):
        raise NoValueError
    outside = [(_MINUS, False, below, closed), (above, closed, _PLUS, False)]
    if sign in ("<", "le"):
        return [(below, closed, above, closed)] if center else [(_MINUS, False, above, closed)]
    if sign in (">", "ge"):
        return outside if center else outside[1:]
    if sign == "ne" and not center:
        return outside
    raise NoValueError


def _center(node: Node) -> tuple | None:
    """The tree of c in |x - c|, 0 in |x|; None if it is no such distance."""
    if node.kind != "value" or not node.tree or node.tree[:2] != ("fn", "abs"):
        return None
    inside, zero = node.tree[2], ("num", Fraction(0), None)
    sign, variable, center = inside if inside[0] in ("add", "sub") else ("sub", inside, zero)
    if variable[0] != "var" or not variable[1].lstrip("\\").isalpha() or variables(center):
        return None
    return center if sign == "sub" else ("neg", center)


def _is_variable(node: Node) -> bool:
    return node.kind == "value" and is_name(node.tokens) and node.tree is not None
