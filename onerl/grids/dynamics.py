"""What happens along a long run on one example: when it saturates, and what the rest of it adds.

    saturation(run.metrics)                     the step at which the training reward is learned
    after_saturation(grid, "pi1")               a row per seed: then, at the end, the change
    change(after_saturation(grid, "pi1"))       the mean change with Student's interval
    table(grid)                                 the same for every arm, benchmark and metric
    smoothed(grid.metrics("pi1"), "entropy")    a metric of training with its band over seeds
    rollouts(run.path)                          what the rollouts on the example look like, by step

The paper's section 3.2.2 and its Figures 2 to 4 and 16. Its saturation is read off a curve
("before step 100"); ours is the step at which the training reward, averaged over 10 steps, first
reaches 0.95. Not covered: the words of reflection and the length of held-out answers, which are
metrics of `onerl.estimates`.
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
    """The step at which the training reward's 10-step mean first reaches 0.95, or None.

    Args:
        metrics: `Run.metrics`, a row per step.
    """
    reached = (metrics["reward"].rolling(WINDOW).mean() >= SATURATED).to_numpy()
    return int(metrics["step"].to_numpy()[reached.argmax()]) if reached.any() else None


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
        only = rows.iloc[0]
        return Estimate(only["change"], only["low"], only["high"], 1, points=(only["change"],))
    return estimates.seeds(rows["change"])


def table(grid: Grid) -> pd.DataFrame:
    """What the rest of each arm's runs adds after saturation, a row per benchmark and metric.

    Returns:
        Columns arm, benchmark, metric, seeds, saturated at (mean step), then, at the end, change,
        low, high; percent, but length in tokens. Arms none of whose runs saturates have no row.
    """
    rows = []
    for arm in grid.arms:
        for name in grid.outcomes[arm, grid.seeds(arm)[0]].recipe.benchmarks:
            for metric in METRICS:
                found = after_saturation(grid, arm, metric, name)
                if len(found):
                    means = found[["saturated", "then", "end"]].mean()
                    total = change(found)
                    ends = [total.value, total.low, total.high]
                    rows.append([arm, name, metric, len(found), *means, *ends])
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
    rows = [_over_seeds(values) for values in means.to_numpy()]
    table = pd.DataFrame(rows, index=means.index, columns=["value", "low", "high"])
    return np.exp(table) if geometric else table


def _over_seeds(values: np.ndarray) -> list[float]:
    """Value, low and high over the seeds that have a number; nan where none has."""
    numbers = values[~np.isnan(values)]
    if not len(numbers):
        return [np.nan] * 3
    found = estimates.seeds(numbers)
    return [found.value, found.low, found.high]


def rollouts(path: Path) -> pd.DataFrame:
    """What the rollouts on the training example look like, a row per step that was kept.

    Args:
        path: a run's folder; `rollouts/` in it holds the samples of the steps with a checkpoint.

    Returns:
        Index step; columns rollouts, right (%), different (texts), the share of the most frequent
        text (%), one column per way of writing of `onerl.world.corpus` (%), and that text itself.
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
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("step")
    shares = table.columns.drop(["text"], errors="ignore")
    return table.assign(**{name: table[name].fillna(0.0) for name in shares})
