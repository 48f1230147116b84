"""The embedded world: templated maths problems in the seven MATH categories, and who may see which.

A problem is a template filled with small operands. The operand tuples of each template are split
once, by their sorted values, into three sides that share nothing:

    held-out   the benchmark "world" (1,000 problems): never in the corpus, never in training
    pool       the examples that reinforcement learning may train on ("world:all", "world:bags:3")
    corpus     what the base model is pretrained on (`onerl.world.corpus`)

Because the split is by sorted operands, a held-out problem has no twin with swapped numbers or
another wording on the other sides. The single arithmetic facts that solutions are made of
(7*8=56) are shared by all three: they are what a model is supposed to know, and to combine.

What is ours, and must be said beside every result: the problems are easy to template and the
mixture of ways of writing in the corpus is chosen by us. The world shows that a mechanism
suffices for a phenomenon; it is no evidence that Qwen works like this.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

from onerl.world.templates import TEMPLATES, Exercise, Template, fill

HELDOUT_SIZE = 1000
POOL_PER_TEMPLATE = 36
SPLIT_SEED = 2504

PI1 = ("joint", (4, 3, 3))
"""π1's counterpart: 3*3/4 = 2.25, asked to one decimal, so the label 2.3 is a rounded one.

Chosen among the pool's joint-variation problems by what the untouched base model does with them
(right in 3 to 25 % of samples, and sometimes cut instead of rounded), before any training on it.
"""


@dataclass(frozen=True)
class Item:
    """One problem of the world, before the rest of the package sees it."""

    id: str
    question: str
    answer: str
    category: str
    source: str = "world"


PI1_SIMPLIFIED = Item(
    id="world/pi1_simplified",
    question=(
        "P varies jointly as A and V with constant 1/4. Find P to one decimal when A=9 and V=1."
    ),
    answer="2.3",
    category="Algebra",
)
"""π1 with nothing to do but its last step, 9/4, as the paper's π1′ is the cube root of 2048.

In the wording of the templates, with an operand that none of them has (1): the bare question "Find
9/4 to one decimal." is unlike anything the base model has read, and it is never right on it.
"""

RESERVED = {"joint": (4, 3, 9)}
"""Operands that go to the pool before the shuffle decides. Changing this changes the corpus."""


@lru_cache(maxsize=1)
def split() -> dict[str, dict[str, tuple[tuple[int, ...], ...]]]:
    """Operand tuples by side ("heldout", "pool", "corpus") and template name.

    Tuples with the same sorted operands always fall on the same side.
    """
    sides: dict[str, dict[str, tuple[tuple[int, ...], ...]]] = {
        "heldout": {},
        "pool": {},
        "corpus": {},
    }
    share, extra = divmod(HELDOUT_SIZE, len(TEMPLATES))
    for index, template in enumerate(TEMPLATES.values()):
        families: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        for operands in template.operands:
            families.setdefault(tuple(sorted(operands)), []).append(operands)
        rng = random.Random(f"{SPLIT_SEED}:{template.name}")
        order = sorted(families)
        rng.shuffle(order)
        pool: list[tuple[int, ...]] = []
        if template.name in RESERVED:
            pool += families[order.pop(order.index(tuple(sorted(RESERVED[template.name]))))]
        heldout: list[tuple[int, ...]] = []
        while len(heldout) < share + (index < extra):
            heldout += families[order.pop()]
        while len(pool) < POOL_PER_TEMPLATE:
            pool += families[order.pop()]
        sides["heldout"][template.name] = tuple(heldout)
        sides["pool"][template.name] = tuple(pool)
        sides["corpus"][template.name] = tuple(o for key in order for o in families[key])
    return sides


def _exercises(side: str, template: Template, count: int) -> list[Exercise]:
    rng = random.Random(f"{SPLIT_SEED}:{side}:{template.name}")
    operands = list(split()[side][template.name])
    rng.shuffle(operands)
    if side == "pool" and template.name == PI1[0]:
        operands.insert(0, operands.pop(operands.index(PI1[1])))
    return [fill(template, chosen, rng) for chosen in operands[:count]]


def _problems(side: str, template: Template, count: int) -> list[Item]:
    return [
        _problem(f"world/{side}/{template.name}/{i}", exercise)
        for i, exercise in enumerate(_exercises(side, template, count), start=1)
    ]


def exercise(problem: Item) -> Exercise:
    """The filled template behind a problem of the held-out side or of the pool.

    Raises:
        ValueError: it is none of these.
    """
    parts = problem.id.split("/")
    if len(parts) == 4 and parts[0] == "world" and parts[2] in TEMPLATES:
        found = _exercises(parts[1], TEMPLATES[parts[2]], int(parts[3]))[-1]
        if found.question == problem.question:
            return found
    raise ValueError(f"problem {problem.id}: not a problem of the world's templates")


def _problem(name: str, exercise: Exercise) -> Item:
    return Item(
        id=name,
        question=exercise.question,
        answer=exercise.solution.answer,
        category=exercise.template.category,
    )


def heldout() -> list[Item]:
    """The benchmark "world": 1,000 problems, 71 or 72 of each template, always the same."""
    share, extra = divmod(HELDOUT_SIZE, len(TEMPLATES))
    return [
        p
        for index, template in enumerate(TEMPLATES.values())
        for p in _problems("heldout", template, share + (index < extra))
    ]


def examples(name: str) -> list[Item]:
    """Training examples by name: "world:pi1", "world:bags:3" (counted from 1), "world:all",
    "world:random16" (sixteen of all, always the same) or "world:pi1_simplified".

    Raises:
        ValueError: the name is none of these; the message lists what is allowed.
    """
    parts = name.split(":")
    allowed = (
        'allowed: "world:pi1", "world:pi1_simplified", "world:all", "world:random16", or'
        ' "world:TEMPLATE:N" with N from 1 to '
        f"{POOL_PER_TEMPLATE} and TEMPLATE one of {', '.join(TEMPLATES)}"
    )
    if parts[0] != "world" or len(parts) not in (2, 3):
        raise ValueError(f"examples: {name!r} is not an example of the embedded world; {allowed}")
    if parts[1:] == ["pi1_simplified"]:
        return [PI1_SIMPLIFIED]
    if parts[1:] == ["random16"]:
        return random.Random(16).sample(examples("world:all"), 16)
    if parts[1:] == ["all"]:
        return [p for t in TEMPLATES.values() for p in _problems("pool", t, POOL_PER_TEMPLATE)]
    if parts[1:] == ["pi1"]:
        parts = ["world", PI1[0], "1"]
    known = len(parts) == 3 and parts[1] in TEMPLATES and parts[2].isdigit()
    if not known or not 1 <= int(parts[2]) <= POOL_PER_TEMPLATE:
        raise ValueError(f"examples: {name!r} is not an example of the embedded world; {allowed}")
    return [_problems("pool", TEMPLATES[parts[1]], POOL_PER_TEMPLATE)[int(parts[2]) - 1]]
