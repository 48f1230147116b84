"""What happens along a long run on one example: when it saturates, and what the rest of it adds.

    saturation(run.metrics)                     the step at which the training reward is learned
    after_saturation(grid, "pi1")               a row per seed: then, at the end, the change
    change(after_saturation(grid, "pi1"))       the mean change with Student's interval
    table(grid)                                 the same for every arm, benchmark and metric
    smoothed(grid.metrics("pi1"), "entropy")    a metric of training with its band over seeds
    rollouts(run.path)                          what the rollouts on the example look like, by step

The paper's section 3.2.2 and its Figures 2 to 4 and 16. Its saturation is read off a curve
("before step 100"). Not covered: words of reflection and length, metrics of `onerl.estimates`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from onerl import estimates
from onerl.estimates import Estimate
from onerl.grids.grid import Grid
from onerl.runs.health import SATURATED, WINDOW
from onerl.world.corpus import way_of

METRICS = ("accuracy", "reflection", "truncated", "length")  # of `table`


def saturation(metrics: pd.DataFrame) -> int | None:
    """The step at which the training reward's 10-step mean in `Run.metrics` first reaches 0.95."""
    reached = metrics["step"][metrics["reward"].rolling(WINDOW).mean() >= SATURATED]
    return int(reached.iloc[0]) if len(reached) else None


def after_saturation(
    grid: Grid, arm: str, metric: str = "accuracy", benchmark: str | None = None
) -> pd.DataFrame:
    """The first evaluated checkpoint at or after saturation against the last one, by seed.

    Runs that never saturate, or only after their last checkpoint but one, are left out.

    Returns:
        Index seed; columns saturated, from, to (steps), then, end, change, low, high. The interval
        is over problems, in pairs; percent, or tokens for the metric length.
    """
    rows, unit = {}, estimates.METRICS[metric]
    for seed in grid.seeds(arm):
        start, run = saturation(grid.metrics(arm, seed)), grid.outcomes[arm, seed]
        steps = [step for step in sorted(run.reports) if start is not None and step >= start]
        if len(steps) > 1:
            name = benchmark or run.recipe.benchmarks[0]
            then, end = (run.reports[step].values(name, metric) for step in (steps[0], steps[-1]))
            found = unit.difference(end.loc[then.index], then)
            ends = [unit.scale * values.mean() for values in (then, end)]
            rows[seed] = [start, steps[0], steps[-1], *ends, found.value, found.low, found.high]
    columns = ["saturated", "from", "to", "then", "end", "change", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("seed")


def change(rows: pd.DataFrame) -> Estimate:
    """Mean change of `after_saturation` with its 95 % interval.

    Over seeds (Student's) where there are two or more, over problems for a single one.

    Raises:
        ValueError: no run saturated.
    """
    if rows.empty:
        raise ValueError("no run saturated: there is no change after saturation to speak of")
    if len(rows) == 1:
        value, low, high = rows[["change", "low", "high"]].iloc[0]
        return Estimate(value, low, high, 1, points=(value,))
    return estimates.seeds(rows["change"])


def table(grid: Grid) -> pd.DataFrame:
    """`after_saturation` over the seeds: a row per arm that saturates, benchmark and metric.

    Returns:
        Columns arm, benchmark, metric, seeds, saturated at (mean step), then, at the end, change,
        low, high; percent, but length in tokens.
    """
    rows = []
    for arm in grid.arms:
        for name in grid.outcomes[arm, grid.seeds(arm)[0]].recipe.benchmarks:
            for metric in METRICS:
                found = after_saturation(grid, arm, metric, name)
                if len(found):
                    means = found[["saturated", "then", "end"]].mean()
                    mean = change(found)
                    numbers = [len(found), *means, mean.value, mean.low, mean.high]
                    rows.append([arm, name, metric, *numbers])
    columns = ["arm", "benchmark", "metric", "seeds", "saturated at", "then", "at the end"]
    return pd.DataFrame(rows, columns=[*columns, "change", "low", "high"])


def smoothed(metrics: pd.DataFrame, column: str, geometric: bool = False) -> pd.DataFrame:
    """A metric of training: running mean over 10 steps, then mean and interval over seeds.

    Args:
        metrics: `Grid.metrics(arm)`, with a column seed.
        geometric: means and interval of the logarithm, for a logarithmic axis; zeros are left out.

    Returns:
        Index step; columns value, low, high; low and high are nan for a single seed, or equal ones.
    """
    wide = metrics.pivot(index="step", columns="seed", values=column)
    if geometric:
        wide = np.log(wide.where(wide > 0))
    means = wide.rolling(WINDOW, min_periods=1).mean()
    rows = {}
    for step, values in means.iterrows():
        if len(numbers := values.dropna()):
            found = estimates.seeds(numbers)
            rows[step] = [found.value, found.low, found.high]
    columns = ["value", "low", "high"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
    table = table.reindex(means.index)  # nan where no seed has a number
    return np.exp(table) if geometric else table


def rollouts(path: Path) -> pd.DataFrame:
    """What the rollouts in a run's folder look like, a row per step with a checkpoint.

    Returns:
        Index step; columns rollouts, right (%), different (texts), most frequent (%), one per way
        of writing of `onerl.world.corpus` (%), and text, the most frequent one.
    """
    rows = {}
    for file in sorted((Path(path) / "rollouts").glob("*.parquet")):
        kept = pd.read_parquet(file)
        counts = kept["completion"].value_counts()
        ways = kept["completion"].map(way_of).value_counts(normalize=True)
        rows[int(kept["step"].iloc[0])] = {
            "rollouts": len(kept),
            "right": 100 * kept["correct"].mean(),
            "different": len(counts),
            "most frequent": 100 * counts.iloc[0] / len(kept),
            **(100 * ways).to_dict(),
            "text": counts.index[0],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("step").fillna(0.0)
