"""What a grid shows of a claim: a number with its interval over training seeds.

Each measure takes a `Grid` and returns an `Estimate` in points with a value per seed. Which claim
it belongs to, and what would count as seen, is said in params/paper/claims.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import nan

import numpy as np
import pandas as pd
from scipy import stats

from onerl import estimates
from onerl.estimates import Estimate
from onerl.grids import dynamics, selection
from onerl.grids.grid import Grid
from onerl.grids.transfer import family


def best_step(grid: Grid, arm: str) -> Estimate:
    """The arm minus the base model at the step that is best on average over the seeds.

    Chosen on the test set, as the paper's Table 6 does, so the effect errs on the high side.
    """
    best = grid.curve(arm).drop(index=0, errors="ignore")["value"].idxmax()
    base = grid.base_estimate().value
    return _over_seeds([v - base for v in grid.estimate(arm, step=int(best)).points])


def after_saturation(grid: Grid, metric: str, benchmark: str, arm: str = "pi1") -> Estimate:
    """The last checkpoint minus the first one after saturation, over the seeds that saturate."""
    return _over_seeds(dynamics.after_saturation(grid, arm, metric, benchmark)["change"])


def weakest_family(grid: Grid, arm: str) -> Estimate:
    """The smallest gain of the arm among the unseen families.

    The mean over the families was the first measure. It is lifted by remainders alone, whose right
    answer is often hit by a wrong solution, so it was replaced after it had been seen.
    """
    base = grid.base.values("world-unseen")
    lowest = []
    for seed in grid.seeds(arm):
        gains = 100 * (grid.report(arm, seed).values("world-unseen") - base)
        lowest.append(gains.groupby(base.index.map(family)).mean().min())
    return _over_seeds(lowest)


def other_categories(grid: Grid) -> Estimate:
    """The mean gain over the base model in the categories that an arm's example is not from."""
    values = []
    for gains in _by_category(grid):
        values.append(np.mean([gains[arm].drop(index=arm).mean() for arm in gains]))
    return _over_seeds(values)


def own_category(grid: Grid) -> Estimate:
    """How much more an example gains in its own category than the other examples gain there."""
    values = []
    for gains in _by_category(grid):
        others = [gains.loc[arm].drop(index=arm).mean() for arm in gains]
        values.append(np.mean([gains.loc[arm, arm] for arm in gains] - np.array(others)))
    return _over_seeds(values)


def score_predicts_gain(grid: Grid) -> Estimate:
    """Rank correlation of the historical variance with the gain of single examples, times 100.

    A correlation per seed of the history run, with the gains of that seed's single runs.
    """
    found = []
    singles = [arm for arm in grid.arms if not arm.startswith("history")]
    for seed in grid.seeds("history, 16"):
        scores = selection.scores(grid.outcomes["history, 16", seed].history)["std"]
        scores.index = [":".join(name.split("/")[-2:]) for name in scores.index]
        there = [arm for arm in singles if seed in grid.seeds(arm) and arm in scores.index]
        gains = [grid.report(arm, seed).values("world").mean() for arm in there]
        if len(there) > 3:
            found.append(100 * stats.spearmanr(scores[there], gains).statistic)
    return _over_seeds(found)


def _by_category(grid: Grid) -> Iterator[pd.DataFrame]:
    """Points gained over the base model, category x arm, for each seed that all arms have."""
    for seed in sorted(set.intersection(*(set(grid.seeds(arm)) for arm in grid.arms))):
        gains = {}
        for arm in grid.arms:
            right = grid.report(arm, seed).values("world") - grid.base.values("world")
            gains[arm] = 100 * right.groupby(grid.categories(arm, "world")).mean()
        yield pd.DataFrame(gains)


def _over_seeds(values: Sequence[float]) -> Estimate:
    if not len(values):
        return Estimate(nan, nan, nan, 0, "seeds", note="no run to measure it on")
    return estimates.seeds(values, bounds=(-100.0, 100.0))


MEASURES = {
    "minus": Grid.difference,
    "best_step": best_step,
    "after_saturation": after_saturation,
    "weakest_family": weakest_family,
    "other_categories": other_categories,
    "own_category": own_category,
    "score_predicts_gain": score_predicts_gain,
}
"""The measures by name, as claims.yaml has them; their arguments are the claim's."""
