r"""What an expression is worth: exactly where that is cheap, as floating point otherwise.

Three ways, all of bounded cost and none of them able to hang:

* `exact`: a constant built from rationals, as a Fraction;
* `modular`: a rational function at a point of a finite field. Two rational functions that agree at
  random points of a field of 2^61 - 1 elements are equal (Schwartz-Zippel), however large their
  coefficients or powers;
* `numeric`: complex floating point at fixed sample points, or the same code on mpmath numbers.

Equality that only floating point supports is confirmed with many digits by the worker process.
"""
# word lists read better as words
# ruff: noqa: SIM905

import cmath
import math
import zlib
from fractions import Fraction

PRIME = 2**61 - 1
_MAX_BITS = 40_000
_MAX_FACTORIAL = 3_000
_MAX_TERMS = 500  # of a sum


class NoValueError(Exception):
    """The expression has no value here, or none that can be computed in bounded time."""


def variables(tree: tuple) -> frozenset[str]:
    """The free variables; "#" is the bound one of a sum, product, integral or limit."""
    if tree[0] == "var":
        return frozenset((tree[1],)) if tree[1] != "#" else frozenset()
    found: frozenset[str] = frozenset()
    for part in tree[1:]:
        if isinstance(part, tuple):
            found |= variables(part)
    return found


def contains(tree: tuple, nodes: frozenset) -> bool:
    """Whether a node or a function named in `nodes` occurs in `tree`."""
    if tree[0] in nodes or (tree[0] in ("fn", "many", "const") and tree[1] in nodes):
        return True
    return any(isinstance(part, tuple) and contains(part, nodes) for part in tree[1:])


def exact(tree: tuple) -> Fraction:
    """The value of a constant rational expression. Raises NoValueError."""
    kind = tree[0]
    if kind == "num":
        return tree[1]
    if kind == "neg":
        return -exact(tree[1])
    if kind in ("add", "sub", "mul", "div"):
        return _bounded(_arithmetic(kind, exact(tree[1]), exact(tree[2])))
    if kind == "pow":
        return _exact_power(exact(tree[1]), exact(tree[2]))
    if kind == "root":
        return _exact_root(exact(tree[1]), exact(tree[2]))
    if kind == "fact":
        return Fraction(_factorial(exact(tree[1])))
    if kind == "binom":
        return _binomial(exact(tree[1]), exact(tree[2]))
    if kind == "mod":
        divisor = exact(tree[2])
        if divisor == 0:
            raise NoValueError
        return exact(tree[1]) % divisor
    if kind == "fn" and tree[1] in ("floor", "ceil", "abs"):
        inner = exact(tree[2])
        return Fraction({"floor": math.floor, "ceil": math.ceil, "abs": abs}[tree[1]](inner))
    if kind == "many":
        return _exact_many(tree[1], [exact(item) for item in tree[2:]])
    raise NoValueError


def _arithmetic(kind: str, left, right):
    if kind == "add":
        return left + right
    if kind == "sub":
        return left - right
    if kind == "mul":
        return left * right
    if right == 0:
        raise NoValueError
    return left / right


def _bounded(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > _MAX_BITS:
        raise NoValueError
    return value


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        root = _exact_root(base, Fraction(exponent.denominator))
        return _exact_power(root, Fraction(exponent.numerator))
    size = base.numerator.bit_length() + base.denominator.bit_length()
    if abs(exponent) * size > _MAX_BITS or (base == 0 and exponent <= 0):
        raise NoValueError
    return base ** int(exponent)


def _exact_root(value: Fraction, degree: Fraction) -> Fraction:
    if degree.denominator != 1 or not 0 < degree < 100 or (value < 0 and degree % 2 == 0):
        raise NoValueError
    sign, n = (-1 if value < 0 else 1), int(degree)
    top, bottom = _integer_root(abs(value.numerator), n), _integer_root(value.denominator, n)
    if top is None or bottom is None:
        raise NoValueError
    return Fraction(sign * top, bottom)


def _integer_root(value: int, degree: int) -> int | None:
    """The exact root, or None."""
    if value < 2 or degree == 1:
        return value
    if degree == 2:
        root = math.isqrt(value)
    else:
        low, high = 1, 1 << (value.bit_length() // degree + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if middle**degree <= value else (low, middle - 1)
        root = low
    return root if root**degree == value else None


def _factorial(value: Fraction) -> int:
    if value.denominator != 1 or not 0 <= value <= _MAX_FACTORIAL:
        raise NoValueError
    return math.factorial(int(value))


def _binomial(upper: Fraction, lower: Fraction) -> Fraction:
    if (
        upper.denominator != 1
        or lower.denominator != 1
        or not 0 <= lower <= upper <= _MAX_FACTORIAL
    ):
        raise NoValueError
    return Fraction(math.comb(int(upper), int(lower)))


def _exact_many(name: str, items: list[Fraction]) -> Fraction:
    if name in ("max", "min"):
        return max(items) if name == "max" else min(items)
    if any(item.denominator != 1 for item in items):
        raise NoValueError
    whole = [int(item) for item in items]
    return Fraction(math.gcd(*whole) if name == "gcd" else math.lcm(*whole))


def modular(tree: tuple, salt: int, *, opaque: bool = False) -> int:
    """The value of a rational function modulo PRIME at the point that `salt` stands for.

    With `opaque`, whatever is not rational (a root, a function, pi) counts as one more variable, so
    that equal values mean equal expressions, but different ones mean nothing. Else it raises
    NoValueError.
    """
    kind = tree[0]
    if kind == "num":
        return tree[1].numerator * pow(tree[1].denominator, -1, PRIME) % PRIME
    if kind == "var":
        return _residue(tree[1], salt)
    if kind == "neg":
        return -modular(tree[1], salt, opaque=opaque) % PRIME
    if kind in ("add", "sub", "mul", "div"):
        left = modular(tree[1], salt, opaque=opaque)
        right = modular(tree[2], salt, opaque=opaque)
        if kind != "div":
            return _arithmetic(kind, left, right) % PRIME
        if right == 0:
            raise NoValueError
        return left * pow(right, -1, PRIME) % PRIME
    try:
        if kind == "pow":
            return _modular_power(modular(tree[1], salt, opaque=opaque), exact(tree[2]))
        return modular(("num", exact(tree), None), salt)
    except NoValueError:
        if not opaque or (kind == "const" and tree[1] == "oo"):
            raise
        return _residue(repr(tree), salt)


def _modular_power(base: int, exponent: Fraction) -> int:
    if exponent.denominator != 1 or (base == 0 and exponent <= 0):
        raise NoValueError
    return pow(base, int(exponent), PRIME)


def _residue(name: str, salt: int) -> int:
    return _hash(name, salt) * _hash(name, ~salt) % PRIME


def _hash(name: str, salt: int) -> int:
    return zlib.crc32(f"{salt}:{name}".encode()) + 2


_COUNTED = frozenset(("fact", "binom", "gcd", "lcm", "sum", "prod"))
_WHOLE = _COUNTED | {"floor", "ceil", "mod"}
_COUNTERS = frozenset("n m k p q N M K i j".split())  # variables that stand for whole numbers
_UNKNOWNS = frozenset("x y z t".split())  # and those that may always be negative
_BRANCHED = frozenset(("root", "log", "pow"))
HARD = frozenset(("sum", "prod", "int", "lim"))  # too slow for a first look in floating point
_WANTED = 10  # points at which both sides have a value
_TRIED = 72


class Samples:
    """The points at which two trees are compared: where both have a real value.

    Roots and logarithms want an argument that is not negative, arcsines one in [-1, 1], factorials
    whole numbers: points outside such a domain decide nothing and are passed over, and points of
    other sizes and signs are tried until enough lie inside. With several letters under roots, those
    that are not usual names of unknowns are quantities (a mass, a length) and positive.
    """

    def __init__(self, *trees: tuple):
        self.names = sorted(frozenset().union(*map(variables, trees)))
        self.whole = any(contains(tree, _WHOLE) for tree in trees)
        counted = any(contains(tree, _COUNTED) for tree in trees)
        self.only_whole = counted or (self.whole and set(self.names) <= _COUNTERS)
        branched = any(contains(tree, _BRANCHED) for tree in trees)
        signed = any(contains(tree, frozenset(("abs",))) for tree in trees)
        free = {n for n in self.names if n in _UNKNOWNS}
        self.positive = set(self.names) - free if branched and not signed else set()
        if len(self.names) < 2:
            self.positive = set()
        self.scale = max(2.0, *map(_largest, trees))

    def __iter__(self):
        if not self.names:
            yield {}
            return
        if self.whole:
            for salt in range(_TRIED if self.only_whole else 4):
                yield {n: complex(_hash(n, salt) % (4 + salt % 9)) + 1 for n in self.names}
            if self.only_whole:
                return
        for salt in range(_TRIED):
            yield {name: self._at(name, salt) for name in self.names}

    def _at(self, name: str, salt: int) -> complex:
        size = 0.05 + _hash(name, salt) % 10_007 / 10_007
        if salt % 3 == 2:
            size *= 2.0 ** (_hash(name, -salt - 3) % 8 - 4)  # letters of very different sizes
        scale = (1.0, 2.5, self.scale, 0.3, 3 * self.scale)[salt % 5]
        negative = salt >= 2 and _hash(name, salt) % 97 % 2 and name not in self.positive
        return complex(-size * scale if negative else size * scale)

    def pairs(self, first: tuple, second: tuple, field=None, convert=None):
        """(value, value) of two trees at up to `_WANTED` points where both have one.

        A last pair of None says that there is no such point, though one side has values.
        """
        field = field or FloatField
        found, one_sided = 0, 0
        for point in self:
            at = {n: convert(v) for n, v in point.items()} if convert else point
            left, right = _value(first, at, field), _value(second, at, field)
            if left is None or right is None:
                one_sided += left is not right
                continue
            found += 1
            yield left, right
            if found == _WANTED:
                break
        if one_sided and (not found or (self.only_whole and one_sided > 3 * found)):
            yield None, None


def _value(tree: tuple, point: dict, field):
    try:
        return numeric(tree, point, field)
    except NoValueError:
        return None


def _largest(tree: tuple) -> float:
    """The largest number in a tree, as the scale on which a variable matters."""
    if tree[0] == "num":
        return float(min(abs(tree[1]), 10**9))
    return max((_largest(part) for part in tree[1:] if isinstance(part, tuple)), default=0.0)


class FloatField:
    """Complex floating point behind `numeric`. The worker has the same with mpmath."""

    number = staticmethod(lambda value: complex(value.numerator / value.denominator))
    pi, e, i = complex(math.pi), complex(math.e), 1j
    log = staticmethod(cmath.log)

    @staticmethod
    def function(name: str, value):
        return getattr(cmath, name)(value)

    @staticmethod
    def finite(value) -> bool:
        return cmath.isfinite(value)

    @staticmethod
    def factorial(value) -> complex:
        if value.imag or value.real < 0 or value.real > 170:
            raise NoValueError
        return complex(math.gamma(value.real + 1))

    @staticmethod
    def limit(*_):
        raise NoValueError

    @staticmethod
    def floor(value) -> complex:
        return complex(math.floor(value.real + 1e-9))


_CMATH_NAMES = frozenset("sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh exp".split())
_RECIPROCAL = {
    "cot": "tan", "sec": "cos", "csc": "sin", "coth": "tanh", "sech": "cosh", "csch": "sinh",
    "asec": "acos", "acsc": "asin",
}  # fmt: skip


def numeric(tree: tuple, point: dict, field=FloatField):
    """The value of `tree` at `point`. Raises NoValueError where there is none."""
    try:
        value = _numeric(tree, point, field)
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise NoValueError from error
    if not field.finite(value):
        raise NoValueError
    return value


def _numeric(tree: tuple, point: dict, field):
    kind = tree[0]
    if kind == "num":
        return field.number(tree[1])
    if kind == "var":
        return point[tree[1]]
    if kind == "const":
        if tree[1] == "oo":
            raise NoValueError
        return getattr(field, tree[1])
    if kind == "neg":
        return -_numeric(tree[1], point, field)
    if kind in ("add", "sub", "mul", "div"):
        return _arithmetic(
            kind, _numeric(tree[1], point, field), _numeric(tree[2], point, field)
        )  # fmt: skip
    if kind == "pow":
        return _power(
            _numeric(tree[1], point, field), _numeric(tree[2], point, field), point, field
        )
    if kind == "root":
        base, degree = _numeric(tree[1], point, field), _numeric(tree[2], point, field)
        if _negative(base) and degree.imag == 0 and degree.real % 2 == 1:
            if point and set(point) != {"#"}:
                raise NoValueError
            return -((-base) ** (1 / degree))
        return _power(base, 1 / degree, point, field)
    if kind in HARD:
        return _bound(tree, point, field)
    if kind == "deg":
        return _numeric(tree[1], point, field) * field.pi / 180
    if kind == "log":
        return _logarithm(tree, point, field)
    if kind == "fact":
        return field.factorial(_numeric(tree[1], point, field))
    if kind == "binom":
        n, k = _numeric(tree[1], point, field), _numeric(tree[2], point, field)
        return field.factorial(n) / field.factorial(k) / field.factorial(n - k)
    if kind == "mod":
        a, b = _numeric(tree[1], point, field), _numeric(tree[2], point, field)
        return a - b * field.floor(a / b)
    if kind == "many":
        values = [_numeric(item, point, field).real for item in tree[2:]]
        if tree[1] not in ("max", "min"):
            return field.number(_exact_many(tree[1], [Fraction(round(v)) for v in values]))
        return field.number(Fraction(0)) + (max(values) if tree[1] == "max" else min(values))
    return _function(tree[1], _numeric(tree[2], point, field), field, bool(point))


def _bound(tree: tuple, point: dict, field):
    """A sum or product of few terms; what is infinite or continuous is for the field to do."""
    kind, low, high, body = tree

    def term(value):
        return _numeric(body, {**point, "#": value}, field)

    ends = [_end(tree, point, field) for tree in (low, high)]
    if kind in ("int", "lim") or isinstance(ends[1], float):
        return field.limit(kind, term, *ends)
    start, last = ends
    count = last.real - start.real + 1
    if start.imag or last.imag or start.real % 1 or last.real % 1 or not 0 <= count <= _MAX_TERMS:
        raise NoValueError
    total = field.number(Fraction(kind == "prod"))
    for index in range(int(count)):
        value = term(start + index)
        total = total * value if kind == "prod" else total + value
    return total


def _end(tree: tuple | None, point: dict, field):
    """An end of a sum or integral; infinity as a float."""
    sign, inner = (-1, tree[1]) if tree and tree[0] == "neg" else (1, tree)
    if inner == ("const", "oo"):
        return sign * math.inf
    if tree is None:
        raise NoValueError
    return _numeric(tree, point, field)


def _negative(value) -> bool:
    return value.real < 0 and abs(value.imag) <= 1e-12 * abs(value.real)


def _power(base, exponent, point: dict, field):
    """Principal value; a point where a negative base meets a fraction decides nothing."""
    if point and _negative(base) and exponent.real != field.floor(exponent).real:
        raise NoValueError
    if base == 0 and exponent.real <= 0:
        raise NoValueError
    return base**exponent


def _logarithm(tree: tuple, point: dict, field):
    value = _numeric(tree[2], point, field)
    if value == 0 or (point and _negative(value)):
        raise NoValueError
    if tree[1] is None:
        return field.log(value) / field.log(field.number(Fraction(10)))
    base = _numeric(tree[1], point, field)
    if base in (0, 1):
        raise NoValueError
    return field.log(value) / field.log(base)


def _function(name: str, value, field, sampled: bool = False):
    """A function's value; at a sample point only where it is real."""
    if name == "acot":
        return field.pi / 2 - field.function("atan", value)
    if name in ("asec", "acsc"):
        value, name = 1 / value, _RECIPROCAL[name]
    if sampled and name in ("asin", "acos") and value.imag == 0 and abs(value.real) > 1:
        raise NoValueError
    if name == "abs":
        return field.number(Fraction(0)) + abs(value)
    if name == "floor":
        return field.floor(value)
    if name == "ceil":
        return -field.floor(-value)
    if name in _RECIPROCAL:
        return 1 / field.function(_RECIPROCAL[name], value)
    if name in _CMATH_NAMES:
        return field.function(name, value)
    raise NoValueError
