r"""When an answer equals the gold answer, shape by shape.

The comparison is exact wherever it can be (rationals, rational functions), follows the shape of
both answers (tuples in order, sets and root lists complete but unordered, intervals with their
brackets) and asks the symbolic engine only about pairs of expressions that floating point cannot
tell apart. `Comparison.rule` names what decided; `policy.py` says why each rule is as it is.
"""

from fractions import Fraction

from onerl.verifier.node import Node, is_name
from onerl.verifier.numeric import NoValueError
from onerl.verifier.regions import FLIPPED, region
from onerl.verifier.structure import read
from onerl.verifier.tokens import Token
from onerl.verifier.values import (
    ValueComparison,
    constant,
    difference,
    exact_value,
    is_constant,
    shows_exactly,
)

_MAX_LIST = 200


class Comparison(ValueComparison):
    """One comparison of an answer with a gold answer."""

    def same(self, gold: Node, answer: Node) -> bool:
        """`equal` for whole answers, where the name of a declared parameter is free."""
        if self.equal(gold, answer):
            return True
        if not (gold.parameters or answer.parameters):
            return False
        wanted, given = (
            {token.text for token in node.tokens if token.kind == "letter"}
            for node in (gold, answer)
        )
        only_gold, only_answer = wanted - given, given - wanted
        if len(only_gold) != 1 or len(only_answer) != 1 or len(answer.tokens) < 2:
            return False
        if not (only_gold <= gold.parameters or only_answer <= answer.parameters):
            return False
        return self.equal(gold, renamed(answer, only_answer.pop(), only_gold.pop()))

    def equal(self, gold: Node, answer: Node) -> bool:
        kinds = {gold.kind, answer.kind}
        if "chain" in kinds:
            return self._chains(gold, answer)
        if gold.kind == "list" and gold.detail is None and answer.kind == "equation":
            return self._assigned_tuple(gold, answer)
        if "equation" in kinds:
            return self._equations(gold, answer)
        if kinds & {"relation", "union", "difference"}:
            return self._regions(gold, answer)
        if "matrix" in kinds:
            return self._matrices(gold, answer)
        if "list" in kinds or "set" in kinds:
            return self._collections(gold, answer)
        if "tuple" in kinds:
            return self._tuples(gold, answer)
        if "base" in kinds:
            return self._bases(gold, answer)
        if kinds & {"ratio", "clock"}:
            return self._ratios(gold, answer)
        if "text" in kinds:
            return self._texts(gold, answer)
        return self.values(gold, answer)

    def _chains(self, gold: Node, answer: Node) -> bool:
        """a ≈ b: one part is the gold and every number agrees with it within its own rounding."""
        if gold.kind == "chain":
            answers = answer.items if answer.kind == "chain" else [answer]
            return self.equal(gold.items[0], answers[0])
        hit = any(self.equal(gold, item) for item in answer.items)
        near = hit and all(self._near(gold, item) for item in answer.items)
        return self._say("approximation", near)

    def _near(self, gold: Node, item: Node) -> bool:
        if self.equal(gold, item):
            return True
        target = gold.items[-1] if gold.kind == "equation" else gold
        try:
            return shows_exactly(item, constant(target))
        except NoValueError:
            return False

    def _assigned_tuple(self, gold: Node, answer: Node) -> bool:
        """(x, y) = (1, 2) against the gold "1, 2"."""
        name, value = answer.items[0], answer.items[-1]
        if value.kind == "tuple" and name.kind == "tuple" and len(gold.items) == len(value.items):
            return self._say("tuple", self._in_order(gold.items, value.items))
        if value.kind in ("list", "set") and is_name(name.tokens):
            return self.equal(gold, value)
        return self._say("list", False)

    def _equations(self, gold: Node, answer: Node) -> bool:
        if gold.kind == answer.kind:
            return self._two_equations(gold, answer)
        if gold.kind == "equation":  # y = 2x + 3 against 2x + 3
            if not (is_name(gold.items[0].tokens) or len(gold.items) > 2):
                return self._say("equation", False)
            return self.equal(gold.items[-1], answer)
        *left, value = answer.items
        if not self.equal(gold, value):
            return False
        for side in left:  # every side that is a number must be that number: 12.7 = 12.8 is wrong
            if is_constant(side) and not self.equal(gold, side):
                return self._say("equation", False)
        if gold.kind == "value" and exact_value(gold) == 0:
            return self._say("equation", all(is_name(side.tokens) for side in left))
        return True

    def _two_equations(self, gold: Node, answer: Node) -> bool:
        (gold_left, gold_right), (left, right) = (
            (node.items[0], node.items[-1]) for node in (gold, answer)
        )
        if gold_left.spelling == left.spelling and is_name(left.tokens):
            return self.equal(gold_right, right)
        if len(gold.items) > 2 or len(answer.items) > 2:
            return self._say("equation", False)
        names = [is_name(side.tokens) for side in (gold_left, left)]
        if all(names) and self._same_function(gold_left, gold_right, left, right):
            return True
        if gold_left.spelling == right.spelling and self.equal(gold_right, left):
            return True
        if all(names) and is_constant(gold_right):
            return self._say("equation", False)  # x = 5 is not y = 5
        return self._say("equation", self._same_zeros(gold, answer))

    def _same_function(self, gold_name: Node, gold: Node, name: Node, value: Node) -> bool:
        """f(x) = 2x against f(t) = 2t or y = 2x."""
        first, second = gold_name.spelling, name.spelling
        if "(" not in first and "(" not in second:
            return False
        if "(" in first and "(" in second:
            before, after = _argument(gold_name.tokens), _argument(name.tokens)
            if first.split("(")[0] != second.split("(")[0] or not before or not after:
                return False
            if any(token.text == before.text for token in value.tokens) and before != after:
                return False
            value = renamed(value, after.text, before.text)
        return self.equal(gold, value)

    def _same_zeros(self, gold: Node, answer: Node) -> bool:
        """Two equations are the same if one is a constant multiple of the other."""
        factor = self._factor(difference(gold), difference(answer))
        return factor is not None and factor != 0

    def _matrices(self, gold: Node, answer: Node) -> bool:
        if gold.kind == answer.kind:
            same = gold.detail == answer.detail and self._in_order(gold.items, answer.items)
            return self._say("matrix", same)
        matrix, other = (gold, answer) if gold.kind == "matrix" else (answer, gold)
        if other.kind != "tuple" or not (matrix.detail == 1 or len(matrix.items) == matrix.detail):
            return self._say("matrix", False)
        if other.detail not in ("()", "[]") or (other.detail == "[]" and other is gold):
            return self._say("matrix", False)
        return self._say("matrix", self._in_order(gold.items, answer.items))

    def _in_order(self, gold: list[Node], answer: list[Node]) -> bool:
        return len(gold) == len(answer) and all(map(self.equal, gold, answer))

    def _tuples(self, gold: Node, answer: Node) -> bool:
        if gold.kind != answer.kind:
            return self._say("tuple", False)
        same = gold.detail == answer.detail and self._in_order(gold.items, answer.items)
        return self._say("tuple", same)

    def _collections(self, gold: Node, answer: Node) -> bool:
        if "tuple" in (gold.kind, answer.kind):
            return self._tuple_and_list(gold, answer)
        wanted = _flat(gold)
        given = _flat(answer)
        if gold.kind not in ("list", "set"):  # several values offered for one: all must be right
            several = answer.kind == "list" and 0 < len(given) <= 4
            all_right = several or len(given) == 1
            all_right = all_right and all(self.equal(gold, item) for item in given)
            return self._say("one answer", all_right)
        if answer.kind not in ("list", "set"):
            one = len(wanted) > 0 and all(self.equal(item, answer) for item in wanted)
            return self._say("list", one)
        if all(item.kind == "relation" for item in wanted + given) and wanted and given:
            return self._regions(gold, answer)
        if len(_names(wanted)) > 1:
            return self._say("named values", self._named_values(wanted, given))
        wanted, given = _unnamed(wanted), _unnamed(given)
        if answer.kind == "list" and len(given) > len(wanted):
            return self._say("set", False)  # the same list twice, "or" the same list plus one
        return self._say("set", self._same_set(wanted, given))

    def _named_values(self, gold: list[Node], answer: list[Node]) -> bool:
        """x = 1, y = 2 in any order while the names are there, in the gold's order without them."""
        if len(gold) != len(answer):
            return False
        if any(item.kind == "equation" for item in answer):
            return self._same_set(gold, answer)
        return self._in_order(_unnamed(gold), answer)

    def _tuple_and_list(self, gold: Node, answer: Node) -> bool:
        """(1, 2) is x = 1, y = 2; otherwise a point is not a list."""
        pair, other = (gold, answer) if gold.kind == "tuple" else (answer, gold)
        items = other.items
        if len(items) == 1 and other.kind == "set":
            return self._say("set", False)
        if pair.detail != "()" or not items or not all(item.kind == "equation" for item in items):
            every = gold is pair and other.kind == "list" and 0 < len(items) <= 4
            return self._say("one answer", every and all(self.equal(gold, i) for i in items))
        values = [item.items[-1] for item in items]
        if gold.kind == "tuple":
            return self._say("tuple", self._in_order(gold.items, values))
        return self._say("tuple", self._in_order(values, answer.items))

    def _same_set(self, gold: list[Node], answer: list[Node]) -> bool:
        """Each side's different values are the other side's, in any order."""
        gold, answer = self._distinct(gold), self._distinct(answer)
        if len(gold) != len(answer) or len(gold) > _MAX_LIST:
            return False
        rest = list(answer)
        left_over = []
        ask, self.ask = self.ask, None  # first without the engine, which most pairs do not need
        for item in gold:
            hit = next((i for i, other in enumerate(rest) if self.equal(item, other)), None)
            if hit is None:
                left_over.append(item)
            else:
                rest.pop(hit)
        self.ask = ask
        if not left_over or ask is None or len(left_over) > 6:
            return not left_over
        for item in left_over:
            hit = next((i for i, other in enumerate(rest) if self.equal(item, other)), None)
            if hit is None:
                return False
            rest.pop(hit)
        return True

    def _distinct(self, items: list[Node]) -> list[Node]:
        if len(items) > _MAX_LIST:
            return items
        seen: dict = {}
        for item in items:
            key = (
                exact_value(item) if item.kind == "value" and not (item.mark or item.unit) else None
            )
            seen.setdefault(item.spelling if key is None else key, item)
        return list(seen.values())

    def _bases(self, gold: Node, answer: Node) -> bool:
        if gold.kind == answer.kind:
            return self._say("number base", gold.detail == answer.detail)
        digits = answer.spelling.replace(" ", "").upper()
        return self._say("number base", gold.kind == "base" and digits == gold.detail[0])

    def _ratios(self, gold: Node, answer: Node) -> bool:
        kinds = (gold.kind, answer.kind)
        if "value" not in kinds:
            if set(kinds) - {"ratio", "clock"}:
                return self._say("ratio", False)
            times = seconds(gold), seconds(answer)
            if None not in times and times[0] == times[1]:
                return self._say("time of day", True)
            halves = {node.detail for node in (gold, answer) if node.detail}
            return self._say("ratio", len(halves) < 2 and self._in_order(gold.items, answer.items))
        ratio, value = (gold, answer) if gold.kind != "value" else (answer, gold)
        parts = [exact_value(item) for item in ratio.items]
        fraction = value.tree is not None and value.tree[0] == "div"
        same = fraction and len(parts) == 2 and None not in parts and parts[1] != 0
        return self._say("ratio", same and parts[0] / parts[1] == exact_value(value))

    def _texts(self, gold: Node, answer: Node) -> bool:
        same = plain_text(gold.words) == plain_text(answer.words) != ""
        return self._say("text", same and gold.kind == "text")

    def _regions(self, gold: Node, answer: Node) -> bool:
        first, second = region(gold), region(answer)
        if first is not None and second is not None:
            return self._say("interval", self._same_pieces(first, second))
        if gold.kind == answer.kind == "relation":
            return self._say("inequality", self._same_relation(gold, answer))
        if gold.kind == answer.kind and gold.kind in ("union", "difference"):
            return self._say("set", self._same_set(gold.items, answer.items))
        return self._say("interval", False)

    def _same_pieces(self, gold: list, answer: list) -> bool:
        if len(gold) != len(answer):
            return False
        rest = list(answer)
        for left, left_closed, right, right_closed in gold:
            for index, piece in enumerate(rest):
                ends = (left_closed, right_closed) == (piece[1], piece[3])
                if ends and self.equal(left, piece[0]) and self.equal(right, piece[2]):
                    rest.pop(index)
                    break
            else:
                return False
        return True

    def _same_relation(self, gold: Node, answer: Node) -> bool:
        if len(gold.items) != len(answer.items):
            return False
        if len(gold.items) > 2:
            return gold.detail == answer.detail and self._in_order(gold.items, answer.items)
        if gold.detail == answer.detail and self._in_order(gold.items, answer.items):
            return True
        factor = self._factor(difference(gold), difference(answer))
        if factor is None or factor == 0:
            return False
        expected = gold.detail[0] if factor > 0 else FLIPPED[gold.detail[0]]
        return answer.detail[0] == expected


def seconds(node: Node) -> Fraction | None:
    """The time of day in 24 hours that 20:34, 20:34:00 and 8:34 p.m. all give, or None."""
    parts = [exact_value(item) for item in node.items]
    written = all(len(item.spelling) == 2 for item in node.items[1:])
    if None in parts or not written or not 2 <= len(parts) <= 3:
        return None
    hour, minute, second = (*parts, Fraction(0))[:3]
    if node.detail:
        hour = hour % 12 + (12 if node.detail == "pm" else 0)
    return hour * 3600 + minute * 60 + second


def renamed(node: Node, old: str, new: str) -> Node:
    """`node` with another name for one variable."""
    return read([t._replace(text=new) if t.text == old else t for t in node.tokens])


_SMALL_WORDS = frozenset(("the", "The", "a", "an", "An", "and"))  # a capital A may be the answer
_PHRASES = {"dne": "does not exist"}


def plain_text(spelling: str) -> str:
    """Words without case, punctuation, articles and "and"."""
    words = "".join(c if c.isalnum() else " " for c in spelling).split()
    text = " ".join(word for word in words if word not in _SMALL_WORDS).casefold()
    return _PHRASES.get(text, text)


def _flat(node: Node) -> list[Node]:
    """The members of a collection, with 1 ± 2 as two of them."""
    if node.kind not in ("list", "set"):
        return [node]
    out = []
    for item in node.items:
        out += _flat(item) if item.kind == "list" and item.detail == "pm" else [item]
    return out


def _names(items: list[Node]) -> set[str]:
    return {item.items[0].spelling for item in items if item.kind == "equation"}


def _unnamed(items: list[Node]) -> list[Node]:
    """x = 1, x = 2 (or x = 1, 2) as the values."""
    out = []
    for item in items:
        if item.kind == "equation" and is_name(item.items[0].tokens):
            out += _flat(item.items[-1])
        else:
            out.append(item)
    return out


def _argument(name: list[Token]) -> Token | None:
    inside = [token for token in name if token.kind == "letter"]
    return inside[1] if len(inside) == 2 else None
