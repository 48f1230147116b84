r"""When an answer equals the gold answer, shape by shape.

The comparison is exact wherever it can be (rationals, rational functions), follows the shape of
both answers (tuples in order, sets and root lists complete but unordered, intervals with their
brackets) and asks the symbolic engine only about pairs of expressions that floating point cannot
tell apart. `Comparison.rule` names what decided; `policy.py` says why each rule is as it is.
"""

import itertools
from fractions import Fraction

from onerl.verifier.lists import ListComparison
from onerl.verifier.node import Node, is_label, is_name
from onerl.verifier.numeric import attempt, variables
from onerl.verifier.regions import FLIPPED, region
from onerl.verifier.structure import read
from onerl.verifier.tokens import Token
from onerl.verifier.values import constant, difference, exact_value, is_constant, shows_exactly
from onerl.verifier.words import same_text

# in this order: of an arrow and a list, the arrow decides
_COMPARED = {
    "arrow": "_arrows", "chain": "_chains", "equation": "_equations", "relation": "_regions",
    "union": "_regions", "difference": "_regions", "complement": "_regions", "matrix": "_matrices",
    "list": "_collections", "set": "_collections", "tuple": "_tuples", "base": "_bases",
    "ratio": "_ratios", "clock": "_ratios", "text": "_texts", "value": "values",
}  # fmt: skip
_ORDER = list(_COMPARED).index


class Comparison(ListComparison):
    """One comparison of an answer with a gold answer."""

    def same(self, gold: Node, answer: Node) -> bool:
        """`equal` for whole answers, where the names of parameters and constants are free."""
        if self.equal(gold, answer):
            return True
        wanted, given = (
            {token.text for token in node.tokens if token.kind == "letter"}
            for node in (gold, answer)
        )
        only_gold, only_answer = sorted(wanted - given), sorted(given - wanted)
        if not 0 < len(only_gold) == len(only_answer) < 3 or len(answer.tokens) < 2:
            return False
        for order in itertools.permutations(only_answer):
            pairs = list(zip(only_gold, order, strict=True))
            if all(_free(gold, answer, *pair) for pair in pairs):
                other = answer
                for theirs, ours in pairs:
                    other = renamed(other, ours, theirs)
                if self.equal(gold, other):
                    return True
        return False

    def equal(self, gold: Node, answer: Node) -> bool:
        """Two answers, or parts of answers, by the first kind of `_COMPARED` that is among them."""
        kinds = {gold.kind, answer.kind}
        for node in (gold, answer):
            if node.kind == "list":
                kinds |= {item.kind for item in node.items} & {"relation", "complement"}
        compared = min(kinds, key=_ORDER)
        return getattr(self, _COMPARED[compared])(gold, answer)

    def _texts(self, gold: Node, answer: Node) -> bool:
        same = gold.kind == answer.kind and same_text(gold.words, answer.words)
        return self._say("text", same)

    def _arrows(self, gold: Node, answer: Node) -> bool:
        """2x = 10, so x = 5: the last statement counts, and no step may be another answer."""
        if gold.kind == "arrow":
            gold = gold.items[-1]
        *steps, last = answer.items if answer.kind == "arrow" else [answer]
        if not self.equal(gold, last):
            return False
        name = last.items[0].spelling if last.kind == "equation" else None
        for step in steps:
            side = step.items[0] if step.kind == "equation" else None
            if side and (name not in (None, side.spelling) or not is_name(side.tokens)):
                continue
            if not self.equal(gold, step):
                return self._say("one answer", False)
        return True

    def _chains(self, gold: Node, answer: Node) -> bool:
        """a ≈ b: one part is the gold and every number agrees with it within its own rounding."""
        if gold.kind == "chain":
            answers = answer.items if answer.kind == "chain" else [answer]
            return self.equal(gold.items[0], answers[0])
        hit = any(self.equal(gold, item) for item in answer.items)
        near = hit and all(self._near(gold, item) for item in answer.items)
        return self._say("approximation", near)

    def _near(self, gold: Node, item: Node) -> bool:
        target = attempt(constant, gold.items[-1] if gold.kind == "equation" else gold)
        return self.equal(gold, item) or (target is not None and shows_exactly(item, target))

    def _assigned_tuple(self, gold: Node, answer: Node) -> bool:
        """(x, y) = (1, 2) against the gold "1, 2"."""
        name, value = answer.items[0], answer.items[-1]
        if value.kind == "tuple" and name.kind == "tuple" and len(gold.items) == len(value.items):
            return self._say("tuple", self._in_order(gold.items, value.items))
        if value.kind in ("list", "set") and is_name(name.tokens):
            return self.equal(gold, value)
        return self._say("list", False)

    def _equations(self, gold: Node, answer: Node) -> bool:
        if gold.kind == "list" and gold.detail is None:
            return self._assigned_tuple(gold, answer)
        if gold.kind == answer.kind:
            return self._two_equations(gold, answer)
        if gold.kind == "equation":  # y = 2x + 3 against 2x + 3
            left, value = gold.items[0], gold.items[-1]
            named = is_name(left.tokens) or len(gold.items) > 2
            shaped = value.kind not in ("value", "text") or is_constant(value)
            if not named and not (is_label(left.tokens) and shaped):
                return self._say("equation", False)
            return self.equal(value, answer)
        return self.equal(gold, answer.items[-1]) and self._sides_hold(gold, answer)

    def _sides_hold(self, gold: Node, answer: Node) -> bool:
        """Whether every side that is a claim about the answer is right: 12.7 = 12.8 is wrong."""
        first, *middle, last = answer.items
        letter = first.tree[1] if first.kind == "value" and _is_letter(first.tree) else ""
        zero = gold.kind == "value" and exact_value(gold) == 0
        for side in (first, *middle):
            named, later = is_name(side.tokens), side is not first
            claims = is_constant(side) or side.kind in ("tuple", "set", "matrix", "list")
            if later and ((_unknowns(gold) and _unknowns(side)) or letter in _unknowns(side)):
                claims = True
            if claims and (later or not named) and not self.equal(gold, side):
                return self._say("equation", False)
            if zero and not (claims or named or _is_letter(side.tree)):
                return self._say("equation", False)
        return self._say(self.rule, letter not in _unknowns(last))

    def _two_equations(self, gold: Node, answer: Node) -> bool:
        if any(token.text in ("'", "frac") for token in gold.tokens):
            gold, answer = _without_arguments(gold), _without_arguments(answer)
        gold_left, gold_right = gold.items[0], gold.items[-1]
        left, right = answer.items[0], answer.items[-1]
        if gold_left.spelling == left.spelling and is_name(left.tokens):
            return self.equal(gold_right, right) and self._sides_hold(gold_right, answer)
        if len(gold.items) > 2 or len(answer.items) > 2:
            return self._say("equation", False)
        names = [is_name(side.tokens) for side in (gold_left, left)]
        if all(names) and self._same_function(gold_left, gold_right, left, right):
            return True
        if gold_left.spelling == right.spelling and self.equal(gold_right, left):
            return True
        if all(names) and is_constant(gold_right):
            return self._say("equation", False)  # x = 5 is not y = 5
        # the same if one is a constant multiple of the other
        return self._say("equation", bool(self._factor(difference(gold), difference(answer))))

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

    def _matrices(self, gold: Node, answer: Node) -> bool:
        if gold.kind == answer.kind:
            return self._same_shape("matrix", gold, answer)
        matrix, other = (gold, answer) if gold.kind == "matrix" else (answer, gold)
        vector = other.kind == "tuple" and (matrix.detail in (1, len(matrix.items)))
        bracketed = other.detail == "()" or (other.detail == "[]" and other is answer)
        same = vector and bracketed and self._in_order(gold.items, answer.items)
        return self._say("matrix", same)

    def _same_shape(self, rule: str, gold: Node, answer: Node) -> bool:
        same = gold.detail == answer.detail and self._in_order(gold.items, answer.items)
        return self._say(rule, same)

    def _in_order(self, gold: list[Node], answer: list[Node]) -> bool:
        return len(gold) == len(answer) and all(map(self.equal, gold, answer))

    def _tuples(self, gold: Node, answer: Node) -> bool:
        if gold.kind == answer.kind:
            return self._same_shape("tuple", gold, answer)
        if "value" in (gold.kind, answer.kind) and gold.tree and answer.tree:
            return self.values(gold, answer)  # C(5, 2) is also a binomial
        return self._say("tuple", False)

    def _bases(self, gold: Node, answer: Node) -> bool:
        if gold.kind == answer.kind:
            return self._same_shape("number base", gold, answer)
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

    def _regions(self, gold: Node, answer: Node) -> bool:
        first, second = region(gold, trusted=True), region(answer)
        if first is not None and second is not None:
            return self._say("interval", self._same_set(first, second))
        if gold.kind == answer.kind == "relation":
            return self._say("inequality", self._same_relation(gold, answer))
        if gold.kind == answer.kind and gold.kind in ("union", "difference"):
            return self._say("set", self._same_set(gold.items, answer.items))
        if "list" in (gold.kind, answer.kind):
            return self._collections(gold, answer)
        return self._say("interval", False)

    def _same_relation(self, gold: Node, answer: Node) -> bool:
        if len(gold.items) != len(answer.items):
            return False
        if gold.detail == answer.detail and self._in_order(gold.items, answer.items):
            return True
        factor = self._factor(difference(gold), difference(answer))
        if not factor or len(gold.items) > 2:
            return False
        return answer.detail[0] == (gold.detail[0] if factor > 0 else FLIPPED[gold.detail[0]])


def _is_letter(tree: tuple | None) -> bool:
    return tree is not None and tree[0] == "var"


def _unknowns(node: Node) -> frozenset[str]:
    return variables(node.tree) if node.kind == "value" and node.tree else frozenset()


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


_COUNTERS, _CONSTANTS = frozenset("knmlj"), frozenset("CcKkAB")


def _free(gold: Node, answer: Node, theirs: str, ours: str) -> bool:
    """Whether a letter of the answer may stand for another of the gold answer.

    It may where one is declared to be whole, in a family of angles, and as a constant of
    integration, which is C, or c for C.
    """
    if theirs in gold.parameters or ours in answer.parameters:
        return True
    angles = any(token.text in ("pi", "circ") for token in gold.tokens)
    if {theirs, ours} <= _COUNTERS:
        return angles
    if not {theirs, ours} <= _CONSTANTS:
        return False
    others = any(t.kind == "letter" and t.text != theirs for t in gold.tokens)
    return others and ("C" in (theirs, ours) or theirs.lower() == ours.lower())


def _without_arguments(node: Node) -> Node:
    """A differential equation without the arguments of its functions: y for y(t)."""
    out, tokens, at = [], node.tokens, 0
    while at < len(tokens):
        out.append(tokens[at])
        behind = tokens[at + 1 : at + 4]
        argument = tokens[at].kind == "letter" or tokens[at].text == "'"
        called = [t.text for t in behind[::2]] == ["(", ")"] and behind[1].kind == "letter"
        at += 4 if argument and called else 1
    return read(out)


def _argument(name: list[Token]) -> Token | None:
    inside = [token for token in name if token.kind == "letter"]
    return inside[1] if len(inside) == 2 else None
