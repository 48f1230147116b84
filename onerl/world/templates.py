"""Fourteen templates of problems, two for each of MATH's seven categories, read from a table.

A template of `templates.yaml` has wordings with slots, the operands that may fill them, the steps
of careful work and the mistakes of hasty work. Operands are small and answers exact: integers,
decimals and fractions. Which side may see which operands is decided in `onerl.world.world`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import chain, product
from math import floor
from operator import add, gt, lt, mod, mul, sub
from pathlib import Path
from typing import Any

from onerl.parameters import read_yaml

NAMES = ("Tom", "Ann", "Sam", "Mia", "Leo", "Eva")
THINGS = ("coins", "apples", "cups", "books", "pens", "cards")
STEP = re.compile(r"(\()?(?:(\w+)=)?(\w+)( mod |[-+*/<>])(\w+)\)?")
OPERATIONS = {"+": add, "-": sub, "*": mul, "/": Fraction, " mod ": mod, "<": lt, ">": gt}


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
    """One entry of `templates.yaml`, which explains the fields; every allowed tuple of operands."""

    name: str
    category: str
    wordings: tuple[str, ...]
    operands: tuple[tuple[int, ...], ...]
    steps: str
    code: str
    mistakes: tuple[str, ...] = ()
    decimals: bool = False

    def solve(self, *operands: int) -> Solution:
        steps, exact, values = _worked(self.steps, operands, self.decimals)
        answer, rounding = _text(exact, self.decimals), None
        if self.decimals:
            tenths = (floor(exact * 10 + Fraction(1, 2)), floor(exact * 10))
            rounded, cut = (_text(Fraction(n, 10), True) for n in tenths)
            rounding = None if rounded == answer else (answer, rounded, cut)
            answer = rounded
        wrong = [_worked(mistake, operands, self.decimals) for mistake in self.mistakes]
        mistakes = tuple((done, _text(result, self.decimals)) for done, result, _ in wrong)
        code = re.sub(r"[a-z]+", lambda name: str(values[name[0]]), self.code)
        return Solution(answer, steps, mistakes, code, rounding)


@dataclass(frozen=True)
class Exercise:
    """One filled template: the question's text and its solution."""

    template: Template
    operands: tuple[int, ...]
    question: str
    solution: Solution


@cache
def _parsed(steps: str) -> tuple[tuple[str | None, ...], ...]:
    return tuple(STEP.fullmatch(step).groups() for step in steps.split(", "))


def _worked(
    steps: str, operands: Sequence[int], decimals: bool = False
) -> tuple[tuple[str, ...], Any, dict[str, Any]]:
    """The equations written, the last result, and every value by its letter or name."""
    written, values = [], dict(zip("abcd", operands, strict=False))
    for hidden, name, left, sign, right in _parsed(steps):
        first, second = (values[side] if side in values else int(side) for side in (left, right))
        result = OPERATIONS[sign](first, second)
        if name:
            values[name] = result
        if not hidden:
            written.append(f"{first}{sign}{second}={_text(result, decimals)}")
    return tuple(written), result, values


def _text(value: Fraction | int, decimals: bool) -> str:
    """Reduced fraction ("17/3", "4"), or the shortest exact decimal ("6.75", "27")."""
    if decimals and value != int(value):
        return f"{float(value):.6f}".rstrip("0")
    return str(Fraction(value))


def _axis(text: str) -> list[tuple[int, ...]]:
    """The values of one operand: "2-9", "2 4 5 8" or, of two at once, "2,3 2,5"."""
    if "-" in text:
        first, last = map(int, text.split("-"))
        return [(value,) for value in range(first, last + 1)]
    return [tuple(map(int, values.split(","))) for values in text.split()]


def _template(name: str, operands: list[str], where: str = "", **fields: Any) -> Template:
    filled = [tuple(chain(*parts)) for parts in product(*map(_axis, operands))]
    allowed = [one for one in filled if not where or _worked(where, one)[1]]
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
    return Template(name, operands=tuple(allowed), **fields)


def fill(template: Template, operands: tuple[int, ...], rng: random.Random) -> Exercise:
    """One exercise; `rng` draws the wording, the name and the things counted."""
    *_, slots = _worked(template.steps, operands)
    question = rng.choice(template.wordings).format(
        **{**slots, "name": rng.choice(NAMES), "things": rng.choice(THINGS)}
    )
    return Exercise(template, operands, question, template.solve(*operands))


TEMPLATES, UNSEEN = (
    {name: _template(name, **entry) for name, entry in templates.items()}
    for templates in read_yaml(Path(__file__).with_name("templates.yaml")).values()
)
"""By name: every template that a corpus may be written about, and those of `onerl.world.unseen`."""
CATEGORIES = tuple(dict.fromkeys(template.category for template in TEMPLATES.values()))
