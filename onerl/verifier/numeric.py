r"""What an expression is worth: exactly where that is cheap, as floating point otherwise.

Three ways, all of bounded cost and none of them able to hang:

* `exact`: a constant built from rationals, as a Fraction;
* `modular`: a rational function at a point of a finite field. Two rational functions that agree at
  random points of two fields of 2^61 - 1 and more elements are equal (Schwartz-Zippel), however
  large their coefficients or powers;
* `numeric`: complex floating point at fixed sample points, or the same code on mpmath numbers.

Equality that only floating point supports is confirmed with many digits by the worker process.
"""

import cmath
import math
import operator
import zlib
from fractions import Fraction

PRIMES = (2**61 - 1, 2**89 - 1)  # two, as 2^61 is 1 in the first field
_MAX_BITS = 40_000
_MAX_FACTORIAL = 3_000
_MAX_TERMS = 200  # of a sum
HARD = frozenset(("sum", "prod", "int", "lim"))  # too slow for a first look in floating point


class NoValueError(Exception):
    """The expression has no value here, or none that can be computed in bounded time."""


def attempt(evaluate, *arguments, **options):
    """What `evaluate` gives, or None where there is no value."""
    try:
        return evaluate(*arguments, **options)
    except NoValueError:
        return None


def nodes(tree: tuple) -> list[tuple]:
    """Every node of a tree, from the top."""
    found = [tree]
    for node in found:
        for part in node:
            if isinstance(part, tuple):
                found.append(part)
    return found


def rebuilt(tree: tuple, change) -> tuple:
    """`tree` with each node, from the top, as `change` gives it."""
    parts = change(tree)
    return tuple(rebuilt(part, change) if isinstance(part, tuple) else part for part in parts)


def variables(tree: tuple) -> frozenset[str]:
    """The free variables; "#" begins a bound one, of a sum, product, integral or limit."""
    return frozenset(node[1] for node in nodes(tree) if node[0] == "var" and node[1][0] != "#")


def contains(tree: tuple, kinds: frozenset) -> bool:
    """Whether a node or a function named in `kinds` occurs in `tree`."""
    return any(
        node[0] in kinds or (node[0] in ("fn", "many", "const") and node[1] in kinds)
        for node in nodes(tree)
    )


def infinite(tree: tuple | None) -> str:
    """ "+", "-" or "" for an expression that is plus or minus infinity or neither."""
    sign = "+"
    while tree and tree[0] == "neg":
        sign, tree = ("-" if sign == "+" else "+"), tree[1]
    return sign if tree == ("const", "oo") else ""


_ARITHMETIC = {
    "neg": operator.neg, "add": operator.add, "sub": operator.sub, "mul": operator.mul,
    "div": operator.truediv,
}  # fmt: skip


def exact(tree: tuple) -> Fraction:
    """The value of a constant rational expression. Raises NoValueError."""
    kind, *parts = tree
    if kind == "num":
        return parts[0]
    if kind in ("fn", "many"):
        kind = parts.pop(0)
    if kind not in _EXACT:
        raise NoValueError
    try:
        value = _EXACT[kind](*map(exact, parts))
    except ZeroDivisionError as error:
        raise NoValueError from error
    if value.numerator.bit_length() + value.denominator.bit_length() > _MAX_BITS:
        raise NoValueError
    return value if isinstance(value, Fraction) else Fraction(value)


def _whole(value: Fraction, low: float = -math.inf, high: float = math.inf) -> int:
    if value.denominator != 1 or not low <= value <= high:
        raise NoValueError
    return int(value)


def _exact_power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator > 1:
        base = _exact_root(base, exponent.denominator)
    size = base.numerator.bit_length() + base.denominator.bit_length()
    if abs(exponent.numerator) * size > _MAX_BITS or (base == 0 and exponent <= 0):
        raise NoValueError
    return base**exponent.numerator


def _exact_root(value: Fraction, degree: Fraction | int) -> Fraction:
    n = _whole(degree, 1, 99)
    if value < 0 and n % 2 == 0:
        raise NoValueError
    root = Fraction(_integer_root(abs(value.numerator), n), _integer_root(value.denominator, n))
    if root**n != abs(value):
        raise NoValueError
    return root if value > 0 else -root


def _integer_root(value: int, degree: int) -> int:
    """The largest integer whose power is at most `value`, by Newton's method from above."""
    if value < 2:
        return value
    root = 1 << -(-value.bit_length() // degree)
    while (lower := ((degree - 1) * root + value // root ** (degree - 1)) // degree) < root:
        root = lower
    return root


_EXACT = _ARITHMETIC | {
    "mod": operator.mod,
    "pow": _exact_power,
    "root": _exact_root,
    "fact": lambda n: math.factorial(_whole(n, 0, _MAX_FACTORIAL)),
    "binom": lambda n, k: math.comb(_whole(n, 0, _MAX_FACTORIAL), _whole(k, 0, n)),
    "abs": abs,
    "floor": math.floor,
    "ceil": math.ceil,
    "max": lambda *items: max(items),
    "min": lambda *items: min(items),
    "gcd": lambda *items: math.gcd(*map(_whole, items)),
    "lcm": lambda *items: math.lcm(*map(_whole, items)),
}


def modular(tree: tuple, prime: int, *, opaque: bool = False) -> int:
    """The value of a rational function modulo `prime`, at a point that is fixed for each prime.

    With `opaque`, whatever is not rational (a root, a function, pi) counts as one more variable, so
    that equal values mean equal expressions, but different ones mean nothing. Else it raises
    NoValueError.
    """

    def value(tree: tuple) -> int:
        kind, *parts = tree
        if kind == "num":
            return parts[0].numerator * power(parts[0].denominator, -1) % prime
        if kind == "var":
            return residue(parts[0])
        if kind == "div":
            return value(parts[0]) * power(value(parts[1]), -1) % prime
        if kind in _ARITHMETIC:
            return _ARITHMETIC[kind](*map(value, parts)) % prime
        try:
            if kind == "pow":
                return power(value(parts[0]), _whole(exact(parts[1])))
            return value(("num", exact(tree), None))
        except NoValueError:
            if not opaque or tree == ("const", "oo"):
                raise
            return residue(repr(tree))

    def power(base: int, exponent: int) -> int:
        if base % prime == 0 and exponent <= 0:
            raise NoValueError
        return pow(base, exponent, prime)

    def residue(name: str) -> int:
        return mixed(name, prime) * mixed(name, ~prime) % prime

    return value(tree)


def mixed(name: str, salt: int) -> int:
    return zlib.crc32(f"{salt}:{name}".encode()) + 2


_OF_VALUES = frozenset(("pow", "root", "deg", "fact", "binom", "mod"))
_RECIPROCAL = {
    "cot": "tan", "sec": "cos", "csc": "sin", "coth": "tanh", "sech": "cosh", "csch": "sinh",
    "asec": "acos", "acsc": "asin",
}  # fmt: skip


def numeric(tree: tuple, point: dict, field: type | None = None):
    """The value of `tree` at `point`. Raises NoValueError where there is none."""
    numbers = (field or FloatField)(point)
    try:
        value = numbers.value(tree)
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise NoValueError from error
    if not numbers.finite(value):
        raise NoValueError
    return value


class FloatField:
    """Complex floating point behind `numeric`, with a method for each node of a tree.

    The worker has the same with mpmath's numbers in place of the first six.
    """

    complex = complex
    pi, e, i = complex(math.pi), complex(math.e), 1j
    finite = staticmethod(cmath.isfinite)
    library = cmath

    @staticmethod
    def number(value: Fraction):
        return complex(value.numerator / value.denominator)

    @staticmethod
    def fact(value):
        if value.imag or value.real < 0 or value.real > 170:
            raise NoValueError
        return complex(math.gamma(value.real + 1))

    @staticmethod
    def floor(value):
        return complex(math.floor(value.real + 1e-9))

    def __init__(self, point: dict):
        self.point = point

    def value(self, tree: tuple):
        kind, *parts = tree
        if kind in _ARITHMETIC:
            return _ARITHMETIC[kind](*map(self.value, parts))
        if kind in _OF_VALUES:
            return getattr(self, kind)(*map(self.value, parts))
        return self._bound(*tree) if kind in HARD else getattr(self, kind)(*parts)

    def num(self, value: Fraction, _):
        return self.number(value)

    def var(self, name: str):
        return self.point[name]

    def const(self, name: str):
        if name == "oo":
            raise NoValueError
        return getattr(self, name)

    def pow(self, base, exponent):
        """Principal value; a point where a negative base meets a fraction decides nothing."""
        if self.point and _negative(base) and exponent.real != self.floor(exponent).real:
            raise NoValueError
        if base == 0 and exponent.real <= 0:
            raise NoValueError
        return base**exponent

    def root(self, radicand, degree):
        if not (_negative(radicand) and degree.imag == 0 and degree.real % 2 == 1):
            return self.pow(radicand, 1 / degree)
        if any(name[0] != "#" for name in self.point):
            raise NoValueError
        return -((-radicand) ** (1 / degree))

    def deg(self, angle):
        return angle * self.pi / 180

    def binom(self, n, k):
        return self.fact(n) / self.fact(k) / self.fact(n - k)

    def mod(self, value, divisor):
        return value - divisor * self.floor(value / divisor)

    def log(self, base: tuple | None, argument: tuple):
        value = self.value(argument)
        base = self.value(base) if base else self.number(Fraction(10))
        if value == 0 or base in (0, 1) or (self.point and _negative(value)):
            raise NoValueError
        return self.library.log(value) / self.library.log(base)

    def many(self, name: str, *items: tuple):
        values = [self.value(item).real for item in items]
        if name in ("max", "min"):
            return self.complex(_EXACT[name](*values))
        return self.number(_EXACT[name](*[Fraction(round(value)) for value in values]))

    def fn(self, name: str, argument: tuple):
        """A function's value; at a sample point only where it is real."""
        value = self.value(argument)
        if name == "abs":
            return self.complex(abs(value))
        if name in ("floor", "ceil"):
            return self.floor(value) if name == "floor" else -self.floor(-value)
        if name == "acot":
            return self.pi / 2 - self.library.atan(value)
        if name in ("asec", "acsc"):
            value, name = 1 / value, _RECIPROCAL[name]
        elif name in _RECIPROCAL:
            return 1 / getattr(self.library, _RECIPROCAL[name])(value)
        if self.point and name in ("asin", "acos") and value.imag == 0 and abs(value.real) > 1:
            raise NoValueError
        return getattr(self.library, name)(value)

    def _bound(self, kind: str, name: str, low: tuple | None, high: tuple, body: tuple):
        """A sum or product of few terms; what is infinite or continuous is the worker's."""

        def term(value):
            return type(self)({**self.point, name: value}).value(body)

        start, last = self._end(low), self._end(high)
        endless = kind in ("int", "lim") or isinstance(last, float)
        if type(self) is FloatField and (endless or contains(body, HARD)):
            raise NoValueError  # for the worker, whose time is limited
        if endless:
            return self.limit(kind, term, start, last)
        count = last.real - start.real + 1
        whole = not (start.imag or last.imag or start.real % 1 or last.real % 1)
        if not whole or not 0 <= count <= _MAX_TERMS:
            raise NoValueError
        terms = [term(start + index) for index in range(int(count))]
        return (
            math.prod(terms, start=self.number(1))
            if kind == "prod"
            else self.number(0) + sum(terms)
        )

    def _end(self, tree: tuple | None):
        """An end of a sum or integral; infinity as a float."""
        if tree is None:
            raise NoValueError
        return float(infinite(tree) + "inf") if infinite(tree) else self.value(tree)


def _negative(value) -> bool:
    return value.real < 0 and abs(value.imag) <= 1e-12 * abs(value.real)
