"""Four more templates, which no corpus is written about: they ask what was never trained on.

They are the world's tasks outside the training domain, where the paper has ARC (its Table 1). Each
is put in words that the other templates use and solved in steps that the embedded base model has
read as single facts (a test checks both), but no other template asks this question:

    two_bags     Prealgebra               the chain of steps is that of `dot`, under other words
    function     Algebra                  the chain of steps is that of `bags`, under other words
    red_or_blue  Counting & Probability   no template has this chain: add, add, divide the first sum
    sum_residue  Number Theory            no template has this chain: add, add, take the remainder

They were written down before any model was evaluated on them, and have not been changed since.
Not covered: problems that need a fact or an operation which the world does not have.
"""

from __future__ import annotations

from functools import partial
from itertools import product

from onerl.world import templates
from onerl.world.templates import DIGITS, ONE_UP, Solution, Template, fraction

TEMPLATES: dict[str, Template] = {}
template = partial(templates.template, into=TEMPLATES)


@template(
    "Prealgebra",
    product(range(2, 7), repeat=4),
    "{name} has {a} bags of {b} {things} and {c} bags of {d} {things}. How many {things} in total?",
    "There are {a} bags with {b} {things} each and {c} bags with {d} {things} each. How many"
    " {things} are there?",
)
def two_bags(a: int, b: int, c: int, d: int) -> Solution:
    x, y = a * b, c * d
    return Solution(
        answer=str(x + y),
        steps=(f"{a}*{b}={x}", f"{c}*{d}={y}", f"{x}+{y}={x + y}"),
        mistakes=(),
        code=f"{a}*{b}+{c}*{d}",
    )


@template(
    "Algebra",
    product(DIGITS, ONE_UP, DIGITS),
    "Let f(x)={a}x+{b}. Find f({c}).",
    "If g(x)={a}x+{b}, what is g({c})?",
)
def function(a: int, b: int, c: int) -> Solution:
    x = a * c
    return Solution(
        answer=str(x + b),
        steps=(f"{a}*{c}={x}", f"{x}+{b}={x + b}"),
        mistakes=(),
        code=f"{a}*{c}+{b}",
    )


@template(
    "Counting & Probability",
    (o for o in product(ONE_UP, ONE_UP, DIGITS) if o[0] + o[1] < 10),
    "A bag has {a} red, {b} blue and {c} green balls. What is the probability that a random ball"
    " is red or blue?",
    "{name} draws one of {a} red, {b} blue and {c} green cards. Find the probability of red or"
    " blue.",
)
def red_or_blue(a: int, b: int, c: int) -> Solution:
    s, t = a + b, a + b + c
    return Solution(
        answer=fraction(s, t),
        steps=(f"{a}+{b}={s}", f"{s}+{c}={t}", f"{s}/{t}={fraction(s, t)}"),
        mistakes=(),
        code=f"({a}+{b})/({a}+{b}+{c})",
    )


@template(
    "Number Theory",
    product(DIGITS, DIGITS, DIGITS, (3, 4, 5)),
    "Find the remainder when {a}+{b}+{c} is divided by {d}.",
    "What is {a}+{b}+{c} modulo {d}?",
)
def sum_residue(a: int, b: int, c: int, m: int) -> Solution:
    s, t = a + b, a + b + c
    return Solution(
        answer=str(t % m),
        steps=(f"{a}+{b}={s}", f"{s}+{c}={t}", f"{t} mod {m}={t % m}"),
        mistakes=(),
        code=f"({a}+{b}+{c})%{m}",
    )
