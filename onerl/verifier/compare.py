r"""When an answer equals the gold answer, shape by shape.

The comparison is exact wherever it can be (rationals, rational functions), follows the shape of both
answers (tuples in order, sets and root lists complete but unordered, intervals with their brackets) and
asks the symbolic engine only about pairs of expressions that floating point cannot tell apart.
`Comparison.rule` names what decided; `policy.py` says why each rule is as it is.
"""

from fractions import Fraction

from onerl.verifier import evaluate, units
from onerl.verifier.evaluate import NoValue
from onerl.verifier.expression import parse
from onerl.verifier.policy import Policy
from onerl.verifier.structure import Node, is_name, read
from onerl.verifier.tokens import Token, Unreadable, spell

_MAX_LIST = 200
ENGINE_SECONDS = 0.5  # CPU time of the engine one comparison may use
_CLOSE = 1e-6  # floats further apart than this (relative) are different numbers
_TINY = 1e-9  # below this, cancellation may hide a difference: ask for more digits
_FLIPPED = {"<": ">", ">": "<", "le": "ge", "ge": "le", "ne": "ne", "=": "="}


class Comparison:
    """One comparison of an answer with a gold answer. `ask(task)` is the symbolic engine."""

    def __init__(self, policy: Policy, ask=None):
        self.policy = policy
        self.ask = ask
        self.budget = ENGINE_SECONDS
        self.rule = "value"
        self.undecided = ""  # "timeout" or "error" once the engine failed to answer

    # --- shapes -----------------------------------------------------------------------------------

    def equal(self, gold: Node, answer: Node) -> bool:
        kinds = {gold.kind, answer.kind}
        if "chain" in kinds:
            return self._chains(gold, answer)
        if gold.kind == "list" and gold.detail is None and answer.kind == "equation":
            return self._assigned_tuple(gold, answer)
        if "equation" in kinds:
            return self._equations(gold, answer)
        if "relation" in kinds or kinds & {"union", "difference"} or self._both_intervals(gold, answer):
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

    def _say(self, rule: str, verdict: bool) -> bool:
        self.rule = rule
        return verdict

    def _chains(self, gold: Node, answer: Node) -> bool:
        """a ≈ b: one part must equal the gold and every number must agree within its own rounding."""
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
        value, decimals = _literal(item)
        if value is None or decimals is None:
            return False
        try:
            return abs(_constant(target) - value) <= Fraction(1, 10**decimals)
        except NoValue:
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
            if _is_constant(side) and not self.equal(gold, side):
                return self._say("equation", False)
        if gold.kind == "value" and _exact(gold) == 0:
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
        if all(names) and _is_constant(gold_right):
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
            renamed = [t._replace(text=before.text) if t.text == after.text else t for t in value.tokens]
            if any(token.text == before.text for token in value.tokens) and before != after:
                return False
            return self.equal(gold, read(renamed))
        return self.equal(gold, value)

    def _same_zeros(self, gold: Node, answer: Node) -> bool:
        """Two equations are the same if one is a constant multiple of the other."""
        factor = self._factor(_difference(gold), _difference(answer))
        return factor is not None and factor != 0

    def _factor(self, first: tuple | None, second: tuple | None) -> float | None:
        """The constant c with second = c * first, or None."""
        if first is None or second is None:
            return None
        names = evaluate.variables(first)
        if names != evaluate.variables(second) or not names:
            return None
        ratios = []
        for point in evaluate.sample_points((first, second), names):
            try:
                below = evaluate.numeric(first, point)
                ratios.append(evaluate.numeric(second, point) / below)
            except (NoValue, ZeroDivisionError, OverflowError):
                continue
        if len(ratios) < 3 or abs(ratios[0].imag) > 1e-9 * abs(ratios[0]):
            return None
        constant = ratios[0].real
        if any(abs(ratio - constant) > 1e-8 * abs(constant) for ratio in ratios):
            return None
        return constant

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
            all_right = answer.kind == "list" and 0 < len(given) <= 4
            all_right = all_right and all(self.equal(gold, item) for item in given)
            return self._say("one answer", all_right)
        if answer.kind not in ("list", "set"):
            one = len(wanted) > 0 and all(self.equal(item, answer) for item in wanted)
            return self._say("list", one)
        if all(item.kind == "relation" for item in wanted + given) and wanted and given:
            return self._regions(gold, answer)
        if "equation" in {item.kind for item in wanted} and self._named_values(wanted, given):
            return self._say("named values", True)
        return self._say("set", self._same_set(_unnamed(wanted), _unnamed(given)))

    def _named_values(self, gold: list[Node], answer: list[Node]) -> bool:
        """x = 1, y = 2 in any order."""
        return self._same_set(gold, answer) if len(gold) == len(answer) else False

    def _tuple_and_list(self, gold: Node, answer: Node) -> bool:
        """(1, 2) is x = 1, y = 2; otherwise a point is not a list."""
        pair, other = (gold, answer) if gold.kind == "tuple" else (answer, gold)
        items = other.items
        if len(items) == 1 and other.kind == "set":
            return self._say("set", False)
        if pair.detail != "()" or not items or not all(item.kind == "equation" for item in items):
            if pair.detail == "()" and other.kind == "list" and len(items) == len(pair.items):
                if items[0].kind == "equation" and all(i.kind != "equation" for i in items[1:]):
                    return self._say("tuple", False)
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
            key = _exact(item) if item.kind == "value" and not item.mark else None
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
            halves = {node.detail for node in (gold, answer) if node.detail}
            return self._say("ratio", len(halves) < 2 and self._in_order(gold.items, answer.items))
        ratio, value = (gold, answer) if gold.kind != "value" else (answer, gold)
        parts = [_exact(item) for item in ratio.items]
        fraction = value.tree is not None and value.tree[0] == "div"
        same = fraction and len(parts) == 2 and None not in parts and parts[1] != 0
        return self._say("ratio", same and parts[0] / parts[1] == _exact(value))

    def _texts(self, gold: Node, answer: Node) -> bool:
        return self._say("text", plain_text(gold.spelling) == plain_text(answer.spelling) != "")

    # --- regions of the line: intervals, unions, inequalities -------------------------------------

    @staticmethod
    def _both_intervals(gold: Node, answer: Node) -> bool:
        return False

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
                if (left_closed, right_closed) == (piece[1], piece[3]):
                    if self.equal(left, piece[0]) and self.equal(right, piece[2]):
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
        factor = self._factor(_difference(gold), _difference(answer))
        if factor is None or factor == 0:
            return False
        expected = gold.detail[0] if factor > 0 else _FLIPPED[gold.detail[0]]
        return answer.detail[0] == expected

    # --- values -----------------------------------------------------------------------------------

    def values(self, gold: Node, answer: Node) -> bool:
        """Two expressions with their units."""
        if not units.agree(gold.unit, answer.unit):
            return self._say("units differ", False)
        if gold.mark != answer.mark and (gold.mark and answer.unit or answer.mark and gold.unit):
            return self._say("units differ", False)
        if {gold.mark, answer.mark} == {"%", "deg"}:
            return self._say("units differ", False)
        first, second = gold.tree, answer.tree
        if first is None or second is None:
            return self._unparsed(gold, answer)
        if first == second:
            return self._say("identical", True)
        if self._same_value(gold, answer, first, second):
            return True
        if gold.mark != answer.mark:
            return self._other_scale(gold, answer)
        return False

    def _other_scale(self, gold: Node, answer: Node) -> bool:
        """10 % is 0.1, and 30 degrees is pi/6, when only one side carries the sign."""
        marked, plain = (gold, answer) if gold.mark else (answer, gold)
        if marked.mark == "%" and self.policy.percent:
            scaled = ("div", marked.tree, ("num", Fraction(100), None))
        elif marked.mark == "deg" and "pi" in {token.text for token in plain.tokens}:
            scaled = ("deg", marked.tree)
        else:
            return False
        return self._same_value(gold, answer, scaled, plain.tree)

    def _same_value(self, gold: Node, answer: Node, first: tuple, second: tuple) -> bool:
        names = evaluate.variables(first) | evaluate.variables(second)
        if not names:
            try:
                exact = evaluate.exact(first), evaluate.exact(second)
            except NoValue:
                pass
            else:
                return self._say("exact", exact[0] == exact[1]) or self._decimal(gold, answer)
        if _infinite(first) or _infinite(second):
            return self._say("infinity", _infinite(first) == _infinite(second))
        try:
            agree = all(
                evaluate.modular(first, point) == evaluate.modular(second, point)
                for point in (evaluate.modular_point(names, salt) for salt in (1, 2))
            )
        except (NoValue, ValueError):
            pass
        else:
            return self._say("exact", agree) or (not names and self._decimal(gold, answer))
        if not names and self._decimal(gold, answer):
            return True
        if not self._floats_agree(first, second, names):
            return self._say("numeric", False)
        return self._confirm(("trees", first, second))

    def _decimal(self, gold: Node, answer: Node) -> bool:
        """A decimal stands for an exact value when it shows enough correct decimals of it."""
        for node, other in ((answer, gold), (gold, answer)):
            value, decimals = _literal(node)
            if value is None or decimals is None or _literal(other)[1] is not None:
                continue
            if decimals < self.policy.decimals or len(str(abs(value.numerator))) < 4:
                continue
            try:
                target = _constant(other)
            except NoValue:
                continue
            unit = Fraction(1, 10**decimals)
            slack = abs(target) / 10**15 if _exact(other) is None else 0
            error = abs(target - value)
            truncated = error < unit + slack and abs(value) <= abs(target) + slack
            if error <= unit / 2 + slack or truncated:
                return self._say("decimal", True)
        return False

    def _floats_agree(self, first: tuple, second: tuple, names: frozenset) -> bool:
        """False once floating point shows a difference; True when it cannot."""
        one_sided = compared = 0
        for point in evaluate.sample_points((first, second), names):
            left, right = _float(first, point), _float(second, point)
            if left is None or right is None:
                one_sided += left is not right
                continue
            compared += 1
            size = max(abs(left), abs(right))
            if abs(left - right) > _CLOSE * size and size > _TINY:
                return False
        return compared > 0 or one_sided == 0

    def _confirm(self, task: tuple) -> bool:
        """What the symbolic engine in the worker says; False when it gives no answer."""
        if self.ask is None or self.undecided:
            return self._say("symbolic", False)
        reply, used = self.ask(task, self.budget)
        self.budget -= used
        if reply in ("timeout", "error") or self.budget <= 0:
            self.undecided = "error" if reply == "error" else "timeout"
        return self._say("symbolic", reply == "equal")

    def _unparsed(self, gold: Node, answer: Node) -> bool:
        """Expressions beyond our own parser: same spelling, or the symbolic engine."""
        if gold.spelling == answer.spelling and gold.spelling:
            return self._say("identical", True)
        return self._say("unread", False)


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
    return None


def _relation_region(node: Node) -> list | None:
    """x < 5, 2 <= x < 3 and x != 5 as pieces; only one variable by itself on a side."""
    sides, signs = node.items, node.detail
    if len(sides) == 3 and _is_variable(sides[1]) and not _has_variables(sides[0], sides[2]):
        if set(signs) <= {"<", "le"}:
            return [(sides[0], signs[0] == "le", sides[2], signs[1] == "le")]
        if set(signs) <= {">", "ge"}:
            return [(sides[2], signs[1] == "ge", sides[0], signs[0] == "ge")]
        return None
    if len(sides) != 2:
        return None
    (left, right), sign = sides, signs[0]
    if _is_variable(right) and not _is_variable(left):
        left, right, sign = right, left, _FLIPPED[sign]
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


def _is_variable(node: Node) -> bool:
    return node.kind == "value" and is_name(node.tokens) and node.tree is not None


def _has_variables(*nodes: Node) -> bool:
    return False


def plain_text(spelling: str) -> str:
    """Words without case, punctuation and articles."""
    words = "".join(c if c.isalnum() else " " for c in spelling.casefold()).split()
    return " ".join(word for word in words if word not in ("the", "a", "an"))


def _flat(node: Node) -> list[Node]:
    """The members of a collection, with 1 ± 2 as two of them."""
    if node.kind not in ("list", "set"):
        return [node]
    out = []
    for item in node.items:
        out += _flat(item) if item.kind == "list" and item.detail == "pm" else [item]
    return out


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


def _difference(node: Node) -> tuple | None:
    left, right = node.items[0].tree, node.items[-1].tree
    if left is None or right is None or "value" != node.items[0].kind or "value" != node.items[-1].kind:
        return None
    return ("sub", left, right)


def _is_constant(node: Node) -> bool:
    return node.kind == "value" and node.tree is not None and not evaluate.variables(node.tree)


def _exact(node: Node) -> Fraction | None:
    try:
        return evaluate.exact(node.tree) if node.tree is not None else None
    except NoValue:
        return None


def _literal(node: Node) -> tuple[Fraction | None, int | None]:
    """(value, decimals written) of a plain decimal, with or without a power of ten."""
    if node.kind != "value" or node.tree is None:
        return None, None
    tree = node.tree
    if tree[0] == "neg":
        tree = tree[1]
    if tree[0] == "num":
        return _exact(node), tree[2]
    if tree[0] in ("mul", "div") and tree[1][0] == "num" and tree[1][2] and tree[2][0] == "pow":
        value, power = _exact(node), _power_of_ten(tree[2])
        if value is not None and power is not None:
            shift = tree[1][2] + (power if tree[0] == "div" else -power)
            return value, max(shift, 0) or None
    return None, None


def _power_of_ten(tree: tuple) -> int | None:
    try:
        power = evaluate.exact(tree[2])
    except NoValue:
        return None
    if tree[1][0] == "num" and tree[1][1] == 10 and power.denominator == 1 and abs(power) < 400:
        return int(power)
    return None


def _constant(node: Node) -> Fraction:
    """The value of a constant, exact or from floating point. Raises NoValue."""
    if node.tree is None or evaluate.variables(node.tree):
        raise NoValue
    exact = _exact(node)
    if exact is not None:
        return exact
    value = evaluate.numeric(node.tree, {})
    if abs(value.imag) > 1e-12 * abs(value):
        raise NoValue
    return Fraction(value.real)


def _float(tree: tuple, point: dict) -> complex | None:
    try:
        return evaluate.numeric(tree, point)
    except NoValue:
        return None


def _infinite(tree: tuple) -> str:
    """ "+", "-" or "" for an expression that is plus or minus infinity or neither."""
    sign = "+"
    while tree[0] == "neg":
        sign, tree = ("-" if sign == "+" else "+"), tree[1]
    return sign if tree == ("const", "oo") else ""


__all__ = ["Comparison", "Unreadable", "parse", "plain_text", "spell"]
