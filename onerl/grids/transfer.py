"""What a run does to families of problems that it was not trained on.

    by_family(grid, "pi1")                          a row per unseen family, before and after
    by_family(grid, "pi1", "world")                 the same for the held-out templates
    elsewhere(grid, "pi1")                          the example's own template against all others

A family is what the id of a problem of the embedded world names: world/unseen/two_bags/7 is of the
family two_bags. Not covered: benchmarks whose problems have no family, such as ARC.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from onerl.estimates import METRICS
from onerl.grids.grid import Grid
from onerl.problems import examples

OWN, OTHERS = "the example's own template", "all other templates"
COLUMNS = ["problems", "before", "after", "low", "high", "gain", "gain low", "gain high"]


def family(problem: str) -> str:
    """The family of a problem of the embedded world, from its id."""
    return problem.split("/")[2]


def by_family(
    grid: Grid, arm: str, benchmark: str = "world-unseen", group: Callable[[str], str] = family
) -> pd.DataFrame:
    """Accuracy before and after training, and the gain, a row per family (or group); percent.

    Intervals are over seeds (Student's) where there are two or more, over problems otherwise.
    """
    before = grid.base.values(benchmark)
    after = {seed: grid.report(arm, seed).values(benchmark) for seed in grid.seeds(arm)}
    rows, unit = {}, METRICS["accuracy"]
    for name, problems in before.groupby(before.index.map(group), sort=False):
        values = pd.DataFrame(after).loc[problems.index]
        found = unit.runs(values)
        gain = unit.runs(values, pd.DataFrame(dict.fromkeys(values, problems)))
        numbers = [number for e in (found, gain) for number in (e.value, e.low, e.high)]
        rows[name] = [len(problems), unit.scale * problems.mean(), *numbers]
    return pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).rename_axis("family")


def elsewhere(grid: Grid, arm: str, benchmark: str = "world") -> pd.DataFrame:
    """The same in two rows: problems of a template that the arm trains on, and all others."""
    recipe = grid.outcomes[arm, grid.seeds(arm)[0]].recipe
    own = {family(problem.id) for problem in examples(recipe.examples, recipe.world)}
    return by_family(grid, arm, benchmark, lambda name: OWN if family(name) in own else OTHERS)
