r"""What the worker computes: the floating-point comparison again, with a hundred digits and more.

Runs only inside the worker process. Two answers of a few hundred characters whose difference at
every sample point is nothing but rounding, which shrinks when digits are added, are equal.
Infinite sums, integrals and limits are mpmath's, and agree to twenty digits.
"""

from fractions import Fraction

import mpmath

from onerl.verifier.numeric import HARD, FloatField, NoValueError, contains
from onerl.verifier.samples import Samples

_DIGITS = (80, 200)
_HARD_DIGITS = 30


class MpField(FloatField):
    """The numbers behind `numeric.numeric`, with many digits."""

    complex = mpmath.mpc
    pi = property(lambda self: mpmath.mpc(mpmath.pi))
    e = property(lambda self: mpmath.mpc(mpmath.e))
    i = mpmath.mpc(0, 1)
    library = mpmath

    @staticmethod
    def number(value: Fraction):
        return mpmath.mpc(mpmath.mpf(value.numerator) / value.denominator)

    @staticmethod
    def finite(value) -> bool:
        return bool(mpmath.isfinite(value)) and abs(value) < mpmath.mpf(10) ** 100_000

    @staticmethod
    def fact(value):
        if value.imag or value.real < 0 or value.real > 10_000:
            raise NoValueError
        return mpmath.gamma(value + 1)

    @staticmethod
    def floor(value):
        return mpmath.mpc(mpmath.floor(value.real + mpmath.mpf(10) ** -40))

    @staticmethod
    def limit(kind: str, term, start, end):
        """An integral, an infinite sum or product, or a limit, by mpmath's extrapolation."""
        start, end = (mpmath.mpf(at) if isinstance(at, float) else at.real for at in (start, end))
        if kind == "int":
            return mpmath.mpc(mpmath.quad(term, [start, end]))
        if kind == "lim":
            return mpmath.mpc(mpmath.limit(lambda at: term(mpmath.mpc(at)), start, exp=True))
        method = mpmath.nsum if kind == "sum" else mpmath.nprod
        return mpmath.mpc(method(lambda at: term(mpmath.mpc(at)), [int(start), mpmath.inf]))


def same_trees(first: tuple, second: tuple) -> bool:
    """Whether two trees agree wherever both have a value, and have one somewhere."""
    samples = Samples(first, second)
    hard = contains(first, HARD) or contains(second, HARD)
    differences = []
    for digits in (_HARD_DIGITS,) if hard else _DIGITS:
        mpmath.mp.dps = digits
        bound, found = mpmath.mpf(10) ** (-digits // 2), []
        for left, right in samples.pairs(first, second, MpField, mpmath.mpc):
            if left is None:
                return False
            size = max(abs(left), abs(right))
            found.append((abs(left - right), size))
            if abs(left - right) > bound * size and size > bound:
                return False
        differences.append(found)
    if len(differences[-1]) < (3 if samples.names else 1):
        return False
    return hard or all(map(_vanishes, *differences))


def _vanishes(few: tuple, many: tuple) -> bool:
    """Whether a difference is rounding, which added digits make smaller, and not a tiny number."""
    if not many[0]:
        return True
    if few[0]:
        return many[0] < few[0] * mpmath.mpf(10) ** -50
    return many[0] < max(many[1], 1) * mpmath.mpf(10) ** -180


def warm() -> None:
    """First use of what questions need, before the first fork."""
    x, one, two = ("var", "x"), ("num", Fraction(1), None), ("num", Fraction(2), None)
    square = ("add", ("pow", ("fn", "sin", x), two), ("pow", ("fn", "cos", x), two))
    same_trees(("log", ("const", "e"), ("fn", "exp", square)), one)
    same_trees(("root", ("fact", ("mul", ("const", "pi"), one)), two), ("const", "pi"))
    same_trees(("int", "#", one, two, ("var", "#")), one)
