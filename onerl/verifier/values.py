r"""When two expressions with their units are equal: exactly if possible, numerically if not.

The order is: units, identical trees, exact rationals, rational functions over a finite field,
decimals of an exact value, floating point (which can only refuse), and last the engine (which
confirms with many digits).
"""

from dataclasses import replace
from fractions import Fraction

from onerl.verifier import numeric, units
from onerl.verifier.node import Node
from onerl.verifier.numeric import HARD, NoValueError, attempt, infinite, nodes, rebuilt
from onerl.verifier.samples import Samples

ENGINE_SECONDS = 0.5  # CPU time of the engine one comparison may use
DECIMALS = 6  # correct decimals a decimal must show to stand for an exact gold answer
_CLOSE = 1e-6  # floats further apart than this (relative) are different numbers
_TINY = 1e-9  # below this, cancellation may hide a difference: ask for more digits
RADIAN = units.read_unit(["rad"])


class ValueComparison:
    """Compares values; `Comparison` adds shapes. `ask(task, seconds)` is the symbolic engine."""

    def __init__(self, ask=None):
        self.ask = ask
        self.budget = ENGINE_SECONDS
        self.rule = "value"
        self.undecided = ""  # "timeout" or "error" once the engine failed to answer
        self.unread = False  # whether a part of the answer is no expression

    def _say(self, rule: str, verdict: bool) -> bool:
        self.rule = rule
        return verdict

    def values(self, gold: Node, answer: Node) -> bool:
        """Two expressions with their units."""
        marks = {gold.mark, answer.mark}
        agree = units.agree(gold.unit, answer.unit)
        if agree and "deg" in marks and RADIAN in (gold.unit, answer.unit):
            gold, answer = (n if n.mark else replace(n, unit=None) for n in (gold, answer))
            return gold.mark != answer.mark and self._other_scale(gold, answer)
        crossed = (gold.mark and answer.unit) or (answer.mark and gold.unit)
        if not agree or marks == {"%", "deg"} or (len(marks) == 2 and crossed):
            return self._say("units differ", False)
        if gold.tree is None or answer.tree is None:  # beyond our parser: by spelling
            self.unread = self.unread or answer.tree is None
            same = gold.spelling == answer.spelling != ""
            return self._say("identical" if same else "unread", same)
        if numeric.variables(answer.tree) and not numeric.variables(gold.tree):
            answer = without_short_unit(answer)
            if not units.agree(gold.unit, answer.unit):
                return self._say("units differ", False)
        first, second = gold.tree, answer.tree
        if first == second:
            return self._say("identical", True)
        if numeric.contains(second, HARD) and not (
            numeric.variables(first) or numeric.contains(first, HARD)
        ):
            return self._say("left standing", False)
        if any(self._same_value(gold, answer, *pair) for pair in _readings(gold, answer)):
            return True
        return len(marks) == 2 and self._other_scale(gold, answer)

    def _other_scale(self, gold: Node, answer: Node) -> bool:
        """10 % is 0.1, and 30 degrees is pi/6, when only one side carries the sign."""
        marked, plain = (gold, answer) if gold.mark else (answer, gold)
        if marked.mark == "%":
            scaled = ("div", marked.tree, ("num", Fraction(100), None))
        elif marked.mark == "deg" and "pi" in {token.text for token in plain.tokens}:
            scaled = ("deg", marked.tree)
        else:
            return False
        return self._same_value(gold, answer, scaled, plain.tree)

    def _same_value(self, gold: Node, answer: Node, first: tuple, second: tuple) -> bool:
        equal = attempt(lambda: numeric.exact(first) == numeric.exact(second))
        if equal is not None:
            return self._say("exact", equal) or self._decimal(gold, answer)
        if infinite(first) or infinite(second):
            return self._say("infinity", infinite(first) == infinite(second))
        equal = attempt(_agree, first, second)
        if equal is not None:
            return self._say("exact", equal) or self._decimals(gold, answer, first, second)
        if attempt(_agree, first, second, opaque=True):
            return self._say("exact", True)
        if self._decimals(gold, answer, first, second):
            return True
        hard = numeric.contains(first, HARD) or numeric.contains(second, HARD)
        if not hard and not self._floats_agree(first, second):
            return self._say("numeric", False)
        return self._confirm((first, second))

    def _decimals(self, gold: Node, answer: Node, first: tuple, second: tuple) -> bool:
        """A decimal of an exact value, or coefficients that are."""
        if not numeric.variables(first) and self._decimal(gold, answer):
            return True
        return self._say("decimal", _coefficients_agree(first, second))

    def _decimal(self, gold: Node, answer: Node) -> bool:
        """A decimal stands for an exact value when it shows enough correct decimals of it."""
        for node, other in ((answer, gold), (gold, answer)):
            value, decimals = literal(node)
            if decimals is None or decimals < DECIMALS or literal(other)[1] is not None:
                continue
            shown = len(str(abs(round(value * 10**decimals))))  # digits after leading zeros
            target = attempt(constant, other)
            if shown < 4 or target is None:
                continue
            slack = abs(target) / 10**15 if exact_value(other) is None else Fraction(0)
            if shows(value, decimals, target, slack):
                return self._say("decimal", True)
        return False

    def _floats_agree(self, first: tuple, second: tuple) -> bool:
        """False once floating point shows a difference; True when it cannot."""
        for left, right in Samples(first, second).pairs(first, second):
            if left is None:
                return False
            size = max(abs(left), abs(right))
            if abs(left - right) > _CLOSE * size and size > _TINY:
                return False
        return True

    def _confirm(self, trees: tuple) -> bool:
        """What the symbolic engine in the worker says; False when it gives no answer."""
        if self.ask is None or self.undecided:
            return self._say("symbolic", False)
        reply, used = self.ask(trees, self.budget)
        self.budget -= used
        if reply in ("timeout", "error") or self.budget <= 0:
            self.undecided = "error" if reply == "error" else "timeout"
        return self._say("symbolic", reply == "equal")

    def _factor(self, first: tuple | None, second: tuple | None) -> float | None:
        """The constant c with second = c * first, or None."""
        if first is None or second is None:
            return None
        if not numeric.variables(first) or numeric.variables(first) != numeric.variables(second):
            return None
        pairs = Samples(first, second).pairs(first, second)
        ratios = [right / left for left, right in pairs if left]
        if len(ratios) < 3 or abs(ratios[0].imag) > 1e-9 * abs(ratios[0]):
            return None
        factor = ratios[0].real
        return factor if all(abs(r - factor) <= 1e-8 * abs(factor) for r in ratios) else None


def _readings(gold: Node, answer: Node):
    """Pairs of trees: as written, t/RC as t/(RC), \\log as \\ln where the other side names it."""
    first, second = gold.tree, answer.tree
    yield first, second
    for one, other in ((first, answer.tight), (gold.tight, second)):
        if one is not None and other is not None:
            yield one, other
    natural = rebuilt(first, _natural), rebuilt(second, _natural)
    if (natural[0] == first) != (natural[1] == second):
        yield natural


def _natural(node: tuple) -> tuple:
    """A logarithm without a base as a natural one."""
    return ("log", ("const", "e"), node[2]) if node[:2] == ("log", None) else node


def _coefficients_agree(first: tuple, second: tuple) -> bool:
    """Whether one side is the other with decimals in place of its exact coefficients.

    Each decimal may be wrong by half a unit of its last place, and no more: the difference of the
    two sides is compared with what such errors make of it, in its real and imaginary part.
    """
    decimals, theirs = (
        [node for node in nodes(tree) if node[0] == "num" and node[2]] for tree in (second, first)
    )
    if not decimals:
        first, second, decimals, theirs = second, first, theirs, decimals
    if theirs or not 0 < len(decimals) < 5 or second[0] == "num":
        return False
    if any(places < DECIMALS or abs(value) * 10**places < 1000 for _, value, places in decimals):
        return False
    trees = [first, second, *(_raised(second, decimal) for decimal in decimals)]
    compared = 0
    for point in Samples(first, second):
        values = attempt(lambda at=point: [numeric.numeric(tree, at) for tree in trees])
        if values is None:
            continue
        exact, rounded, *moved = values
        for part in ("real", "imag"):
            allowed = sum(abs(getattr(move - rounded, part)) for move in moved)
            error = abs(getattr(exact - rounded, part))
            if error > allowed * (1 + 1e-6) + 1e-14 * abs(exact):
                return False
        compared += 1
        if compared == 4:
            break
    return compared > 0


def _raised(tree: tuple, decimal: tuple) -> tuple:
    """`tree` with one decimal half a unit of its last place larger."""
    raised = ("num", decimal[1] + Fraction(1, 2 * 10 ** decimal[2]), None)
    return rebuilt(tree, lambda node: raised if node is decimal else node)


def _agree(first: tuple, second: tuple, *, opaque: bool = False) -> bool:
    """Whether two rational functions are equal, by their values in a finite field."""
    return all(
        numeric.modular(first, prime, opaque=opaque)
        == numeric.modular(second, prime, opaque=opaque)
        for prime in numeric.PRIMES
    )


def shows(value: Fraction, decimals: int, target: Fraction, slack: Fraction = Fraction(0)) -> bool:
    """Whether a decimal is `target`, rounded or cut after that many decimals."""
    unit, error = Fraction(1, 10**decimals), abs(target - value)
    cut = error < unit + slack and abs(value) <= abs(target) + slack
    return error <= unit / 2 + slack or cut


def shows_exactly(node: Node, target: Fraction) -> bool:
    """Whether a written decimal is `target` to within its own rounding."""
    value, decimals = literal(node)
    return decimals is not None and shows(value, decimals, target)


_SHORT_UNITS = {name: name for name in "mshglLJNWVKA"} | {"\\Omega": "ohm"}


def without_short_unit(node: Node) -> Node:
    """ "10 m" and "1.5 m^2" as numbers with a unit; elsewhere a single letter is a variable."""
    tokens = node.tokens
    at = next((i for i, token in enumerate(tokens) if token.kind == "letter"), 0)
    if not at or tokens[at - 1].kind not in ("num", "close"):
        return node
    tail = [token.text for token in tokens[at:] if token.text not in "{}"]
    if tail[0] in "MLR" and tail[1:] == ["_", "\\odot"]:  # the sun's mass, luminosity, radius
        tail = [tail[0].lower() + "sun"]
    elif not tokens[at].space and tail[0] != "\\Omega":
        return node
    else:
        tail[0] = _SHORT_UNITS.get(tail[0], "")
    unit = units.read_unit(tail) if tail[0] else None
    if unit is None or len(tail) not in (1, 3):
        return node
    return Node("value", tokens[:at], unit=unit)


def difference(node: Node) -> tuple | None:
    """The left side of a relation minus the right one, or None if they are no expressions."""
    sides = [
        side.tree if side.kind == "value" else None for side in (node.items[0], node.items[-1])
    ]
    return None if None in sides else ("sub", *sides)


def is_constant(node: Node) -> bool:
    return node.kind == "value" and node.tree is not None and not numeric.variables(node.tree)


def exact_value(node: Node) -> Fraction | None:
    return attempt(numeric.exact, node.tree) if node.tree is not None else None


def literal(node: Node) -> tuple[Fraction | None, int | None]:
    """(value, decimals written) of a plain decimal, with or without a power of ten."""
    tree = node.tree if node.kind == "value" else None
    if tree and tree[0] == "neg":
        tree = tree[1]
    if tree and tree[0] == "num":
        return exact_value(node), tree[2]
    if tree and tree[0] in ("mul", "div") and tree[1][0] == "num" and tree[2][0] == "pow":
        value, (_, base, power) = exact_value(node), tree[2]
        power = attempt(numeric.exact, power)
        power_of_ten = base[:2] == ("num", 10) and power is not None and power.denominator == 1
        if tree[1][2] and value is not None and power_of_ten and abs(power) < 400:
            shift = tree[1][2] + int(power if tree[0] == "div" else -power)
            return value, max(shift, 0) or None
    return None, None


def constant(node: Node) -> Fraction:
    """The value of a constant, exact or from floating point. Raises NoValueError."""
    if node.tree is None or numeric.variables(node.tree):
        raise NoValueError
    exact = exact_value(node)
    if exact is not None:
        return exact
    value = numeric.numeric(node.tree, {})
    if abs(value.imag) > 1e-12 * abs(value):
        raise NoValueError
    return Fraction(value.real)
