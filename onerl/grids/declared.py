"""The grids of runs behind the paper's tables and figures, as recipes.

    grids.names()                                     what there is in params/grids.yaml
    grids.recipes("ablation")                         {(arm, seed): Recipe}, what a notebook trains
    grids.recipes("ablation", full=True)              every arm and seed
    grids.recipes("data_size", "qwen2.5-math-1.5b")   the paper's arms of the same grid
    grids.differences(recipes)                        a row per arm: the fields in which they differ

An arm changes only what it must, so that arms of different grids that mean the same run have the
same hash, and share its folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import yaml

from onerl.parameters import RecipeError, choose, nearest, params_folder
from onerl.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd

FIELDS = ("evaluate", "seeds", "quick", "arms", "steps")


class Definition(NamedTuple):
    """One grid at one scale: arm -> changes, and what is run and evaluated of it."""

    arms: dict[str, dict[str, Any]]
    seeds: tuple[int, ...]
    quick_arms: tuple[str, ...]
    quick_seeds: tuple[int, ...]
    evaluate: Literal["last", "all"]
    steps: int | None


def names() -> list[str]:
    """Names of the grids, in the order of the file."""
    return list(_file())


def definition(name: str, scale: Literal["world", "paper"] = "world") -> Definition:
    """The grid `name` as declared, at one scale: arms that do not exist there are left out.

    Raises:
        RecipeError: no such grid.
    """
    grid = _file()[choose("grid", name, _file())]
    arms = {}
    for arm, changes in grid["arms"].items():
        everywhere = not set(changes) <= {"world", "paper"}
        if everywhere or scale in changes:
            arms[arm] = dict(changes if everywhere else changes[scale])
    quick = set(grid["quick"]["arms"] or arms)
    return Definition(
        arms=arms,
        seeds=tuple(grid["seeds"][scale]),
        quick_arms=tuple(arm for arm in arms if arm in quick) or tuple(arms),
        quick_seeds=tuple(grid["quick"]["seeds"]),
        evaluate=grid["evaluate"],
        steps=grid.get("steps", {}).get(scale),
    )


def recipes(
    name: str,
    preset: str | Path | Recipe = "tiny",
    seeds: Iterable[int] | int | None = None,
    arms: Iterable[str] | str | None = None,
    full: bool = False,
) -> dict[tuple[str, int], Recipe]:
    """The grid's recipes by (arm, seed), arms in the order of the file, seeds within.

    Args:
        preset: what the arms change: a preset's name, a YAML file, or a recipe, whose seed is
            replaced. Its model decides between the world's arms and the paper's. An arm's changes
            win over its values, but a number of steps that is not its preset's stays.
        seeds, arms: only these, or this one; None: the quick subset's, or all with `full`.

    Raises:
        RecipeError: no such grid, preset or arm, or a seed that is not allowed.
    """
    if not isinstance(full, bool):
        raise RecipeError(f"full = {full!r}: must be true or false")
    base = preset if isinstance(preset, Recipe) else Recipe.load(preset)
    grid = definition(name, base.scale)
    chosen = _listed("arms", arms) if arms is not None else grid.arms if full else grid.quick_arms
    for arm in chosen:
        if arm not in grid.arms:
            near = f"{nearest(arm, grid.arms)}; arms: {', '.join(grid.arms)}"
            preset = f"with preset {base.preset}"
            raise RecipeError(f"arms: grid {name} has no arm {arm!r} {preset}{near}")
    if grid.steps is not None and base.steps == Recipe.load(base.preset).steps:
        base = base.replace(steps=grid.steps)
    if seeds is None:
        seeds = grid.seeds if full else grid.quick_seeds
    found = {}
    for arm, seed in product([arm for arm in grid.arms if arm in chosen], _listed("seeds", seeds)):
        changes = dict(grid.arms[arm])
        row = changes.pop("row", None)
        changed = base.replace(seed=seed).replace(**changes)
        found[arm, seed] = changed if row is None else changed.ablation(row=row)
    return found


def differences(recipes: Mapping[tuple[str, int], Recipe]) -> pd.DataFrame:
    """A row per arm of what `recipes` gave: the fields, but the seed, in which the arms differ."""
    import pandas as pd

    rows = {arm: recipe.model_dump() for (arm, _), recipe in recipes.items()}
    table = pd.DataFrame(rows.values(), index=pd.Index(rows, name="arm"), dtype=object)
    differ = [name for name in table if name != "seed" and table[name].map(repr).nunique() > 1]
    return table[differ]


def _listed(name: str, value: Any) -> tuple:
    """papermill's -p gives one value where a list is meant: `-p seeds 3`, `-p arms "row 5"`."""
    values = (value,) if isinstance(value, (str, int, float)) else tuple(value)
    if not values:
        raise RecipeError(f"{name} = {value!r}: must be at least one, or None for the grid's own")
    return values


@lru_cache(maxsize=1)
def _file() -> dict[str, dict[str, Any]]:
    """`params/grids.yaml`, checked: what a mistyped key means must not be guessed."""
    path = params_folder() / "grids.yaml"
    found = yaml.safe_load(path.read_text("utf-8"))
    for name, grid in found.items():
        where = f"{path}: grid {name}"
        for key in set(grid) - set(FIELDS):
            near = f"{nearest(key, FIELDS)}; allowed: {', '.join(FIELDS)}"
            raise RecipeError(f"{where}: unknown key {key!r}{near}")
        for arm in set(grid["quick"]["arms"] or ()) - set(grid["arms"]):
            near = nearest(arm, grid["arms"])
            raise RecipeError(f"{where}: quick has an arm {arm!r} that the grid has not{near}")
    return found
