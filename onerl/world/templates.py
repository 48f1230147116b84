"""The problem templates of the embedded world, and how each is solved, rightly and wrongly.

Fourteen templates, two for each of MATH's seven categories, with small operands and exact answers:
integers, decimals and fractions. A solver returns the steps of careful work and the mistakes of
hasty work, as text. Who may see which operands is decided in `onerl.world`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import floor

NAMES = ("Tom", "Ann", "Sam", "Mia", "Leo", "Eva")
THINGS = ("coins", "apples", "cups", "books", "pens", "cards")


@dataclass(frozen=True)
class Solution:
    """How one filled template is solved, rightly and wrongly.

    `steps` are equations such as "7*3=21", in order. `mistakes` are (steps, answer) pairs that a
    hasty writer produces. `rounding`, where the exact result has more than one decimal, is
    (exact, rounded, cut): the answer asked for is `rounded`, and `cut` is the usual slip.
    """

    answer: str
    steps: tuple[str, ...]
    mistakes: tuple[tuple[tuple[str, ...], str], ...]
    code: str
    rounding: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class Template:
    """A family of problems: wordings with {a}, {b}, … slots, the operand tuples, the solution."""

    name: str
    category: str
    wordings: tuple[str, ...]
    operands: tuple[tuple[int, ...], ...]
    solve: Callable[..., Solution]


@dataclass(frozen=True)
class Exercise:
    """One filled template: the question's text and its solution."""

    template: Template
    operands: tuple[int, ...]
    question: str
    solution: Solution


def number(value: Fraction | int) -> str:
    """Shortest exact decimal of a value whose decimal expansion ends ("6.75", "27")."""
    value = Fraction(value)
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.6f}".rstrip("0")


def fraction(numerator: int, denominator: int) -> str:
    """Reduced fraction as text; an integer stays an integer ("17/3", "4")."""
    return str(Fraction(numerator, denominator))


def times_plus(a: int, b: int, c: int) -> Solution:
    x = a * b
    return Solution(
        answer=str(x + c),
        steps=(f"{a}*{b}={x}", f"{x}+{c}={x + c}"),
        mistakes=(
            ((f"{a}+{b}={a + b}", f"{a + b}+{c}={a + b + c}"), str(a + b + c)),
            ((f"{a}*{b}={x}",), str(x)),
        ),
        code=f"{a}*{b}+{c}",
    )


def mean(a: int, b: int, c: int) -> Solution:
    s, t = a + b, a + b + c
    return Solution(
        answer=fraction(t, 3),
        steps=(f"{a}+{b}={s}", f"{s}+{c}={t}", f"{t}/3={fraction(t, 3)}"),
        mistakes=(
            ((f"{a}+{b}={s}", f"{s}+{c}={t}"), str(t)),
            ((f"{a}+{b}={s}", f"{s}/2={fraction(s, 2)}"), fraction(s, 2)),
        ),
        code=f"({a}+{b}+{c})/3",
    )


def linear(a: int, x: int, b: int) -> Solution:
    c = a * x + b
    return Solution(
        answer=str(x),
        steps=(f"{c}-{b}={a * x}", f"{a * x}/{a}={x}"),
        mistakes=(
            ((f"{c}-{b}={a * x}",), str(a * x)),
            ((f"{c}+{b}={c + b}",), str(c + b)),
        ),
        code=f"({c}-{b})/{a}",
    )


def joint(k: int, a: int, b: int) -> Solution:
    x, exact = a * b, Fraction(a * b, k)
    rounded = Fraction(floor(exact * 10 + Fraction(1, 2)), 10)
    cut = Fraction(floor(exact * 10), 10)
    return Solution(
        answer=number(rounded),
        steps=(f"{a}*{b}={x}", f"{x}/{k}={number(exact)}"),
        mistakes=(((f"{a}*{b}={x}",), str(x)), ((f"{a}+{b}={a + b}",), str(a + b))),
        code=f"{a}*{b}/{k}",
        rounding=None if rounded == exact else (number(exact), number(rounded), number(cut)),
    )


def residue(a: int, b: int, c: int, m: int) -> Solution:
    x, y = a * b, a * b + c
    return Solution(
        answer=str(y % m),
        steps=(f"{a}*{b}={x}", f"{x}+{c}={y}", f"{y} mod {m}={y % m}"),
        mistakes=(
            ((f"{a}*{b}={x}", f"{x} mod {m}={x % m}"), str(x % m)),
            ((f"{a}*{b}={x}", f"{x}+{c}={y}"), str(y)),
        ),
        code=f"({a}*{b}+{c})%{m}",
    )


def divisors(p: int, q: int, a: int, b: int) -> Solution:
    return Solution(
        answer=str((a + 1) * (b + 1)),
        steps=(f"{a}+1={a + 1}", f"{b}+1={b + 1}", f"{a + 1}*{b + 1}={(a + 1) * (b + 1)}"),
        mistakes=(((f"{a}*{b}={a * b}",), str(a * b)), ((f"{a}+{b}={a + b}",), str(a + b))),
        code=f"({a}+1)*({b}+1)",
    )


def chance(a: int, b: int, c: int) -> Solution:
    s, t = a + b, a + b + c
    return Solution(
        answer=fraction(a, t),
        steps=(f"{a}+{b}={s}", f"{s}+{c}={t}", f"{a}/{t}={fraction(a, t)}"),
        mistakes=(
            ((f"{a}+{b}={s}", f"{a}/{s}={fraction(a, s)}"), fraction(a, s)),
            ((f"{a}+{b}={s}", f"{s}+{c}={t}"), f"1/{t}"),
        ),
        code=f"{a}/({a}+{b}+{c})",
    )


def trapezoid(a: int, b: int, h: int) -> Solution:
    s, x = a + b, (a + b) * h
    area = number(Fraction(x, 2))
    return Solution(
        answer=area,
        steps=(f"{a}+{b}={s}", f"{s}*{h}={x}", f"{x}/2={area}"),
        mistakes=(
            ((f"{a}+{b}={s}", f"{s}*{h}={x}"), str(x)),
            ((f"{a}*{b}={a * b}",), str(a * b)),
        ),
        code=f"({a}+{b})*{h}/2",
    )


def edges(a: int, b: int, c: int) -> Solution:
    s, t = a + b, a + b + c
    return Solution(
        answer=str(4 * t),
        steps=(f"{a}+{b}={s}", f"{s}+{c}={t}", f"4*{t}={4 * t}"),
        mistakes=(
            ((f"{a}+{b}={s}", f"{s}+{c}={t}"), str(t)),
            ((f"{a}*{b}={a * b}",), str(a * b)),
        ),
        code=f"4*({a}+{b}+{c})",
    )


def factored(a: int, b: int, t: int) -> Solution:
    p, q = t + a, t + b
    return Solution(
        answer=str(p * q),
        steps=(f"{t}+{a}={p}", f"{t}+{b}={q}", f"{p}*{q}={p * q}"),
        mistakes=(
            ((f"{t}+{a}={p}", f"{t}+{b}={q}", f"{p}+{q}={p + q}"), str(p + q)),
            ((f"{a}*{b}={a * b}",), str(a * b)),
        ),
        code=f"({t}+{a})*({t}+{b})",
    )


def sequence(a: int, d: int, n: int) -> Solution:
    x = (n - 1) * d
    return Solution(
        answer=str(a + x),
        steps=(f"{n}-1={n - 1}", f"{n - 1}*{d}={x}", f"{a}+{x}={a + x}"),
        mistakes=(
            ((f"{n}*{d}={n * d}", f"{a}+{n * d}={a + n * d}"), str(a + n * d)),
            ((f"{n}-1={n - 1}", f"{n - 1}*{d}={x}"), str(x)),
        ),
        code=f"{a}+({n}-1)*{d}",
    )


def dot(a: int, b: int, c: int, d: int) -> Solution:
    x, y = a * c, b * d
    return Solution(
        answer=str(x + y),
        steps=(f"{a}*{c}={x}", f"{b}*{d}={y}", f"{x}+{y}={x + y}"),
        mistakes=(
            ((f"{a}*{b}={a * b}", f"{c}*{d}={c * d}"), str(c * d)),
            ((f"{a}*{c}={x}",), str(x)),
        ),
        code=f"{a}*{c}+{b}*{d}",
    )


def determinant(a: int, c: int, d: int) -> Solution:
    x = a * d
    return Solution(
        answer=str(x - c),
        steps=(f"{a}*{d}={x}", f"{x}-{c}={x - c}"),
        mistakes=(
            ((f"{a}*{d}={x}", f"{x}+{c}={x + c}"), str(x + c)),
            ((f"{a}*{d}={x}",), str(x)),
        ),
        code=f"{a}*{d}-{c}",
    )


DIGITS, ONE_UP = range(2, 10), range(1, 10)
PRIMES = ((2, 3), (2, 5), (3, 5), (3, 7), (5, 7), (2, 7))

TEMPLATES: dict[str, Template] = {
    t.name: t
    for t in (
        Template(
            "bags",
            "Prealgebra",
            (
                "{name} has {a} bags of {b} {things} and {c} more. How many {things} in total?",
                "There are {a} bags with {b} {things} each and {c} loose {things}. How many"
                " {things} are there?",
            ),
            tuple(product(DIGITS, DIGITS, ONE_UP)),
            times_plus,
        ),
        Template(
            "mean",
            "Prealgebra",
            ("Find the mean of {a}, {b} and {c}.", "What is the average of {a}, {b} and {c}?"),
            tuple(product(DIGITS, DIGITS, DIGITS)),
            mean,
        ),
        Template(
            "linear",
            "Algebra",
            ("Solve for x: {a}x+{c}={total}.", "If {a}x+{c}={total}, what is x?"),
            tuple(product(DIGITS, DIGITS, ONE_UP)),
            linear,
        ),
        Template(
            "joint",
            "Algebra",
            (
                "P varies jointly as A and V with constant 1/{a}. Find P to one decimal when"
                " A={b} and V={c}.",
                "The pressure P varies jointly as the area A and the speed V with constant"
                " 1/{a}. If A={b} and V={c}, find P to one decimal.",
            ),
            tuple(product((2, 4, 5, 8), DIGITS, DIGITS)),
            joint,
        ),
        Template(
            "residue",
            "Number Theory",
            (
                "Find the remainder when {a}*{b}+{c} is divided by {d}.",
                "What is {a}*{b}+{c} modulo {d}?",
            ),
            tuple(product(DIGITS, DIGITS, ONE_UP, (3, 4, 5))),
            residue,
        ),
        Template(
            "divisors",
            "Number Theory",
            (
                "How many divisors does {a}^{c}*{b}^{d} have?",
                "Find the number of positive divisors of {a}^{c}*{b}^{d}.",
            ),
            tuple((*p, a, b) for p, a, b in product(PRIMES, range(1, 9), range(1, 9))),
            divisors,
        ),
        Template(
            "chance",
            "Counting & Probability",
            (
                "A bag has {a} red, {b} blue and {c} green balls. What is the probability that a"
                " random ball is red?",
                "{name} draws one of {a} red, {b} blue and {c} green cards. Find the probability"
                " of red.",
            ),
            tuple(product(ONE_UP, ONE_UP, ONE_UP)),
            chance,
        ),
        Template(
            "routes",
            "Counting & Probability",
            (
                "There are {a} roads from P to Q, {b} roads from Q to R and {c} direct roads"
                " from P to R. In how many ways can {name} go from P to R?",
                "{name} picks one of {a} shirts and one of {b} hats, or one of {c} coats. How"
                " many choices are there?",
            ),
            tuple(product(DIGITS, DIGITS, ONE_UP)),
            times_plus,
        ),
        Template(
            "trapezoid",
            "Geometry",
            (
                "A trapezoid has parallel sides {a} and {b} and height {c}. What is its area?",
                "Find the area of a trapezoid with bases {a} and {b} and height {c}.",
            ),
            tuple(product(DIGITS, DIGITS, DIGITS)),
            trapezoid,
        ),
        Template(
            "edges",
            "Geometry",
            (
                "A box has length {a}, width {b} and height {c}. Find the total length of its"
                " edges.",
                "How much wire makes the edges of a box {a} by {b} by {c}?",
            ),
            tuple(product(DIGITS, DIGITS, DIGITS)),
            edges,
        ),
        Template(
            "factored",
            "Intermediate Algebra",
            (
                "Let f(x)=(x+{a})(x+{b}). Find f({c}).",
                "If g(x)=(x+{a})(x+{b}), what is g({c})?",
            ),
            tuple(product(range(1, 8), range(1, 8), range(1, 8))),
            factored,
        ),
        Template(
            "sequence",
            "Intermediate Algebra",
            (
                "An arithmetic sequence starts at {a} with common difference {b}. Find term {c}.",
                "A sequence begins with {a} and each term is {b} more than the last. What is term"
                " {c}?",
            ),
            tuple(product(ONE_UP, DIGITS, range(3, 11))),
            sequence,
        ),
        Template(
            "dot",
            "Precalculus",
            (
                "Find the dot product of ({a},{b}) and ({c},{d}).",
                "Let u=({a},{b}) and v=({c},{d}). What is the dot product of u and v?",
            ),
            tuple(product(range(2, 7), range(2, 7), range(2, 7), range(2, 7))),
            dot,
        ),
        Template(
            "determinant",
            "Precalculus",
            (
                "Find the determinant of the matrix [{a},1;{b},{c}].",
                "Let M=[{a},1;{b},{c}]. What is det M?",
            ),
            tuple((a, c, d) for a, c, d in product(DIGITS, ONE_UP, DIGITS) if a * d > c),
            determinant,
        ),
    )
}

CATEGORIES = tuple(dict.fromkeys(t.category for t in TEMPLATES.values()))


def fill(template: Template, operands: tuple[int, ...], rng: random.Random) -> Exercise:
    """One exercise: `rng` chooses the wording, the name and the things counted."""
    slots = dict(zip("abcd", operands, strict=False))
    if template.name == "linear":
        slots["total"] = operands[0] * operands[1] + operands[2]
    question = rng.choice(template.wordings).format(
        name=rng.choice(NAMES), things=rng.choice(THINGS), **slots
    )
    return Exercise(template, operands, question, template.solve(*operands))
