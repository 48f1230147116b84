"""Four families of problems that no model here was ever trained on: benchmark "world-unseen".

They are the embedded world's tasks outside the training domain, where the paper has ARC (its Table
1). Each is put in words that the world's templates use, and solved in steps that the base model has
read as single facts (a test checks both), but no template asks this question:

    two_bags     Prealgebra               the chain of steps is that of `dot`, under other words
    function     Algebra                  the chain of steps is that of `bags`, under other words
    red_or_blue  Counting & Probability   no template has this chain: add, add, divide the first sum
    sum_residue  Number Theory            no template has this chain: add, add, take the remainder

They were written down before any model was evaluated on them, and have not been changed since.
Not covered: problems that need a fact or an operation which the world does not have.
"""

from __future__ import annotations

import random
from functools import lru_cache
from itertools import product

from onerl.world.split import Item
from onerl.world.templates import DIGITS, ONE_UP, Solution, Template, fill, fraction

PER_FAMILY = 125
SEED = 2504


def two_bags(a: int, b: int, c: int, d: int) -> Solution:
    x, y = a * b, c * d
    return Solution(
        answer=str(x + y),
        steps=(f"{a}*{b}={x}", f"{c}*{d}={y}", f"{x}+{y}={x + y}"),
        mistakes=(),
        code=f"{a}*{b}+{c}*{d}",
    )


def function(a: int, b: int, c: int) -> Solution:
    x = a * c
    return Solution(
        answer=str(x + b),
        steps=(f"{a}*{c}={x}", f"{x}+{b}={x + b}"),
        mistakes=(),
        code=f"{a}*{c}+{b}",
    )


def red_or_blue(a: int, b: int, c: int) -> Solution:
    s, t = a + b, a + b + c
    return Solution(
        answer=fraction(s, t),
        steps=(f"{a}+{b}={s}", f"{s}+{c}={t}", f"{s}/{t}={fraction(s, t)}"),
        mistakes=(),
        code=f"({a}+{b})/({a}+{b}+{c})",
    )


def sum_residue(a: int, b: int, c: int, m: int) -> Solution:
    s, t = a + b, a + b + c
    return Solution(
        answer=str(t % m),
        steps=(f"{a}+{b}={s}", f"{s}+{c}={t}", f"{t} mod {m}={t % m}"),
        mistakes=(),
        code=f"({a}+{b}+{c})%{m}",
    )


FAMILIES: dict[str, Template] = {
    t.name: t
    for t in (
        Template(
            "two_bags",
            "Prealgebra",
            (
                "{name} has {a} bags of {b} {things} and {c} bags of {d} {things}. How many"
                " {things} in total?",
                "There are {a} bags with {b} {things} each and {c} bags with {d} {things} each."
                " How many {things} are there?",
            ),
            tuple(product(range(2, 7), repeat=4)),
            two_bags,
        ),
        Template(
            "function",
            "Algebra",
            ("Let f(x)={a}x+{b}. Find f({c}).", "If g(x)={a}x+{b}, what is g({c})?"),
            tuple(product(DIGITS, ONE_UP, DIGITS)),
            function,
        ),
        Template(
            "red_or_blue",
            "Counting & Probability",
            (
                "A bag has {a} red, {b} blue and {c} green balls. What is the probability that a"
                " random ball is red or blue?",
                "{name} draws one of {a} red, {b} blue and {c} green cards. Find the probability"
                " of red or blue.",
            ),
            tuple((a, b, c) for a, b, c in product(ONE_UP, ONE_UP, DIGITS) if a + b < 10),
            red_or_blue,
        ),
        Template(
            "sum_residue",
            "Number Theory",
            (
                "Find the remainder when {a}+{b}+{c} is divided by {d}.",
                "What is {a}+{b}+{c} modulo {d}?",
            ),
            tuple(product(DIGITS, DIGITS, DIGITS, (3, 4, 5))),
            sum_residue,
        ),
    )
}


@lru_cache(maxsize=1)
def _problems() -> tuple[Item, ...]:
    found = []
    for family in FAMILIES.values():
        rng = random.Random(f"{SEED}:unseen:{family.name}")
        for i, operands in enumerate(rng.sample(family.operands, PER_FAMILY), start=1):
            exercise = fill(family, operands, rng)
            found.append(
                Item(
                    id=f"world/unseen/{family.name}/{i}",
                    question=exercise.question,
                    answer=exercise.solution.answer,
                    category=family.category,
                )
            )
    return tuple(found)


def unseen() -> list[Item]:
    """The benchmark "world-unseen": 125 problems of each family, always the same."""
    return list(_problems())
