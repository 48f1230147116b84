r"""What the worker computes: equality to sixty digits, and math-verify for what we do not parse.

Runs only inside the worker process. `same_trees` repeats the floating-point comparison of two of
our own syntax trees with mpmath: two answers of a few hundred characters that agree to forty
digits at every sample point are equal. `same_latex` hands LaTeX we cannot read ourselves
(integrals, sums, products of matrices) to math-verify.
"""

import logging
from fractions import Fraction

import mpmath

from onerl.verifier import numeric
from onerl.verifier.numeric import NoValueError

_DIGITS = 60
_AGREE = mpmath.mpf(10) ** -40
_NOTHING = mpmath.mpf(10) ** -48  # a difference this small after cancellation is zero


class MpField:
    """The numbers behind `numeric.numeric`, with many digits."""

    mpmath.mp.dps = _DIGITS
    pi, e, i = mpmath.mpc(mpmath.pi), mpmath.mpc(mpmath.e), mpmath.mpc(0, 1)
    log = staticmethod(mpmath.log)

    @staticmethod
    def number(value: Fraction):
        return mpmath.mpc(mpmath.mpf(value.numerator) / value.denominator)

    @staticmethod
    def function(name: str, value):
        return getattr(mpmath, name)(value)

    @staticmethod
    def finite(value) -> bool:
        return bool(mpmath.isfinite(value)) and abs(value) < mpmath.mpf(10) ** 100_000

    @staticmethod
    def factorial(value):
        if value.imag or value.real < 0 or value.real > 10_000:
            raise NoValueError
        return mpmath.gamma(value + 1)

    @staticmethod
    def floor(value):
        return mpmath.mpc(mpmath.floor(value.real + mpmath.mpf(10) ** -40))


def same_trees(first: tuple, second: tuple) -> bool:
    names = numeric.variables(first) | numeric.variables(second)
    agreed = 0
    for floats in numeric.sample_points((first, second), names):
        point = {name: mpmath.mpc(value) for name, value in floats.items()}
        try:
            left = numeric.numeric(first, point, MpField)
            right = numeric.numeric(second, point, MpField)
        except NoValueError:
            continue
        size = max(abs(left), abs(right))
        if abs(left - right) > _AGREE * size and size > _NOTHING:
            return False
        agreed += 1
    return agreed >= (3 if names else 1)


def same_latex(gold: str, answer: str) -> bool:
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    normalisation = NormalizationConfig(
        basic_latex=True,
        units=False,
        malformed_operators=True,
        nits=True,
        boxed="none",
        equations=False,
    )
    config = [LatexExtractionConfig(boxed_match_priority=0, normalization_config=normalisation)]
    parsed = [
        parse(f"${text}$", config, parsing_timeout=None, fallback_mode="no_fallback")
        for text in (gold, answer)
    ]
    # the text itself comes last in the list; only a parsed expression counts
    if any(not forms or isinstance(forms[0], str) for forms in parsed):
        return False
    return bool(verify(parsed[0], parsed[1], timeout_seconds=None))


def warm(kind: str) -> None:
    """First use of what questions of this kind need, before the first fork."""
    if kind == "trees":
        _warm_trees()
    else:
        _warm_latex()


def _warm_trees() -> None:
    x, two = ("var", "x"), ("num", Fraction(2), None)
    one = ("num", Fraction(1), None)
    square = ("add", ("pow", ("fn", "sin", x), two), ("pow", ("fn", "cos", x), two))
    same_trees(("log", ("const", "e"), ("fn", "exp", square)), one)
    same_trees(("root", ("fact", ("mul", ("const", "pi"), one)), two), ("const", "pi"))


def _warm_latex() -> None:
    logging.disable(logging.CRITICAL)
    same_latex(r"\int_0^1 x^2 dx + \sqrt{2}", r"\frac{1}{3} + 2^{1/2}")
    same_latex(r"\sum_{k=1}^{4} k", "x+10")
    matrix = r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}"
    same_latex(matrix, matrix + " + " + matrix)
