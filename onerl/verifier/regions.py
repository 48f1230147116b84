r"""Sets of real numbers: intervals, unions, inequalities, and these without some points."""

import math

from onerl.verifier.node import Node, is_name
from onerl.verifier.numeric import NoValueError
from onerl.verifier.structure import read
from onerl.verifier.tokens import Token
from onerl.verifier.values import constant, infinite

FLIPPED = {"<": ">", ">": "<", "le": "ge", "ge": "le", "ne": "ne", "=": "="}


def region(node: Node) -> list | None:
    """(left, closed, right, closed) pieces of a set of reals, or None if it is not read as one."""
    if node.kind == "tuple" and len(node.items) == 2:
        left, right = node.items
        return [(left, node.detail[0] == "[", right, node.detail[1] == "]")]
    if node.kind == "set":
        return [(item, True, item, True) for item in node.items]
    if node.kind == "union" or (node.kind == "list" and node.items):
        pieces = [region(item) for item in node.items]
        return None if None in pieces else [piece for part in pieces for piece in part]
    if node.kind == "relation":
        return _relation_region(node)
    if node.kind == "difference" and len(node.items) == 2:
        pieces, holes = region(node.items[0]), node.items[1]
        if pieces is None or holes.kind != "set":
            return None
        for hole in holes.items:
            pieces = _without_point(pieces, hole)
        return pieces
    return None


def _without_point(pieces: list, hole: Node) -> list:
    """Intervals without one number: split, or opened at an end."""
    at = _position(hole)
    out = []
    for left, left_closed, right, right_closed in pieces:
        low, high = _position(left), _position(right)
        if low < at < high:
            out += [(left, left_closed, hole, False), (hole, False, right, right_closed)]
        elif low < high:
            out.append((left, left_closed and low != at, right, right_closed and high != at))
        elif low != at:
            out.append((left, left_closed, right, right_closed))
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
    """x < 5, 2 <= x < 3 and x != 5 as pieces; only one variable by itself on a side."""
    sides, signs = node.items, node.detail
    if len(sides) == 3 and _is_variable(sides[1]):
        if set(signs) <= {"<", "le"}:
            return [(sides[0], signs[0] == "le", sides[2], signs[1] == "le")]
        if set(signs) <= {">", "ge"}:
            return [(sides[2], signs[1] == "ge", sides[0], signs[0] == "ge")]
        return None
    if len(sides) != 2:
        return None
    (left, right), sign = sides, signs[0]
    if _is_variable(right) and not _is_variable(left):
        left, right, sign = right, left, FLIPPED[sign]
    if _is_absolute(left):
        return _absolute_region(right, sign)
    if not _is_variable(left) or _is_variable(right):
        return None
    minus, plus = (read([Token("op", s), Token("cmd", "infty")]) for s in "-+")
    if sign in ("<", "le"):
        return [(minus, False, right, sign == "le")]
    if sign in (">", "ge"):
        return [(right, sign == "ge", plus, False)]
    if sign == "ne":
        return [(minus, False, right, False), (right, False, plus, False)]
    return None


def _is_absolute(node: Node) -> bool:
    tree = node.tree if node.kind == "value" else None
    return tree is not None and tree[:2] == ("fn", "abs") and tree[2][0] == "var"


def _absolute_region(bound: Node, sign: str) -> list | None:
    """|x| < a and |x| > a."""
    below = read([Token("op", "-"), Token("open", "("), *bound.tokens, Token("close", ")")])
    minus, plus = (read([Token("op", s), Token("cmd", "infty")]) for s in "-+")
    if sign in ("<", "le"):
        return [(below, sign == "le", bound, sign == "le")]
    if sign in (">", "ge"):
        return [(minus, False, below, sign == "ge"), (bound, sign == "ge", plus, False)]
    return None


def _is_variable(node: Node) -> bool:
    return node.kind == "value" and is_name(node.tokens) and node.tree is not None
