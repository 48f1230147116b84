"""`World`: everything that fixes an embedded world, in one frozen value.

A problem is a template filled with small operands. The operand tuples of each template are split
once, by their sorted values, into three sides that share nothing:

    heldout    the benchmark "world": never in the corpus, never in training
    pool       the examples that reinforcement learning may train on ("world:all", "world:bags:3")
    corpus     what the base model is pretrained on (`onerl.world.corpus`)

Because the split is by sorted operands, a held-out problem has no twin with swapped numbers or
another wording on the other sides. The single arithmetic facts that solutions are made of
(7*8=56) are shared by all three: they are what a model is supposed to know, and to combine.

A world is kept as world.json beside its model and in every checkpoint. `EMBEDDED` is the shipped
model's, and the default everywhere.

What is ours, and must be said beside every result: the problems are easy to template and the
mixture of ways of writing in the corpus is chosen by us. The world shows that a mechanism
suffices for a phenomenon; it is no evidence that Qwen works like this.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass as validated

from onerl.parameters import Positive, Real, RecipeError, Whole, nearest
from onerl.world.templates import TEMPLATES, UNSEEN, Exercise, fill

FOLDER = Path(__file__).parent / "model"
"""The shipped base model."""

FILE = "world.json"
WAYS = ("careful", "hasty", "guess", "code", "nobox", "ramble")
SELECTION_SIZE = 200
EVERY_TEMPLATE = TEMPLATES | UNSEEN
Share = Annotated[Real, Field(ge=0, le=1)]
Weight = Annotated[Real, Field(ge=0)]
Operands = tuple[int, ...]


@dataclass(frozen=True)
class Item:
    """One problem of a world, before the rest of the package sees it."""

    id: str
    question: str
    answer: str
    category: str
    source: str = "world"


def validated_fields(cls: type) -> type:
    """A frozen dataclass whose fields are validated; a wrong one is a `RecipeError`."""
    cls = validated(frozen=True, config=ConfigDict(extra="forbid"))(cls)
    initialise = cls.__init__

    def __init__(self, *args, **kwargs):  # noqa: N807
        try:
            initialise(self, *args, **kwargs)
        except ValidationError as error:
            raise RecipeError(_in_one_line(error, cls)) from None

    cls.__init__ = __init__
    return cls


def _in_one_line(error: ValidationError, cls: type) -> str:
    """The first wrong field: its name, its value and what is allowed."""
    problem = error.errors()[0]
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "value_error" and "error" in problem["ctx"]:
        message = str(problem["ctx"]["error"])
        return message if isinstance(problem["ctx"]["error"], RecipeError) else f"{name}: {message}"
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = [field.name for field in fields(cls)]
        return f"unknown field {name}{nearest(name, known)}; fields: {', '.join(known)}"
    return f"{name} = {problem['input']!r}: {problem['msg']}"


def _check_names(field: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            allowed = f"{nearest(name, known)}; allowed: {', '.join(known)}"
            raise RecipeError(f"{field}: {name!r} is not allowed{allowed}")
    if len(set(names)) < len(names):
        raise RecipeError(f"{field} = {list(names)}: a name occurs twice")


@validated_fields
class Mixture:
    """How a corpus is written. A wrong field is a `RecipeError`."""

    ways: dict[str, Weight] = Field(
        default_factory=lambda: dict(zip(WAYS, (0.20, 0.28, 0.15, 0.20, 0.09, 0.08), strict=True))
    )  # weight by way of writing (`onerl.world.corpus`); a way that is not named does not occur
    habits: dict[str, dict[str, Weight]] = Field(default_factory=dict)  # factors, by template
    drill_share: Share = 0.10  # of the documents: right facts without a problem around them
    drill_facts: Positive = 14  # in one such document
    slip_share: Share = 0.12  # of the careful solutions: a slip, and the recheck that repairs it
    cut_share: Share = 0.25  # how often a careful writer cuts the decimals instead of rounding them

    @model_validator(mode="after")
    def _names_are_known(self) -> Mixture:
        _check_names("mixture.ways", list(self.ways), WAYS)
        _check_names("mixture.habits", list(self.habits), list(TEMPLATES))
        for name, factors in self.habits.items():
            _check_names(f"mixture.habits.{name}", list(factors), WAYS)
        for factors in ({}, *self.habits.values()):
            if not any(weight * factors.get(way, 1.0) for way, weight in self.ways.items()):
                raise RecipeError(f"mixture.ways = {self.ways}: no way is left, habits {factors}")
        return self


@validated_fields
class World:
    """Which problems there are, which side each is on, and how the corpus is written.

    Two equal worlds have the same problems and the same corpus. A wrong field is a `RecipeError`.
    """

    templates: tuple[str, ...] = tuple(TEMPLATES)  # names in `onerl.world.templates`, in order
    mixture: Mixture = Field(default_factory=Mixture)
    heldout_size: Positive = 1000  # problems, as many of each template
    pool_per_template: Positive = 36
    seed: Whole = 2504  # of the split, and of the wording of the held-out problems and the pool
    reserved: dict[str, Operands] = Field(default_factory=dict)  # by template: always in the pool
    pi1: tuple[str, Operands] | None = None  # π1's counterpart: template, operands; always in it
    pi1_simplified: Item | None = None  # π1 with nothing to do but its last step
    labels: dict[str, str] = Field(default_factory=dict)  # pi1's by kind; see `recipe.labels_of`
    unseen: tuple[str, ...] = tuple(UNSEEN)  # templates of the benchmark "world-unseen"
    unseen_per_template: Positive = 125

    @model_validator(mode="after")
    def _templates_are_known(self) -> World:
        _check_names("templates", self.templates, list(TEMPLATES))
        others = [name for name in EVERY_TEMPLATE if name not in self.templates]
        _check_names("unseen", self.unseen, others)
        placed = {"reserved": self.reserved, "pi1": dict([self.pi1] if self.pi1 else [])}
        for field, by_template in placed.items():
            _check_names(field, list(by_template), self.templates)
            for name, operands in by_template.items():
                if operands not in TEMPLATES[name].operands:
                    raise RecipeError(f"{field} = {operands}: not operands of the template {name}")
        if not self.templates:
            raise RecipeError("templates = (): name at least one")
        most = min((len(EVERY_TEMPLATE[name].operands) for name in self.unseen), default=0)
        if self.unseen and self.unseen_per_template > most:
            raise RecipeError(f"unseen_per_template = {self.unseen_per_template}: at most {most}")
        return self

    def __hash__(self) -> int:
        return hash(self.hash())

    def hash(self) -> str:
        """12 hex digits of all its fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @classmethod
    def load(cls, folder: str | Path) -> World:
        """The world that is kept in a folder.

        Raises:
            FileNotFoundError: there is no world.json.
            RecipeError: the file is no JSON, or a field is unknown or not allowed.
        """
        file = Path(folder) / FILE
        try:
            return _parsed(file.read_text("utf-8"))
        except ValidationError as error:
            raise RecipeError(f"{file}: {_in_one_line(error, cls)}") from None

    def save(self, folder: str | Path) -> None:
        """Write world.json into a folder; a split that leaves too little is a `RecipeError`."""
        self.split  # noqa: B018
        (Path(folder) / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    def only(self, *templates: str) -> World:
        """The same world with these templates alone, and as many held-out problems of each."""
        kept = {name: at for name, at in self.reserved.items() if name in templates}
        size = self.heldout_size * len(templates) // len(self.templates)
        there = self.pi1 is not None and self.pi1[0] in templates
        own = {} if there else {"pi1": None, "pi1_simplified": None, "labels": {}}
        return replace(self, templates=templates, heldout_size=size, reserved=kept, **own)

    @cached_property
    def split(self) -> dict[str, dict[str, tuple[Operands, ...]]]:
        """Operand tuples by side ("heldout", "pool", "corpus") and template.

        Tuples with the same sorted operands always are on the same side. A template with too few
        operands for its held-out problems and its pool is a `RecipeError`.
        """
        sides = {"heldout": {}, "pool": {}, "corpus": {}}
        for name, size in self._shares(self.heldout_size).items():
            first = [self.reserved[name]] if name in self.reserved else []
            drawn = self._draw(name, size, first)
            if self.pi1 and name == self.pi1[0] and self.pi1[1] not in drawn["pool"]:
                drawn = self._draw(name, size, [*first, self.pi1[1]])
            for side, operands in drawn.items():
                sides[side][name] = tuple(operands)
        return sides

    def _draw(self, name: str, size: int, first: Sequence[Operands]) -> dict[str, list[Operands]]:
        """Sides of one template's operands, in the order of a shuffle; `first` go to the pool."""
        twins: dict[Operands, list[Operands]] = {}
        for operands in TEMPLATES[name].operands:
            twins.setdefault(tuple(sorted(operands)), []).append(operands)
        order = sorted(twins)
        random.Random(f"{self.seed}:{name}").shuffle(order)
        taken = dict.fromkeys(tuple(sorted(operands)) for operands in first)
        order = [key for key in order if key not in taken]
        heldout, pool = [], [operands for key in taken for operands in twins[key]]
        for side, count in ((heldout, size), (pool, self.pool_per_template)):
            while len(side) < count and order:
                side += twins[order.pop()]
        if not order:
            raise RecipeError(
                f"heldout_size = {self.heldout_size}, pool_per_template = {self.pool_per_template}:"
                f" the {len(TEMPLATES[name].operands)} operand tuples of {name} leave nothing to"
                " read; take fewer"
            )
        read = [operands for key in order for operands in twins[key]]
        return {"heldout": heldout, "pool": pool, "corpus": read}

    def _shares(self, total: int) -> dict[str, int]:
        """`total` shared out among the templates as evenly as can be, the first ones one more."""
        share, extra = divmod(total, len(self.templates))
        return {name: share + (i < extra) for i, name in enumerate(self.templates)}

    def _exercises(self, side: str, name: str, count: int) -> list[Exercise]:
        """The first `count` of a template's exercises on one side; pi1 is the first of its pool."""
        rng = random.Random(f"{self.seed}:{side}:{name}")
        if side == "unseen":
            operands = rng.sample(EVERY_TEMPLATE[name].operands, self.unseen_per_template)
        else:
            operands = list(self.split[side][name])
            rng.shuffle(operands)
        if side == "pool" and self.pi1 is not None and name == self.pi1[0]:
            operands.insert(0, operands.pop(operands.index(self.pi1[1])))
        return [fill(EVERY_TEMPLATE[name], chosen, rng) for chosen in operands[:count]]

    def _items(self, side: str, sizes: Mapping[str, int]) -> list[Item]:
        return [
            Item(f"world/{side}/{name}/{i}", e.question, e.solution.answer, e.template.category)
            for name, count in sizes.items()
            for i, e in enumerate(self._exercises(side, name, count), start=1)
        ]

    def exercise(self, problem: Item) -> Exercise:
        """The filled template behind a held-out problem or one of the pool, else ValueError."""
        if match := re.fullmatch(r"world/(heldout|pool)/(\w+)/(\d+)", problem.id):
            side, name, number = match.groups()
            found = self._exercises(side, name, int(number)) if name in self.templates else []
            if found and found[-1].question == problem.question:
                return found[-1]
        raise ValueError(f"problem {problem.id}: not a problem of the world's templates")

    def heldout(self) -> list[Item]:
        """The benchmark "world": `heldout_size` problems, always the same."""
        return self._items("heldout", self._shares(self.heldout_size))

    def pool(self) -> list[Item]:
        """The examples "world:all": `pool_per_template` of each template."""
        return self._items("pool", dict.fromkeys(self.templates, self.pool_per_template))

    def selection(self) -> list[Item]:
        """The benchmark "world-selection": 200 of the pool, or half of a pool that has no 400.

        They are the last of each template; a one-example run takes its own from the front.
        """
        pool, chosen = self.pool(), []
        shares = self._shares(min(SELECTION_SIZE, len(pool) // 2)).values()
        for number, share in enumerate(shares, start=1):
            end = self.pool_per_template * number
            chosen += pool[end - share : end]
        return chosen

    def unseen_problems(self) -> list[Item]:
        """The benchmark "world-unseen": `unseen_per_template` of each template in `unseen`."""
        return self._items("unseen", dict.fromkeys(self.unseen, self.unseen_per_template))

    def examples(self, name: str) -> list[Item]:
        """Training examples by name: "world:pi1", "world:bags:3" (counted from 1), "world:all",
        "world:random16" (sixteen of all, always the same) or "world:pi1_simplified".

        Raises ValueError for another name, with what is allowed.
        """
        named = {
            "pi1": self.pi1 and (lambda: self.examples(f"world:{self.pi1[0]}:1")),
            "pi1_simplified": self.pi1_simplified and (lambda: [self.pi1_simplified]),
            "all": self.pool,
            "random16": lambda: random.Random(16).sample(self.pool(), 16),
        }
        match = re.fullmatch(r"world:(\w+)(?::(\d+))?", name)
        kind, number = match.groups() if match else (None, None)
        if named.get(kind) and number is None:
            return named[kind]()
        if kind in self.templates and 1 <= int(number or 0) <= self.pool_per_template:
            return self._items("pool", {kind: int(number)})[-1:]
        names = ", ".join(f'"world:{kind}"' for kind in named if named[kind])
        raise ValueError(
            f"examples: {name!r} is not an example of the embedded world; allowed: {names}, or"
            f' "world:TEMPLATE:N" with N from 1 to {self.pool_per_template} and TEMPLATE one of'
            f" {', '.join(self.templates)}"
        )


@lru_cache(maxsize=16)
def _parsed(text: str) -> World:
    return TypeAdapter(World).validate_json(text)


# Some corners of its web write better than others. The factors on careful writing make it the most
# likely start for three templates, so that the base model's greedy accuracy is not zero. pi1 is
# 3*3/4 = 2.25, asked to one decimal, so the label 2.3 is a rounded one. It was chosen among the
# pool's joint-variation problems by what the untouched base model does with them (right in 3 to
# 25 % of samples, and sometimes cut instead of rounded), before any training on it. In
# pi1_simplified nothing is left but 9/4, as the paper's π1′ is the cube root of 2048: in the
# wording of the templates, with an operand that none of them has (1), for the bare question "Find
# 9/4 to one decimal." is unlike anything the base model has read, and it is never right on it.
EMBEDDED = World.load(FOLDER)
"""The world of the shipped base model. Changing it changes what that model has read."""


def is_world(model: str | Path) -> bool:
    """Whether a model is the shipped one ("world"), or a folder with a world.json."""
    return str(model) == "world" or (Path(model) / FILE).is_file()


def world_of(model: str | Path) -> World:
    """The world that a model's world.json names (`World.load`); `EMBEDDED` where it has none."""
    return World.load(model) if str(model) != "world" and is_world(model) else EMBEDDED
