"""Fourteen templates of problems, two for each of MATH's seven categories.

A template has wordings with slots, the operands that may fill them, and a solver, which returns the
steps of careful work and the mistakes of hasty work. Operands are small and answers exact:
integers, decimals and fractions. Which side may see which operands is decided in
`onerl.world.world`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import floor

NAMES = ("Tom", "Ann", "Sam", "Mia", "Leo", "Eva")
THINGS = ("coins", "apples", "cups", "books", "pens", "cards")
DIGITS, ONE_UP = range(2, 10), range(1, 10)
PRIMES = ((2, 3), (2, 5), (3, 5), (3, 7), (5, 7), (2, 7))


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
    """Wordings with slots {a}, {b}, … for the operands, every allowed tuple of them, the solver."""

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


TEMPLATES: dict[str, Template] = {}
"""Every template that a corpus may be written about, by name."""


def template(
    category: str,
    operands: Iterable[tuple[int, ...]],
    *wordings: str,
    into: dict[str, Template] = TEMPLATES,
) -> Callable[[Callable[..., Solution]], Callable[..., Solution]]:
    """Decorator of a solver: keeps its template under the solver's name."""

    def keep(solve: Callable[..., Solution]) -> Callable[..., Solution]:
        name = solve.__name__
        into[name] = Template(name, category, wordings, tuple(operands), solve)
        return solve

    return keep


def fill(template: Template, operands: tuple[int, ...], rng: random.Random) -> Exercise:
    """One exercise; `rng` draws the wording, the name and the things counted."""
    slots = dict(zip("abcd", operands, strict=False))
    if template.name == "linear":
        slots["total"] = operands[0] * operands[1] + operands[2]
    question = rng.choice(template.wordings).format(
        name=rng.choice(NAMES), things=rng.choice(THINGS), **slots
    )
    return Exercise(template, operands, question, template.solve(*operands))


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
    """a times b, plus c: what two templates ask."""
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


@template(
    "Prealgebra",
    product(DIGITS, DIGITS, ONE_UP),
    "{name} has {a} bags of {b} {things} and {c} more. How many {things} in total?",
    "There are {a} bags with {b} {things} each and {c} loose {things}. How many"
    " {things} are there?",
)
def bags(a: int, b: int, c: int) -> Solution:
    return times_plus(a, b, c)


@template(
    "Prealgebra",
    product(DIGITS, DIGITS, DIGITS),
    "Find the mean of {a}, {b} and {c}.",
    "What is the average of {a}, {b} and {c}?",
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


@template(
    "Algebra",
    product(DIGITS, DIGITS, ONE_UP),
    "Solve for x: {a}x+{c}={total}.",
    "If {a}x+{c}={total}, what is x?",
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


@template(
    "Algebra",
    product((2, 4, 5, 8), DIGITS, DIGITS),
    "P varies jointly as A and V with constant 1/{a}. Find P to one decimal when A={b} and V={c}.",
    "The pressure P varies jointly as the area A and the speed V with constant"
    " 1/{a}. If A={b} and V={c}, find P to one decimal.",
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


@template(
    "Number Theory",
    product(DIGITS, DIGITS, ONE_UP, (3, 4, 5)),
    "Find the remainder when {a}*{b}+{c} is divided by {d}.",
    "What is {a}*{b}+{c} modulo {d}?",
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


@template(
    "Number Theory",
    ((*p, a, b) for p, a, b in product(PRIMES, range(1, 9), range(1, 9))),
    "How many divisors does {a}^{c}*{b}^{d} have?",
    "Find the number of positive divisors of {a}^{c}*{b}^{d}.",
)
def divisors(p: int, q: int, a: int, b: int) -> Solution:
    return Solution(
        answer=str((a + 1) * (b + 1)),
        steps=(f"{a}+1={a + 1}", f"{b}+1={b + 1}", f"{a + 1}*{b + 1}={(a + 1) * (b + 1)}"),
        mistakes=(((f"{a}*{b}={a * b}",), str(a * b)), ((f"{a}+{b}={a + b}",), str(a + b))),
        code=f"({a}+1)*({b}+1)",
    )


@template(
    "Counting & Probability",
    product(ONE_UP, ONE_UP, ONE_UP),
    "A bag has {a} red, {b} blue and {c} green balls. What is the probability that a"
    " random ball is red?",
    "{name} draws one of {a} red, {b} blue and {c} green cards. Find the probability of red.",
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


@template(
    "Counting & Probability",
    product(DIGITS, DIGITS, ONE_UP),
    "There are {a} roads from P to Q, {b} roads from Q to R and {c} direct roads"
    " from P to R. In how many ways can {name} go from P to R?",
    "{name} picks one of {a} shirts and one of {b} hats, or one of {c} coats. How"
    " many choices are there?",
)
def routes(a: int, b: int, c: int) -> Solution:
    return times_plus(a, b, c)


@template(
    "Geometry",
    product(DIGITS, DIGITS, DIGITS),
    "A trapezoid has parallel sides {a} and {b} and height {c}. What is its area?",
    "Find the area of a trapezoid with bases {a} and {b} and height {c}.",
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


@template(
    "Geometry",
    product(DIGITS, DIGITS, DIGITS),
    "A box has length {a}, width {b} and height {c}. Find the total length of its edges.",
    "How much wire makes the edges of a box {a} by {b} by {c}?",
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


@template(
    "Intermediate Algebra",
    product(range(1, 8), range(1, 8), range(1, 8)),
    "Let f(x)=(x+{a})(x+{b}). Find f({c}).",
    "If g(x)=(x+{a})(x+{b}), what is g({c})?",
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


@template(
    "Intermediate Algebra",
    product(ONE_UP, DIGITS, range(3, 11)),
    "An arithmetic sequence starts at {a} with common difference {b}. Find term {c}.",
    "A sequence begins with {a} and each term is {b} more than the last. What is term {c}?",
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


@template(
    "Precalculus",
    product(range(2, 7), range(2, 7), range(2, 7), range(2, 7)),
    "Find the dot product of ({a},{b}) and ({c},{d}).",
    "Let u=({a},{b}) and v=({c},{d}). What is the dot product of u and v?",
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


@template(
    "Precalculus",
    (o for o in product(DIGITS, ONE_UP, DIGITS) if o[0] * o[2] > o[1]),
    "Find the determinant of the matrix [{a},1;{b},{c}].",
    "Let M=[{a},1;{b},{c}]. What is det M?",
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


CATEGORIES = tuple(dict.fromkeys(t.category for t in TEMPLATES.values()))
