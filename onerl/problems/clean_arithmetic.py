r"""`clean-arithmetic`: arithmetic that nobody has read before, with a difficulty that can be set.

The usual sets are in the training text of the models that are tested on them; an expression drawn
at random is not. The idea is the RandomCalculation set of arXiv 2507.10532 (numbers, fractions,
squares and cubes joined by the four operations, 1 to 20 steps); generator and form are ours, and
so are its numbers. Here every answer is exact: an integer or a fraction in lowest terms, so that
it is graded like any other and not by closeness.

Level n has n operations, nested at random. Numerators and denominators of all intermediate values
are bounded, or long expressions would be about long division alone. A seed is a version of the
set: `generate(7)` gives the same problems everywhere, and two seeds share none from level 5 on.

Not covered: words, variables, roots, decimals.
"""

from __future__ import annotations

import random
from fractions import Fraction
from operator import add, mul, sub, truediv
from typing import NamedTuple

from onerl.problems.problem import Problem

LEVELS = range(1, 21)
PER_LEVEL = 20
LARGEST_NUMERATOR = 10**6
LARGEST_DENOMINATOR = 10**3
OPERATIONS = {"+": add, "-": sub, r"\times": mul, r"\div": truediv}
QUESTION = "Calculate exactly, as an integer or a fraction in lowest terms: ${expression}$"


class Term(NamedTuple):
    """An expression as LaTeX, its value, and whether it needs parentheses inside another."""

    text: str
    value: Fraction
    joined: bool = False


def generate(seed: int = 0) -> list[Problem]:
    """400 problems, 20 of each level from 1 to 20, easiest first, all different.

    The gold answer is an integer or `\\frac{a}{b}` in lowest terms, with a sign in front.
    """
    answers: dict[str, str] = {}  # by question
    for level in LEVELS:
        rng = random.Random(f"clean-arithmetic:{seed}:{level}")
        while len(answers) < level * PER_LEVEL:
            term = _expression(level, rng)
            answers.setdefault(QUESTION.replace("{expression}", term.text), _latex(term.value))
    problems = []
    for index, (question, answer) in enumerate(answers.items()):
        level, number = index // PER_LEVEL + 1, index % PER_LEVEL + 1
        name = f"clean-arithmetic:{seed}/{level}/{number}"
        problems.append(Problem(name, question, answer, "Arithmetic", "clean-arithmetic", level))
    return problems


def _expression(steps: int, rng: random.Random) -> Term:
    """An expression of so many operations, whose value stays within the bounds."""
    if steps == 0:
        return _number(rng)
    while True:
        left = rng.randrange(steps)
        sides = _expression(left, rng), _expression(steps - 1 - left, rng)
        for sign in rng.sample(list(OPERATIONS), 4):
            if sign == r"\div" and not sides[1].value:
                continue
            value = OPERATIONS[sign](sides[0].value, sides[1].value)
            small = abs(value.numerator) <= LARGEST_NUMERATOR
            if small and value.denominator <= LARGEST_DENOMINATOR:
                texts = [f"({side.text})" if side.joined else side.text for side in sides]
                return Term(f"{texts[0]} {sign} {texts[1]}", value, joined=True)


def _number(rng: random.Random) -> Term:
    """A whole number up to 100, a fraction, a square or a cube."""
    kind = rng.choices(("whole", "fraction", "square", "cube"), (5, 2, 2, 1))[0]
    if kind == "whole":
        value = rng.randint(1, 100)
        return Term(str(value), Fraction(value))
    if kind == "fraction":
        top, bottom = rng.randint(1, 12), rng.randint(2, 12)
        return Term(rf"\frac{{{top}}}{{{bottom}}}", Fraction(top, bottom))
    power, largest = {"square": (2, 12), "cube": (3, 6)}[kind]
    base = rng.randint(2, largest)
    return Term(f"{base}^{power}", Fraction(base**power))


def _latex(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
